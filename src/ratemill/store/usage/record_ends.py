"""What of a record's life stands in neither charges nor exceptions: its row, its edits, skipped and duplicate ends, batches.

Records are named by two lists, side by side: submissions and row indexes.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg.rows import class_row

from ratemill.store.connections import Connection, driver

_RECORDS = "unnest(%(submission_ids)s::bigint[], %(row_indexes)s::integer[]) as r (submission_id, row_index)"


@dataclass(frozen=True, slots=True)
class SkippedRecord:
    """A record that the filter of the profile did not let through."""

    submission_id: int
    row_index: int
    batch_id: int


@dataclass(frozen=True, slots=True)
class DuplicateRecord:
    """A record that repeats another, and where that one is."""

    submission_id: int
    row_index: int
    batch_id: int
    of_submission_id: int
    of_row_index: int
    of_request_tracking_id: UUID
    of_batch_id: int | None


@dataclass(frozen=True, slots=True)
class Revision:
    """A row as it was edited and sent in again; ``taken_at`` is None while it waits."""

    submission_id: int
    row_index: int
    revision: int
    raw: str
    created_at: datetime
    created_by: str
    taken_at: datetime | None


@dataclass(frozen=True, slots=True)
class RawBody:
    """A submission's raw body as it is stored, None once retention has removed it."""

    submission_id: int
    route: str
    body: bytes | None


@dataclass(frozen=True, slots=True)
class Arrival:
    """How a submission came, and when."""

    route: str
    accepted_at: datetime

    @property
    def are_objects(self) -> bool:
        """Whether its rows came as JSON objects."""
        return self.route != "rows"


def arrivals(connection: Connection, submission_ids: list[int]) -> dict[int, Arrival]:
    """Return how each of the submissions came."""
    rows = driver(connection).execute(
        "select submission_id, route, accepted_at from submissions where submission_id = any(%s)", (submission_ids,)
    )
    return {int(submission_id): Arrival(*arrival) for submission_id, *arrival in rows}


def skipped(connection: Connection, submission_ids: list[int], row_indexes: list[int]) -> list[SkippedRecord]:
    """Return those of the records that were skipped."""
    cursor = driver(connection).cursor(row_factory=class_row(SkippedRecord))
    cursor.execute(
        f"select k.submission_id, k.row_index, k.batch_id from {_RECORDS} join skipped k using (submission_id, row_index)",
        {"submission_ids": submission_ids, "row_indexes": row_indexes},
    )
    return cursor.fetchall()


def duplicates(connection: Connection, submission_ids: list[int], row_indexes: list[int]) -> list[DuplicateRecord]:
    """Return those of the records that are duplicates; the record that one repeats was imported, so it has a batch."""
    cursor = driver(connection).cursor(row_factory=class_row(DuplicateRecord))
    cursor.execute(
        f"""
        select d.submission_id, d.row_index, d.batch_id, d.of_submission_id, d.of_row_index,
            s.request_tracking_id as of_request_tracking_id,
            coalesce(
                (select c.batch_id from charges c
                 where c.submission_id = d.of_submission_id and c.row_index = d.of_row_index order by run, entry limit 1),
                (select e.batch_id from rating_exceptions e
                 where e.submission_id = d.of_submission_id and e.row_index = d.of_row_index)
            ) as of_batch_id
        from {_RECORDS}
        join duplicates d using (submission_id, row_index)
        join submissions s on s.submission_id = d.of_submission_id
        """,
        {"submission_ids": submission_ids, "row_indexes": row_indexes},
    )
    return cursor.fetchall()


def revisions(connection: Connection, submission_ids: list[int], row_indexes: list[int]) -> list[Revision]:
    """Return every edit of the records, oldest first."""
    cursor = driver(connection).cursor(row_factory=class_row(Revision))
    cursor.execute(
        f"""
        select v.submission_id, v.row_index, v.revision, v.raw, v.created_at, v.created_by, v.taken_at
        from {_RECORDS} join resubmissions v using (submission_id, row_index)
        order by v.submission_id, v.row_index, v.revision
        """,
        {"submission_ids": submission_ids, "row_indexes": row_indexes},
    )
    return cursor.fetchall()


def profile_versions(connection: Connection, batch_ids: list[int]) -> dict[int, int]:
    """Return the version of the data profile with which each batch was mediated."""
    rows = driver(connection).execute(
        "select batch_id, profile_version from batches where batch_id = any(%s)", (batch_ids,)
    )
    return {int(batch_id): int(version) for batch_id, version in rows}


def bodies(connection: Connection, submission_ids: list[int]) -> list[RawBody]:
    """Return the raw bodies of the submissions."""
    cursor = driver(connection).cursor(row_factory=class_row(RawBody), binary=True)
    cursor.execute(
        """
        select s.submission_id, s.route, b.body
        from submissions s left join submission_bodies b using (submission_id)
        where s.submission_id = any(%s)
        """,
        (submission_ids,),
    )
    return cursor.fetchall()


def names_of_batch(connection: Connection, batch_id: int, limit: int) -> list[tuple[int, int]]:
    """Return the first records, by submission and row, that a batch took and that have not gone to another since."""
    rows = driver(connection).execute(
        """
        with span as materialized (
            select submission_id, min(first_row) as first_row, max(last_row) as last_row
            from batch_spans where batch_id = %(batch_id)s group by submission_id
        )
        select distinct e.submission_id, e.row_index
        from span cross join lateral (
            select submission_id, row_index, batch_id from charges c where c.submission_id = span.submission_id
            union all select submission_id, row_index, batch_id from rating_exceptions x
                where x.submission_id = span.submission_id
            union all select submission_id, row_index, batch_id from skipped k where k.submission_id = span.submission_id
            union all select submission_id, row_index, batch_id from duplicates d
                where d.submission_id = span.submission_id
            union all select submission_id, row_index, batch_id from import_exceptions i
                where i.submission_id = span.submission_id
        ) e
        where e.batch_id = %(batch_id)s and e.row_index between span.first_row and span.last_row
        order by e.submission_id, e.row_index limit %(size)s
        """,
        {"batch_id": batch_id, "size": limit},
    )
    return [(int(submission_id), int(row_index)) for submission_id, row_index in rows]
