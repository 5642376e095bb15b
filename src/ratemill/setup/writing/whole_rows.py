"""An entry becomes a whole row: what it gives, over what is stored or the defaults; what is required is there."""

from __future__ import annotations

from ratemill.errors import Code
from ratemill.setup.declaration import Entry, Member, MemberKind, SetupObject
from ratemill.setup.nodes import DocumentFaults
from ratemill.setup.world import Row, World


class WholeRows:
    """Makes the row of each entry and its changes."""

    def __init__(self, world: World, faults: DocumentFaults) -> None:
        self._world = world
        self._faults = faults
        self._defaults: dict[str, Row] = {}

    def complete(self, entry: Entry) -> None:
        """Lay what an entry gives over its stored row, or over the defaults."""
        kind = entry.object
        entry.row.pop("entry", None)
        if entry.stored is None:
            entry.row.clear()
            entry.row.update(self.defaults_of(kind))
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

    def _lay(self, entry: Entry, member: Member, value: object) -> bool:
        """Lay a value that was named over the row; return whether it changes anything."""
        column = member.column
        if member.virtual or column in entry.bad:
            return False
        if value is None:
            value = self.default(member)
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

    def defaults_of(self, kind: SetupObject) -> Row:
        """Return a row at all defaults."""
        if kind.list_name not in self._defaults:
            laid = [member for member in kind.members if not (member.virtual or member.inner)]
            self._defaults[kind.list_name] = {member.column: self.default(member) for member in laid}
        return self._defaults[kind.list_name]

    def default(self, member: Member) -> object:
        """Return the default of a member: of a reference, the identity."""
        if member.kind is MemberKind.REFERENCE and member.default is not None:
            return self._world.by_key[member.target].get((member.default,))
        return member.default

    def has_key(self, entry: Entry) -> bool:
        """Return whether the key of an entry is whole; report what it lacks."""
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

    def _require_once(self, entry: Entry, member: Member) -> None:
        if member.column not in entry.bad:
            self._require(entry, member)
