"""Suspects: the parts of a submission that failed or killed its worker, on the way to the guilty record."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg.rows import class_row

from ratemill.store.connections import Connection, driver


@dataclass(frozen=True, slots=True)
class Suspect:
    """The rows [first_row, last_row] of a submission; ``stage`` is the one in which work on them was last.

    ``sent_again``: not the rows as they first came, but as they were edited and sent in again.
    """

    submission_id: int
    first_row: int
    last_row: int
    attempts: int
    sent_again: bool
    stage: str | None
    error: str | None

    @property
    def is_alone(self) -> bool:
        """Whether one record is left."""
        return self.first_row == self.last_row


def first(connection: Connection, submission_id: int) -> Suspect | None:
    """Return the next part of a submission to try, those tried least first."""
    cursor = driver(connection).cursor(row_factory=class_row(Suspect))
    cursor.execute(
        "select submission_id, first_row, last_row, attempts, sent_again, stage, error from suspects"
        " where submission_id = %s order by attempts, first_row limit 1",
        (submission_id,),
    )
    return cursor.fetchone()


def is_listed(connection: Connection, suspect: Suspect) -> bool:
    """Whether this very part is still to be worked off."""
    row = (
        driver(connection)
        .execute(
            "select from suspects where submission_id = %s and first_row = %s and last_row = %s",
            (suspect.submission_id, suspect.first_row, suspect.last_row),
        )
        .fetchone()
    )
    return row is not None


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


def note(connection: Connection, suspect: Suspect, *, attempts: int, stage: str | None, error: str | None) -> None:
    """Write down how often a part was tried, how far work on it has come, and what went wrong."""
    driver(connection).execute(
        "update suspects set attempts = %s, stage = coalesce(%s, stage), error = coalesce(%s, error)"
        " where submission_id = %s and first_row = %s",
        (attempts, stage, error, suspect.submission_id, suspect.first_row),
    )


def remove(connection: Connection, suspect: Suspect) -> None:
    """Take a part off the list: it is worked off, or halved."""
    driver(connection).execute(
        "delete from suspects where submission_id = %s and first_row = %s",
        (suspect.submission_id, suspect.first_row),
    )
