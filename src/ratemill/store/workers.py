"""Workers: each says that it lives, and counts the backlog while it is at it."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from psycopg.rows import class_row

from ratemill.store import work_attempts
from ratemill.store.connections import Connection, driver

SILENT_S_MAX = 10  # a worker that was silent for longer is taken for dead


@dataclass(frozen=True, slots=True)
class Health:
    """The workers that are alive, how long ago the last of all was seen, and the waiting records as last counted."""

    workers: int
    worker_seen_s: float | None
    rows_waiting: int
    rows_counted_s: float


def say_alive(connection: Connection, worker_id: UUID, *, host: str, pid: int) -> None:
    """Write that this worker lives, count the waiting records, and delete what dead workers left long ago."""
    cursor = driver(connection).cursor()
    cursor.execute(
        """
        insert into workers (worker_id, host, pid) values (%s, %s, %s)
        on conflict (worker_id) do update set seen_at = clock_timestamp()
        """,
        (worker_id, host, pid),
    )
    cursor.execute("delete from workers where seen_at < clock_timestamp() - interval '1 hour'")
    work_attempts.clear_stale(connection)
    cursor.execute(
        """
        update backlog set counted_at = clock_timestamp(),
            rows_waiting = (select coalesce(sum(rows_waiting), 0) from submissions where rows_waiting > 0)
        where counted_at < clock_timestamp() - interval '0.9 seconds'
        """,
    )


def remove(connection: Connection, worker_id: UUID) -> None:
    """Write that this worker has ended."""
    driver(connection).execute("delete from workers where worker_id = %s", (worker_id,))


def note_seen(connection: Connection, worker_id: UUID) -> None:
    """Write that this worker is alive, and nothing else."""
    driver(connection).execute("update workers set seen_at = clock_timestamp() where worker_id = %s", (worker_id,))


def health(connection: Connection) -> Health:
    """Return the workers that are alive and the waiting records as they were last counted."""
    cursor = driver(connection).cursor(row_factory=class_row(Health))
    cursor.execute(
        """
        select
            count(worker_id) filter (where seen_at > clock_timestamp() - make_interval(secs => %s)) as workers,
            round(extract(epoch from clock_timestamp() - max(seen_at)), 1)::float as worker_seen_s,
            rows_waiting,
            round(extract(epoch from clock_timestamp() - counted_at), 1)::float as rows_counted_s
        from backlog left join workers on true
        group by rows_waiting, counted_at
        """,
        (SILENT_S_MAX,),
    )
    found = cursor.fetchone()
    return found or Health(workers=0, worker_seen_s=None, rows_waiting=0, rows_counted_s=0.0)
