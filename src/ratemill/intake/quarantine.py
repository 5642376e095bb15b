"""Quarantine: divide a submission that failed or killed its worker until the failing record is isolated.

A part is tried in a transaction of its own, which holds the submission. A part that failed is halved. A record that failed
alone with an error ``FAILURES_ALONE_MAX`` times, or ended ``DEATHS_ALONE_MAX`` workers, becomes an exception: an import
exception if mediation failed on it, a rating exception if rating did. All other records go on. Where the profile takes a
request whole, it stays whole: it is not halved, and its records become exceptions together.

A submission whose texts would take too much memory is divided in the same way and refuses nothing.
"""

from __future__ import annotations

from ratemill import logs
from ratemill.errors import fail
from ratemill.intake.attempts import DEATHS_ALONE_MAX, FAILURES_ALONE_MAX, Trial
from ratemill.intake.caches import RatingCaches
from ratemill.intake.claim import suspect_rows
from ratemill.intake.conductor import Work, conduct, refuse_work
from ratemill.settings import Settings
from ratemill.setup.in_force import book as price_books
from ratemill.store import work_attempts
from ratemill.store.connections import Connection
from ratemill.store.usage import resubmissions, suspects
from ratemill.store.usage.submissions import ClaimedSubmission
from ratemill.store.usage.suspects import Suspect
from ratemill.store.work_attempts import NewAttempt

log = logs.get(__name__)


def process_next_part(
    trial: Trial, settings: Settings, caches: RatingCaches, feed_id: int, taken: ClaimedSubmission
) -> bool:
    """Try the next part of a submission that the transaction holds: process it, halve it, or refuse its only record."""
    if not taken.has_suspects:
        _list(trial.connection, taken)
        return True
    suspect = suspects.first(trial.connection, taken.submission_id)
    if suspect is None:
        fail(f"submission {taken.submission_id} has parts and none to try")
    if suspect.attempts > 0 and not suspect.is_alone and not _is_taken_whole(trial.connection, caches, feed_id):
        _halve(trial.connection, suspect)
        return True
    _try(trial, settings, caches, feed_id, taken=taken, suspect=suspect)
    _remove(trial.connection, suspect)
    if suspects.first(trial.connection, taken.submission_id) is None:
        work_attempts.clear_submissions(trial.connection, [taken.submission_id])
    return True


def divide(connection: Connection, taken: ClaimedSubmission) -> None:
    """Divide the next part of a submission whose texts would take too much memory, without an attempt at it.

    The caller holds the submission. Nothing is divided if another worker has come further meanwhile.
    """
    if not taken.has_suspects:
        _list(connection, taken)
    suspect = suspects.first(connection, taken.submission_id)
    if suspect is not None and not suspect.is_alone:
        _halve(connection, suspect)


def _list(connection: Connection, taken: ClaimedSubmission) -> None:
    """List the whole submission as one part; if only rows that were sent in again wait, each of them as one."""
    if taken.started_at is None:
        suspects.insert(connection, taken.submission_id, 1, taken.row_count)
        return
    for row in resubmissions.waiting_rows(connection, taken.submission_id):
        suspects.insert(connection, taken.submission_id, row, row, sent_again=True)


def _is_taken_whole(connection: Connection, caches: RatingCaches, feed_id: int) -> bool:
    return price_books.worker_feed(connection, feed_id, caches.setup).profile.request_envelope


def _halve(connection: Connection, suspect: Suspect) -> None:
    middle = (suspect.first_row + suspect.last_row) // 2
    _remove(connection, suspect)
    suspects.insert(connection, suspect.submission_id, suspect.first_row, middle)
    suspects.insert(connection, suspect.submission_id, middle + 1, suspect.last_row)


def _remove(connection: Connection, suspect: Suspect) -> None:
    suspects.remove(connection, suspect)
    work_attempts.clear_part(connection, suspect.submission_id, suspect.first_row)


def _is_at_fault(suspect: Suspect) -> bool:
    return max(suspect.failures, suspect.doubts) >= FAILURES_ALONE_MAX or suspect.deaths >= DEATHS_ALONE_MAX


def _try(
    trial: Trial, settings: Settings, caches: RatingCaches, feed_id: int, *, taken: ClaimedSubmission, suspect: Suspect
) -> None:
    refuses = _is_at_fault(suspect)
    rows = suspect.first_row, suspect.last_row
    begun = NewAttempt("usage", taken.owner_id, [taken.submission_id], rows, "refusal" if refuses else None)
    price_books.load(trial.connection, taken.owner_id, caches.setup)
    trial.begin(begun)
    with price_books.in_force(trial.connection, feed_id, caches.setup) as (feed, setup):
        waiting = suspect_rows(trial.connection, settings, taken, suspect)
        work = Work(feed, setup, waiting, caches, stage=trial.note_stage)
        if refuses:
            _refuse(trial.connection, settings, work, suspect)
        else:
            conduct(trial.connection, settings, work)


def _refuse(connection: Connection, settings: Settings, work: Work, suspect: Suspect) -> None:
    stage = "mediation" if suspect.refusals else suspect.stage or "mediation"  # mediation may fail where rating did
    error = suspect.error or f"the worker died on it {suspect.deaths} times"
    refuse_work(connection, settings, work, stage=stage, error=error)
    log.warning("part_refused", submission_id=suspect.submission_id, first_row=suspect.first_row, error=error)
