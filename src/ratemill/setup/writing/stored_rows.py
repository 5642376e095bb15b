"""The stored rows that a document needs: read in bulk, by the names, keys and identities that it uses."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from ratemill.setup.declaration import Entry, Identity, Member, MemberKind, SetupObject
from ratemill.setup.documents.document import IDENTITY_MAX, Document
from ratemill.setup.objects.registry import BASE_UNITS, BY_LIST, OBJECTS
from ratemill.setup.reading.stored import read_objects
from ratemill.setup.world import Row, World
from ratemill.store import bulk


class StoredRows:
    """Reads into the world what the document refers to, and what that refers to."""

    def __init__(self, document: Document, world: World) -> None:
        self._document = document
        self._world = world
        self._closed: defaultdict[str, set[int]] = defaultdict(set)
        self._wanted: defaultdict[str, set[Any]] = defaultdict(set)
        self._wanted_ids: defaultdict[str, set[int]] = defaultdict(set)
        self._keep(BASE_UNITS, bulk.read_rows(world.connection, "base_units", ("base_unit_id", "name"), None))

    def is_wanted(self, kind: SetupObject) -> bool:
        """Return whether the document refers to an object of a list."""
        return bool(self._wanted[kind.list_name] or self._wanted_ids[kind.list_name])

    def close_once(self, kind: SetupObject, identities: set[int]) -> None:
        """Close rows that will refer to something else."""
        self.close(kind, identities)
        self._closed[kind.list_name] -= identities

    def collect(self) -> None:
        """Note every name and identity that the document refers to."""
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

    def load(self, kind: SetupObject, entries: list[Entry]) -> None:
        """Read the rows of a list that are referred to, or have the key of an entry."""
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

    def close(self, kind: SetupObject, identities: Iterable[int]) -> None:
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
                self.close(BY_LIST[member.target], _referred(rows, member))


def _referred(rows: list[Row], member: Member) -> set[int]:
    values = (row.get(member.column) for row in rows)
    if member.kind is MemberKind.REFERENCES:
        return {each for value in values for each in value or ()}
    return {value for value in values if value is not None}
