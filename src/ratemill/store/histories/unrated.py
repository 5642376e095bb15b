"""Histories of what is not rated: each batch or import with what became of its rows, beside the submissions of usage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID

from psycopg.rows import class_row

from ratemill.store.connections import Connection, driver


@dataclass(frozen=True, slots=True)
class UnratedHistory:
    """Something that came in and where its rows are now: received = waiting + imported + refused + skipped.

    Rows that were received and that no job took, because none was to or it failed, are skipped.
    """

    history_id: int
    tracking_id: UUID
    owner_id: int
    owner: str
    file_name: str | None
    state: str
    dry_run: bool
    is_at_work: bool
    is_ended: bool
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    rows_received: int
    rows_waiting: int
    rows_imported: int
    rows_refused: int
    rows_skipped: int


HistoryRow = TypeVar("HistoryRow", bound=UnratedHistory)


@dataclass(frozen=True, slots=True, kw_only=True)
class HistorySource(Generic[HistoryRow]):
    """A table whose rows are histories, as ``h``: each text is the expression of SQL that gives what it is named after."""

    row_type: type[HistoryRow]
    table: str
    tracking_id: str
    file_name: str
    at_work: str
    ended: str
    started_at: str
    ended_at: str
    rows_received: str
    rows_imported: str
    rows_refused: str
    more: str  # the columns that only this kind has

    def find(
        self, connection: Connection, *, history_id: int | None = None, tracking_id: UUID | None = None
    ) -> HistoryRow | None:
        """Return the history of that number, or of that tracking id."""
        with driver(connection).cursor(row_factory=class_row(self.row_type)) as cursor:
            asked = f"{self._select()} where h.history_id = %s or {self.tracking_id} = %s"
            return cursor.execute(asked, (history_id, tracking_id)).fetchone()

    def read(self, connection: Connection, history_ids: Sequence[int]) -> list[HistoryRow]:
        """Return the histories of these numbers, in any order; numbers of other tables name none."""
        with driver(connection).cursor(row_factory=class_row(self.row_type)) as cursor:
            return cursor.execute(f"{self._select()} where h.history_id = any(%s)", (list(history_ids),)).fetchall()

    def _select(self) -> str:
        rest = "n.rows_received - n.rows_imported - n.rows_refused"
        return f"""
            select h.history_id, {self.tracking_id} as tracking_id, h.owner_id, o.name as owner,
                {self.file_name} as file_name, h.state, h.dry_run, {self.at_work} as is_at_work, {self.ended} as is_ended,
                h.created_at, {self.started_at} as started_at, {self.ended_at} as ended_at, n.*,
                case when {self.ended} then 0 else {rest} end as rows_waiting,
                case when {self.ended} then {rest} else 0 end as rows_skipped, {self.more}
            from {self.table} h
            join owners o on o.owner_id = h.owner_id
            cross join lateral (select {self.rows_received} as rows_received, {self.rows_imported} as rows_imported,
                {self.rows_refused} as rows_refused) n
        """
