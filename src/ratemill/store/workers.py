"""Workers: each says that it lives, and counts the backlog while it is at it."""

from __future__ import annotations

from uuid import UUID

from ratemill.store.connections import Connection, driver

SILENT_S_MAX = 10  # a worker that was silent for longer is taken for dead


def say_alive(connection: Connection, worker_id: UUID, *, host: str, pid: int) -> None:
    """Write that this worker lives, count the waiting records, and forget workers that died long ago."""
    cursor = driver(connection).cursor()
    cursor.execute(
        """
        insert into workers (worker_id, host, pid) values (%s, %s, %s)
        on conflict (worker_id) do update set seen_at = clock_timestamp()
        """,
        (worker_id, host, pid),
    )
    cursor.execute("delete from workers where seen_at < clock_timestamp() - interval '1 hour'")
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


def alive(connection: Connection) -> int:
    """Return how many workers live."""
    row = (
        driver(connection)
        .execute(
            "select count(*) from workers where seen_at > clock_timestamp() - make_interval(secs => %s)",
            (SILENT_S_MAX,),
        )
        .fetchone()
    )
    return int(row[0]) if row else 0
