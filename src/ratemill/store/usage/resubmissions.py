"""Resubmissions: rows that were edited and sent in again in the place of refused ones."""

from __future__ import annotations

from ratemill.store.connections import Connection, driver


def insert(
    connection: Connection,
    *,
    submission_id: int,
    row_index: int,
    revision: int,
    owner_id: int,
    is_object: bool,
    raw: str,
    created_by: str,
) -> None:
    """Write a row as it was edited; it waits from now on."""
    driver(connection).execute(
        """
        insert into resubmissions (submission_id, row_index, revision, owner_id, is_object, raw, created_by)
        values (%s, %s, %s, %s, %s, %s, %s)
        """,
        (submission_id, row_index, revision, owner_id, is_object, raw, created_by),
    )


def take(connection: Connection, submission_id: int, first_row: int, last_row: int) -> list[tuple[int, int, bool, str]]:
    """Mark the waiting rows of a submission between two as taken; return row index, revision, whether an object, text."""
    rows = driver(connection).execute(
        """
        update resubmissions set taken_at = clock_timestamp()
        where submission_id = %s and row_index between %s and %s and taken_at is null
        returning row_index, revision, is_object, raw
        """,
        (submission_id, first_row, last_row),
    )
    return rows.fetchall()


def waiting_rows(connection: Connection, submission_id: int) -> list[int]:
    """Return the row indexes of a submission that wait, edited."""
    rows = driver(connection).execute(
        "select row_index from resubmissions where submission_id = %s and taken_at is null order by row_index",
        (submission_id,),
    )
    return [int(row[0]) for row in rows]
