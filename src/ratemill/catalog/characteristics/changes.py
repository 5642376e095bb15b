"""The log of what calls changed in a characteristic: who, when, what an item, list or field was before and is after.

Batches are not in it: a batch keeps its pages and what became of each item.
"""

from __future__ import annotations

from dataclasses import dataclass

from ratemill.catalog.characteristics.items import Collection, CollectionQuery, Members, user_reference, write_local
from ratemill.reference import json_text
from ratemill.reference.json_text import Number
from ratemill.store.characteristics import changes as store
from ratemill.store.characteristics.changes import CharacteristicChange, CharacteristicChangeFilters, Object
from ratemill.store.connections import Connection, Database

OBJECTS = ("item", "list", "field")
ACTIONS = ("created", "updated", "deleted")


@dataclass(frozen=True, slots=True)
class ChangeNote:
    """The change that a call makes, on its connection; ``by`` is the name of the caller's token."""

    connection: Connection
    owner_id: int
    number: int
    by: str

    def note(self, object_: Object, object_id: int, name: str, before: Members | None, after: Members | None) -> None:
        """Add the change to the log, in the transaction that makes it, unless nothing differs."""
        was, now = (None if each is None else json_text.write(dict(each)) for each in (before, after))
        if was != now:
            store.note(
                self.connection,
                self.owner_id,
                self.number,
                object_=object_,
                object_id=object_id,
                name=name,
                by=self.by,
                before=was,
                after=now,
            )


def page(database: Database, owner_id: int, filters: CharacteristicChangeFilters, query: CollectionQuery) -> Collection:
    """Return the changes of a characteristic that are asked for, the newest first."""
    with database.reader(owner_id) as connection:
        total, found = store.page(connection, filters, skip=query.skip, top=query.top, bytes_max=query.bytes_max)
    return Collection([_shown(each) for each in found], total)


def _shown(change: CharacteristicChange) -> Members:
    return {
        "_type": f"user{change.characteristic}change",
        "sid": Number(change.change_id),
        "changedDatetime": write_local(change.changed_at),
        "changedByUserReference": user_reference(change.changed_by),
        "object": change.object,
        "objectSid": Number(change.object_id),
        "name": change.name,
        "action": change.action,
        "before": None if change.before is None else json_text.read(change.before),
        "after": None if change.after is None else json_text.read(change.after),
    }
