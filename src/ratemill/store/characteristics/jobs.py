"""Jobs of batches: which are due, who is at work, how far they have come, and what became of each item.

A batch's row is its job (decision 5). While a batch is at work, the row of its characteristic names it: items of one
characteristic are changed by one batch at a time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import zstandard
from psycopg.rows import class_row

from ratemill.store.connections import Connection, driver
from ratemill.store.copying import NULL, copy_lines, escaped

DUE_MAX = 100  # of one look; the others get their turn after these
PACKED_BYTES_MAX = 4 * 1024 * 1024  # of the pages of one table; the first is taken whatever its size


@dataclass(frozen=True, slots=True)
class ItemJob:
    """A batch as the work that it orders, and how far that has come; ``step`` is the pass, 1 to 4."""

    batch_id: int
    owner_id: int
    job_id: UUID
    characteristic: int
    page_size: int
    total_items: int
    state: str
    dry_run: bool
    dry_run_state: str | None
    submitted_at: datetime | None
    submitted_by: str | None
    started_at: datetime | None
    ended_at: datetime | None
    step: int
    next_item: int
    items_created: int
    items_updated: int
    items_unchanged: int
    items_refused: int
    warnings: int
    attempts: int
    error: str | None
    read_at: datetime


@dataclass(frozen=True, slots=True)
class StoredPage:
    """A page as it was received: ``packed`` its items, ``warnings`` those of receipt, as they were answered."""

    page_number: int
    packed: bytes
    warnings: list[dict[str, str]]

    @property
    def items(self) -> bytes:
        """Return the JSON list of the items."""
        return _unpacked(self.packed)


class ItemOutcome(NamedTuple):
    """What became of one item: created, updated, unchanged or refused."""

    page_number: int
    item_index: int
    id: str | None
    outcome: str
    guid: UUID | str | None
    errors: list[dict[str, str]] | None
    warnings: list[dict[str, str]] | None


_OF_JOB = [name for name in ItemJob.__dataclass_fields__ if name not in ("characteristic", "step", "read_at")]
_COLUMNS = f'{", ".join(_OF_JOB)}, coalesce(characteristic, 1) as characteristic, "pass" as step, now() as read_at'
_OUTCOME = ItemOutcome._fields


def due(connection: Connection) -> list[int]:
    """Return the batches that may be worked on now, the oldest order first."""
    rows = driver(connection).execute(
        """
        select b.batch_id from characteristic_batches b
        where b.state = 'processing' or (b.state = 'submitted' and not exists (
            select from characteristics c
            where c.owner_id = b.owner_id and c.characteristic = coalesce(b.characteristic, 1) and c.batch_id is not null))
        and b.state in ('submitted', 'processing')
        order by b.submitted_at, b.batch_id limit %s
        """,
        (DUE_MAX,),
    )
    return [row[0] for row in rows]


def hold(connection: Connection, batch_id: int) -> ItemJob | None:
    """Lock a batch that is submitted or at work; None if it is neither, or another process holds it."""
    with driver(connection).cursor(row_factory=class_row(ItemJob)) as cursor:
        cursor.execute(
            f"""select {_COLUMNS} from characteristic_batches
            where batch_id = %s and state in ('submitted', 'processing') for update skip locked""",
            (batch_id,),
        )
        return cursor.fetchone()


def begin(connection: Connection, job: ItemJob) -> bool:
    """Let a batch that is held be the one that changes its characteristic; return whether no other does."""
    found = driver(connection).execute(
        """
        insert into characteristics as c (owner_id, characteristic, batch_id) values (%(owner_id)s, %(number)s, %(batch_id)s)
        on conflict (owner_id, characteristic) do update set batch_id = excluded.batch_id where c.batch_id is null
        returning c.batch_id
        """,
        {"owner_id": job.owner_id, "number": job.characteristic, "batch_id": job.batch_id},
    )
    if found.fetchone() is None:
        return False
    driver(connection).execute(
        "update characteristic_batches set state = 'processing', started_at = clock_timestamp() where batch_id = %s",
        (job.batch_id,),
    )
    return True


def advance(connection: Connection, batch_id: int, *, step: int, next_item: int, attempts: int = 0) -> None:
    """Write down that a table is done, and where the next one begins."""
    driver(connection).execute(
        """update characteristic_batches set "pass" = %s, next_item = %s, attempts = %s, error = null
        where batch_id = %s""",
        (step, next_item, attempts, batch_id),
    )


def count(connection: Connection, batch_id: int, outcomes: dict[str, int], warnings: int) -> None:
    """Add to the counts of a batch."""
    driver(connection).execute(
        """
        update characteristic_batches set items_created = items_created + %(created)s,
            items_updated = items_updated + %(updated)s, items_unchanged = items_unchanged + %(unchanged)s,
            items_refused = items_refused + %(refused)s, warnings = warnings + %(warnings)s
        where batch_id = %(batch_id)s
        """,
        {"created": 0, "updated": 0, "unchanged": 0, "refused": 0}
        | outcomes
        | {"warnings": warnings, "batch_id": batch_id},
    )


def end(connection: Connection, batch_id: int, error: str | None = None) -> None:
    """End a batch, by its counts or with an error, and let the next one change its characteristic.

    A dry run leaves its batch open.
    """
    driver(connection).execute(
        """
        update characteristic_batches b set ended_at = clock_timestamp(), error = %(error)s,
            state = case when b.dry_run then 'open' else n.state end, dry_run_state = case when b.dry_run then n.state end
        from (select case
                when %(error)s::text is not null then 'failed'
                when items_refused > 0 then 'completedWithErrors' else 'completed' end as state
            from characteristic_batches where batch_id = %(batch_id)s) n
        where b.batch_id = %(batch_id)s
        """,
        {"batch_id": batch_id, "error": error},
    )
    driver(connection).execute("update characteristics set batch_id = null where batch_id = %s", (batch_id,))


def plan_anew(connection: Connection) -> None:
    """Let the statements of this transaction be planned for the tables as they are.

    A plan that was kept from when they were empty reads all of them for each table of items.
    """
    driver(connection).execute("set local plan_cache_mode = force_custom_plan")


def pages(connection: Connection, job: ItemJob, *, items_max: int) -> list[StoredPage]:
    """Return the pages in which the next items of a batch stand, enough for ``items_max`` if there are as many."""
    first, skipped = divmod(job.next_item, job.page_size)
    return _pages(
        connection,
        """
        select page_number, item_count, items from characteristic_pages
        where batch_id = %(batch_id)s and page_number >= %(first)s order by page_number limit %(items_max)s
        """,
        {"batch_id": job.batch_id, "first": first, "items_max": items_max + skipped},
    )


def pages_of(connection: Connection, job: ItemJob, numbers: Sequence[int]) -> list[StoredPage]:
    """Return the pages in which the items of these numbers stand, the first of them if they are large."""
    return _pages(
        connection,
        """
        select page_number, 0 as item_count, items from characteristic_pages
        where batch_id = %(batch_id)s and page_number = any(%(pages)s)
        """,
        {
            "batch_id": job.batch_id,
            "pages": sorted({number // job.page_size for number in numbers}),
            "items_max": len(numbers),
        },
    )


def _pages(connection: Connection, candidates: str, values: dict[str, Any]) -> list[StoredPage]:
    cursor = driver(connection).cursor(binary=True)  # as text, bytes are twice as long
    rows = cursor.execute(
        f"""
        select page_number, items, warnings from characteristic_pages
        where batch_id = %(batch_id)s and page_number in (
            select page_number from (
                select page_number, sum(item_count) over pages_before as items_before,
                    sum(octet_length(items)) over pages_before as bytes_before
                from ({candidates}) c
                window pages_before as (order by page_number rows between unbounded preceding and 1 preceding)
            ) p where coalesce(items_before, 0) < %(items_max)s and coalesce(bytes_before, 0) < {PACKED_BYTES_MAX}
        ) order by page_number
        """,
        values,
    )
    return [StoredPage(number, packed, warnings or []) for number, packed, warnings in rows]


def page(connection: Connection, batch_id: int, page_number: int) -> bytes | None:
    """Return the items of a page as they were received, a JSON list."""
    statement = "select items from characteristic_pages where batch_id = %s and page_number = %s"
    row = driver(connection).execute(statement, (batch_id, page_number)).fetchone()
    return _unpacked(row[0]) if row else None


def _unpacked(items: bytes) -> bytes:
    return zstandard.ZstdDecompressor().decompress(items)


def write_outcomes(connection: Connection, job: ItemJob, outcomes: Iterable[ItemOutcome]) -> None:
    """Write what became of items."""
    of_batch = f"{job.batch_id}\t{job.owner_id}"
    lines = (
        f"{of_batch}\t{page_number}\t{index}\t{escaped(id_)}\t{outcome}\t{guid or NULL}\t{_told(errors)}\t{_told(warnings)}"
        for page_number, index, id_, outcome, guid, errors, warnings in outcomes
    )
    copy_lines(connection, "characteristic_outcomes", ("batch_id", "owner_id", *_OUTCOME), lines)


def _told(found: list[dict[str, str]] | None) -> str:
    return NULL if found is None else escaped(json.dumps(found, ensure_ascii=False))


# What the face's verbs ask


def find(connection: Connection, job_id: UUID, *, lock: bool = False) -> ItemJob | None:
    """Return the job of that number, whatever its state."""
    with driver(connection).cursor(row_factory=class_row(ItemJob)) as cursor:
        statement = f"select {_COLUMNS} from characteristic_batches where job_id = %s {'for update' if lock else ''}"
        return cursor.execute(statement, (job_id,)).fetchone()


def cancel(connection: Connection, batch_id: int) -> None:
    """Write down that a batch that waits is not to be worked on; one that waits for a dry run is open again."""
    driver(connection).execute(
        """
        update characteristic_batches set state = case when dry_run then 'open' else 'cancelled' end,
            dry_run_state = case when dry_run then 'cancelled' end, ended_at = clock_timestamp()
        where batch_id = %s
        """,
        (batch_id,),
    )


def outcomes(
    connection: Connection, batch_id: int, *, outcome: str | None, skip: int, top: int
) -> tuple[int, list[ItemOutcome]]:
    """Return how many items of a batch came to an end, and one page of them in their order."""
    values: dict[str, Any] = {"batch_id": batch_id, "outcome": outcome, "skip": skip, "top": top}
    where = "batch_id = %(batch_id)s"
    if outcome == "refused":
        where += " and outcome = 'refused'"  # as its index is written
    elif outcome is not None:
        where += " and outcome = %(outcome)s"
    total = driver(connection).execute(f"select count(*) from characteristic_outcomes where {where}", values).fetchone()
    with driver(connection).cursor(row_factory=class_row(ItemOutcome)) as cursor:
        cursor.execute(
            f"""select {", ".join(_OUTCOME)} from characteristic_outcomes where {where}
            order by page_number, item_index limit %(top)s offset %(skip)s""",
            values,
        )
        return (total[0] if total else 0), cursor.fetchall()


def refused(connection: Connection, batch_id: int, *, skip: int, top: int | None) -> Sequence[tuple[int, int]]:
    """Return page and index of refused items, in their order."""
    statement = """select page_number, item_index from characteristic_outcomes
        where batch_id = %s and outcome = 'refused' order by page_number, item_index limit %s offset %s"""
    return driver(connection).execute(statement, (batch_id, top, skip)).fetchall()
