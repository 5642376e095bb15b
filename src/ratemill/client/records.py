"""From the bytes of a file to its records, in a form and in requests that the same bytes always give again.

A record is a line; in a csv file, a line break inside quotes does not end it. A quote that is opened and never properly
closed must not swallow the records after it: then the record is its first line alone, for the server to refuse.
"""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import count, islice
from typing import Literal

import msgspec

Shape = Literal["csv", "columnar", "jsonl"]
Route = Literal["rows", "multi"]
Record = tuple[str, int]
"""One record as text, and the line of the file where it begins, from 1."""

REQUEST_RECORDS_MAX = 1_000
REQUEST_TEXT_BYTES_MAX = 2_500_000  # as JSON at most six times that, which fits the 16 MiB of a body
RECORD_BYTES_MAX = 1024 * 1024  # of a line
QUOTED_CHARS_MAX = 128 * 1024  # of the lines that quotes hold together: what any csv reader takes as one field
_BOM = b"\xef\xbb\xbf"
_ENCODER = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class Form:
    """How a file is cut into records, and by which route they go: as texts or as JSON objects."""

    shape: Shape
    route: Route = "rows"
    delimiter: str = ","
    quote: str = '"'
    skip_header: bool = False


@dataclass(frozen=True, slots=True)
class UsageRequest:
    """One request's worth of records: its number from 1, its body and the digest of that."""

    number: int
    records: int
    line: int
    body: bytes
    sha256: str


def read_records(blocks: Iterable[bytes], form: Form) -> Iterator[Record]:
    """Yield the records of a file in UTF-8, given as blocks of bytes; lines that are empty or of blanks only are none."""
    quote = form.quote if form.shape == "csv" else ""
    lines = _lines(blocks, quote)
    if form.skip_header:
        next(lines, None)
    records = _logical_records(lines, form) if quote else lines
    return (record for record in records if record[0] and not record[0].isspace())


def make_requests(records: Iterable[Record], form: Form) -> Iterator[UsageRequest]:
    """Yield the records as requests of at most 1,000."""
    records, number = iter(records), 0
    while held := list(islice(records, REQUEST_RECORDS_MAX)):
        for part in _parts_that_fit(held):
            number += 1
            yield _request(number, part, form)


def _parts_that_fit(held: list[Record]) -> Iterator[list[Record]]:
    """Yield the records in as few parts as the size of a body allows; almost always it is one."""
    if 4 * sum(len(text) for text, _ in held) <= REQUEST_TEXT_BYTES_MAX:  # a character has at most four bytes
        yield held
        return
    part: list[Record] = []
    size = 0
    for record in held:
        length = len(record[0].encode())
        if part and size + length > REQUEST_TEXT_BYTES_MAX:
            yield part
            part, size = [], 0
        part.append(record)
        size += length
    yield part


def _request(number: int, held: list[Record], form: Form) -> UsageRequest:
    texts = [text for text, _ in held]
    body = (
        ('{"data":[' + ",".join(texts) + "]}").encode() if form.route == "multi" else _ENCODER.encode({"data": texts})
    )
    return UsageRequest(number, len(held), held[0][1], body, sha256(body).hexdigest())


def _lines(blocks: Iterable[bytes], quote: str) -> Iterator[Record]:
    """Yield every line with its number; in a block with quotes, carriage returns at the end are left in place."""
    number = 1
    for block in _whole_lines(blocks):
        text = block.decode()
        if quote not in text or not quote:
            text = text.replace("\r\n", "\n")
        lines = text.split("\n")
        lines.pop()  # what stands after the last line break: nothing
        yield from zip(lines, count(number), strict=False)
        number += len(lines)


def _whole_lines(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the same bytes without byte order mark, cut after line breaks only; the last line gets its line break."""
    held = b""
    is_first = True
    for block in blocks:
        held += block
        if is_first and len(held) >= len(_BOM):
            held, is_first = held.removeprefix(_BOM), False
        end = held.rfind(b"\n") + 1
        if end:
            yield held[:end]
            held = held[end:]
    if held:
        yield held + b"\n"


def _logical_records(lines: Iterator[Record], form: Form) -> Iterator[Record]:
    """Yield records of delimited text; lines whose quotes are not plainly in order are looked at more closely."""
    in_order = re.compile(_plainly_in_order(form)).match
    given_back: deque[Record] = deque()
    while (first := given_back.popleft() if given_back else next(lines, None)) is not None:
        text = first[0]
        if form.quote not in text or in_order(text):
            yield (text[:-1], first[1]) if text.endswith("\r") else first
        else:
            yield _join(_take_quoted(first, given_back, lines, form))


def _plainly_in_order(form: Form) -> str:
    """Match a line in which every quote opens a field or closes it."""
    quote, delimiter = re.escape(form.quote), re.escape(form.delimiter)
    quoted = f"{quote}[^{quote}]*+(?:{quote}{quote}[^{quote}]*+)*+{quote}"
    begins, ends = f"(?:(?<={delimiter})|(?<!.))", f"(?={delimiter}|\\r?\\Z)"
    return f"(?s:(?:[^{quote}]*+{begins}{quoted}{ends})*+[^{quote}]*+\\Z)"


def _take_quoted(first: Record, given_back: deque[Record], lines: Iterator[Record], form: Form) -> list[Record]:
    """Return the lines of one record; give those back that do not belong to it."""
    taken: list[Record] = []
    fed = _feed(first, taken, given_back, lines)
    try:
        next(csv.reader(fed, delimiter=form.delimiter, quotechar=form.quote, strict=True))
    except (csv.Error, _TooLong):
        given_back.extendleft(reversed(taken[1:]))
        return taken[:1]
    return taken


class _TooLong(Exception):
    """The lines that a quote holds together are more than a record may have."""


def _feed(first: Record, taken: list[Record], given_back: deque[Record], lines: Iterator[Record]) -> Iterator[str]:
    """Yield line after line as they are asked for, and note them as taken."""
    size = 0
    each: Record | None = first
    while each is not None:
        taken.append(each)
        size += len(each[0]) + 1
        if size > QUOTED_CHARS_MAX:
            raise _TooLong
        yield each[0] + "\n"
        each = given_back.popleft() if given_back else next(lines, None)


def _join(taken: list[Record]) -> Record:
    return "\n".join(text for text, _ in taken).removesuffix("\r"), taken[0][1]
