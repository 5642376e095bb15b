"""Batches of characteristics as histories: each with what became of its items, beside the submissions of usage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg.rows import class_row

from ratemill.store.connections import Connection, driver


@dataclass(frozen=True, slots=True)
class ItemHistory:
    """One batch of characteristics and where its items are now: received = waiting + imported + refused + skipped.

    Items that were received and that no job took, because it was cancelled or failed, are skipped. A dry run imports
    nothing. Nothing of a batch is rated. ``characteristic`` is None until an item has told it.
    """

    history_id: int
    batch_id: int
    job_id: UUID
    owner_id: int
    owner: str
    characteristic: int | None
    import_file_name: str
    state: str
    dry_run: bool
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    rows_received: int
    rows_waiting: int
    rows_imported: int
    rows_refused: int
    rows_skipped: int


# The states of a batch by how far a history has come. A dry run takes no item: its batch goes on waiting.
ENDED = "b.state not in ('open', 'submitted', 'processing')"
PROCESSING = "(b.state = 'processing' and not b.dry_run)"

_RECEIVED = "case b.state when 'open' then b.items_received when 'cleared' then 0 else b.total_items end"
_SELECT = f"""
    select b.history_id, b.batch_id, b.job_id, b.owner_id, o.name as owner, b.characteristic, b.import_file_name, b.state,
        b.dry_run, b.created_at, case when not b.dry_run then b.started_at end as started_at,
        case when not b.dry_run then b.ended_at end as ended_at, n.rows_received, n.rows_imported, n.rows_refused,
        case when {ENDED} then 0 else n.rows_received - n.rows_imported - n.rows_refused end as rows_waiting,
        case when {ENDED} then n.rows_received - n.rows_imported - n.rows_refused else 0 end as rows_skipped
    from characteristic_batches b
    join owners o on o.owner_id = b.owner_id
    cross join lateral (
        select {_RECEIVED} as rows_received, case when b.dry_run then 0 else b.items_refused end as rows_refused,
            case when b.dry_run then 0 else b.items_created + b.items_updated + b.items_unchanged end as rows_imported
    ) n
"""


def find(connection: Connection, *, history_id: int | None = None, job_id: UUID | None = None) -> ItemHistory | None:
    """Return the batch of that number among the histories, or of that job."""
    with driver(connection).cursor(row_factory=class_row(ItemHistory)) as cursor:
        cursor.execute(f"{_SELECT} where b.history_id = %s or b.job_id = %s", (history_id, job_id))
        return cursor.fetchone()


def read(connection: Connection, history_ids: Sequence[int]) -> list[ItemHistory]:
    """Return the batches of these numbers, in any order."""
    with driver(connection).cursor(row_factory=class_row(ItemHistory)) as cursor:
        return cursor.execute(f"{_SELECT} where b.history_id = any(%s)", (list(history_ids),)).fetchall()
