"""From a file to the items of a characteristic and their pages: a JSON list, JSON lines, or csv with a header.

An item of JSON goes out as it stands in the file, its numbers by their digits. A csv file has the names of the members in
its first row: ``parentReference.id`` is a member inside a member, ``ud_weight:number`` and ``ud_sold:boolean`` are no texts,
nor are members that end in ``Flag``; all else is text. An empty cell is an absent member.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import msgspec

from ratemill.client.errors import UnreadableFile
from ratemill.client.files import BLOCK_BYTES, digest_of, opened, survey
from ratemill.client.records import Form, Record, read_records

Shape = Literal["json", "jsonl", "csv"]
SHAPES: tuple[Shape, ...] = ("json", "jsonl", "csv")
_BY_SUFFIX: dict[str, Shape] = {".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv"}
_BOM = b"\xef\xbb\xbf"
_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class FileItem:
    """One item as JSON text, and where it is found in the file: its line, or its number in a JSON list, from 1."""

    text: str
    place: int


@dataclass(frozen=True, slots=True)
class ItemFile:
    """A file of items: how many, and the digest of what it holds."""

    path: Path
    shape: Shape
    count: int
    sha256: str

    @property
    def place(self) -> str:
        """What the place of an item is called."""
        return "item" if self.shape == "json" else "line"

    def items(self) -> Iterator[FileItem]:
        """Yield the items, read anew."""
        return _read(self.path, self.shape)


@dataclass(frozen=True, slots=True)
class ItemPage:
    """One page: its number from 0, its items' places in the file, the body that brings it and the digest of that."""

    number: int
    places: list[int]
    body: bytes
    sha256: str


def shape_of(path: Path, name: str | None) -> Shape | None:
    """Return the shape of this name, else the one of the file's suffix; None if neither is known."""
    if name is not None:
        return next((shape for shape in SHAPES if shape == name), None)
    bare = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    return _BY_SUFFIX.get(bare.suffix.lower())


def look_through(path: Path, shape: Shape) -> ItemFile:
    """Read a whole file once; raise ``UnreadableFile`` if it could not be sent as it is."""
    digest = digest_of(path) if shape == "json" else survey(path, Form(shape)).sha256
    count = sum(1 for _ in _read(path, shape))
    if not count:
        raise UnreadableFile(f"{path} holds no items; nothing was sent")
    return ItemFile(path, shape, count, digest)


def pages(items: Iterable[FileItem], page_size: int) -> Iterator[ItemPage]:
    """Yield items as pages, all but the last full."""
    items, number = iter(items), 0
    while held := list(islice(items, page_size)):
        listed = ",".join(item.text for item in held)
        body = f'{{"pageNumber":{number},"items":[{listed}]}}'.encode()
        yield ItemPage(number, [item.place for item in held], body, sha256(body).hexdigest())
        number += 1


def _read(path: Path, shape: Shape) -> Iterator[FileItem]:
    if shape == "json":
        yield from _listed(path)
        return
    with opened(path) as file:
        records = read_records(iter(lambda: file.read(BLOCK_BYTES), b""), Form(shape))
        yield from _rows(path, records) if shape == "csv" else _lines(path, records)


def _listed(path: Path) -> Iterator[FileItem]:
    with opened(path) as file:
        content = file.read().removeprefix(_BOM)
    try:
        parts = _LIST.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableFile(f"{path} is not one JSON list: {error}; nothing was sent") from error
    for number, part in enumerate(parts, 1):
        yield FileItem(_object(path, bytes(part), "item", number), number)


def _lines(path: Path, records: Iterable[Record]) -> Iterator[FileItem]:
    for text, line in records:
        yield FileItem(_object(path, text.encode(), "line", line), line)


def _object(path: Path, text: bytes, what: str, place: int) -> str:
    """Return the text of an object as it stands."""
    try:
        _OBJECT.decode(text)
        return text.strip().decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _unreadable(path, what, place, f"is not one JSON object: {error}") from error


def _rows(path: Path, records: Iterator[Record]) -> Iterator[FileItem]:
    first = next(records, None)
    if first is None:
        return
    header = _cells(path, first)
    columns = [_ItemColumn(path, name.strip()) for name in header]
    names = [column.name for column in columns]
    for name in names:
        if names.count(name) > 1 or any(other.startswith(f"{name}.") for other in names):
            raise _unreadable(path, "line", first[1], f"names the member {name} twice")
    for record in records:
        cells = _cells(path, record)
        if len(cells) != len(columns):
            raise _unreadable(path, "line", record[1], f"has {len(cells)} fields, the header {len(columns)}")
        yield FileItem(_item(columns, cells, record[1]), record[1])


def _cells(path: Path, record: Record) -> list[str]:
    try:
        return next(csv.reader([record[0]], strict=True))
    except (csv.Error, StopIteration) as error:
        raise _unreadable(path, "line", record[1], f"is no row of csv: {error}") from error


class _ItemColumn:
    """A column of a csv file: the members that it fills, the outer first, and how a cell becomes JSON text."""

    def __init__(self, path: Path, header: str) -> None:
        self.name, _, kind = header.partition(":")
        self.members = self.name.split(".")
        self._path = path
        if not all(self.members) or kind not in _KINDS:
            raise _unreadable(
                path, "line", 1, f"'{header}' is no column: NAME, NAME.MEMBER, NAME:number or NAME:boolean is expected"
            )
        self._kind = kind or ("boolean" if self.name.endswith("Flag") else "text")

    def value(self, cell: str, line: int) -> str:
        """Return the JSON text of a cell."""
        text = _KINDS[self._kind](cell)
        if text is None:
            raise _unreadable(self._path, "line", line, f"'{cell}' in column {self.name} is no {self._kind}")
        return text


def _number(cell: str) -> str | None:
    return cell if _NUMBER.fullmatch(cell) else None


def _boolean(cell: str) -> str | None:
    return cell.lower() if cell.lower() in {"true", "false"} else None


_KINDS: dict[str, Callable[[str], str | None]] = {
    "": _ENCODER.encode,
    "text": _ENCODER.encode,
    "number": _number,
    "boolean": _boolean,
}


def _item(columns: list[_ItemColumn], cells: list[str], line: int) -> str:
    members: dict[str, Any] = {}
    for column, cell in zip(columns, cells, strict=True):
        if not cell:
            continue
        inner = members
        for outer in column.members[:-1]:
            inner = inner.setdefault(outer, {})
        inner[column.members[-1]] = msgspec.Raw(column.value(cell, line).encode())
    return msgspec.json.encode(members).decode()


def _unreadable(path: Path, what: str, place: int, why: str) -> UnreadableFile:
    return UnreadableFile(f"{path}, {what} {place}: {why}; nothing was sent", line=place)
