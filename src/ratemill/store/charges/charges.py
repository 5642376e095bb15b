"""Charges: read by request, batch, feed, identifier, account or date, although the table has two indexes only.

What names a holder (an identifier, a service, an account) goes through the accounts, if their charges are few. All else
goes through the spans of batches to the key of the charges; a span says within which dates its usage lies. Nothing leads
to the charges of a usage class or of an item: a rare one alone costs a walk through the table.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from ratemill.characteristics import Carried, as_members
from ratemill.pages import Page, Paging
from ratemill.records import ChargeName
from ratemill.store import long_pages
from ratemill.store.connections import Connection, driver
from ratemill.store.filters import parameters, submission_of_tracking_id
from ratemill.store.usage.usage_records import LONG_TEXTS, USAGE_COLUMNS, UsageRecord

# Charges that are fetched and sorted for a page; if there are more, nearly every submission has one.
NARROW_ROWS_MAX = 50_000


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
    """Which charges; ``items`` are all named by each; the span [from_at, to_at) bounds the usage date."""

    tracking_id: UUID | None = None
    batch_id: int | None = None
    feed: str | None = None
    usage_identifier: str | None = None
    account: str | None = None
    service: str | None = None
    usage_class: str | None = None
    items: tuple[Carried, ...] | None = None
    from_at: datetime | None = None
    to_at: datetime | None = None

    @property
    def may_be_few(self) -> bool:
        """Whether to look first for few charges by what they carry: no request, batch or date alone bounds the search."""
        of_request = not (self.tracking_id is None and self.batch_id is None)
        of_holder = not (self.usage_identifier is None and self.account is None and self.service is None)
        of_dates = not (self.from_at is None and self.to_at is None)
        of_others = not (self.usage_class is None and self.items is None)
        return not of_request and (of_holder or (of_others and not of_dates))

    @property
    def is_counted_by_spans(self) -> bool:
        """Whether only feeds and dates are asked for, whose charges the spans count."""
        others = (self.tracking_id, self.batch_id, self.usage_identifier, self.account, self.service, self.usage_class)
        return all(other is None for other in (*others, self.items))


@dataclass(frozen=True, slots=True)
class _FilterIds:
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
        case when num_nonnulls(%(account)s::text, %(service)s::text, %(usage_identifier)s::text) > 0 then array(
            select a.account_id from accounts a
            where (%(account)s::text is null or a.name = %(account)s)
            and (%(service)s::text is null
                or a.account_id in (select v.account_id from services v where v.name = %(service)s))
            and (%(usage_identifier)s::text is null
                or a.account_id in (select v.account_id from identifiers i join services v using (service_id)
                                    where i.usage_identifier = %(usage_identifier)s))
        ) end as account_ids
"""

# Of the charges themselves, and of the spans that may hold such charges.
_CONDITIONS = {
    "usage_identifier": "c.usage_identifier = %(usage_identifier)s",
    "usage_class_id": "c.usage_class_id = %(usage_class_id)s",
    "service_ids": "c.service_id = any(%(service_ids)s)",
    "account_ids": "c.account_id = any(%(account_ids)s)",
    "feed_id": "c.feed_id = %(feed_id)s",
    "items": "c.extension @> %(items)s",
    "from_at": "c.usage_at >= %(from_at)s",
    "to_at": "c.usage_at < %(to_at)s",
}
_SPAN_CONDITIONS = {
    "tracking_id": submission_of_tracking_id("t.submission_id"),
    "batch_id": "t.batch_id = %(batch_id)s",
    "feed_id": "t.submission_id in (select s.submission_id from submissions s where s.feed_id = %(feed_id)s)",
    "from_at": "t.last_usage_at >= %(from_at)s",
    "to_at": "t.first_usage_at < %(to_at)s",
    "first_submission_id": "t.submission_id >= %(first_submission_id)s",
}
_ORDER = "c.submission_id, c.row_index, c.run, c.entry"

_IN_SPAN = """c.submission_id = t.submission_id and c.batch_id = t.batch_id
    and c.row_index between t.first_row and t.last_row"""

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
    if filters.items is not None:
        known["items"] = Jsonb(as_members(filters.items))
    if filters.is_counted_by_spans:
        return _page_by_counts(connection, known, paging)
    if filters.may_be_few:
        return _page_by_columns(connection, known, paging)
    rows, is_cut = _rows(connection, _span_by_span(known), known, paging)
    return Page(rows, _count(connection, _joined_to_spans(known), known) if paging.with_total else None, is_cut)


def _find_ids(connection: Connection, filters: ChargeFilters) -> _FilterIds:
    cursor = driver(connection).cursor(row_factory=class_row(_FilterIds))
    cursor.execute(_IDS, parameters(filters))
    return cursor.fetchone() or _FilterIds(0, 0, [], [])


def _conditions(known: dict[str, Any], conditions: dict[str, str]) -> str:
    return " and ".join(text for name, text in conditions.items() if known.get(name) is not None) or "true"


def _hits_by_columns(known: dict[str, Any]) -> str:
    return f"select c.* from charges c where {_conditions(known, _CONDITIONS)}"


def _few(known: dict[str, Any]) -> str:
    # Materialized before they are sorted, lest the planner walk the key of all charges in its order.
    return f"with few as materialized ({_hits_by_columns(known)}) select * from few c order by {_ORDER}"


def _span_by_span(known: dict[str, Any]) -> str:
    # `offset 0` keeps the planner from joining in any other way than span by span, in the order of the key.
    return f"""
        select c.* from batch_spans t cross join lateral (
            select * from charges c where {_IN_SPAN} and {_conditions(known, _CONDITIONS)} offset 0
        ) c where {_conditions(known, _SPAN_CONDITIONS)}
        order by t.submission_id, c.row_index, c.run, c.entry
    """


def _joined_to_spans(known: dict[str, Any]) -> str:
    return f"""
        select from batch_spans t join charges c on {_IN_SPAN}
        where {_conditions(known, _CONDITIONS)} and {_conditions(known, _SPAN_CONDITIONS)}
    """


def _page_by_columns(connection: Connection, known: dict[str, Any], paging: Paging) -> Page[Charge]:
    """Return a page of what charges carry: all of it fetched and sorted, or, if that is much, span by span."""
    hits = _hits_by_columns(known)
    counted = _count(connection, f"{hits} limit {NARROW_ROWS_MAX + 1}", known)
    if counted <= NARROW_ROWS_MAX:
        rows, is_cut = _rows(connection, _few(known), known, paging)
        return Page(rows, counted if paging.with_total else None, is_cut)
    since = known | {"from_at": _first_usage_at(connection, known)}
    rows, is_cut = _rows(connection, _span_by_span(since), since, paging)
    return Page(rows, _count(connection, hits, known) if paging.with_total else None, is_cut)


def _first_usage_at(connection: Connection, known: dict[str, Any]) -> datetime | None:
    """Return the date from which to look: that asked for or, if that is later, of the first charge of the accounts."""
    row = driver(connection).execute(
        """
        select greatest(%(from_at)s::timestamptz, min((
            select c.usage_at from charges c where c.account_id = a.account_id order by c.usage_at limit 1
        ))) from unnest(%(account_ids)s::bigint[]) as a (account_id)
        """,
        known,
    )
    first: datetime | None = (row.fetchone() or [None])[0]
    return first


def _count(connection: Connection, hits: str, known: dict[str, Any]) -> int:
    counted = driver(connection).execute(f"select count(*) from ({hits}) c", known).fetchone()
    return int(counted[0]) if counted else 0


def _rows(
    connection: Connection, hits: str, known: dict[str, Any], paging: Paging, *, before: int = 0
) -> tuple[list[Charge], bool]:
    """Return the charges of a page, and whether it has more than there is room for; ``before`` are not among the hits."""
    statement = f"with shown as ({hits} limit %(size)s offset %(offset)s) {_SELECT}"
    asked = known | {"offset": paging.offset - before, "size": paging.rows_max}
    return long_pages.fetch(connection, Charge, statement, asked, paging, LONG_TEXTS)


def _page_by_counts(connection: Connection, known: dict[str, Any], paging: Paging) -> Page[Charge]:
    """Return a page of all charges, of a feed's or of a span of dates, however deep: counts lead to where it begins.

    A rated record has one charge today, so the spans' ``rows_rated`` count charges. Runs and re-rates will add entries;
    the spans must then count those.
    """
    if paging.offset == 0 and not paging.with_total:
        rows, is_cut = _rows(connection, _span_by_span(known), known, paging)
        return Page(rows, None, is_cut)
    total, first_submission_id, before = _anchor(connection, known, paging.offset)
    total_asked = total if paging.with_total else None
    if first_submission_id is None:
        return Page([], total_asked)
    known = known | {"first_submission_id": first_submission_id}
    rows, is_cut = _rows(connection, _span_by_span(known), known, paging, before=before)
    return Page(rows, total_asked, is_cut)


def _anchor(connection: Connection, known: dict[str, Any], offset: int) -> tuple[int, int | None, int]:
    """Return how many charges there are, the submission in which the page begins, and how many stand before that.

    A span whose dates lie inside those asked for counts whole; at the borders its charges are counted.
    """
    row = (
        driver(connection)
        .execute(
            f"""
            with taken as (
                select t.submission_id, sum(case
                    when (%(from_at)s::timestamptz is null or t.first_usage_at >= %(from_at)s)
                        and (%(to_at)s::timestamptz is null or t.last_usage_at < %(to_at)s) then t.rows_rated
                    else (select count(*) from charges c where {_IN_SPAN} and {_conditions(known, _CONDITIONS)})
                end) as charges
                from batch_spans t where {_conditions(known, _SPAN_CONDITIONS)} group by t.submission_id
            ), counted as (
                select submission_id, charges, sum(charges) over (order by submission_id) - charges as before from taken
            ), total as (select coalesce(sum(charges), 0)::bigint as charges from taken)
            select total.charges, first.submission_id, coalesce(first.before, 0)::bigint from total left join lateral (
                select submission_id, before from counted where before + charges > %(offset)s
                order by submission_id limit 1
            ) first on true
            """,
            known | {"offset": offset},
        )
        .fetchone()
    )
    return (int(row[0]), row[1], int(row[2])) if row else (0, None, 0)
