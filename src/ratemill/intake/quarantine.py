"""Quarantine: halve a submission that failed or killed its worker until the guilty record stands alone.

A part is tried in a transaction of its own, and that it is tried, and how far it came, is written before in another. A part
that failed is halved; a record that failed alone twice becomes an exception: an import exception if mediation failed on it,
a rating exception if rating did. All other records go on. Where the profile takes a request whole, it stays whole: it is
not halved, and its records become exceptions together.
"""

from __future__ import annotations

from contextlib import suppress

from ratemill import logs
from ratemill.errors import Unavailable
from ratemill.intake.claim import suspect_rows
from ratemill.intake.conductor import Work, condemn, conduct
from ratemill.settings import Settings
from ratemill.setup.in_force import book as price_books
from ratemill.store import resubmissions, submissions, suspects
from ratemill.store.connections import Connection, Database
from ratemill.store.submissions import Taken
from ratemill.store.suspects import Suspect

ATTEMPTS_ALONE_MAX = 2  # what cannot be halved is tried twice, so that a power cut condemns nobody

log = logs.get(__name__)


def work_off(database: Database, settings: Settings, feed_id: int, submission_id: int) -> bool:
    """Try the next part of a submission: commit it, halve it, or condemn its only record; return whether it got on."""
    suspect = _next_part(database, submission_id)
    if suspect is None:
        return False
    if suspect.attempts > 0 and not suspect.is_alone and not _is_taken_whole(database, feed_id):
        _halve(database, suspect)
        return True
    guilty = suspect.attempts >= ATTEMPTS_ALONE_MAX
    if not guilty:
        _note(database, suspect, attempts=suspect.attempts + 1)
    try:
        with database.worker() as connection:
            _try_part(database, settings, connection, feed_id, suspect, guilty=guilty)
    except Unavailable:
        if not guilty:
            with suppress(Unavailable):
                _note(database, suspect, attempts=suspect.attempts)  # the world failed: that was no attempt
        raise
    except Exception as error:  # noqa: BLE001 -- whatever a record does is what is being looked for
        log.warning("suspect_failed", submission_id=submission_id, first_row=suspect.first_row, error=repr(error))
        _note(database, suspect, attempts=suspect.attempts + 1, error=repr(error))
        return False
    return True


def _next_part(database: Database, submission_id: int) -> Suspect | None:
    """Return the part to try; the first time, that is the whole submission."""
    with database.worker() as connection:
        waiting = submissions.take(connection, [submission_id])
        if not waiting:
            return None
        if not waiting[0].has_suspects:
            _suspect_all(connection, waiting[0])
        return suspects.first(connection, submission_id)


def _is_taken_whole(database: Database, feed_id: int) -> bool:
    with database.worker() as connection:
        return price_books.worker_feed(connection, feed_id).profile.request_envelope


def _suspect_all(connection: Connection, taken: Taken) -> None:
    """List the whole submission as one part; if only rows that were sent in again wait, each of them as one."""
    if taken.started_at is None:
        suspects.insert(connection, taken.submission_id, 1, taken.row_count)
        return
    for row in resubmissions.waiting_rows(connection, taken.submission_id):
        suspects.insert(connection, taken.submission_id, row, row, sent_again=True)


def _halve(database: Database, suspect: Suspect) -> None:
    middle = (suspect.first_row + suspect.last_row) // 2
    with database.worker() as connection:
        if not submissions.take(connection, [suspect.submission_id]) or not suspects.is_listed(connection, suspect):
            return
        suspects.remove(connection, suspect)
        suspects.insert(connection, suspect.submission_id, suspect.first_row, middle)
        suspects.insert(connection, suspect.submission_id, middle + 1, suspect.last_row)


def _try_part(
    database: Database,
    settings: Settings,
    connection: Connection,
    feed_id: int,
    suspect: Suspect,
    *,
    guilty: bool,
) -> None:
    taken = submissions.take(connection, [suspect.submission_id])
    if not taken or not suspects.is_listed(connection, suspect):
        return
    with price_books.in_force(connection, feed_id) as (feed, setup):
        work = Work(
            feed,
            setup,
            suspect_rows(connection, settings, taken[0], suspect),
            stage=lambda stage: _note(database, suspect, attempts=suspect.attempts + 1, stage=stage),
        )
        if guilty:
            condemn(
                connection, settings, work, stage=suspect.stage or "mediation", error=suspect.error or "the worker died"
            )
        else:
            conduct(connection, settings, work)
    suspects.remove(connection, suspect)


def _note(
    database: Database,
    suspect: Suspect,
    *,
    attempts: int,
    stage: str | None = None,
    error: str | None = None,
) -> None:
    with database.worker() as connection:
        suspects.note(connection, suspect, attempts=attempts, stage=stage, error=error)
