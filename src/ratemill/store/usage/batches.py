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


def release_refused(connection: Connection, batch_id: int, submission_id: int) -> int:
    """Take a refused record that waits again out of the counts of its batch; return how many spans that touched."""
    return (
        driver(connection)
        .execute(
            """
            update batch_spans set rows_received = rows_received - 1, rows_refused = rows_refused - 1
            where batch_id = %s and submission_id = %s
            """,
            (batch_id, submission_id),
        )
        .rowcount
    )


def write_off_excepted(connection: Connection, batch_id: int, submission_id: int) -> int:
    """Count a rating exception of a batch as written off; return how many spans that touched."""
    return (
        driver(connection)
        .execute(
            """
            update batch_spans set rows_excepted = rows_excepted - 1, rows_written_off = rows_written_off + 1
            where batch_id = %s and submission_id = %s
            """,
            (batch_id, submission_id),
        )
        .rowcount
    )


def rate_excepted(connection: Connection, batch_ids: list[int], submission_ids: list[int], rows: list[int]) -> int:
    """Count rating exceptions as rated, so many of each batch and submission; return how many spans that touched."""
    return (
        driver(connection)
        .execute(
            """
            update batch_spans s set rows_excepted = s.rows_excepted - r.rows, rows_rated = s.rows_rated + r.rows
            from unnest(%s::bigint[], %s::bigint[], %s::integer[]) as r (batch_id, submission_id, rows)
            where s.batch_id = r.batch_id and s.submission_id = r.submission_id
            """,
            (batch_ids, submission_ids, rows),
        )
        .rowcount
    )
