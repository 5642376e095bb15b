"""A worker: takes waiting submissions in tables through the stages, and survives what a record does to it.

Each table is one transaction, which locks the submissions first. The attempt is written after that and ends with the commit
(``attempts.py``). Submissions that failed or killed a worker twice are taken in smaller tables, at last alone, and are then
divided until the failing record is isolated (``quarantine.py``).

A table whose texts would take too much memory is rolled back, without an attempt, and half of it is taken next.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from threading import Event
from time import monotonic
from uuid import uuid4

from ratemill import heartbeat, logs
from ratemill.errors import DatabaseAway, RatemillError, TableTooLarge, Unavailable
from ratemill.intake import loop, quarantine
from ratemill.intake.attempts import Trial, WorkAttempts, is_failure, is_in_doubt
from ratemill.intake.caches import RatingCaches
from ratemill.intake.claim import waiting_rows
from ratemill.intake.conductor import BATCH_ROWS_MAX, Work, conduct
from ratemill.intake.faultpoints import die_at
from ratemill.intake.table_rows import TableRows
from ratemill.intake.turns import Turns
from ratemill.periods import growing_pause
from ratemill.settings import Settings
from ratemill.setup.in_force import book as price_books
from ratemill.store import work_attempts
from ratemill.store.connections import Connection, Database
from ratemill.store.usage import submissions, workers
from ratemill.store.usage.submissions import Choice, ClaimedSubmission, DueFeed, TableBounds
from ratemill.store.work_attempts import NewAttempt

ATTEMPTS_MAX = 2  # a table may fail twice before it is divided: the first failure may have been the world's
HEARTBEAT_S = 1.0
STAY_SEEN_S = 3.0  # a worker that is not seen for 10 s is taken for dead
DUE_FEEDS_FEW = 100  # are read in under 10 ms
DUE_USED = 10  # times as long as it takes to read more of them
DOUBT_S_MAX = 5.0  # between two tries while the server or the machine fails at everything; still seen as alive

log = logs.get(__name__)


class Worker:
    """One worker of a database; ``run`` returns when ``stopping`` is set, after the table in hand is committed."""

    def __init__(
        self, database: Database, settings: Settings, stopping: Event, caches: RatingCaches | None = None
    ) -> None:
        self._database = database
        self._settings = settings
        self._stopping = stopping
        self._worker_id = uuid4()
        self._seen_at = float("-inf")
        self._attempts = WorkAttempts(database)
        self._feeds_with_suspects_next: set[int] = set()
        self._turns = Turns()
        self._table_rows = TableRows()
        self._caches = caches or RatingCaches.within(settings)
        self._due: list[DueFeed] = []
        self._due_until = float("-inf")
        self._doubts = 0  # failures in a row that need not be a record's

    def run(self) -> None:
        """Work until told to stop, and show in the database for as long that this worker is alive."""
        heartbeat.call_also(self._stay_seen)
        loop.run(self, self._stopping)
        heartbeat.call_also(None)
        with suppress(Unavailable), self._database.worker() as connection:
            workers.remove(connection, self._worker_id)

    @property
    def pause_s(self) -> float:
        """Return the time to the next look for work, longer after each failure in a row that need not be a record's."""
        if not self._doubts:
            return self._settings.poll_interval_s
        return growing_pause(self._settings.poll_interval_s, DOUBT_S_MAX, self._doubts)

    def settle(self) -> None:
        """Write how the attempts of this worker ended."""
        self._attempts.settle()

    def step(self) -> bool:
        """Take one table of the feed whose turn it is; return whether there was any."""
        self.settle()
        self._read_due()
        worked = any(self._take(feed) for feed in self._turns.order(self._due) if not self._stopping.is_set())
        if not worked:
            self._due = []
        return worked

    def _read_due(self) -> None:
        """Read which feeds are due: after each table, so that a feed that becomes due waits for the table in hand at most.

        To read hundreds of feeds takes as long as a small table, so such a list is used for ten times as long as it took.
        """
        began = monotonic()
        if len(self._due) > DUE_FEEDS_FEW and began < self._due_until:
            return
        with self._database.worker() as connection:
            self._say_alive(connection)
            self._due = submissions.feeds_due(connection, rows_enough=BATCH_ROWS_MAX)
        ended = monotonic()
        self._due_until = ended + DUE_USED * (ended - began)

    def _say_alive(self, connection: Connection) -> None:
        if monotonic() - self._seen_at >= HEARTBEAT_S:
            workers.say_alive(connection, self._worker_id, host=socket.gethostname(), pid=os.getpid())
            self._seen_at = monotonic()

    def _stay_seen(self) -> None:
        """Show in the database that this worker is alive, next to a table that takes long."""
        if STAY_SEEN_S <= monotonic() - self._seen_at < float("inf"):
            self._seen_at = monotonic()
            with suppress(RatemillError), self._database.aside() as connection:  # never against the table in hand
                workers.note_seen(connection, self._worker_id)

    def _take(self, feed: DueFeed) -> bool:
        self._turns.note(feed)
        try:
            worked = self._take_table(feed)
        except BaseException as error:
            if not is_failure(error):
                raise
            self._doubts += is_in_doubt(error)
            if not isinstance(error, Unavailable):
                log.exception("table_failed", feed_id=feed.feed_id)
            elif not isinstance(error, DatabaseAway):
                log.warning("table_put_off", feed_id=feed.feed_id, error=str(error))
            return False  # the next feed has its turn; after the last, a pause
        if worked:
            self._doubts = 0
        return worked

    def _take_table(self, feed: DueFeed) -> bool:
        """Process one table of a feed, or one part of a submission; return whether there was any."""
        taken: list[ClaimedSubmission] = []
        try:
            return self._take_chosen(feed, taken)
        except TableTooLarge as error:
            log.info("table_too_large", feed_id=feed.feed_id, submissions=len(taken), rows=error.rows, error=str(error))
            self._take_fewer(feed, taken)
            return True

    def _take_fewer(self, feed: DueFeed, taken: list[ClaimedSubmission]) -> None:
        """Halve what was taken: the next tables of the feed have half as many records, and a single submission parts."""
        if len(taken) > 1:
            self._table_rows.halve(feed.feed_id, sum(each.rows_waiting for each in taken))
            return
        with self._attempts.transaction() as trial:
            for submission in submissions.take(trial.connection, [each.submission_id for each in taken]):
                quarantine.divide(trial.connection, submission)

    def _take_chosen(self, feed: DueFeed, in_hand: list[ClaimedSubmission]) -> bool:
        """Choose and process a table; ``in_hand`` gets the submissions that it has."""
        rows_max = self._table_rows.of(feed.feed_id, self._settings.worker_rows_max)
        bounds = TableBounds(rows_max, self._settings.worker_bytes_max)
        with self._attempts.transaction() as trial:
            choice, taken = submissions.choose(
                trial.connection,
                feed,
                bounds=bounds,
                attempts_max=ATTEMPTS_MAX,
                suspects_first=feed.feed_id in self._feeds_with_suspects_next,
            )
            self._give_turns(feed.feed_id, choice)
            if not taken:
                return False
            in_hand += taken
            if choice.is_suspect:
                return quarantine.process_next_part(trial, self._settings, self._caches, feed.feed_id, taken[0])
            rows = self._process(trial, feed.feed_id, choice, taken)
        self._table_rows.note_commit(feed.feed_id)
        die_at("after-commit", self._settings)
        log.info("table_committed", feed_id=feed.feed_id, submissions=len(taken), rows=rows)
        return True

    def _give_turns(self, feed_id: int, choice: Choice) -> None:
        """Let the suspects of a feed and its other submissions take turns: neither waits for the other to end."""
        self._feeds_with_suspects_next.discard(feed_id)
        if choice.suspects_left:
            self._feeds_with_suspects_next.add(feed_id)

    def _process(self, trial: Trial, feed_id: int, choice: Choice, taken: list[ClaimedSubmission]) -> int:
        """Process the submissions of a table; return how many records that were."""
        submission_ids = [each.submission_id for each in taken]
        price_books.load(trial.connection, taken[0].owner_id, self._caches.setup)
        trial.begin(NewAttempt("usage", taken[0].owner_id, submission_ids))
        die_at("after-claim", self._settings)
        with price_books.in_force(trial.connection, feed_id, self._caches.setup) as (feed, setup):
            waiting = waiting_rows(trial.connection, self._settings, taken)
            conduct(trial.connection, self._settings, Work(feed, setup, waiting, self._caches))
        if choice.has_failed:
            work_attempts.clear_submissions(trial.connection, submission_ids)
        return waiting.raw.height
