"""Keys decide what is new: each entry gets the identity of the stored object of its key, or another one."""

from __future__ import annotations

from typing import Any

from ratemill.errors import Code
from ratemill.setup.declaration import Entry
from ratemill.setup.nodes import DocumentFaults
from ratemill.setup.world import World


class Identities:
    """Gives identities to entries by their keys."""

    def __init__(self, world: World, faults: DocumentFaults) -> None:
        self._world = world
        self._faults = faults

    def identify(self, entries: list[Entry]) -> list[Entry]:
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
