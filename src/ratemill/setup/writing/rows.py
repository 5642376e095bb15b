"""Rows of set-up objects that their caller decided on: read, numbered and written in bulk, with the log of the changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

from ratemill.setup.declaration import SetupObject
from ratemill.setup.world import Row
from ratemill.setup.writing.changes import Author, Log
from ratemill.store import bulk, owners
from ratemill.store.connections import Connection


@dataclass(slots=True)
class RowChanges:
    """Rows of one kind to be written: new ones with ``columns``, ``changing`` columns of others, and those that go."""

    kind: SetupObject
    columns: tuple[str, ...]
    changing: tuple[str, ...] = ()
    new: list[Row] = field(default_factory=list)
    changed: dict[int, Row] = field(default_factory=dict)
    gone: list[int] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.new or self.changed or self.gone)


class RowWriter:
    """One author's change of one owner's set-up; holds the owner's price book until the transaction ends."""

    def __init__(self, connection: Connection, owner_id: int, author: Author) -> None:
        owners.lock_price_book(connection, owner_id)
        self._connection, self._owner_id = connection, owner_id
        self._log = Log(connection, author)

    def read(self, table: str, columns: tuple[str, ...], by: dict[str, list[Any]]) -> list[Row]:
        """Return the owner's rows that have one of the combinations in ``by``, to which an index must lead."""
        return bulk.read_rows(self._connection, table, columns, self._owner_id, by, by_index=True)

    def identities(self, kind: SetupObject, count: int) -> list[int]:
        """Return identities for so many new rows."""
        return bulk.new_identities(self._connection, kind.table, kind.identity, count) if count else []

    def write(self, changes: Sequence[RowChanges]) -> None:
        """Write the changes, each kind before the next; within one, what goes or ends makes room for what is new."""
        for change in changes:
            if change:
                self._write(change)

    def raise_version(self, *, subscriptions: bool) -> None:
        """Let workers read the price book again; ``subscriptions`` if what rates subscriptions changed."""
        owners.raise_version(self._connection, self._owner_id, subscriptions=subscriptions)

    def _write(self, changes: RowChanges) -> None:
        kind, connection = changes.kind, self._connection
        changed = list(changes.changed)
        before = self._log.seen(kind, changed)
        if changes.gone:
            self._log.note_deleted(kind, changes.gone)
            bulk.delete_rows(connection, kind.table, kind.identity, changes.gone)
        if changed:
            rows = [{kind.identity: identity, **row} for identity, row in changes.changed.items()]
            bulk.update_rows(connection, kind.table, kind.identity, changes.changing, rows)
        if changes.new:
            columns = (kind.identity, *changes.columns)
            values_of = itemgetter(*columns)
            values = ((self._owner_id, *values_of(row)) for row in changes.new)
            bulk.insert_rows(connection, kind.table, ("owner_id", *columns), values)
        self._log.note(kind, [*changed, *(row[kind.identity] for row in changes.new)], before)
