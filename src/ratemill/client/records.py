"""From the bytes of a file to its records, in a form and in requests that the same bytes always give again.

A record is a line; in a csv file, a line break inside quotes does not end it. A quote that is opened and never properly
closed must not swallow the records after it: then the record is its first line alone, for the server to refuse.
"""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal, NamedTuple

import msgspec

Shape = Literal["csv", "columnar", "jsonl"]
Route = Literal["rows", "multi"]

REQUEST_RECORDS_MAX = 1_000
REQUEST_TEXT_BYTES_MAX = 2_500_000  # as JSON at most six times that, which fits the 16 MiB of a body
RECORD_BYTES_MAX = 1024 * 1024  # of a line, and of the lines that quotes hold together
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


class Record(NamedTuple):
    """One record as text, the line of the file where it begins, from 1, and the line break that ended it."""

    text: str
    line: int
    ending: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """One request's worth of records: its number from 1, its body and the digest of that."""

    number: int
    records: int
    line: int
    body: bytes
    sha256: str


def read_records(lines: Iterable[bytes], form: Form) -> Iterator[Record]:
    """Yield the records of a file in UTF-8; lines that are empty or of blanks only are none."""
    texts = _texts(lines)
    if form.skip_header:
        next(texts, None)
    if form.shape == "csv" and form.quote:
        return _logical_records(texts, form)
    return (record for record in texts if record.text.strip())


def make_requests(records: Iterable[Record], form: Form) -> Iterator[Request]:
    """Yield the records as requests of at most 1,000."""
    held: list[Record] = []
    number = size = 0
    for record in records:
        length = len(record.text)
        if len(held) == REQUEST_RECORDS_MAX or (held and size + length > REQUEST_TEXT_BYTES_MAX):
            number += 1
            yield _request(number, held, form)
            held, size = [], 0
        held.append(record)
        size += length if record.text.isascii() else len(record.text.encode())
    if held:
        yield _request(number + 1, held, form)


def _request(number: int, held: list[Record], form: Form) -> Request:
    texts = [record.text for record in held]
    body = (
        ('{"data":[' + ",".join(texts) + "]}").encode() if form.route == "multi" else _ENCODER.encode({"data": texts})
    )
    return Request(number, len(held), held[0].line, body, sha256(body).hexdigest())


def _texts(lines: Iterable[bytes]) -> Iterator[Record]:
    """Yield every line as text, without byte order mark; the line break stands apart."""
    for number, line in enumerate(lines, 1):
        bare = line[:-2] if line.endswith(b"\r\n") else line.removesuffix(b"\n")
        text = (bare.removeprefix(_BOM) if number == 1 else bare).decode()
        yield Record(text, number, line[len(bare) :].decode())


def _logical_records(lines: Iterator[Record], form: Form) -> Iterator[Record]:
    """Yield records of delimited text; only lines with quotes are looked at more closely."""
    given_back: deque[Record] = deque()
    while (first := given_back.popleft() if given_back else next(lines, None)) is not None:
        if form.quote in first.text:
            yield _join(_take_quoted(first, given_back, lines, form))
        elif first.text.strip():
            yield first


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
        size += len(each.text)
        if size > RECORD_BYTES_MAX:
            raise _TooLong
        yield each.text + "\n"
        each = given_back.popleft() if given_back else next(lines, None)


def _join(taken: list[Record]) -> Record:
    if len(taken) == 1:
        return taken[0]
    return Record("".join(each.text + each.ending for each in taken[:-1]) + taken[-1].text, taken[0].line)
