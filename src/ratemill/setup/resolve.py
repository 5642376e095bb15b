"""A document meets what is stored: names become identities, keys decide what is new, and each entry becomes a whole row.

The lists are worked in an order in which each stands behind those that it refers to, so that one pass is enough. Stored
rows are read in bulk, by the names and keys that the document uses.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date, datetime
from functools import lru_cache
from typing import Any

from ratemill.errors import Code
from ratemill.periods import read_instant
from ratemill.setup.declaration import Entry, Kind, Member, SetupObject
from ratemill.setup.document import Document
from ratemill.setup.nodes import Faults
from ratemill.setup.registry import BASE_UNITS, BY_LIST, OBJECTS
from ratemill.setup.world import Row, World
from ratemill.store import setup_objects

_NOUNS = {"timePeriods": "time period"}  # lists that may be referred to before they exist


def resolve(document: Document, world: World, faults: Faults) -> None:
    """Fill in stored row, identity, whole row and changes of each entry; entries without a key keep identity 0."""
    _Resolver(document, world, faults).run()


class _Resolver:
    def __init__(self, document: Document, world: World, faults: Faults) -> None:
        self._document = document
        self._world = world
        self._faults = faults
        self._closed: defaultdict[str, set[int]] = defaultdict(set)
        self._defaults: dict[str, Row] = {}
        self._wanted: defaultdict[str, set[Any]] = defaultdict(set)

    def run(self) -> None:
        self._keep(
            BASE_UNITS, setup_objects.read_rows(self._world.connection, "base_units", ("base_unit_id", "name"), None)
        )
        self._collect_names()
        for each in OBJECTS:
            entries = self._document.entries.get(each.list_name, [])
            if entries or self._wanted[each.list_name]:
                self._settle(each, entries)

    def _collect_names(self) -> None:
        for each in OBJECTS:
            references = each.references
            for entry in self._document.entries.get(each.list_name, []):
                for member in references:
                    if member.column in entry.given:
                        self._collect(entry, member)
            if each.list_name in self._document.entries:
                self._wanted_defaults(references)

    def _collect(self, entry: Entry, member: Member) -> None:
        value = entry.given.get(member.column)
        if value is None:
            return
        if member.within:
            outer = entry.given.get(member.within)
            if outer is not None:
                self._wanted[member.target].add((outer, value))
        elif member.kind is Kind.REFERENCES:
            self._wanted[member.target].update(value)
        else:
            self._wanted[member.target].add(value)

    def _wanted_defaults(self, references: tuple[Member, ...]) -> None:
        for member in references:
            if member.default is not None:
                self._wanted[member.target].add(member.default)

    # one list

    def _settle(self, each: SetupObject, entries: list[Entry]) -> None:
        members = each.references
        own = [member for member in members if member.target == each.list_name]
        others = [member for member in members if member.target != each.list_name]
        for entry in entries:
            for member in others:
                if member.column in entry.given or member.default is not None:
                    self._resolve(entry, member)
            if "start_at" in each.key:
                self._localise(entry, ("start_at",))
        keyed = [entry for entry in entries if self._has_key(entry)]
        self._load(each, keyed)
        keyed = [entry for entry in keyed if self._identify(entry)]
        for entry in keyed:
            for member in own:
                self._resolve(entry, member)
        self._localise_rest(each, keyed)
        for entry in keyed:
            self._complete(entry)
        self._close(each, [entry.identity for entry in keyed])

    def _resolve(self, entry: Entry, member: Member) -> None:
        value = entry.given.get(member.column)
        if value is None or member.column in entry.bad:
            if member.column not in entry.bad and member.default is not None and member.column in entry.object.key:
                entry.given[member.column] = self._default(member)
            return
        if member.kind is Kind.REFERENCES:
            found = [self._find_or_report(entry, member, name, f"[{at}]") for at, name in enumerate(value)]
            entry.given[member.column] = tuple(each for each in found if each is not None)
        else:
            entry.given[member.column] = self._find_or_report(entry, member, value)

    def _find_or_report(self, entry: Entry, member: Member, name: str, at: str = "") -> int | None:
        found = self._find(entry, member, name)
        if (found is None and member.column not in entry.bad) or (found is None and at):
            entry.bad |= {member.column}
            if member.within not in entry.bad:
                path = member.name + at
                self._faults.add(
                    Code.REFERENCE_NOT_FOUND, entry.path(path), entry.line_of(path), self._missing(entry, member, name)
                )
        return found

    def _find(self, entry: Entry, member: Member, name: str) -> int | None:
        key = (entry.given.get(member.within), name) if member.within else (name,)
        return self._world.by_key[member.target].get(key)

    def _missing(self, entry: Entry, member: Member, name: str) -> str:
        noun = BY_LIST[member.target].noun if member.target in BY_LIST else _NOUNS[member.target]
        if member.within:
            outer = self._world.name(entry.object.by_column(member.within).target, entry.given.get(member.within))
            return f"the account '{outer}' has no {noun} '{name}'" if outer else f"there is no {noun} '{name}'"
        return f"there is no {noun} '{name}'"

    def _has_key(self, entry: Entry) -> bool:
        whole = True
        for member in entry.object.key_members:
            if member.column in entry.bad:
                whole = False
            elif member.required and entry.given.get(member.column) is None:
                whole = False
                self._require(entry, member)
        return whole

    def _require(self, entry: Entry, member: Member) -> None:
        entry.bad |= {member.column}
        self._faults.add(Code.MEMBER_REQUIRED, entry.path(member.name), entry.line_of(member.name), "is required")

    # stored rows

    def _load(self, each: SetupObject, entries: list[Entry]) -> None:
        if self._world.owner_id is None:
            rows = setup_objects.built_in_rows(each.table)
            self._keep(each, [self._whole_built_in(each, row) for row in rows])
            return
        combinations = {tuple(entry.given.get(column) for column in each.lookup) for entry in entries}
        combinations |= self._wanted_keys(each)
        stored = [one for one in combinations if not any(isinstance(part, int) and part < 0 for part in one)]
        if stored:
            by = {column: [one[at] for one in stored] for at, column in enumerate(each.lookup)}
            self._keep(each, self._read(each, by or None))

    def _whole_built_in(self, each: SetupObject, row: Row) -> Row:
        blank = dict.fromkeys(each.columns)
        return {**blank, **row, each.identity: self._world.new_identity(), "built_in": True}

    def _wanted_keys(self, each: SetupObject) -> set[tuple[Any, ...]]:
        wanted = self._wanted[each.list_name]
        if not each.lookup:
            return {()}
        if each.lookup == ("name",):
            return {(name,) for name in wanted}
        found = {(self._world.by_key["accounts"].get((outer,)), name) for outer, name in wanted}
        return {key for key in found if key[0] is not None}

    def _read(self, each: SetupObject, by: dict[str, list[Any]] | None) -> list[Row]:
        return read_objects(self._world, each, by)

    def _keep(self, each: SetupObject, rows: Iterable[Row]) -> None:
        known, by_key = self._world.rows[each.list_name], self._world.by_key[each.list_name]
        removed = self._world.removed[each.list_name]
        for row in rows:
            identity = row[each.identity]
            if identity in removed:
                continue
            known.setdefault(identity, row)
            by_key.setdefault(tuple(row[column] for column in each.key), identity)

    def _close(self, each: SetupObject, identities: Iterable[int]) -> None:
        """Read what these rows refer to, and what that refers to: the rules look there."""
        wanted = {identity for identity in identities if identity not in self._closed[each.list_name]}
        self._closed[each.list_name] |= wanted
        known = self._world.rows[each.list_name]
        missing = [identity for identity in wanted if identity not in known]
        if missing and each.owned:
            self._keep(each, self._read(each, {each.identity: missing}))
        rows = [known[identity] for identity in wanted if identity in known]
        for member in each.references:
            if rows and not member.virtual:
                self._close(BY_LIST[member.target], _referred(rows, member))

    # an entry as a whole

    def _identify(self, entry: Entry) -> bool:
        each = entry.object
        key = tuple(entry.given.get(column) for column in each.key)
        by_key, rows = self._world.by_key[each.list_name], self._world.rows[each.list_name]
        identity = by_key.get(key)
        if identity is None:
            entry.identity = by_key[key] = self._world.new_identity()
            entry.row = rows[entry.identity] = {"name": entry.given.get("name"), "entry": entry}
            return True
        known = rows[identity]
        if isinstance(first := known.get("entry"), Entry):
            self._faults.add(Code.ENTRY_TWICE, entry.path(), entry.line, f"is the same {each.noun} as {first.path()}")
            return False
        entry.identity, entry.stored = identity, known
        entry.row = rows[identity] = {**known, "entry": entry}
        return True

    def _complete(self, entry: Entry) -> None:
        each = entry.object
        entry.row.pop("entry", None)
        if entry.stored is None:
            entry.row.clear()
            entry.row.update(self._defaults_of(each))
            for member in each.required:
                if entry.given.get(member.column) is None:
                    self._require_once(entry, member)
        given = [(column, value) for column, value in entry.given.items() if column != each.document]
        changed = [column for column, value in given if self._lay(entry, each.by_column(column), value)]
        if changed:
            entry.changes = frozenset(changed)
        if each.document:
            self._lay_document(entry)

    def _defaults_of(self, each: SetupObject) -> Row:
        if each.list_name not in self._defaults:
            laid = [member for member in each.members if not (member.virtual or member.inner)]
            self._defaults[each.list_name] = {member.column: self._default(member) for member in laid}
        return self._defaults[each.list_name]

    def _lay(self, entry: Entry, member: Member, value: object) -> bool:
        """Lay a value that was named over the row; return whether it changes anything."""
        column = member.column
        if member.virtual or column in entry.bad:
            return False
        if value is None:
            value = self._default(member)
            if value == entry.identity:
                value = None  # the root has no parent
            if member.required:
                self._require_once(entry, member)
                return False
        if entry.stored is not None and entry.stored[column] == value:
            return False
        entry.row[column] = value
        if member.frozen and entry.stored is not None and not entry.stored["built_in"]:
            message = f"is fixed once the {entry.object.noun} exists"
            self._faults.add(Code.MEMBER_FROZEN, entry.path(member.name), entry.line_of(member.name), message)
        return True

    def _lay_document(self, entry: Entry) -> None:
        column = entry.object.document
        stored = entry.stored[column] if entry.stored is not None else {}
        laid = {**stored, **(entry.given.get(column) or {})}
        entry.row[column] = {name: value for name, value in laid.items() if value is not None}

    def _require_once(self, entry: Entry, member: Member) -> None:
        if member.column not in entry.bad:
            self._require(entry, member)

    def _default(self, member: Member) -> object:
        if member.kind is Kind.REFERENCE and member.default is not None:
            return self._world.by_key[member.target].get((member.default,))
        return member.default

    # bare dates

    def _localise_rest(self, each: SetupObject, entries: list[Entry]) -> None:
        spans = [entry for entry in entries if any(_is_bare(entry.given.get(name)) for name in ("start_at", "end_at"))]
        if not spans:
            return
        stored = [entry.identity for entry in spans if entry.stored is not None]
        self._close(each, stored)
        self._closed[each.list_name] -= set(stored)
        for entry in spans:
            self._localise(entry, ("start_at", "end_at"))

    def _localise(self, entry: Entry, columns: tuple[str, ...]) -> None:
        for column in columns:
            value = entry.given.get(column)
            if _is_bare(value):
                zone = entry.object.zone(entry, self._world) if entry.object.zone else "UTC"
                entry.given[column] = _midnight(value, zone)


def read_objects(world: World, each: SetupObject, by: dict[str, list[Any]] | None) -> list[Row]:
    """Return stored rows of one list with their identity and their lists of references."""
    columns = (each.identity, *(("built_in",) if each.owned else ()), *each.columns)
    owner_id = world.owner_id if each.owned else None
    rows = setup_objects.read_rows(world.connection, each.table, columns, owner_id, by)
    for member in each.members:
        if member.link is not None:
            link, ids = member.link, [row[each.identity] for row in rows]
            found = setup_objects.read_links(world.connection, link.table, link.parent, link.child, ids)
            for row in rows:
                row[member.column] = found.get(row[each.identity], ())
    return rows


def _referred(rows: list[Row], member: Member) -> set[int]:
    values = (row.get(member.column) for row in rows)
    if member.kind is Kind.REFERENCES:
        return {each for value in values for each in value or ()}
    return {value for value in values if value is not None}


def _is_bare(value: object) -> bool:
    return isinstance(value, date) and not isinstance(value, datetime)


@lru_cache(maxsize=4_096)
def _midnight(day: date, zone: str) -> datetime:
    return read_instant(day.isoformat(), zone)
