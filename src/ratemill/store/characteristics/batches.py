"""Batches of a characteristic's items, and their pages as they were sent; a batch's row is also its job.

A transaction that changes a batch holds its row, so that pages which arrive together are counted one after the other.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from uuid import UUID

import zstandard
from psycopg.rows import class_row

from ratemill.errors import fail
from ratemill.states import ImportJobState
from ratemill.store.connections import Connection, driver

Row = TypeVar("Row")

_ZSTD_LEVEL = 1  # as of the bodies of usage
_PAGES_NAMED_MAX = 100  # of those that are missing: with more missing, a list helps no one


@dataclass(frozen=True, slots=True)
class CharacteristicBatch:
    """One batch. ``named`` is the collection of its path; the characteristic is None until an item has told it."""

    batch_id: int
    owner_id: int
    job_id: UUID
    named: str
    characteristic: int | None
    import_file_id: int
    import_file_name: str
    description: str | None
    page_size: int
    total_items: int
    state: str
    dry_run: bool
    items_received: int
    created_at: datetime
    cleared_at: datetime | None


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """What the call that opened a batch was answered, and the digest of that call."""

    batch_id: int
    job_id: UUID
    idempotency_sha256: bytes
    answered_warnings: list[dict[str, str]] | None


@dataclass(frozen=True, slots=True)
class Gaps:
    """Why a batch lacks items: pages that have not arrived, and pages with fewer items than they may have.

    Both from 0, in order, and only the first hundred; ``pages_missing`` counts all that have not arrived.
    """

    missing: list[int]
    pages_missing: int
    short: list[int]


_COLUMNS = """batch_id, owner_id, job_id, named, characteristic, import_file_id, import_file_name, description, page_size,
    total_items, state, dry_run, items_received, created_at, cleared_at"""


def insert(
    connection: Connection,
    *,
    owner_id: int,
    job_id: UUID,
    named: str,
    characteristic: int | None,
    import_file_name: str,
    description: str | None,
    page_size: int,
    total_items: int,
    created_by: str,
) -> CharacteristicBatch:
    """Write a batch that takes pages."""
    cursor = driver(connection).cursor(row_factory=class_row(CharacteristicBatch))
    cursor.execute(
        f"""
        insert into characteristic_batches (owner_id, job_id, named, characteristic, import_file_id, import_file_name,
            description, page_size, total_items, created_by)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
        returning {_COLUMNS}
        """,
        (
            owner_id,
            job_id,
            named,
            characteristic,
            _import_file(connection, owner_id, import_file_name),
            import_file_name,
            description,
            page_size,
            total_items,
            created_by,
        ),
    )
    return _found(cursor.fetchone())


def _import_file(connection: Connection, owner_id: int, name: str) -> int:
    """Return the number of a file's name, which letter case does not change; it gets one at first mention."""
    rows = driver(connection)
    find = "select import_file_id from import_files where owner_id = %s and lower(name) = lower(%s)"
    row = rows.execute(find, (owner_id, name)).fetchone()
    if row is None:
        add = """
            insert into import_files (owner_id, name) values (%s, %s)
            on conflict (owner_id, lower(name)) do nothing returning import_file_id"""
        row = rows.execute(add, (owner_id, name)).fetchone()
    if row is None:  # another transaction was first
        row = rows.execute(find, (owner_id, name)).fetchone()
    return int(_found(row)[0])


def find(connection: Connection, batch_id: int) -> CharacteristicBatch | None:
    """Return the batch of that number."""
    return _select(connection, batch_id, "")


def hold(connection: Connection, batch_id: int) -> CharacteristicBatch | None:
    """Return the batch of that number and lock its row until the transaction ends."""
    return _select(connection, batch_id, "for update")


def _select(connection: Connection, batch_id: int, locked: str) -> CharacteristicBatch | None:
    cursor = driver(connection).cursor(row_factory=class_row(CharacteristicBatch))
    cursor.execute(f"select {_COLUMNS} from characteristic_batches where batch_id = %s {locked}", (batch_id,))
    return cursor.fetchone()


def keep_answer(
    connection: Connection, batch_id: int, *, key: str, sha256: bytes, warnings: Sequence[dict[str, str]]
) -> None:
    """Keep what the call that opened a batch is answered, under its Idempotency-Key, which is held and found nothing."""
    rows = driver(connection)
    expired = """update characteristic_batches set idempotency_key = null
        where idempotency_key = %s and owner_id = (select owner_id from characteristic_batches where batch_id = %s)"""
    rows.execute(expired, (key, batch_id))
    rows.execute(
        """
        update characteristic_batches set idempotency_key = %s, idempotency_sha256 = %s, answered_warnings = %s
        where batch_id = %s
        """,
        (key, sha256, json.dumps(warnings) if warnings else None, batch_id),
    )


def kept_answer(connection: Connection, owner_id: int, key: str, *, keep_h: int) -> KeptAnswer | None:
    """Return the answer under an Idempotency-Key, unless its batch was opened more than ``keep_h`` hours ago."""
    with driver(connection).cursor(row_factory=class_row(KeptAnswer)) as cursor:
        cursor.execute(
            """
            select batch_id, job_id, idempotency_sha256, answered_warnings
            from characteristic_batches
            where owner_id = %s and idempotency_key = %s and created_at >= clock_timestamp() - make_interval(hours => %s)
            """,
            (owner_id, key, keep_h),
        )
        return cursor.fetchone()


def pack(items: bytes) -> bytes:
    """Return the text of a page's items as it is stored."""
    return zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compress(items)


def unpack(stored: bytes) -> bytes:
    """Return the text of a page's items, a JSON list as it was sent."""
    return zstandard.ZstdDecompressor().decompress(stored)


def items_of_page(connection: Connection, batch_id: int, page_number: int) -> int | None:
    """Return how many items a page has; None if it has not arrived."""
    statement = "select item_count from characteristic_pages where batch_id = %s and page_number = %s"
    row = driver(connection).execute(statement, (batch_id, page_number)).fetchone()
    return None if row is None else int(row[0])


def put_page(
    connection: Connection,
    batch: CharacteristicBatch,
    page_number: int,
    *,
    item_count: int,
    items: bytes,
    warnings: Sequence[dict[str, str]],
    items_before: int,
    characteristic: int | None,
) -> None:
    """Write a page in the place of the one of that number, which had ``items_before``, and count the batch's items.

    ``items`` is packed. The batch's row is held; its characteristic is the one that is given. What a dry run said of the
    batch holds no more.
    """
    if batch.dry_run:
        forget_dry_run(connection, batch.batch_id)
    driver(connection).execute(
        """
        with page as (
            insert into characteristic_pages (batch_id, page_number, owner_id, item_count, items, warnings)
            values (%(batch_id)s, %(page_number)s, %(owner_id)s, %(item_count)s, %(items)s, %(warnings)s)
            on conflict (batch_id, page_number) do update set item_count = excluded.item_count,
                items = excluded.items, warnings = excluded.warnings, received_at = clock_timestamp()
        )
        update characteristic_batches
        set items_received = items_received + %(item_count)s - %(items_before)s, characteristic = %(characteristic)s
        where batch_id = %(batch_id)s
        """,
        {
            "batch_id": batch.batch_id,
            "owner_id": batch.owner_id,
            "page_number": page_number,
            "item_count": item_count,
            "items": items,
            "warnings": json.dumps(warnings) if warnings else None,
            "items_before": items_before,
            "characteristic": characteristic,
        },
    )


def read_page(connection: Connection, batch_id: int, page_number: int) -> bytes | None:
    """Return the packed items of a page; None if it is not there."""
    statement = "select items from characteristic_pages where batch_id = %s and page_number = %s"
    row = driver(connection).execute(statement, (batch_id, page_number)).fetchone()
    return None if row is None else bytes(row[0])


def gaps(connection: Connection, batch: CharacteristicBatch, last_page: int) -> Gaps:
    """Return which pages a batch lacks, and which have fewer items than they may have."""
    asked = {
        "batch_id": batch.batch_id,
        "last_page": last_page,
        "page_size": batch.page_size,
        "total_items": batch.total_items,
        "most": _PAGES_NAMED_MAX,
    }
    rows = driver(connection)
    missing = rows.execute(
        """
        select n from generate_series(0, %(last_page)s) n
        where not exists (select from characteristic_pages p where p.batch_id = %(batch_id)s and p.page_number = n)
        order by n limit %(most)s
        """,
        asked,
    ).fetchall()
    arrived = _found(
        rows.execute("select count(*) from characteristic_pages where batch_id = %(batch_id)s", asked).fetchone()
    )
    short = rows.execute(
        """
        select page_number from characteristic_pages
        where batch_id = %(batch_id)s
            and item_count < least(%(page_size)s, %(total_items)s - page_number::bigint * %(page_size)s)
        order by page_number limit %(most)s
        """,
        asked,
    ).fetchall()
    return Gaps(
        missing=[int(row[0]) for row in missing],
        pages_missing=last_page + 1 - int(arrived[0]),
        short=[int(row[0]) for row in short],
    )


def submit(connection: Connection, batch_id: int, *, submitted_by: str, dry_run: bool) -> None:
    """Hand a batch to the jobs; one whose items told no characteristic is of the first. Its row is held.

    What a dry run before counted and found is forgotten.
    """
    forget_dry_run(connection, batch_id)
    driver(connection).execute(
        """
        update characteristic_batches
        set state = %(state)s, submitted_at = clock_timestamp(), submitted_by = %(submitted_by)s, dry_run = %(dry_run)s,
            characteristic = case when %(dry_run)s then characteristic else coalesce(characteristic, 1) end
        where batch_id = %(batch_id)s
        """,
        {
            "state": ImportJobState.SUBMITTED,
            "submitted_by": submitted_by,
            "dry_run": dry_run,
            "batch_id": batch_id,
        },
    )


def forget_dry_run(connection: Connection, batch_id: int) -> None:
    """Make an open batch as it was before its dry run, if it had one. Its row is held."""
    rows = driver(connection)
    had_one = rows.execute(
        """
        update characteristic_batches set dry_run = false, dry_run_state = null, submitted_at = null, submitted_by = null,
            started_at = null, ended_at = null, "pass" = 1, next_item = 0, items_created = 0, items_updated = 0,
            items_unchanged = 0, items_refused = 0, warnings = 0, attempts = 0, error = null
        where batch_id = %s and state = %s and dry_run_state is not null
        """,
        (batch_id, ImportJobState.OPEN),
    )
    if had_one.rowcount:
        rows.execute("delete from characteristic_outcomes where batch_id = %s", (batch_id,))


def clear(connection: Connection, batch_id: int) -> None:
    """Remove the pages of a batch; one that was not submitted never will be. Its row is held."""
    forget_dry_run(connection, batch_id)
    rows = driver(connection)
    rows.execute("delete from characteristic_pages where batch_id = %s", (batch_id,))
    rows.execute(
        """
        update characteristic_batches
        set cleared_at = clock_timestamp(), items_received = 0, state = case state when %s then %s else state end
        where batch_id = %s and cleared_at is null
        """,
        (ImportJobState.OPEN, ImportJobState.CLEARED, batch_id),
    )


def _found(row: Row | None) -> Row:
    if row is None:
        fail("a statement that always returns a row returned none")
    return row
