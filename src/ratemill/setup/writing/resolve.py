"""A document meets what is stored: names become identities, keys decide what is new, and each entry becomes a whole row.

The lists are worked in an order in which each stands behind those that it refers to, so that one pass is enough. Stored
rows are read in bulk, by the names and keys that the document uses.
"""

from __future__ import annotations

from datetime import date, datetime
from functools import lru_cache

from ratemill.errors import Code
from ratemill.periods import read_instant
from ratemill.setup.declaration import Entry, Identity, Member, SetupObject
from ratemill.setup.documents.document import Document
from ratemill.setup.nodes import DocumentFaults
from ratemill.setup.objects.registry import OBJECTS
from ratemill.setup.world import World
from ratemill.setup.writing.identities import Identities
from ratemill.setup.writing.references import References
from ratemill.setup.writing.stored_rows import StoredRows
from ratemill.setup.writing.whole_rows import WholeRows


def resolve(document: Document, world: World, faults: DocumentFaults) -> None:
    """Fill in stored row, identity, whole row and changes of each entry; entries without a key keep identity 0."""
    _Resolver(document, world, faults).run()


class _Resolver:
    def __init__(self, document: Document, world: World, faults: DocumentFaults) -> None:
        self._document = document
        self._world = world
        self._faults = faults
        self._stored = StoredRows(document, world)
        self._whole_rows = WholeRows(world, faults)
        self._references = References(world, faults, self._whole_rows)
        self._identities = Identities(world, faults)

    def run(self) -> None:
        self._stored.collect()
        for kind in OBJECTS:
            entries = self._document.entries.get(kind.list_name, [])
            if entries or self._stored.is_wanted(kind):
                self._settle(kind, entries)

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
                    self._references.resolve(entry, member)
            if "start_at" in kind.key:
                self._localise(entry, ("start_at",))
        keyed = [entry for entry in entries if self._whole_rows.has_key(entry)]
        self._stored.load(kind, keyed)
        keyed.sort(key=lambda entry: not entry.addressed)
        keyed = self._identities.identify(keyed)
        for entry in keyed:
            for member in own:
                self._references.resolve(entry, member)
        self._localise_rest(kind, keyed)
        for entry in keyed:
            self._whole_rows.complete(entry)
        self._stored.close(kind, [entry.identity for entry in keyed])

    def _address(self, kind: SetupObject, entries: list[Entry]) -> None:
        """Give each entry that names a stored object by identity what is stored, and what it helps to find by."""
        for entry in entries if kind.singular else ():
            entry.addressed = entry.addressed or self._world.owner_id or self._unmade(kind, entry)
        addressed = [entry for entry in entries if entry.addressed]
        if not addressed:
            return
        ids = {entry.addressed for entry in addressed}
        self._stored.close_once(kind, ids)
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
        made = {
            **self._whole_rows.defaults_of(kind),
            kind.identity: identity,
            "built_in": False,
            "name": entry.given["name"],
        }
        self._world.rows[kind.list_name][identity] = made
        return identity

    def _name_outer(self, entry: Entry, member: Member) -> None:
        """Let a service be named without its account where that is to stay."""
        named = entry.given.get(member.column)
        if isinstance(named, str) and member.within not in entry.given and entry.stored is not None:
            entry.given[member.within] = Identity(entry.stored[member.within])

    def _localise_rest(self, kind: SetupObject, entries: list[Entry]) -> None:
        spans = [entry for entry in entries if any(_is_bare(entry.given.get(name)) for name in ("start_at", "end_at"))]
        if not spans:
            return
        self._stored.close_once(kind, {entry.identity for entry in spans if entry.stored is not None})
        for entry in spans:
            self._localise(entry, ("start_at", "end_at"))

    def _localise(self, entry: Entry, columns: tuple[str, ...]) -> None:
        for column in columns:
            value = entry.given.get(column)
            if _is_bare(value):
                zone = entry.object.zone(entry, self._world) if entry.object.zone else "UTC"
                entry.given[column] = _midnight(value, zone)


def _is_bare(value: object) -> bool:
    return isinstance(value, date) and not isinstance(value, datetime)


@lru_cache(maxsize=4_096)
def _midnight(day: date, zone: str) -> datetime:
    return read_instant(day.isoformat(), zone)
