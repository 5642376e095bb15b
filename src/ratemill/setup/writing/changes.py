"""The log of changes: for each object that was created, updated or deleted who did it, when, and what it was and is.

It is written in the transaction of the change, by whatever makes it, and in bulk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal

from ratemill.errors import Code, NotFound
from ratemill.pages import Page, Paging
from ratemill.setup.declaration import MemberKind, SetupObject
from ratemill.setup.documents.document import IDENTITY_MAX
from ratemill.setup.reading.showing import ObjectView, pointer_of, shape
from ratemill.setup.world import Row
from ratemill.store.connections import Connection, Database, clock
from ratemill.store.setup import changes
from ratemill.store.setup.changes import ChangeOrigin, Instance, SetupChange, SetupChangeFilters
from ratemill.visible import shown

Via = Literal["document", "http", "import", "command"]
_STATED = {MemberKind.PRICE: changes.digits, MemberKind.QUANTITY: changes.digits, MemberKind.INSTANT: changes.instant}


@dataclass(frozen=True, slots=True)
class Author:
    """Who changes the set-up, and by what."""

    name: str
    via: Via


class Log:
    """What one transaction changes of one owner, by one author."""

    def __init__(self, connection: Connection, author: Author) -> None:
        self._connection, self._author = connection, author
        self._at: datetime | None = None

    def seen(self, kind: SetupObject, identities: Sequence[int]) -> dict[int, str]:
        """Return objects as they are now, to be handed to ``note`` once they are another."""
        return changes.read(self._connection, instance(kind), identities)

    def change(self, kind: SetupObject, columns: Sequence[str], rows: list[Row]) -> None:
        """Write ``columns`` of changed rows, and that these were updated."""
        changes.change(self._connection, instance(kind), self._changing(kind), columns, rows)

    def note(self, kind: SetupObject, identities: Sequence[int], before: dict[int, str]) -> None:
        """Write down that these were created or, where ``before`` has them, updated."""
        changes.note(self._connection, instance(kind), self._changing(kind), identities, before)

    def note_deleted(self, kind: SetupObject, identities: Sequence[int]) -> None:
        """Write down that these are about to be deleted."""
        changes.note_deleted(self._connection, instance(kind), self._changing(kind), identities)

    def _changing(self, kind: SetupObject) -> ChangeOrigin:
        if self._at is None:
            self._at = clock(self._connection)
        return ChangeOrigin(self._at, self._author.name, self._author.via, kind.list_name)


@lru_cache
def instance(kind: SetupObject) -> Instance:
    """Return how the database writes an object as ``showing`` does."""
    known = shape(kind)
    members: list[tuple[str, Any]] = [
        ("identity", changes.own(kind.identity)),
        ("ownerId", changes.own("owner_id")),
        ("ownerName", changes.owner_name()),
    ]
    lists = {one.column: one for one in known.lists}
    for member in kind.members:
        if member.column in lists:
            found = changes.pointed_list(known, lists[member.column])
            members += zip((member.id_name, member.name), found, strict=True)
        elif member.is_reference:
            found = changes.pointed(known, pointer_of(kind, member))
            members += zip((member.id_name, member.name), found, strict=True)
        elif member.inner:
            members.append((member.name, changes.inner(kind.document, member.name)))
        else:
            state = _STATED.get(member.kind, changes.plain)
            members.append((member.name, state(changes.own(member.column))))
    stated = dict(members)
    return Instance(known, tuple(members), tuple(stated[member.name] for member in kind.key_members), kind.keyless)


def words_of(kind: SetupObject, row: ObjectView) -> str:
    """Return the key of an object as a message repeats it: names, not identities, each cut."""
    values = (row.instance.get(member.name) for member in kind.key_members)
    return " / ".join(shown(value) for value in values if value is not None) or kind.keyless


def find(database: Database, owner_id: int, setup_change_id: int) -> SetupChange:
    """Return one change; raise ``NotFound``."""
    with database.reader(owner_id) as connection:
        found = changes.find(connection, owner_id, min(setup_change_id, IDENTITY_MAX))
    if found is None:
        raise NotFound(f"there is no change {setup_change_id}", code=Code.CHANGE_NOT_FOUND)
    return found


def page(database: Database, owner_id: int, filters: SetupChangeFilters, paging: Paging) -> Page[SetupChange]:
    """Return a page of changes, the newest first."""
    with database.reader(owner_id) as connection:
        return changes.page(connection, owner_id, filters, paging)
