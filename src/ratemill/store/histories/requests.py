"""Histories: each submission with what became of its records, its counts taken from its row and spans in one statement.

What is not rated, batches of characteristics and imports of subscription data, stands beside the submissions in the list;
numbers tell them apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal
from uuid import UUID

from psycopg.rows import class_row

from ratemill.pages import Page, Paging
from ratemill.states import RequestState
from ratemill.store.connections import Connection, driver
from ratemill.store.filters import feed_of_name, parameters, submission_of_batch, where
from ratemill.store.histories.characteristics import BATCHES, ItemHistory
from ratemill.store.histories.subscriptions import IMPORTS, ImportHistory
from ratemill.store.histories.unrated import HistorySource


@dataclass(frozen=True, slots=True)
class Counts:
    """Where records are now: received = waiting + imported + skipped + duplicate + refused, imported = the rest."""

    rows_received: int
    rows_waiting: int
    rows_imported: int
    rows_refused: int
    rows_skipped: int
    rows_duplicate: int
    rows_rated: int
    rows_excepted: int
    rows_written_off: int

    @property
    def rows_rating_waiting(self) -> int:
        """How many imported records wait for rating."""
        return self.rows_imported - self.rows_rated - self.rows_excepted - self.rows_written_off


@dataclass(frozen=True, slots=True)
class History(Counts):
    """One submission; the profile is that of its last batch, or the feed's as it is now if none was cut yet."""

    submission_id: int
    owner_id: int
    owner: str
    request_tracking_id: UUID
    import_tracking_id: UUID
    feed_id: int
    feed: str | None
    data_profile_id: int | None
    data_profile: str | None
    profile_version: int | None
    accepted_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    is_begun: bool
    batch_ids: list[int]


AnyHistory = History | ItemHistory | ImportHistory


@dataclass(frozen=True, slots=True)
class Batch(Counts):
    """One batch and the submissions of which it took records."""

    batch_id: int
    feed_id: int
    feed: str | None
    data_profile_id: int
    data_profile: str | None
    profile_version: int
    cut_at: datetime
    submission_ids: list[int]


@dataclass(frozen=True, slots=True)
class HistoryFilters:
    """Which histories; the span [from_at, to_at) bounds acceptance or creation.

    A feed, or a batch of usage, is of submissions only; ``kind`` "" is of none.
    """

    feed: str | None = None
    batch_id: int | None = None
    state: int | None = None
    kind: Literal["usage", "items", "subscriptions", ""] | None = None
    from_at: datetime | None = None
    to_at: datetime | None = None


_CONDITIONS = {
    "feed": feed_of_name("s.feed_id"),
    "batch_id": submission_of_batch("s.submission_id"),
    "from_at": "s.accepted_at >= %(from_at)s",
    "to_at": "s.accepted_at < %(to_at)s",
}
_BEGUN = """(s.started_at is not null
    or s.submission_id in (select unnest(a.numbers) from work_attempts a where a.kind = 'usage'))"""
_STATES: dict[int | None, str] = {
    RequestState.ACCEPTED: f"s.rows_waiting > 0 and not {_BEGUN}",
    RequestState.PROCESSING: f"s.rows_waiting > 0 and {_BEGUN}",
    RequestState.DONE: "s.rows_waiting = 0",
}

# What is not rated, by kind.
_UNRATED: dict[str, HistorySource[ItemHistory] | HistorySource[ImportHistory]] = {
    "items": BATCHES,
    "subscriptions": IMPORTS,
}
_UNRATED_CONDITIONS = {
    "feed": "false",
    "batch_id": "false",
    "from_at": "h.created_at >= %(from_at)s",
    "to_at": "h.created_at < %(to_at)s",
}

_ENDS = ("imported", "refused", "skipped", "duplicate", "rated", "excepted", "written_off")
_SUMS = ", ".join(f"coalesce(sum(t.rows_{end}), 0)::integer as rows_{end}" for end in _ENDS)
_COUNTED = ", ".join(f"n.rows_{end}" for end in _ENDS)

# `shown` is the submissions to show: a statement of this module, put in front.
_SELECT = f"""
    select s.submission_id, s.owner_id, o.name as owner, s.request_tracking_id, s.import_tracking_id, s.feed_id,
        f.name as feed, p.data_profile_id, p.name as data_profile, coalesce(b.profile_version, p.version) as profile_version,
        s.accepted_at, s.started_at, s.ended_at, {_BEGUN} as is_begun, s.row_count as rows_received, s.rows_waiting,
        {_COUNTED}, n.batch_ids
    from shown s
    join owners o on o.owner_id = s.owner_id
    left join feeds f on f.feed_id = s.feed_id
    cross join lateral (
        select {_SUMS}, coalesce(array_agg(distinct t.batch_id), '{{}}') as batch_ids, max(t.batch_id) as last_batch_id
        from batch_spans t where t.submission_id = s.submission_id
    ) n
    left join batches b on b.batch_id = n.last_batch_id
    left join data_profiles p on p.data_profile_id = coalesce(b.data_profile_id, f.data_profile_id)
    order by s.submission_id desc
"""


def find(
    connection: Connection,
    *,
    submission_id: int | None = None,
    tracking_id: UUID | None = None,
) -> History | None:
    """Return the submission of that number, or of either of its tracking ids."""
    cursor = driver(connection).cursor(row_factory=class_row(History))
    cursor.execute(
        f"""
        with shown as (
            select * from submissions s where s.submission_id = %(submission_id)s
            or s.request_tracking_id = %(tracking_id)s or s.import_tracking_id = %(tracking_id)s
        ) {_SELECT}
        """,
        {"submission_id": submission_id, "tracking_id": tracking_id},
    )
    return cursor.fetchone()


def rows_waiting(connection: Connection, submission_id: int) -> int:
    """Return how many records of a submission wait."""
    row = driver(connection).execute("select rows_waiting from submissions where submission_id = %s", (submission_id,))
    return int((row.fetchone() or [0])[0])


def page(connection: Connection, filters: HistoryFilters, paging: Paging) -> Page[AnyHistory]:
    """Return a page of the owner's histories of every kind, newest first."""
    others = replace(filters, kind=None)
    parts = {
        "usage": (
            "submissions s",
            "s.submission_id",
            where(others, _CONDITIONS | {"state": _STATES.get(filters.state, "false")}),
        ),
    }
    for kind, source in _UNRATED.items():
        these = where(others, _UNRATED_CONDITIONS | {"state": _unrated_state(source, filters.state)})
        parts[kind] = (f"{source.table} h", "h.history_id", these)
    asked = [part for kind, part in parts.items() if filters.kind in {None, kind}]
    known = parameters(others) | {"offset": paging.offset, "size": paging.rows_max}
    known["reach"] = paging.offset + paging.rows_max
    if not asked:
        return Page([], 0 if paging.with_total else None)
    # Each part is bounded by itself, for the order of a union is not sought in the indexes of its parts.
    listed = " union all ".join(
        f"(select {number} as history_id from {table} where {these} order by {number} desc limit %(reach)s)"
        for table, number, these in asked
    )
    chosen = driver(connection).execute(
        f"select history_id from ({listed}) h order by history_id desc limit %(size)s offset %(offset)s", known
    )
    numbers = [int(row[0]) for row in chosen]
    total = sum(_count(connection, table, these, known) for table, _, these in asked) if paging.with_total else None
    return Page(_read(connection, numbers), total)


def find_unrated(
    connection: Connection, *, history_id: int | None = None, tracking_id: UUID | None = None
) -> ItemHistory | ImportHistory | None:
    """Return what is not rated and has that number among the histories, or that tracking id."""
    for source in _UNRATED.values():
        found = source.find(connection, history_id=history_id, tracking_id=tracking_id)
        if found:
            return found
    return None


def _unrated_state(source: HistorySource[ItemHistory] | HistorySource[ImportHistory], state: int | None) -> str:
    states: dict[int | None, str] = {
        RequestState.ACCEPTED: f"not {source.ended} and not {source.at_work}",
        RequestState.PROCESSING: source.at_work,
        RequestState.DONE: source.ended,
    }
    return states.get(state, "false")


def _read(connection: Connection, numbers: Sequence[int]) -> list[AnyHistory]:
    """Return the histories of these numbers, in their order."""
    found: dict[int, AnyHistory] = {}
    for source in _UNRATED.values():
        found |= {each.history_id: each for each in source.read(connection, numbers)}
    with driver(connection).cursor(row_factory=class_row(History)) as cursor:
        cursor.execute(
            f"with shown as (select * from submissions s where s.submission_id = any(%s)) {_SELECT}", (list(numbers),)
        )
        found |= {each.submission_id: each for each in cursor}
    return [found[number] for number in numbers]


def find_batch(connection: Connection, batch_id: int) -> Batch | None:
    """Return the batch of that number with its counts; none of its records waits."""
    cursor = driver(connection).cursor(row_factory=class_row(Batch))
    cursor.execute(
        f"""
        select b.batch_id, b.feed_id, f.name as feed, b.data_profile_id, p.name as data_profile, b.profile_version,
            b.cut_at, n.*, 0 as rows_waiting
        from batches b
        left join feeds f on f.feed_id = b.feed_id
        left join data_profiles p on p.data_profile_id = b.data_profile_id
        cross join lateral (
            select coalesce(sum(t.rows_received), 0)::integer as rows_received, {_SUMS},
                coalesce(array_agg(distinct t.submission_id), '{{}}') as submission_ids
            from batch_spans t where t.batch_id = b.batch_id
        ) n
        where b.batch_id = %s
        """,
        (batch_id,),
    )
    return cursor.fetchone()


def _count(connection: Connection, table: str, condition: str, known: dict[str, object]) -> int:
    counted = driver(connection).execute(f"select count(*) from {table} where {condition}", known).fetchone()
    return int(counted[0]) if counted else 0
