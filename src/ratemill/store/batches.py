"""Batches: up to 1,000 records of one feed that go through mediation together."""

from __future__ import annotations

from ratemill.store.connections import Connection, driver


def insert(
    connection: Connection,
    *,
    count: int,
    owner_id: int,
    feed_id: int,
    data_profile_id: int,
    profile_version: int,
    book_version: int,
) -> list[int]:
    """Write ``count`` new batches and return their numbers, ascending."""
    rows = driver(connection).execute(
        """
        insert into batches (owner_id, feed_id, data_profile_id, profile_version, book_version)
        select %s, %s, %s, %s, %s from generate_series(1, %s)
        returning batch_id
        """,
        (owner_id, feed_id, data_profile_id, profile_version, book_version, count),
    )
    return sorted(int(row[0]) for row in rows)
