"""Charges: read by request, batch, feed, identifier, account or date, although the table has two indexes only.

Whatever names requests (a tracking id, a batch, a feed, nothing at all) goes through the submissions and their spans to the
key of the charges. Whatever names a holder (an identifier, a service, an account), or a date, goes through the accounts.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from psycopg.rows import class_row

from ratemill.pages import Page, Paging
from ratemill.records import ChargeName
from ratemill.store.connections import Connection, driver
from ratemill.store.filters import parameters, submission_of_tracking_id
from ratemill.store.usage_records import USAGE_COLUMNS, UsageRecord

# Charges of a holder that are fetched and sorted for a page; above, they are too many, and every other submission has one.
NARROW_ROWS_MAX = 20_000


@dataclass(frozen=True, slots=True)
class Charge(UsageRecord):
    """A rated usage record, with the names of what it was rated by."""

    run: int
    entry: int
    base_unit: str | None
    account: str | None
    service: str | None
    rate_plan: str | None
    rate_group: str | None
    rate_id: int
    location: str | None
    quantity_rounded: Decimal
    quantity_charged: Decimal
    amount: Decimal
    currency: str
    rated_at: datetime


@dataclass(frozen=True, slots=True)
class ChargeFilters:
    """Which charges; the span [from_at, to_at) bounds the usage date."""

    tracking_id: UUID | None = None
    batch_id: int | None = None
    feed: str | None = None
    usage_identifier: str | None = None
    account: str | None = None
    service: str | None = None
    usage_class: str | None = None
    from_at: datetime | None = None
    to_at: datetime | None = None

    @property
    def names_requests(self) -> bool:
        """Whether at most a few requests are asked for."""
        return self.tracking_id is not None or self.batch_id is not None

    @property
    def names_holders(self) -> bool:
        """Whether certain accounts are asked for."""
        return not (self.usage_identifier is None and self.account is None and self.service is None)

    @property
    def bounds_dates(self) -> bool:
        """Whether the usage date is bounded."""
        return not (self.from_at is None and self.to_at is None)


@dataclass(frozen=True, slots=True)
class _Found:
    """What the names of a filter stand for; None where the filter does not ask."""

    feed_id: int | None
    usage_class_id: int | None
    service_ids: list[int] | None
    account_ids: list[int] | None

    @property
    def is_nothing(self) -> bool:
        return any(found in ([], 0) for found in (getattr(self, name) for name in self.__slots__))


_IDS = """
    select
        case when %(feed)s::text is not null then
            coalesce((select feed_id from feeds where lower(name) = lower(%(feed)s)), 0) end as feed_id,
        case when %(usage_class)s::text is not null then
            coalesce((select usage_class_id from usage_classes where name = %(usage_class)s), 0) end as usage_class_id,
        case when %(service)s::text is not null then
            array(select service_id from services where name = %(service)s) end as service_ids,
        case when %(wants_accounts)s then array(
            select a.account_id from accounts a
            where (%(account)s::text is null or a.name = %(account)s)
            and (%(service)s::text is null
                or a.account_id in (select v.account_id from services v where v.name = %(service)s))
            and (%(usage_identifier)s::text is null
                or a.account_id in (select v.account_id from identifiers i join services v using (service_id)
                                    where i.usage_identifier = %(usage_identifier)s))
        ) end as account_ids
"""

_CONDITIONS = {
    "batch_id": "c.batch_id = %(batch_id)s",
    "feed_id": "c.feed_id = %(feed_id)s",
    "usage_identifier": "c.usage_identifier = %(usage_identifier)s",
    "usage_class_id": "c.usage_class_id = %(usage_class_id)s",
    "service_ids": "c.service_id = any(%(service_ids)s)",
    "account_ids": "c.account_id = any(%(account_ids)s)",
    "from_at": "c.usage_at >= %(from_at)s",
    "to_at": "c.usage_at < %(to_at)s",
}
_ORDER = "c.submission_id, c.row_index, c.run, c.entry"

# The requests that are asked for, as spans of rows: a batch may take one row of each of many requests.
_OF_REQUESTS = """
    (select t.submission_id, min(t.first_row) as first_row, max(t.last_row) as last_row
     from batch_spans t where {spans} group by t.submission_id) t
    join charges c on c.submission_id = t.submission_id and c.row_index between t.first_row and t.last_row
"""
_OF_HOLDERS = "charges c"
_OF_SUBMISSIONS = "submissions s join charges c on c.submission_id = s.submission_id"

# `shown` is the charges to show: a statement of this module, put in front.
_SELECT = f"""
    select {USAGE_COLUMNS.format(row="c")},
        c.run, c.entry, n.name as base_unit, a.name as account, v.name as service, p.name as rate_plan,
        g.name as rate_group, c.rate_id, l.name as location, c.quantity_rounded, c.quantity_charged, c.amount, c.currency,
        c.rated_at
    from shown c
    join submissions s on s.submission_id = c.submission_id
    left join feeds f on f.feed_id = c.feed_id
    left join usage_classes u on u.usage_class_id = c.usage_class_id
    left join base_units n on n.base_unit_id = u.base_unit_id
    left join accounts a on a.account_id = c.account_id
    left join services v on v.service_id = c.service_id
    left join rate_plans p on p.rate_plan_id = c.rate_plan_id
    left join rate_groups g on g.rate_group_id = c.rate_group_id
    left join locations l on l.location_id = c.location_id
    order by {_ORDER}
"""


def find(connection: Connection, name: ChargeName) -> Charge | None:
    """Return the charge of that name."""
    cursor = driver(connection).cursor(row_factory=class_row(Charge))
    cursor.execute(
        f"""
        with shown as (
            select * from charges where submission_id = %s and row_index = %s and run = %s and entry = %s
        ) {_SELECT}
        """,
        (name.submission_id, name.row_index, name.run, name.entry),
    )
    return cursor.fetchone()


def of_records(connection: Connection, submission_ids: list[int], row_indexes: list[int]) -> list[Charge]:
    """Return every charge of the records named by the two lists, side by side."""
    cursor = driver(connection).cursor(row_factory=class_row(Charge))
    cursor.execute(
        f"""
        with shown as (
            select c.* from unnest(%s::bigint[], %s::integer[]) as r (submission_id, row_index)
            join charges c using (submission_id, row_index)
        ) {_SELECT}
        """,
        (submission_ids, row_indexes),
    )
    return cursor.fetchall()


def page(connection: Connection, filters: ChargeFilters, paging: Paging) -> Page[Charge]:
    """Return a page of charges, by submission, row, run and entry."""
    found = _find_ids(connection, filters)
    if found.is_nothing:
        return Page([], 0 if paging.with_total else None)
    known = parameters(filters) | parameters(found)
    asked = " and ".join(condition for name, condition in _CONDITIONS.items() if known[name] is not None) or "true"
    if filters.names_requests:
        return _page(connection, _of_requests(filters), asked, known, paging)
    names_few = filters.names_holders or filters.bounds_dates
    if names_few and _is_narrow(connection, asked, known):
        return _page(connection, _OF_HOLDERS, asked, known, paging)
    if names_few or filters.usage_class is not None:
        return _page(connection, _OF_SUBMISSIONS, f"{_of_feed(known)} and {asked}", known, paging)
    return _page_by_counts(connection, known, paging)


def _find_ids(connection: Connection, filters: ChargeFilters) -> _Found:
    wants_accounts = filters.names_holders or (filters.bounds_dates and not filters.names_requests)
    cursor = driver(connection).cursor(row_factory=class_row(_Found))
    cursor.execute(_IDS, parameters(filters) | {"wants_accounts": wants_accounts})
    return cursor.fetchone() or _Found(0, 0, [], [])


def _of_requests(filters: ChargeFilters) -> str:
    spans = {
        "t.batch_id = %(batch_id)s": filters.batch_id,
        submission_of_tracking_id("t.submission_id"): filters.tracking_id,
    }
    return _OF_REQUESTS.format(spans=" and ".join(condition for condition, asked in spans.items() if asked is not None))


def _is_narrow(connection: Connection, asked: str, known: dict[str, Any]) -> bool:
    """Whether the charges of the holders are few enough to be fetched and sorted whole."""
    known = known | {"narrow_rows_max": NARROW_ROWS_MAX}
    counted = driver(connection).execute(
        f"select count(*) from (select from charges c where {asked} limit %(narrow_rows_max)s + 1) n", known
    )
    return bool((counted.fetchone() or [0])[0] <= NARROW_ROWS_MAX)


def _page(connection: Connection, source: str, asked: str, known: dict[str, Any], paging: Paging) -> Page[Charge]:
    rows = _rows(connection, source, asked, known, offset=paging.offset, size=paging.size)
    if not paging.with_total:
        return Page(rows, None)
    counted = driver(connection).execute(f"select count(*) from {source} where {asked}", known).fetchone()
    return Page(rows, int(counted[0]) if counted else 0)


def _rows(
    connection: Connection, source: str, asked: str, known: dict[str, Any], *, offset: int, size: int
) -> list[Charge]:
    # A narrow set is materialized before it is sorted, lest the planner walk the key of all charges to spare the sort.
    hits = f"select c.* from {source} where {asked}"
    narrow = f"with hits as materialized ({hits}), shown as (select * from hits c"
    first = narrow if source == _OF_HOLDERS else f"with shown as ({hits}"
    cursor = driver(connection).cursor(row_factory=class_row(Charge))
    cursor.execute(
        f"{first} order by {_ORDER} limit %(size)s offset %(offset)s) {_SELECT}",
        known | {"offset": offset, "size": size},
    )
    return cursor.fetchall()


def _page_by_counts(connection: Connection, known: dict[str, Any], paging: Paging) -> Page[Charge]:
    """Return a page of all charges, or of a feed's, however deep: the spans' counts lead to the page's first submission.

    A rated record has one charge today, so the spans' ``rows_rated`` count charges. Runs and re-rates will add entries;
    the spans must then count those.
    """
    of_feed = _of_feed(known)
    if paging.offset == 0 and not paging.with_total:
        return Page(_rows(connection, _OF_SUBMISSIONS, of_feed, known, offset=0, size=paging.size), None)
    total, first_submission_id, before = _anchor(connection, known, paging)
    total_asked = total if paging.with_total else None
    if first_submission_id is None:
        return Page([], total_asked)
    asked = f"{of_feed} and s.submission_id >= %(first_submission_id)s"
    known = known | {"first_submission_id": first_submission_id}
    rows = _rows(connection, _OF_SUBMISSIONS, asked, known, offset=paging.offset - before, size=paging.size)
    return Page(rows, total_asked)


def _of_feed(known: dict[str, Any]) -> str:
    return "s.feed_id = %(feed_id)s" if known["feed_id"] else "true"


def _anchor(connection: Connection, known: dict[str, Any], paging: Paging) -> tuple[int, int | None, int]:
    """Return how many charges there are, the submission in which the page begins, and how many stand before that."""
    of_feed = "where t.submission_id in (select submission_id from submissions where feed_id = %(feed_id)s)"
    row = (
        driver(connection)
        .execute(
            f"""
            with taken as (
                select t.submission_id, sum(t.rows_rated) as charges from batch_spans t
                {of_feed if known["feed_id"] else ""} group by t.submission_id
            ), counted as (
                select submission_id, charges, sum(charges) over (order by submission_id) - charges as before from taken
            ), total as (select coalesce(sum(charges), 0)::bigint as charges from taken)
            select total.charges, first.submission_id, coalesce(first.before, 0)::bigint from total left join lateral (
                select submission_id, before from counted where before + charges > %(offset)s
                order by submission_id limit 1
            ) first on true
            """,
            known | {"offset": paging.offset},
        )
        .fetchone()
    )
    return (int(row[0]), row[1], int(row[2])) if row else (0, None, 0)
