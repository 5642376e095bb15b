"""Attempts: the work that a process has begun and not finished, and what became of it.

A row is written after the work is locked, in a transaction of its own, and deleted by the transaction that commits the
work. A row that is left is evidence against a record: the process failed on it (``error``) or died on it (no error). An
attempt that ended because the database was away is deleted as soon as the database is back, unless the server crashed
meanwhile: a record that crashes the server must be found like one that kills the worker.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from psycopg.rows import class_row

from ratemill.store.connections import Connection, driver

ERROR_CHARS_MAX = 1_000

Kind = Literal["usage", "reprocess", "characteristics", "subscriptions"]

# The server resets these statistics when it recovers from a crash, and at no clean restart.
_SERVER_RUN = "(select stats_reset from pg_stat_bgwriter)"
_OF_SUBMISSIONS = """
    a.kind = 'usage' and a.first_row is null and a.numbers[1] <= %(last)s
    and a.numbers[cardinality(a.numbers)] >= %(first)s
"""


@dataclass(frozen=True, slots=True)
class NewAttempt:
    """Work that begins: submissions in ascending order, or one job; ``rows`` are the part of a single submission."""

    kind: Kind
    owner_id: int
    numbers: Sequence[int]
    rows: tuple[int, int] | None = None
    stage: str | None = None


@dataclass(frozen=True, slots=True)
class FailedTables:
    """How many tables with a submission were begun and not finished, and how many submissions the smallest had."""

    number: int
    tables: int
    submissions_min: int


def begin(connection: Connection, attempt_id: UUID, attempt: NewAttempt) -> None:
    """Write that work begins; the caller holds the lock on it in another transaction."""
    first_row, last_row = attempt.rows or (None, None)
    driver(connection).execute(
        f"""
        insert into work_attempts (attempt_id, owner_id, kind, numbers, first_row, last_row, stage, server_run, last_batch)
        values (%s, %s, %s, %s, %s, %s, %s, {_SERVER_RUN}, (select coalesce(max(batch_id), 0) from batches))
        """,
        (attempt_id, attempt.owner_id, attempt.kind, list(attempt.numbers), first_row, last_row, attempt.stage),
    )


def finish(connection: Connection, attempt_id: UUID) -> None:
    """Delete an attempt in the transaction that commits its work."""
    driver(connection).execute("delete from work_attempts where attempt_id = %s", (attempt_id,))


def forget(connection: Connection, attempt_id: UUID) -> None:
    """Delete an attempt that ended because the database was away; one during which the server crashed is kept."""
    driver(connection).execute(
        f"delete from work_attempts where attempt_id = %s and server_run = {_SERVER_RUN}", (attempt_id,)
    )


def note_error(connection: Connection, attempt_id: UUID, error: str, *, in_doubt: bool) -> None:
    """Write that the work failed, and with which error; ``in_doubt``: the record need not be the cause."""
    storable = error.replace("\0", "\\0").encode(errors="backslashreplace").decode()[:ERROR_CHARS_MAX]
    driver(connection).execute(
        "update work_attempts set error = %s, in_doubt = %s where attempt_id = %s", (storable, in_doubt, attempt_id)
    )


def note_stage(connection: Connection, attempt_id: UUID, stage: str) -> None:
    """Write which stage begins."""
    driver(connection).execute("update work_attempts set stage = %s where attempt_id = %s", (stage, attempt_id))


def of_submissions(connection: Connection, submission_ids: Sequence[int]) -> dict[int, FailedTables]:
    """Return the attempts at tables with these submissions, which the caller has locked, by submission."""
    if not submission_ids:
        return {}
    cursor = driver(connection).cursor(row_factory=class_row(FailedTables))
    cursor.execute(
        f"""
        select n.number, count(*)::integer as tables, min(cardinality(a.numbers)) as submissions_min
        from work_attempts a, unnest(a.numbers) n (number)
        where {_OF_SUBMISSIONS} and n.number = any(%(submission_ids)s)
        group by n.number
        """,
        _bounds(submission_ids),
    )
    return {failed.number: failed for failed in cursor}


def clear_submissions(connection: Connection, submission_ids: Sequence[int]) -> None:
    """Delete what is known against submissions: they are processed. Call it last before the commit."""
    values = _bounds(submission_ids)
    # The rows are locked in order, so that two workers that clear the same ones never deadlock.
    driver(connection).execute(
        f"""
        with held as (select attempt_id from work_attempts a where {_OF_SUBMISSIONS} order by attempt_id for update)
        update work_attempts a
        set numbers = array(select n from unnest(a.numbers) n where n <> all(%(submission_ids)s) order by n)
        from held where a.attempt_id = held.attempt_id
        """,
        values,
    )
    driver(connection).execute("delete from work_attempts where numbers = '{}'")


def clear_part(connection: Connection, submission_id: int, first_row: int) -> None:
    """Delete what is known against a part of a submission: it is processed or divided."""
    driver(connection).execute(
        "delete from work_attempts where kind = 'usage' and first_row = %s and numbers = array[%s::bigint]",
        (first_row, submission_id),
    )


def clear_stale(connection: Connection) -> None:
    """Delete what is known against submissions that were processed, and jobs that ended, in the meantime.

    A job that still waits after a week loses no more than the count of its failures.
    """
    driver(connection).execute(
        "delete from work_attempts where kind <> 'usage' and begun_at < clock_timestamp() - interval '7 days'"
    )
    driver(connection).execute(
        """
        delete from work_attempts a where a.kind = 'usage' and a.begun_at < clock_timestamp() - interval '1 hour'
            and not exists (select from submissions s where s.submission_id = any(a.numbers) and s.rows_waiting > 0)
        """
    )


def of_job(connection: Connection, kind: Kind, number: int) -> list[str | None]:
    """Return the attempts at a job since its last table was committed, in order.

    Each is the error, or None if the process died or the row need not be the cause.
    """
    rows = driver(connection).execute(
        """
        select case when not in_doubt then error end from work_attempts
        where kind = %s and numbers = array[%s::bigint] order by begun_at
        """,
        (kind, number),
    )
    return [row[0] for row in rows]


def clear_job(connection: Connection, kind: Kind, number: int) -> None:
    """Delete what is known against the last table of a job: it is committed."""
    driver(connection).execute(
        "delete from work_attempts where kind = %s and numbers = array[%s::bigint]", (kind, number)
    )


def _bounds(submission_ids: Sequence[int]) -> dict[str, object]:
    return {
        "submission_ids": list(submission_ids),
        "first": min(submission_ids, default=0),
        "last": max(submission_ids, default=0),
    }
