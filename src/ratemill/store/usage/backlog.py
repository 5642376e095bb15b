"""The backlog: the records that wait, in total and for each owner, as they were last counted.

Workers count each second; the API counts where no worker does. A count reads every waiting submission, so it is repeated
less often where it takes long: at most a tenth of the time is spent on it, up to the longest pause.
"""

from __future__ import annotations

from dataclasses import dataclass

from psycopg.rows import class_row

from ratemill.store.connections import Connection, driver

COUNT_EVERY_S = 0.9
COUNT_EVERY_S_MAX = 4.0
STALE_S = 5.0  # a figure that is older admits no request


@dataclass(frozen=True, slots=True)
class BacklogBounds:
    """The most records that may wait: in total, and of one owner while other owners have feeds."""

    rows_max: int
    owner_rows_max: int


@dataclass(frozen=True, slots=True)
class Backlog:
    """The records that wait, those of one owner among them, how many owners have feeds, and how long ago all was counted."""

    rows_waiting: int
    owner_rows_waiting: int
    owners: int
    counted_s: float

    @property
    def is_stale(self) -> bool:
        """Return whether the figures are too old to admit a request by."""
        return self.counted_s > STALE_S


def has_room(owner_id: str, rows_max: str, owner_rows_max: str) -> str:
    """Return the tables and the condition, as SQL, under which a request of an owner is admitted.

    Where several owners have feeds, none may have more than its share, and one that has less than an even part of the
    bound is admitted whatever the others have.
    """
    return f"""
        from backlog b left join owner_backlogs o on o.owner_id = {owner_id}
        where b.counted_at > clock_timestamp() - make_interval(secs => {STALE_S})
          and case
            when b.owners < 2 then b.rows_waiting < {rows_max}
            else coalesce(o.rows_waiting, 0) < {owner_rows_max}
              and (b.rows_waiting < {rows_max} or coalesce(o.rows_waiting, 0) < {rows_max} / b.owners)
          end
    """


def read(connection: Connection, owner_id: int) -> Backlog:
    """Return the figures as they were last counted, for an owner whose rows the connection sees."""
    cursor = driver(connection).cursor(row_factory=class_row(Backlog))
    cursor.execute(
        """
        select b.rows_waiting, coalesce(o.rows_waiting, 0) as owner_rows_waiting, b.owners,
            extract(epoch from clock_timestamp() - b.counted_at)::float as counted_s
        from backlog b left join owner_backlogs o on o.owner_id = %s
        """,
        (owner_id,),
    )
    found = cursor.fetchone()
    if found is None:
        raise LookupError("the backlog has no row")
    return found


def count_if_due(connection: Connection, *, wait: bool = False) -> bool:
    """Count what waits, unless it was counted just now; return whether it was counted.

    If another process is counting, leave it to that one, or ``wait`` for its result. The caller commits soon.
    """
    cursor = driver(connection)
    due = cursor.execute(
        f"""
        select from backlog
        where counted_at < clock_timestamp()
            - make_interval(secs => least(%s, greatest(%s, 10 * count_s))::double precision)
        for update {"" if wait else "skip locked"}
        """,
        (COUNT_EVERY_S_MAX, COUNT_EVERY_S),
    ).fetchone()
    if due is None:
        return False
    cursor.execute(
        """
        with counted as materialized (
            select owner_id, sum(rows_waiting)::bigint as rows_waiting, min(accepted_at) as oldest_at
            from submissions where rows_waiting > 0 group by owner_id
        ), emptied as (
            update owner_backlogs o set rows_waiting = 0
            where rows_waiting > 0 and not exists (select from counted c where c.owner_id = o.owner_id)
        ), written as (
            insert into owner_backlogs as o (owner_id, rows_waiting) select owner_id, rows_waiting from counted
            on conflict (owner_id) do update set rows_waiting = excluded.rows_waiting
            where o.rows_waiting <> excluded.rows_waiting
        ), total as (
            select coalesce(sum(rows_waiting), 0)::bigint as rows_waiting, min(oldest_at) as oldest_at from counted
        )
        update backlog set rows_waiting = total.rows_waiting, oldest_at = total.oldest_at,
            owners = (select count(distinct owner_id) from feeds),
            counted_at = statement_timestamp(),
            count_s = extract(epoch from clock_timestamp() - statement_timestamp())
        from total
        """
    )
    return True
