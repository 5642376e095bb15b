"""Names become identities: what each reference of an entry names, or why it names nothing."""

from __future__ import annotations

from ratemill.errors import Code
from ratemill.setup.declaration import Entry, Identity, Member, MemberKind
from ratemill.setup.nodes import DocumentFaults
from ratemill.setup.objects.registry import BY_LIST
from ratemill.setup.world import World
from ratemill.setup.writing.whole_rows import WholeRows
from ratemill.visible import shown


class References:
    """Resolves the references of entries against the rows that are known."""

    def __init__(self, world: World, faults: DocumentFaults, whole_rows: WholeRows) -> None:
        self._world = world
        self._faults = faults
        self._whole_rows = whole_rows

    def resolve(self, entry: Entry, member: Member) -> None:
        """Replace the names that a member of an entry gives by identities."""
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
            entry.given[member.column] = self._whole_rows.default(member)

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
