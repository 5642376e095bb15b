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
from ratemill.setup.declaration import Entry, Identity, Member, MemberKind, SetupObject
from ratemill.setup.documents.document import IDENTITY_MAX, Document
from ratemill.setup.nodes import DocumentFaults
from ratemill.setup.objects.registry import BASE_UNITS, BY_LIST, OBJECTS
from ratemill.setup.reading.stored import read_objects
from ratemill.setup.world import Row, World
from ratemill.store import bulk
from ratemill.visible import shown


def resolve(document: Document, world: World, faults: DocumentFaults) -> None:
    """Fill in stored row, identity, whole row and changes of each entry; entries without a key keep identity 0."""
    _Resolver(document, world, faults).run()


class _Resolver:
    def __init__(self, document: Document, world: World, faults: DocumentFaults) -> None:
        self._document = document
        self._world = world
        self._faults = faults
        self._closed: defaultdict[str, set[int]] = defaultdict(set)
        self._defaults: dict[str, Row] = {}
        self._wanted: defaultdict[str, set[Any]] = defaultdict(set)
        self._wanted_ids: defaultdict[str, set[int]] = defaultdict(set)

    def run(self) -> None:
        self._keep(BASE_UNITS, bulk.read_rows(self._world.connection, "base_units", ("base_unit_id", "name"), None))
        self._collect_names()
        for kind in OBJECTS:
            entries = self._document.entries.get(kind.list_name, [])
            if entries or self._wanted[kind.list_name] or self._wanted_ids[kind.list_name]:
                self._settle(kind, entries)

    def _collect_names(self) -> None:
        for kind in OBJECTS:
            entries = self._document.entries.get(kind.list_name, [])
            for member in kind.references:
                named = [entry for entry in entries if entry.given.get(member.column) is not None]
                if member.within:
                    for entry in named:
                        self._collect(entry, member)
                else:
                    for value in {entry.given[member.column] for entry in named}:
                        self._collect_value(member, value)
            if kind.list_name in self._document.entries:
                self._wanted_defaults(kind.references)

    def _collect(self, entry: Entry, member: Member) -> None:
        value = entry.given[member.column]
        if isinstance(value, Identity):
            self._want(member, value)
        elif (outer := self._outer(entry, member)) is not None:
            self._wanted[member.target].add((outer, value))

    def _collect_value(self, member: Member, value: Any) -> None:  # noqa: ANN401 -- a name or an identity, or several
        for each in value if member.kind is MemberKind.REFERENCES else (value,):
            self._want(member, each)

    def _want(self, member: Member, value: str | Identity) -> None:
        if isinstance(value, Identity):
            self._wanted_ids[member.target].add(int(value))
        else:
            self._wanted[member.target].add(value)

    def _outer(self, entry: Entry, member: Member) -> str | Identity | None:
        """Return the object that the key of what ``member`` names begins with; that of the stored one if none is named."""
        outer = entry.given.get(member.within)
        if outer is None and entry.addressed:
            stored = self._stored_outer(entry, member)
            return None if stored is None else Identity(stored)
        return outer

    def _stored_outer(self, entry: Entry, member: Member) -> int | None:
        """Return the account of the service that a stored identifier has."""
        kind = entry.object
        (row,) = self._read(kind, {kind.identity: [entry.addressed]}) or ({},)
        if row.get(member.column) is None:
            return None
        target = BY_LIST[member.target]
        (found,) = self._read(target, {target.identity: [row[member.column]]}) or ({},)
        return found.get(member.within)

    def _wanted_defaults(self, references: tuple[Member, ...]) -> None:
        for member in references:
            if member.kind is MemberKind.REFERENCE and member.default is not None:
                self._wanted[member.target].add(member.default)

    # one list

    def _settle(self, kind: SetupObject, entries: list[Entry]) -> None:
        self._address(kind, entries)
        members = kind.references
        own = [member for member in members if member.target == kind.list_name]
        others = [member for member in members if member.target != kind.list_name]
        known = [(member, member.column, self._world.by_key[member.target]) for member in others]
        for entry in entries:
            given = entry.given
            for member, column, by_key in known:
                value = given.get(column)
                if type(value) is str and not member.within and (value,) in by_key and column not in entry.bad:
                    given[column] = by_key[value,]  # as most are
                elif column in given or member.default is not None:
                    self._resolve(entry, member)
            if "start_at" in kind.key:
                self._localise(entry, ("start_at",))
        keyed = [entry for entry in entries if self._has_key(entry)]
        self._load(kind, keyed)
        keyed.sort(key=lambda entry: not entry.addressed)
        keyed = self._identified(keyed)
        for entry in keyed:
            for member in own:
                self._resolve(entry, member)
        self._localise_rest(kind, keyed)
        for entry in keyed:
            self._complete(entry)
        self._close(kind, [entry.identity for entry in keyed])

    def _address(self, kind: SetupObject, entries: list[Entry]) -> None:
        """Give each entry that names a stored object by identity what is stored, and what it helps to find by."""
        for entry in entries if kind.singular else ():
            entry.addressed = entry.addressed or self._world.owner_id or self._unmade(kind, entry)
        addressed = [entry for entry in entries if entry.addressed]
        if not addressed:
            return
        ids = {entry.addressed for entry in addressed}
        self._close(kind, ids)
        self._closed[kind.list_name] -= ids  # they will refer to something else
        for entry in addressed:
            row = self._world.rows[kind.list_name][entry.addressed]
            entry.stored = dict(row)
            if kind.singular:
                self._keep_key(kind, entry)
            for member in kind.references:
                if member.within and kind.by_column(member.within).virtual:
                    found = self._world.row(member.target, row[member.column])
                    entry.stored[member.within] = None if found is None else found.get(member.within)
                    self._name_outer(entry, member)

    def _keep_key(self, kind: SetupObject, entry: Entry) -> None:
        """Refuse another key of an object that every owner has once, without looking whether it is in use."""
        stored, words = entry.stored or {}, f"is fixed; to rename the {kind.noun}, run: ratemill {kind.noun} rename"
        for member in kind.key_members:
            column = member.column
            if column not in entry.bad and entry.given.pop(column, stored[column]) != stored[column]:
                entry.bad |= {column}
                self._faults.add(Code.MEMBER_FROZEN, entry.path(member.name), entry.line_of(member.name), words)

    def _unmade(self, kind: SetupObject, entry: Entry) -> int:
        """Return an identity for an owner that does not exist yet, at all defaults."""
        identity = self._world.new_identity()
        made = {**self._defaults_of(kind), kind.identity: identity, "built_in": False, "name": entry.given["name"]}
        self._world.rows[kind.list_name][identity] = made
        return identity

    def _name_outer(self, entry: Entry, member: Member) -> None:
        """Let a service be named without its account where that is to stay."""
        named = entry.given.get(member.column)
        if isinstance(named, str) and member.within not in entry.given and entry.stored is not None:
            entry.given[member.within] = Identity(entry.stored[member.within])

    def _resolve(self, entry: Entry, member: Member) -> None:
        value = entry.given.get(member.column)
        if value is None or member.column in entry.bad:
            named = not entry.addressed or member.column in entry.given
            if named and member.column not in entry.bad and member.default is not None:
                self._default_of_key(entry, member)
            return
        if member.kind is MemberKind.REFERENCES:
            found = [self._find_or_report(entry, member, name, f"[{at}]") for at, name in enumerate(value)]
            entry.given[member.column] = tuple(each for each in found if each is not None)
        else:
            entry.given[member.column] = self._find_or_report(entry, member, value)
            if member.within:
                self._settle_outer(entry, member, by_id=isinstance(value, Identity))

    def _default_of_key(self, entry: Entry, member: Member) -> None:
        if member.column in entry.object.key:
            entry.given[member.column] = self._default(member)

    def _settle_outer(self, entry: Entry, member: Member, *, by_id: bool) -> None:
        """Let a service that is named by identity say its account; one that is named beside it must be the same."""
        found = self._world.row(member.target, entry.given[member.column])
        if not by_id or found is None or member.within in entry.bad:
            return
        named = entry.given.setdefault(member.within, found[member.within])
        if named != found[member.within]:
            entry.bad |= {member.column}
            noun = BY_LIST[member.target].noun
            message = f"the {noun} {found[BY_LIST[member.target].identity]} is of another account"
            self._faults.add(Code.RULE_BROKEN, entry.path(member.id_name), entry.line_of(member.name), message)

    def _find_or_report(self, entry: Entry, member: Member, name: str, at: str = "") -> int | None:
        found = self._find(entry, member, name)
        if found is None and isinstance(name, Identity):
            entry.bad |= {member.column}
            path = member.id_name + at
            noun = BY_LIST[member.target].noun
            message = f"'{shown(path)}' ({int(name)}) does not exist: there is no {noun} of this identity"
            self._faults.add(Code.REFERENCE_NOT_FOUND, entry.path(path), entry.line_of(member.name), message)
        elif (found is None and member.column not in entry.bad) or (found is None and at):
            entry.bad |= {member.column}
            if member.within not in entry.bad:
                path = member.name + at
                self._faults.add(
                    Code.REFERENCE_NOT_FOUND, entry.path(path), entry.line_of(path), self._missing(entry, member, name)
                )
        return found

    def _find(self, entry: Entry, member: Member, name: str) -> int | None:
        if isinstance(name, Identity):
            return int(name) if name > 0 and int(name) in self._world.rows[member.target] else None
        key = (entry.given.get(member.within), name) if member.within else (name,)
        return self._world.by_key[member.target].get(key)

    def _missing(self, entry: Entry, member: Member, name: str) -> str:
        noun = BY_LIST[member.target].noun
        if member.within:
            outer = self._world.name(entry.object.by_column(member.within).target, entry.given.get(member.within))
            return (
                f"the account '{shown(outer)}' has no {noun} '{shown(name)}'"
                if outer
                else f"there is no {noun} '{shown(name)}'"
            )
        return f"there is no {noun} '{shown(name)}'"

    def _has_key(self, entry: Entry) -> bool:
        whole = True
        for member in entry.object.key_members:
            if member.column in entry.bad:
                whole = False
            elif member.required and entry.current(member.column) is None:
                whole = False
                self._require(entry, member)
        if not whole and entry.fresh:
            for member in entry.object.required:
                if entry.given.get(member.column) is None:
                    self._require_once(entry, member)
        return whole

    def _require(self, entry: Entry, member: Member) -> None:
        entry.bad |= {member.column}
        by_id = member.is_reference and (entry.fresh or entry.addressed)
        message = f"is required, or {member.id_name}" if by_id else "is required"
        self._faults.add(Code.MEMBER_REQUIRED, entry.path(member.name), entry.line_of(member.name), message)

    # stored rows

    def _load(self, kind: SetupObject, entries: list[Entry]) -> None:
        if self._world.owner_id is None:
            rows = bulk.built_in_rows(kind.table)
            self._keep(kind, [self._whole_built_in(kind, row) for row in rows])
            return
        if ids := [each for each in self._wanted_ids[kind.list_name] if 0 < each <= IDENTITY_MAX]:
            self._keep(kind, self._read(kind, {kind.identity: ids}))
        combinations = {entry.key_of(kind.lookup) for entry in entries}
        combinations |= self._wanted_keys(kind)
        stored = [one for one in combinations if not any(isinstance(part, int) and part < 0 for part in one)]
        by_unset: defaultdict[tuple[str, ...], list[tuple[Any, ...]]] = defaultdict(list)
        for one in stored:
            by_unset[tuple([name for name, part in zip(kind.lookup, one, strict=True) if part is None])].append(one)
        for unset, ones in by_unset.items():
            by = {name: [one[at] for one in ones] for at, name in enumerate(kind.lookup) if name not in unset}
            self._keep(kind, read_objects(self._world, kind, by or None, unset=unset))

    def _whole_built_in(self, kind: SetupObject, row: Row) -> Row:
        blank = dict.fromkeys(kind.columns)
        return {**blank, **row, kind.identity: self._world.new_identity(), "built_in": True}

    def _wanted_keys(self, kind: SetupObject) -> set[tuple[Any, ...]]:
        wanted = self._wanted[kind.list_name]
        if not kind.lookup:
            return {()}
        if kind.lookup == ("name",):
            return {(name,) for name in wanted}
        accounts = self._world.by_key["accounts"]
        found = {(outer if isinstance(outer, Identity) else accounts.get((outer,)), name) for outer, name in wanted}
        return {key for key in found if key[0] is not None}

    def _read(self, kind: SetupObject, by: dict[str, list[Any]] | None) -> list[Row]:
        return read_objects(self._world, kind, by)

    def _keep(self, kind: SetupObject, rows: Iterable[Row]) -> None:
        known, by_key = self._world.rows[kind.list_name], self._world.by_key[kind.list_name]
        removed = self._world.removed[kind.list_name]
        for row in rows:
            identity = row[kind.identity]
            if identity in removed:
                continue
            known.setdefault(identity, row)
            by_key.setdefault(tuple(row[column] for column in kind.key), identity)

    def _close(self, kind: SetupObject, identities: Iterable[int]) -> None:
        """Read what these rows refer to, and what that refers to: the rules look there."""
        wanted = {identity for identity in identities if identity not in self._closed[kind.list_name]}
        self._closed[kind.list_name] |= wanted
        known = self._world.rows[kind.list_name]
        missing = [identity for identity in wanted if identity not in known]
        if missing and kind.owned:
            self._keep(kind, self._read(kind, {kind.identity: missing}))
        rows = [known[identity] for identity in wanted if identity in known]
        for member in kind.references:
            if rows and not member.virtual:
                self._close(BY_LIST[member.target], _referred(rows, member))

    # an entry as a whole

    def _identified(self, entries: list[Entry]) -> list[Entry]:
        """Return the entries whose key is theirs; those that were addressed give theirs up first, to change places."""
        left = {entry.addressed: key for entry in entries if entry.addressed and (key := self._leave(entry))}
        found = []
        for entry in entries:
            if self._identify(entry):
                found.append(entry)
            elif entry.addressed in left:
                by_key = self._world.by_key[entry.object.list_name]
                by_key.setdefault(left[entry.addressed], entry.addressed)
        return found

    def _leave(self, entry: Entry) -> tuple[Any, ...] | None:
        """Take a stored object's key from it if it will have another; return the key."""
        kind = entry.object
        by_key, row = self._world.by_key[kind.list_name], self._world.rows[kind.list_name][entry.addressed]
        old = tuple(row[column] for column in kind.key)
        if old == entry.key_of(kind.key) or by_key.get(old) != entry.addressed:
            return None
        del by_key[old]
        return old

    def _identify(self, entry: Entry) -> bool:
        kind = entry.object
        key = entry.key_of(kind.key)
        by_key, rows = self._world.by_key[kind.list_name], self._world.rows[kind.list_name]
        identity = by_key.get(key)
        if identity is None and entry.addressed:
            identity = by_key[key] = entry.addressed
        if identity is None:
            entry.identity = by_key[key] = self._world.new_identity()
            entry.row = rows[entry.identity] = {"name": entry.given.get("name"), "entry": entry}
            return True
        if entry.addressed and identity != entry.addressed:
            return self._report_taken(entry, identity)
        known = rows[identity]
        if isinstance(first := known.get("entry"), Entry):
            self._faults.add(Code.ENTRY_TWICE, entry.path(), entry.line, f"is the same {kind.noun} as {first.path()}")
            return False
        if entry.fresh:
            return self._report_taken(entry, identity)
        entry.identity, entry.stored = identity, known
        entry.row = rows[identity] = {**known, "entry": entry}
        return True

    def _report_taken(self, entry: Entry, identity: int) -> bool:
        kind = entry.object
        other = self._world.rows[kind.list_name][identity].get("entry")
        words = f"is that of {other.path()}" if isinstance(other, Entry) else f"is that of the {kind.noun} {identity}"
        names = ", ".join(member.name for member in kind.key_members)
        self._faults.add(
            Code.KEY_TAKEN, entry.path(kind.key_members[-1].name), entry.line, f"the key ({names}) {words}"
        )
        return False

    def _complete(self, entry: Entry) -> None:
        kind = entry.object
        entry.row.pop("entry", None)
        if entry.stored is None:
            entry.row.clear()
            entry.row.update(self._defaults_of(kind))
            for member in kind.required:
                if entry.given.get(member.column) is None:
                    self._require_once(entry, member)
        changed = [
            column
            for column, value in entry.given.items()
            if column != kind.document and self._lay(entry, kind.by_column(column), value)
        ]
        if changed:
            entry.changes = frozenset(changed)
        if kind.document:
            self._lay_document(entry)

    def _defaults_of(self, kind: SetupObject) -> Row:
        if kind.list_name not in self._defaults:
            laid = [member for member in kind.members if not (member.virtual or member.inner)]
            self._defaults[kind.list_name] = {member.column: self._default(member) for member in laid}
        return self._defaults[kind.list_name]

    def _lay(self, entry: Entry, member: Member, value: object) -> bool:
        """Lay a value that was named over the row; return whether it changes anything."""
        column = member.column
        if member.virtual or column in entry.bad:
            return False
        if value is None:
            value = self._default(member)
            if member.kind is MemberKind.REFERENCE and value == entry.identity:
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
        if member.kind is MemberKind.REFERENCE and member.default is not None:
            return self._world.by_key[member.target].get((member.default,))
        return member.default

    # bare dates

    def _localise_rest(self, kind: SetupObject, entries: list[Entry]) -> None:
        spans = [entry for entry in entries if any(_is_bare(entry.given.get(name)) for name in ("start_at", "end_at"))]
        if not spans:
            return
        stored = [entry.identity for entry in spans if entry.stored is not None]
        self._close(kind, stored)
        self._closed[kind.list_name] -= set(stored)
        for entry in spans:
            self._localise(entry, ("start_at", "end_at"))

    def _localise(self, entry: Entry, columns: tuple[str, ...]) -> None:
        for column in columns:
            value = entry.given.get(column)
            if _is_bare(value):
                zone = entry.object.zone(entry, self._world) if entry.object.zone else "UTC"
                entry.given[column] = _midnight(value, zone)


def _referred(rows: list[Row], member: Member) -> set[int]:
    values = (row.get(member.column) for row in rows)
    if member.kind is MemberKind.REFERENCES:
        return {each for value in values for each in value or ()}
    return {value for value in values if value is not None}


def _is_bare(value: object) -> bool:
    return isinstance(value, date) and not isinstance(value, datetime)


@lru_cache(maxsize=4_096)
def _midnight(day: date, zone: str) -> datetime:
    return read_instant(day.isoformat(), zone)
