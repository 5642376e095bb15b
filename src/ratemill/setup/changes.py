"""The log of changes: for each object that was created, updated or deleted who did it, when, and what it was before and after.

It is written in the transaction of the change, by whatever makes it, and in bulk.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from ratemill.errors import Code, NotFound
from ratemill.pages import Page, Paging
from ratemill.setup.declaration import SetupObject
from ratemill.setup.document import IDENTITY_MAX
from ratemill.setup.showing import Shown, show
from ratemill.store import setup_changes
from ratemill.store.connections import Connection, Database, clock
from ratemill.store.setup_changes import ChangeFilters, SetupChange

__all__ = ["ChangeFilters", "SetupChange"]

Via = Literal["document", "http"]
_PART_ROWS = 10_000  # objects that are read at a time


@dataclass(frozen=True, slots=True)
class Author:
    """Who changes the set-up, and by what."""

    name: str
    via: Via


@dataclass(frozen=True, slots=True)
class Change:
    """One change while it is written; ``before`` is None for a new object, ``after`` for one that is deleted."""

    each: SetupObject
    identity: int
    before: Shown | None
    after: Shown | None


class Log:
    """What one transaction changes of one owner, by one author."""

    def __init__(self, connection: Connection, owner_id: int, author: Author) -> None:
        self._connection, self._owner_id, self._author = connection, owner_id, author
        self._at: datetime | None = None

    def seen(self, each: SetupObject, identities: Sequence[int]) -> dict[int, Shown]:
        """Return objects as they are now."""
        return show(self._connection, self._owner_id, each, identities)

    def note(
        self,
        each: SetupObject,
        identities: Sequence[int],
        before: dict[int, Shown],
        after: Iterable[tuple[int, Shown]] | None = None,
    ) -> None:
        """Write down that these were created or, where ``before`` has them, updated; without ``after`` they are read."""
        if after is None:
            setup_changes.insert(self._connection, self._rows(each, identities, before))
            return
        rows = (self._row(Change(each, identity, before.get(identity), shown)) for identity, shown in after)
        setup_changes.insert(self._connection, rows)

    def note_deleted(self, each: SetupObject, before: dict[int, Shown]) -> None:
        """Write down that these are deleted."""
        rows = [self._row(Change(each, identity, shown, None)) for identity, shown in before.items()]
        setup_changes.insert(self._connection, rows)

    def _rows(self, each: SetupObject, identities: Sequence[int], before: dict[int, Shown]) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = []
        for part in _parts(identities):
            after = self.seen(each, part)
            found += [self._row(Change(each, one, before.get(one), after[one])) for one in part]
        return found

    def _row(self, change: Change) -> tuple[Any, ...]:
        if self._at is None:
            self._at = clock(self._connection)
        shown = change.after or change.before
        return (
            self._owner_id,
            self._at,
            self._author.name,
            self._author.via,
            change.each.list_name,
            change.identity,
            words_of(change.each, shown) if shown is not None else "",
            _action(change),
            None if change.before is None else change.before.instance,
            None if change.after is None else change.after.instance,
        )


def words_of(each: SetupObject, shown: Shown) -> str:
    """Return the key of an object in words: names, not identities."""
    values = (shown.instance.get(member.name) for member in each.key_members)
    return " / ".join(str(value) for value in values if value is not None)


def find(database: Database, owner_id: int, setup_change_id: int) -> SetupChange:
    """Return one change; raise ``NotFound``."""
    with database.reader(owner_id) as connection:
        found = setup_changes.find(connection, owner_id, min(setup_change_id, IDENTITY_MAX))
    if found is None:
        raise NotFound(f"there is no change {setup_change_id}", code=Code.CHANGE_NOT_FOUND)
    return found


def page(database: Database, owner_id: int, filters: ChangeFilters, paging: Paging) -> Page[SetupChange]:
    """Return a page of changes, the newest first."""
    with database.reader(owner_id) as connection:
        return setup_changes.page(connection, owner_id, filters, paging)


def _action(change: Change) -> str:
    if change.before is None:
        return "created"
    return "deleted" if change.after is None else "updated"


def _parts(identities: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(identities), _PART_ROWS):
        yield identities[start : start + _PART_ROWS]
