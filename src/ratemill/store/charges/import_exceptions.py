"""Import exceptions: refused rows, each with what it broke and its text; one a revision of the row."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import class_row

from ratemill.pages import Page, Paging
from ratemill.states import ImportExceptionState
from ratemill.store.connections import Connection, driver
from ratemill.store.filters import feed_of_name, parameters, submission_of_batch, submission_of_tracking_id, where


@dataclass(frozen=True, slots=True)
class ImportException:
    """A refused row; ``faults`` are ``{"reason": id, "field": …, "value": …}``, one for every rule that it broke."""

    import_exception_id: int
    submission_id: int
    row_index: int
    revision: int
    request_tracking_id: UUID
    import_tracking_id: UUID
    feed_id: int
    feed: str | None
    batch_id: int
    state: int
    reason_id: int
    field: str | None
    value: str | None
    faults: list[dict[str, Any]]
    raw: str
    excepted_at: datetime
    written_off_at: datetime | None
    written_off_by: str | None
    note: str | None


@dataclass(frozen=True, slots=True)
class ImportExceptionFilters:
    """Which refused rows; the span [from_at, to_at) bounds the time at which they were refused."""

    tracking_id: UUID | None = None
    feed: str | None = None
    batch_id: int | None = None
    state: int | None = None
    reason_id: int | None = None
    from_at: datetime | None = None
    to_at: datetime | None = None


_CONDITIONS = {
    "tracking_id": submission_of_tracking_id("e.submission_id"),
    "feed": feed_of_name("e.feed_id"),
    "batch_id": f"e.batch_id = %(batch_id)s and {submission_of_batch('e.submission_id')}",
    "state": "e.state = %(state)s",
    "reason_id": "e.reason_id = %(reason_id)s",
    "from_at": "e.excepted_at >= %(from_at)s",
    "to_at": "e.excepted_at < %(to_at)s",
}

# `shown` is the exceptions to show: a statement of this module, put in front.
_SELECT = f"""
    select e.import_exception_id, e.submission_id, e.row_index, e.revision, s.request_tracking_id, s.import_tracking_id,
        e.feed_id, f.name as feed, e.batch_id, e.state, e.reason_id, e.field, e.value, e.faults, e.raw, e.excepted_at,
        w.created_at as written_off_at, w.created_by as written_off_by, w.note
    from shown e
    join submissions s on s.submission_id = e.submission_id
    left join feeds f on f.feed_id = e.feed_id
    left join write_offs w on w.submission_id = e.submission_id and w.row_index = e.row_index
        and e.state = {ImportExceptionState.WRITTEN_OFF:d}
    order by e.submission_id, e.row_index, e.revision
"""


def find(connection: Connection, import_exception_id: int) -> ImportException | None:
    """Return the import exception of that number."""
    cursor = driver(connection).cursor(row_factory=class_row(ImportException))
    cursor.execute(
        f"with shown as (select * from import_exceptions where import_exception_id = %s) {_SELECT}",
        (import_exception_id,),
    )
    return cursor.fetchone()


def leave_new(connection: Connection, import_exception_id: int, state: ImportExceptionState) -> bool:
    """Give a new exception another state; return False if it is new no longer."""
    changed = driver(connection).execute(
        "update import_exceptions set state = %s where import_exception_id = %s and state = %s",
        (state, import_exception_id, ImportExceptionState.NEW),
    )
    return changed.rowcount == 1


def page(connection: Connection, filters: ImportExceptionFilters, paging: Paging) -> Page[ImportException]:
    """Return a page of import exceptions of every state, by submission, then row, then revision."""
    asked = where(filters, _CONDITIONS)
    known = parameters(filters) | {"offset": paging.offset, "size": paging.rows_max, "bytes_max": paging.bytes_max}
    cursor = driver(connection).cursor(row_factory=class_row(ImportException))
    cursor.execute(
        f"""
        with listed as (
            select * from import_exceptions e where {asked}
            order by e.submission_id, e.row_index, e.revision limit %(size)s offset %(offset)s
        ), measured as (
            select e.*, sum(octet_length(e.raw)) over (
                order by e.submission_id, e.row_index, e.revision rows between unbounded preceding and 1 preceding
            ) as bytes_before from listed e
        ), shown as (
            select * from measured where bytes_before is null or bytes_before < %(bytes_max)s
        ) {_SELECT}
        """,
        known,
    )
    rows = cursor.fetchall()
    # A row may be as long as a body, so the server adds up their lengths, which it knows without reading the texts.
    is_cut = len(rows) < paging.rows_max and sum(len(row.raw.encode()) for row in rows) >= paging.bytes_max
    return Page(rows, _count(connection, asked, known) if paging.with_total else None, is_cut)


def of_records(connection: Connection, submission_ids: list[int], row_indexes: list[int]) -> list[ImportException]:
    """Return every revision's exception of the records named by the two lists, side by side."""
    cursor = driver(connection).cursor(row_factory=class_row(ImportException))
    cursor.execute(
        f"""
        with shown as (
            select e.* from unnest(%s::bigint[], %s::integer[]) as r (submission_id, row_index)
            join import_exceptions e using (submission_id, row_index)
        ) {_SELECT}
        """,
        (submission_ids, row_indexes),
    )
    return cursor.fetchall()


def _count(connection: Connection, condition: str, known: dict[str, Any]) -> int:
    counted = (
        driver(connection).execute(f"select count(*) from import_exceptions e where {condition}", known).fetchone()
    )
    return int(counted[0]) if counted else 0
