"""From text to entries: the document's envelope, its lists, and the CSV files that they name."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ratemill.errors import Code
from ratemill.setup.declaration import Entry, Identity, Member, MemberKind, SetupObject
from ratemill.setup.documents.json_nodes import looks_like_json, read_json
from ratemill.setup.documents.yaml_nodes import read_yaml
from ratemill.setup.nodes import DocumentFaults, Items, Node, Pairs, Scalar, ScalarForm, Unreadable, plain
from ratemill.setup.objects.registry import OWNERS, WRITABLE
from ratemill.setup.values import InvalidValue, read_value
from ratemill.visible import shown

VERSION = "1"
DEFAULT_OWNER = "default"
IDENTITY_MAX = 2**63 - 1  # what the database counts with
_OWNER_NAME = Member("owner", "owner", chars_max=255)
_CSV_FIELD_BYTES_MAX = 1_000_000
_CELLS_KEPT_MAX = 10_000  # distinct cells of a column whose values are kept while a file is read


@dataclass(slots=True)
class Document:
    """A document as entries by list, in the order of ``registry.OBJECTS``."""

    owner: str = DEFAULT_OWNER
    owner_line: int | None = None
    entries: dict[str, list[Entry]] = field(default_factory=dict)


def read_document(text: str, folder: Path | None, faults: DocumentFaults) -> Document:
    """Return what ``text`` names; CSV files are looked for from ``folder``. Faults are added to ``faults``."""
    try:
        root = _read_nodes(text.removeprefix("\ufeff"))
    except Unreadable as error:
        faults.add(Code.DOCUMENT_UNREADABLE, "", error.line, error.message)
        return Document()
    if not isinstance(root, Pairs):
        faults.add(Code.DOCUMENT_UNREADABLE, "", root.line, "a document is a mapping that begins with 'ratemill: 1'")
        return Document()
    return _CsvReader(folder, faults).document(root)


def read_csv_list(
    kind: SetupObject, name: str, text: str, defaults: Mapping[str, str], faults: DocumentFaults
) -> Document:
    """Return a document of one list that is CSV text; ``name`` stands for its file, ``defaults`` for empty cells."""
    lines = dict.fromkeys(defaults, 0)
    pairs = Pairs({member: Scalar(value, 0) for member, value in defaults.items()}, lines, [], 0)
    return _CsvReader(None, faults).csv_list(kind, name, text.removeprefix("\ufeff"), pairs)


def read_members(entry: Entry, node: Pairs, faults: DocumentFaults, *, passed_over: Collection[str]) -> None:
    """Read the members of one entry as HTTP has them: ``…Id`` may stand instead of a name, and holds where both do.

    The names in ``passed_over`` are taken as if they were not there.
    """
    reader = _CsvReader(None, faults)
    reader.report_twice(node, entry.path())
    ids = {member.id_name: member for member in entry.object.references}
    held = {ids[name].name for name, value in node.pairs.items() if name in ids and not _is_null(value)}
    held |= {
        entry.object.by_column(member.within).name
        for name, member in ids.items()
        if member.within and member.name in held
    }
    for name, value in node.pairs.items():
        if name in ids:
            if not (_is_null(value) and ids[name].name in node.pairs):
                reader.take_identity(entry, ids[name], value)
        elif name not in passed_over and name not in held:
            reader.take(entry, name, value, node.lines[name])


def _is_null(node: Node) -> bool:
    return isinstance(node, Scalar) and node.text is None


def _read_identity(node: Node) -> Identity:
    if not isinstance(node, Scalar) or node.written is not ScalarForm.NUMBER or not (node.text or "").isdigit():
        raise InvalidValue("the identity of an object is expected, a whole number")
    return Identity(min(int((node.text or "")[:20]), IDENTITY_MAX + 1))


def _read_identities(member: Member, node: Node) -> tuple[Identity, ...]:
    if not isinstance(node, Items):
        raise InvalidValue("a list of identities is expected")
    if not node.items and member.required:
        raise InvalidValue("must name at least one")
    found = tuple(_read_identity(item) for item in node.items)
    if len(set(found)) < len(found):
        raise InvalidValue("an identity stands here twice")
    return found


def _read_nodes(text: str) -> Node:
    if not looks_like_json(text):
        return read_yaml(text)
    try:
        return read_json(text)
    except Unreadable as error:
        try:
            return read_yaml(text)
        except Unreadable:
            raise error from None


@dataclass(slots=True)
class _CsvColumn:
    """A column of a CSV file; ``read`` are the values of its cells so far, for most columns have few."""

    member: Member | None
    read: dict[str, Any]


def _read_name(member: Member, node: Node, other_than: Collection[str] = ()) -> str:
    if not isinstance(node, Scalar) or node.text is None:
        raise InvalidValue("a name is expected")
    name = str(read_value(member, node.text, node.written))
    if name in other_than:
        raise InvalidValue(f"'{shown(name)}' stands here twice")
    return name


class _CsvReader:
    def __init__(self, folder: Path | None, faults: DocumentFaults) -> None:
        self._folder = folder
        self._faults = faults

    def document(self, root: Pairs) -> Document:
        document = Document()
        self.report_twice(root, "")
        version = root.pairs.get("ratemill")
        if not (isinstance(version, Scalar) and version.text == VERSION):
            self._faults.add(Code.MEMBER_REQUIRED, "ratemill", version.line if version else 1, "must be 1")
        if "owner" in root.pairs:
            self._owner(document, root.pairs["owner"])
        for name in root.pairs:
            if name not in WRITABLE and name not in ("ratemill", "owner"):
                self._faults.add(Code.MEMBER_UNKNOWN, name, root.lines[name], f"there is no list '{shown(name)}'")
        for each in WRITABLE.values():
            if each.list_name in root.pairs:
                document.entries[each.list_name] = self._list(each, root.pairs[each.list_name])
        return document

    def csv_list(self, kind: SetupObject, name: str, text: str, defaults: Pairs) -> Document:
        document = Document()
        try:
            document.entries[kind.list_name] = list(self._csv_entries(kind, name, text, self._defaults(kind, defaults)))
        except (csv.Error, InvalidValue) as error:
            self._faults.add(Code.DOCUMENT_UNREADABLE, kind.list_name, None, f"the list cannot be read: {error}")
        return document

    def report_twice(self, pairs: Pairs, path: str) -> None:
        """Report every key that a mapping, or one inside it, has more than once."""
        for key, line in pairs.twice:
            at = f"{path}.{key}" if path else key
            self._faults.add(Code.ENTRY_TWICE, at, line, f"'{shown(key)}' stands here twice")
        for key, value in pairs.pairs.items():
            self._report_inner(value, f"{path}.{key}" if path else key)

    def _report_inner(self, node: Node, path: str) -> None:
        if isinstance(node, Pairs):
            self.report_twice(node, path)
        elif isinstance(node, Items):
            for index, item in enumerate(node.items):
                if not isinstance(item, Scalar):
                    self._report_inner(item, f"{path}[{index}]")

    def _owner(self, document: Document, node: Node) -> None:
        """Read whose document it is: a name, or the members of the owner, its name among them."""
        named: Node | None = node
        if isinstance(node, Pairs):
            entry = Entry(OWNERS, 0, node.line, place="owner")
            named = node.pairs.get("name")
            for name, value in node.pairs.items():
                if name != "name":
                    self.take(entry, name, value, node.lines[name])
            document.entries[OWNERS.list_name] = [entry]
        if named is not None:
            document.owner_line = named.line
            try:
                document.owner = _read_name(_OWNER_NAME, named)
            except InvalidValue as error:
                path = "owner" if named is node else "owner.name"
                self._faults.add(Code.VALUE_NOT_VALID, path, named.line, str(error))
        for entry in document.entries.get(OWNERS.list_name, ()):
            entry.given["name"] = document.owner

    def _list(self, kind: SetupObject, node: Node) -> list[Entry]:
        if isinstance(node, Items):
            return [self._entry(kind, item, index) for index, item in enumerate(node.items)]
        if isinstance(node, Pairs):
            return self._csv_list(kind, node)
        if node.text is not None:
            self._faults.add(Code.VALUE_NOT_VALID, kind.list_name, node.line, "a list is expected, or {csv: FILE}")
        return []

    def _entry(self, kind: SetupObject, node: Node, index: int) -> Entry:
        entry = Entry(kind, index, node.line)
        if isinstance(node, Pairs):
            for name, value in node.pairs.items():
                self.take(entry, name, value, node.lines[name])
        else:
            entry.bad = frozenset(kind.key)
            self._faults.add(Code.VALUE_NOT_VALID, entry.path(), node.line, "a mapping of members is expected")
        return entry

    def take_identity(self, entry: Entry, member: Member, node: Node) -> None:
        """Read what stands in the ``…Id`` member of a reference."""
        entry.lines = {**(entry.lines or {}), member.name: node.line}
        try:
            if _is_null(node):
                entry.given[member.column] = None
            elif member.kind is not MemberKind.REFERENCES:
                entry.given[member.column] = _read_identity(node)
            else:
                entry.given[member.column] = _read_identities(member, node)
        except InvalidValue as error:
            entry.bad |= {member.column}
            self._faults.add(Code.VALUE_NOT_VALID, entry.path(member.id_name), node.line, str(error))

    def take(self, entry: Entry, name: str, node: Node, line: int) -> None:
        """Read one member."""
        member = entry.object.member(name)
        if member is None:
            message = f"there is no member '{shown(name)}' in {entry.object.list_name}"
            self._faults.add(Code.MEMBER_UNKNOWN, entry.path(name), line, message)
            return
        if entry.lines is None:
            entry.lines = {}
        entry.lines[name] = node.line
        try:
            self._put(entry, member, node)
        except InvalidValue as error:
            entry.bad |= {member.column}
            self._faults.add(Code.VALUE_NOT_VALID, entry.path(name), node.line, str(error))

    def _put(self, entry: Entry, member: Member, node: Node) -> None:
        if member.kind is MemberKind.STRUCTURE:
            entry.nodes = {**(entry.nodes or {}), member.name: node}
            inner = entry.given.get(entry.object.document) or {}
            entry.given[entry.object.document] = {**inner, member.name: plain(node)}
        elif member.kind is MemberKind.REFERENCES:
            entry.given[member.column] = self._names(entry, member, node)
        elif not isinstance(node, Scalar):
            raise InvalidValue("one value is expected, not a list or mapping")
        elif node.text is None:
            entry.given[member.column] = None
        else:
            entry.given[member.column] = read_value(member, node.text, node.written)

    def _names(self, entry: Entry, member: Member, node: Node) -> tuple[str, ...] | None:
        if isinstance(node, Scalar) and node.text is None:
            return None
        if not isinstance(node, Items):
            raise InvalidValue("a list of names is expected")
        entry.nodes = {**(entry.nodes or {}), member.name: node}
        names: list[str] = []
        for index, item in enumerate(node.items):
            try:
                names.append(_read_name(member, item, other_than=names))
            except InvalidValue as error:
                entry.bad |= {member.column}
                self._faults.add(Code.VALUE_NOT_VALID, entry.path(f"{member.name}[{index}]"), item.line, str(error))
        if not node.items and member.required:
            raise InvalidValue("must name at least one")
        return tuple(names)

    # lists in CSV files

    def _csv_list(self, kind: SetupObject, node: Pairs) -> list[Entry]:
        for name in node.pairs:
            if name not in ("csv", "defaults"):
                self._faults.add(
                    Code.MEMBER_UNKNOWN,
                    f"{kind.list_name}.{name}",
                    node.lines[name],
                    "only csv and defaults can stand here",
                )
        defaults = self._defaults(kind, node.pairs.get("defaults"))
        named = node.pairs.get("csv")
        if not isinstance(named, Scalar) or not named.text:
            self._faults.add(Code.MEMBER_REQUIRED, f"{kind.list_name}.csv", node.line, "is required")
            return []
        try:
            return list(self._csv_entries(kind, named.text, self._open(named.text), defaults))
        except (OSError, UnicodeDecodeError, csv.Error, InvalidValue) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            message = f"'{shown(named.text)}' cannot be read: {reason}"
            self._faults.add(Code.DOCUMENT_UNREADABLE, f"{kind.list_name}.csv", named.line, message)
            return []

    def _open(self, name: str) -> str:
        if self._folder is None:
            raise InvalidValue("there is no folder to look in")
        return (self._folder / name).read_bytes().decode("utf-8-sig")

    def _defaults(self, kind: SetupObject, node: Node | None) -> Entry:
        entry = Entry(kind, 0, node.line if node else 0)
        if node is None or (isinstance(node, Scalar) and node.text is None):
            return entry
        if not isinstance(node, Pairs):
            self._faults.add(
                Code.VALUE_NOT_VALID, f"{kind.list_name}.defaults", node.line, "a mapping of members is expected"
            )
            return entry
        before = len(self._faults.found)
        for name, value in node.pairs.items():
            self.take(entry, name, value, node.lines[name])
        for at, fault in enumerate(self._faults.found[before:], before):
            path = (fault.path or "").replace(entry.path(), f"{kind.list_name}.defaults", 1)
            self._faults.found[at] = replace(fault, path=path)
        return entry

    def _csv_entries(self, kind: SetupObject, file: str, text: str, defaults: Entry) -> Iterator[Entry]:
        csv.field_size_limit(_CSV_FIELD_BYTES_MAX)
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        header = next(reader, None)
        if header is None:
            raise InvalidValue("it has no header row")
        columns = [_CsvColumn(self._column(kind, file, header, name), {}) for name in header]
        line = reader.line_num + 1
        for index, cells in enumerate(reader):
            if cells:
                yield self._csv_entry(Entry(kind, index, line, file), columns, cells, defaults)
            line = reader.line_num + 1

    def _column(self, kind: SetupObject, file: str, header: list[str], name: str) -> Member | None:
        member = kind.member(name.strip())
        if member is None:
            message = f"there is no member '{shown(name)}' in {kind.list_name}"
            self._faults.add(Code.MEMBER_UNKNOWN, f"{file}:1.{name}", 1, message)
        elif header.count(name) > 1:
            self._faults.add(Code.ENTRY_TWICE, f"{file}:1.{name}", 1, f"'{shown(name)}' stands here twice")
        return member

    def _csv_entry(self, entry: Entry, columns: list[_CsvColumn], cells: list[str], defaults: Entry) -> Entry:
        if len(cells) != len(columns):
            message = f"the row has {len(cells)} cells, the header {len(columns)}"
            self._faults.add(Code.VALUE_NOT_VALID, entry.path(), entry.line, message)
        if defaults.given or defaults.bad:
            entry.given.update(defaults.given)
            entry.bad = defaults.bad
        for column, cell in zip(columns, cells, strict=False):
            if cell == "" or column.member is None:
                continue
            if cell in column.read:
                entry.given[column.member.column] = column.read[cell]
                entry.bad -= {column.member.column}
                continue
            entry.given.pop(column.member.column, None)
            self._cell(entry, column.member, cell)
            if column.member.column in entry.given and len(column.read) < _CELLS_KEPT_MAX:
                column.read[cell] = entry.given[column.member.column]
        return entry

    def _cell(self, entry: Entry, member: Member, cell: str) -> None:
        entry.bad -= {member.column}
        try:
            if member.kind in (MemberKind.STRUCTURE, MemberKind.REFERENCES):
                self._put(entry, member, read_yaml(cell))
            else:
                entry.given[member.column] = read_value(member, cell, ScalarForm.ANY)
        except (InvalidValue, Unreadable) as error:
            entry.bad |= {member.column}
            self._faults.add(Code.VALUE_NOT_VALID, entry.path(member.name), entry.line, str(error))
