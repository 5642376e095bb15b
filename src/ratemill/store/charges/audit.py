"""What the audit reads: the bodies of submissions, and every end of their records, in one snapshot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from psycopg.rows import class_row

from ratemill.store.connections import Connection, driver

SUBMISSIONS_AT_ONCE = 1_000  # a million records or fewer are joined in the database's memory at a time

# Every current end of the records of some submissions. A record's charges are those of its first run, each entry that is
# not reversed counting one; exceptions that were sent in again or have been rated are history.
_ENDS = """
    select submission_id, row_index, batch_id, 'rated' as kind,
        sum(case when reverses_entry is null then 1 else -1 end) as times
    from charges where submission_id = any(%(ids)s) and run = 1 group by submission_id, row_index, batch_id
    union all
    select submission_id, row_index, batch_id, case state when 1 then 'excepted' else 'written_off' end, 1
    from rating_exceptions where submission_id = any(%(ids)s) and state in (1, 3)
    union all
    select submission_id, row_index, batch_id, 'refused', 1
    from import_exceptions where submission_id = any(%(ids)s) and state in (1, 3)
    union all
    select submission_id, row_index, batch_id, 'duplicate', 1 from duplicates where submission_id = any(%(ids)s)
    union all
    select submission_id, row_index, batch_id, 'skipped', 1 from skipped where submission_id = any(%(ids)s)
"""


@dataclass(frozen=True, slots=True)
class AuditBody:
    """A submission as it was accepted; ``body`` is null where its raw bytes were removed after their time."""

    submission_id: int
    owner_id: int
    feed_id: int
    route: str
    row_count: int
    rows_waiting: int
    body_sha256: bytes
    accepted_at: datetime
    body: bytes | None


@dataclass(frozen=True, slots=True)
class Misfit:
    """One thing that does not fit: what, of which submission, row or batch."""

    submission_id: int
    batch_id: int | None
    row_index: int | None
    detail: str


def begin_snapshot(connection: Connection) -> None:
    """Let every later statement of this transaction see the database as it is now."""
    driver(connection).execute("set transaction isolation level repeatable read")


def bodies(connection: Connection, owner_id: int | None) -> Iterator[list[AuditBody]]:
    """Yield the submissions of an owner, or of all, in order, some at a time."""
    after = 0
    while True:
        cursor = driver(connection).cursor(row_factory=class_row(AuditBody), binary=True)
        cursor.execute(
            """
            select s.submission_id, s.owner_id, s.feed_id, s.route, s.row_count, s.rows_waiting, s.body_sha256,
                s.accepted_at, b.body
            from submissions s left join submission_bodies b using (submission_id)
            where s.submission_id > %s and (%s::integer is null or s.owner_id = %s)
            order by s.submission_id limit %s
            """,
            (after, owner_id, owner_id, SUBMISSIONS_AT_ONCE),
        )
        some = cursor.fetchall()
        if not some:
            return
        yield some
        after = some[-1].submission_id


def records_without_end(connection: Connection, submission_ids: list[int], row_counts: list[int]) -> list[Misfit]:
    """Return the records without an end of those submissions in which their number is not that of the waiting ones."""
    return _misfits(
        connection,
        f"""
        with ends as ({_ENDS}),
        endless as (
            select e.submission_id, r.row_index
            from unnest(%(ids)s::bigint[], %(counts)s::integer[]) e (submission_id, row_count)
            cross join generate_series(1, e.row_count) r (row_index)
            where not exists (select from ends where ends.submission_id = e.submission_id
                              and ends.row_index = r.row_index and ends.times > 0)
        ),
        found as (select submission_id, count(*) as rows, min(row_index) as first_row from endless group by submission_id)
        select s.submission_id, null::bigint as batch_id, found.first_row as row_index,
            format('%%s records have no end, %%s wait', coalesce(found.rows, 0), s.rows_waiting) as detail
        from submissions s left join found using (submission_id)
        where s.submission_id = any(%(ids)s) and coalesce(found.rows, 0) <> s.rows_waiting
        """,
        {"ids": submission_ids, "counts": row_counts},
    )


def records_with_two_ends(connection: Connection, submission_ids: list[int]) -> list[Misfit]:
    """Return the records that ended twice, or that no body has."""
    return _misfits(
        connection,
        f"""
        with ends as ({_ENDS})
        select ends.submission_id, null::bigint as batch_id, ends.row_index,
            string_agg(ends.times || ' ' || ends.kind, ', ' order by ends.kind) as detail
        from ends join submissions s using (submission_id)
        where ends.times <> 0
        group by ends.submission_id, ends.row_index, s.row_count
        having sum(ends.times) <> 1 or ends.row_index not between 1 and s.row_count
        """,
        {"ids": submission_ids},
    )


def counts_that_differ(connection: Connection, submission_ids: list[int]) -> list[Misfit]:
    """Return the spans whose stored counts are not those of the ends."""
    names = ("skipped", "duplicate", "refused", "rated", "excepted", "written_off")
    counted = ", ".join(f"count(*) filter (where kind = '{name}') as {name}" for name in names)
    stored = ", ".join(f"sum(rows_{name}) as {name}" for name in names)
    differs = " or ".join(f"coalesce(c.{name}, 0) <> coalesce(p.{name}, 0)" for name in names)
    told = " || ', ' || ".join(
        f"'{name} ' || coalesce(p.{name}, 0) || ' for ' || coalesce(c.{name}, 0)" for name in names
    )
    return _misfits(
        connection,
        f"""
        with ends as ({_ENDS}),
        c as (select batch_id, submission_id, {counted} from ends where times > 0 group by batch_id, submission_id),
        p as (select batch_id, submission_id, {stored} from batch_spans
              where submission_id = any(%(ids)s) group by batch_id, submission_id)
        select submission_id, batch_id, null::integer as row_index, 'stored for counted: ' || {told} as detail
        from c full join p using (batch_id, submission_id) where {differs}
        """,
        {"ids": submission_ids},
    )


def duplicates_of_nothing(connection: Connection, submission_ids: list[int]) -> list[Misfit]:
    """Return the duplicates that repeat a record which was not imported."""
    return _misfits(
        connection,
        """
        select d.submission_id, d.batch_id, d.row_index,
            format('repeats row %%s of submission %%s, which was not imported', d.of_row_index, d.of_submission_id) as detail
        from duplicates d
        where d.submission_id = any(%(ids)s)
          and not exists (select from charges c
                          where c.submission_id = d.of_submission_id and c.row_index = d.of_row_index)
          and not exists (select from rating_exceptions e
                          where e.submission_id = d.of_submission_id and e.row_index = d.of_row_index)
        """,
        {"ids": submission_ids},
    )


def counts_by_feed_and_day(connection: Connection, owner_id: int | None) -> list[dict[str, Any]]:
    """Return the counts of every feed and UTC day of acceptance, from the stored counts."""
    rows = driver(connection).execute(
        """
        with spans as (
            select submission_id, sum(rows_imported) as imported, sum(rows_skipped) as skipped,
                sum(rows_duplicate) as duplicate, sum(rows_refused) as refused, sum(rows_rated) as rated,
                sum(rows_excepted) as rating_exceptions, sum(rows_written_off) as written_off
            from batch_spans group by submission_id
        )
        select s.owner_id, f.name as feed, (s.accepted_at at time zone 'UTC')::date::text as day,
            count(*) as requests, sum(s.row_count)::bigint as received, sum(s.rows_waiting)::bigint as waiting,
            coalesce(sum(imported), 0)::bigint as imported, coalesce(sum(skipped), 0)::bigint as skipped,
            coalesce(sum(duplicate), 0)::bigint as duplicate, coalesce(sum(refused), 0)::bigint as refused,
            coalesce(sum(rated), 0)::bigint as rated,
            coalesce(sum(rating_exceptions), 0)::bigint as rating_exceptions,
            coalesce(sum(written_off), 0)::bigint as written_off
        from submissions s join feeds f using (feed_id) left join spans using (submission_id)
        where %s::integer is null or s.owner_id = %s
        group by 1, 2, 3 order by 1, 3, 2
        """,
        (owner_id, owner_id),
    )
    names = [column.name for column in rows.description or ()]
    return [dict(zip(names, row, strict=True)) for row in rows]


def amounts(connection: Connection, owner_id: int | None, *, by: str) -> list[tuple[str, int, Decimal]]:
    """Return currency, number and sum of the charges, added up over ``by`` (``account_id`` or ``submission_id``) first."""
    rows = driver(connection).execute(
        f"""
        select currency, sum(charges)::bigint, sum(amount) from (
            select currency, {by}, count(*) as charges, sum(amount) as amount from charges
            where %s::integer is null or owner_id = %s group by currency, {by}
        ) part group by currency order by currency
        """,
        (owner_id, owner_id),
    )
    return rows.fetchall()


def _misfits(connection: Connection, statement: str, values: dict[str, Any]) -> list[Misfit]:
    cursor = driver(connection).cursor(row_factory=class_row(Misfit))
    return cursor.execute(statement, values).fetchall()
