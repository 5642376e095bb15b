"""Suspects: the parts of a submission that failed or killed its worker, on the way to the failing record."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg.rows import class_row

from ratemill.store.connections import Connection, driver

_FIRST = """
    select p.submission_id, p.first_row, p.last_row, p.sent_again, t.attempts, t.failures, t.deaths, t.doubts,
        t.refusals, t.stage, t.error
    from suspects p cross join lateral (
        select count(*)::integer as attempts, (count(a.error) filter (where not a.in_doubt))::integer as failures,
            (count(*) - count(a.error))::integer as deaths,
            (count(distinct a.last_batch) filter (
                where a.in_doubt and a.last_batch < (select max(batch_id) from batches)
            ))::integer as doubts,
            (count(*) filter (where a.stage = 'refusal'))::integer as refusals,
            (array_agg(a.stage order by a.begun_at desc) filter (where a.stage <> 'refusal'))[1] as stage,
            (array_agg(a.error order by a.begun_at desc) filter (where a.error is not null))[1] as error
        from work_attempts a
        where a.kind = 'usage' and a.first_row = p.first_row and a.numbers = array[p.submission_id]
    ) t
    where p.submission_id = %s order by t.attempts, p.first_row limit 1
"""


@dataclass(frozen=True, slots=True)
class Suspect:
    """The rows [first_row, last_row] of a submission, and how work on them ended before.

    ``sent_again``: the rows are those that were edited and sent in again. ``deaths`` ended without an error, ``doubts``
    with one that was at least as likely the server's. Doubts count as one until other records are processed: so a record
    has two only if it failed, others passed, it failed again and others passed again.
    ``refusals`` are the attempts to refuse the rows. ``stage`` is the stage that the last attempt reached.
    """

    submission_id: int
    first_row: int
    last_row: int
    sent_again: bool
    attempts: int
    failures: int
    deaths: int
    doubts: int
    refusals: int
    stage: str | None
    error: str | None

    @property
    def is_alone(self) -> bool:
        """Whether one record is left."""
        return self.first_row == self.last_row


def first(connection: Connection, submission_id: int) -> Suspect | None:
    """Return the next part of a submission to try, the least tried first; the caller holds the submission."""
    cursor = driver(connection).cursor(row_factory=class_row(Suspect))
    cursor.execute(_FIRST, (submission_id,))
    return cursor.fetchone()


def divided(connection: Connection, submission_ids: list[int]) -> set[int]:
    """Return those of the submissions that have parts to try."""
    rows = driver(connection).execute(
        "select distinct submission_id from suspects where submission_id = any(%s)", (submission_ids,)
    )
    return {row[0] for row in rows}


def insert(
    connection: Connection,
    submission_id: int,
    first_row: int,
    last_row: int,
    *,
    sent_again: bool = False,
) -> None:
    """Add a part that has not been tried."""
    driver(connection).execute(
        "insert into suspects (submission_id, first_row, last_row, sent_again) values (%s, %s, %s, %s)",
        (submission_id, first_row, last_row, sent_again),
    )


def remove(connection: Connection, suspect: Suspect) -> None:
    """Take a part off the list: it is processed or divided."""
    driver(connection).execute(
        "delete from suspects where submission_id = %s and first_row = %s",
        (suspect.submission_id, suspect.first_row),
    )
