"""Rating exceptions: usage records that could not be rated, each with what it broke and its attempts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from ratemill.characteristics import Carried, as_members
from ratemill.pages import Page, Paging
from ratemill.states import RatingExceptionState
from ratemill.store import long_pages
from ratemill.store.connections import Connection, driver
from ratemill.store.filters import feed_of_name, parameters, submission_of_batch, submission_of_tracking_id, where
from ratemill.store.usage.usage_records import LONG_TEXTS, USAGE_COLUMNS, UsageRecord


@dataclass(frozen=True, slots=True)
class RatingException(UsageRecord):
    """A usage record that could not be rated; account, service and plan as far as they were found."""

    rating_exception_id: int
    state: int
    kind: int
    reason_id: int
    value: str | None
    account: str | None
    service: str | None
    rate_plan: str | None
    attempts: int
    first_reason_id: int | None
    excepted_at: datetime
    last_attempt_at: datetime
    reprocess_id: int | None
    written_off_at: datetime | None
    written_off_by: str | None
    note: str | None


@dataclass(frozen=True, slots=True)
class RatingAttempt:
    """One attempt after the first; ``reason_id`` is None if it succeeded."""

    rating_exception_id: int
    attempted_at: datetime
    reason_id: int | None


@dataclass(frozen=True, slots=True)
class RatingExceptionFilters:
    """Which exceptions: open ones, or those that are done; the span [from_at, to_at) bounds the usage date.

    ``items`` are all named by the usage.
    """

    is_open: bool = True
    tracking_id: UUID | None = None
    feed: str | None = None
    batch_id: int | None = None
    kind: int | None = None
    usage_identifier: str | None = None
    account: str | None = None
    items: tuple[Carried, ...] | None = None
    from_at: datetime | None = None
    to_at: datetime | None = None


_OPEN = f"e.state = {RatingExceptionState.OPEN:d}"
_CONDITIONS = {
    "tracking_id": submission_of_tracking_id("e.submission_id"),
    "feed": feed_of_name("e.feed_id"),
    "batch_id": f"e.batch_id = %(batch_id)s and {submission_of_batch('e.submission_id')}",
    "kind": "e.kind = %(kind)s",
    "usage_identifier": (
        "e.usage_identifier_digest = md5(%(usage_identifier)s::text)::uuid"
        " and e.usage_identifier = %(usage_identifier)s"
    ),
    "account": "e.account_id = (select h.account_id from accounts h where h.name = %(account)s)",
    "items": "e.extension @> %(carried)s",
    "from_at": "e.usage_at >= %(from_at)s",
    "to_at": "e.usage_at < %(to_at)s",
}

# `shown` is the exceptions to show: a statement of this module, put in front.
_SELECT = f"""
    select {USAGE_COLUMNS.format(row="e")},
        e.rating_exception_id, e.state, e.kind, e.reason_id, e.value, a.name as account, v.name as service,
        p.name as rate_plan, e.attempts, e.first_reason_id, e.excepted_at, e.last_attempt_at, e.reprocess_id,
        w.created_at as written_off_at, w.created_by as written_off_by, w.note
    from shown e
    join submissions s on s.submission_id = e.submission_id
    left join feeds f on f.feed_id = e.feed_id
    left join usage_classes u on u.usage_class_id = e.usage_class_id
    left join accounts a on a.account_id = e.account_id
    left join services v on v.service_id = e.service_id
    left join rate_plans p on p.rate_plan_id = e.rate_plan_id
    left join write_offs w on w.submission_id = e.submission_id and w.row_index = e.row_index
        and e.state = {RatingExceptionState.WRITTEN_OFF:d}
    order by e.submission_id, e.row_index
"""


def find(connection: Connection, rating_exception_id: int) -> RatingException | None:
    """Return the rating exception of that number."""
    cursor = driver(connection).cursor(row_factory=class_row(RatingException))
    cursor.execute(
        f"with shown as (select * from rating_exceptions where rating_exception_id = %s) {_SELECT}",
        (rating_exception_id,),
    )
    return cursor.fetchone()


def write_off(connection: Connection, rating_exception_id: int) -> bool:
    """Give up an open exception; return False if it is open no longer."""
    changed = driver(connection).execute(
        "update rating_exceptions set state = %s where rating_exception_id = %s and state = %s",
        (RatingExceptionState.WRITTEN_OFF, rating_exception_id, RatingExceptionState.OPEN),
    )
    return changed.rowcount == 1


def page(connection: Connection, filters: RatingExceptionFilters, paging: Paging) -> Page[RatingException]:
    """Return a page of rating exceptions, by submission, then row."""
    asked = where(filters, _CONDITIONS | {"is_open": _OPEN if filters.is_open else f"not {_OPEN}"})
    known = parameters(filters) | {"offset": paging.offset, "size": paging.rows_max}
    known["carried"] = Jsonb(as_members(filters.items or ()))
    statement = f"""
        with shown as (
            select * from rating_exceptions e where {asked}
            order by e.submission_id, e.row_index limit %(size)s offset %(offset)s
        ) {_SELECT}
    """
    rows, is_cut = long_pages.fetch(connection, RatingException, statement, known, paging, LONG_TEXTS)
    return Page(rows, _count(connection, asked, known) if paging.with_total else None, is_cut)


def of_records(connection: Connection, submission_ids: list[int], row_indexes: list[int]) -> list[RatingException]:
    """Return the exceptions, open or not, of the records named by the two lists, side by side."""
    cursor = driver(connection).cursor(row_factory=class_row(RatingException))
    cursor.execute(
        f"""
        with shown as (
            select e.* from unnest(%s::bigint[], %s::integer[]) as r (submission_id, row_index)
            join rating_exceptions e using (submission_id, row_index)
        ) {_SELECT}
        """,
        (submission_ids, row_indexes),
    )
    return cursor.fetchall()


def attempts(connection: Connection, rating_exception_ids: list[int]) -> list[RatingAttempt]:
    """Return the attempts after the first, oldest first."""
    cursor = driver(connection).cursor(row_factory=class_row(RatingAttempt))
    cursor.execute(
        "select rating_exception_id, attempted_at, reason_id from rating_attempts"
        " where rating_exception_id = any(%s) order by attempted_at, rating_attempt_id",
        (rating_exception_ids,),
    )
    return cursor.fetchall()


def open_by_kind(connection: Connection) -> dict[int, int]:
    """Return how many exceptions of each kind are open; a kind without any is left out."""
    rows = driver(connection).execute(f"select e.kind, count(*) from rating_exceptions e where {_OPEN} group by e.kind")
    return {int(kind): int(count) for kind, count in rows}


def names_of_holder(
    connection: Connection,
    limit: int,
    *,
    usage_identifier: str | None = None,
    account: str | None = None,
) -> list[tuple[int, int]]:
    """Return the first records, by submission and row, of an identifier or account that ever were an exception."""
    condition = _CONDITIONS["usage_identifier"] if account is None else _CONDITIONS["account"]
    rows = driver(connection).execute(
        f"select e.submission_id, e.row_index from rating_exceptions e where {condition} order by 1, 2 limit %(size)s",
        {"usage_identifier": usage_identifier, "account": account, "size": limit},
    )
    return [(int(submission_id), int(row_index)) for submission_id, row_index in rows]


def _count(connection: Connection, condition: str, known: dict[str, Any]) -> int:
    counted = (
        driver(connection).execute(f"select count(*) from rating_exceptions e where {condition}", known).fetchone()
    )
    return int(counted[0]) if counted else 0
