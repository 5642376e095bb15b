"""Workers: each shows that it is alive, and counts the backlog."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from psycopg.rows import class_row

from ratemill.store import work_attempts
from ratemill.store.connections import Connection, driver
from ratemill.store.usage import backlog

SILENT_S_MAX = 10  # a worker that was silent for longer is taken for dead


@dataclass(frozen=True, slots=True)
class Health:
    """The workers that are alive, how long ago the last of all was seen, and the waiting records as last counted.

    ``oldest_waiting_s``: the age of the oldest of them, nothing if none waits.
    """

    workers: int
    worker_seen_s: float | None
    rows_waiting: int
    rows_counted_s: float
    oldest_waiting_s: float | None


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
    backlog.count_if_due(connection)


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
            round(extract(epoch from clock_timestamp() - counted_at), 1)::float as rows_counted_s,
            round(extract(epoch from clock_timestamp() - oldest_at), 1)::float as oldest_waiting_s
        from backlog left join workers on true
        group by rows_waiting, counted_at, oldest_at
        """,
        (SILENT_S_MAX,),
    )
    found = cursor.fetchone()
    return found or Health(workers=0, worker_seen_s=None, rows_waiting=0, rows_counted_s=0.0, oldest_waiting_s=None)
