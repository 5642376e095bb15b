"""A worker: looks for waiting submissions, takes them in tables through the stages, and survives what a record does to it.

The attempt is written before the work, in a transaction of its own, and taken back where the world failed and not a
record. Submissions that failed or killed a worker twice are taken alone and halved until the guilty record is found
(``quarantine.py``).
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from threading import Event
from time import monotonic
from uuid import uuid4

from ratemill import heartbeat, logs
from ratemill.errors import DatabaseAway, Unavailable
from ratemill.intake import quarantine
from ratemill.intake.claim import waiting_rows
from ratemill.intake.conductor import BATCH_ROWS_MAX, Work, conduct
from ratemill.intake.faultpoints import die_at
from ratemill.settings import Settings
from ratemill.setup.in_force import book as price_books
from ratemill.store import submissions, workers
from ratemill.store.connections import Connection, Database
from ratemill.store.submissions import DueFeed

ATTEMPTS_MAX = 2  # a table may fail twice before it is halved: the first failure may have been the world's
HEARTBEAT_S = 1.0
STAY_SEEN_S = 3.0  # a worker that is not seen for 10 s is taken for dead
AWAY_S = 0.5  # between two tries to reach a database that is away

log = logs.get(__name__)


class Worker:
    """One worker of a database; ``run`` returns when ``stopping`` is set, after the table in hand is committed."""

    def __init__(self, database: Database, settings: Settings, stopping: Event) -> None:
        self._database = database
        self._settings = settings
        self._stopping = stopping
        self._worker_id = uuid4()
        self._seen_at = float("-inf")

    def run(self) -> None:
        """Work until told to stop; a database that does not answer is waited for."""
        heartbeat.call_also(self._stay_seen)
        while not self._stopping.is_set():
            try:
                worked = self.step()
            except DatabaseAway:  # the database handle logs it
                self._stopping.wait(AWAY_S)
                continue
            except Unavailable as error:
                log.warning("step_put_off", error=str(error))
                worked = False
            if not worked:
                self._stopping.wait(self._settings.poll_interval_s)
        heartbeat.call_also(None)
        with suppress(Unavailable), self._database.worker() as connection:
            workers.remove(connection, self._worker_id)

    def step(self) -> bool:
        """Take one table of each feed that is due; return whether any was."""
        heartbeat.beat()
        with self._database.worker() as connection:
            self._say_alive(connection)
            due = submissions.feeds_due(connection, rows_enough=BATCH_ROWS_MAX)
        return any([self._take(feed) for feed in due if not self._stopping.is_set()])  # noqa: C419 -- each feed gets its turn

    def _say_alive(self, connection: Connection) -> None:
        if monotonic() - self._seen_at >= HEARTBEAT_S:
            workers.say_alive(connection, self._worker_id, host=socket.gethostname(), pid=os.getpid())
            self._seen_at = monotonic()

    def _stay_seen(self) -> None:
        """Show in the database that this worker is alive, next to a table that takes long."""
        if STAY_SEEN_S <= monotonic() - self._seen_at < float("inf"):
            self._seen_at = monotonic()
            with suppress(Unavailable), self._database.aside() as connection:
                workers.note_seen(connection, self._worker_id)

    def _take(self, feed: DueFeed) -> bool:
        with self._database.worker() as connection:
            chosen = submissions.note_attempt(
                connection,
                feed,
                rows_max=self._settings.worker_rows_max,
                attempts_max=ATTEMPTS_MAX,
            )
        if not chosen.submission_ids:
            return False
        try:
            if chosen.is_suspect:
                return quarantine.work_off(self._database, self._settings, feed.feed_id, chosen.submission_ids[0])
            self._work_off(feed.feed_id, chosen.submission_ids)
        except Unavailable as error:
            if not isinstance(error, DatabaseAway):
                log.warning("table_put_off", feed_id=feed.feed_id, error=str(error))
            self._forget_attempt(chosen.submission_ids)
            return False  # the other feeds get their turn
        except Exception:
            log.exception("table_failed", feed_id=feed.feed_id, submissions=len(chosen.submission_ids))
            return False  # pause before the next try
        return True

    def _forget_attempt(self, submission_ids: list[int]) -> None:
        with suppress(Unavailable), self._database.worker() as connection:
            submissions.forget_attempt(connection, submission_ids)

    def _work_off(self, feed_id: int, submission_ids: list[int]) -> None:
        with self._database.worker() as connection:
            held = submissions.take(connection, submission_ids)
            taken = [each for each in held if not each.has_suspects]  # another worker takes the others apart
            if not taken:
                return
            die_at("after-claim", self._settings)
            with price_books.in_force(connection, feed_id) as (feed, setup):
                waiting = waiting_rows(connection, self._settings, taken)
                conduct(connection, self._settings, Work(feed, setup, waiting))
        die_at("after-commit", self._settings)
        log.info("table_committed", feed_id=feed_id, submissions=len(taken), rows=waiting.raw.height)
