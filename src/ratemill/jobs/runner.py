"""The runner: looks for jobs that are due and works on each in turn, a table at a time, so that none waits for another."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event
from time import monotonic
from typing import TYPE_CHECKING

from ratemill import logs
from ratemill.errors import DatabaseAway, Unavailable
from ratemill.heartbeat import beat
from ratemill.intake import loop
from ratemill.intake.attempts import is_in_doubt
from ratemill.jobs.characteristics import batches as characteristic_batches
from ratemill.jobs.subscriptions import imports as subscription_imports
from ratemill.jobs.subscriptions.imports import LineReader
from ratemill.jobs.work import tables
from ratemill.periods import growing_pause
from ratemill.settings import Settings
from ratemill.store.characteristics import jobs as characteristic_jobs
from ratemill.store.charges import reprocesses
from ratemill.store.connections import Database
from ratemill.store.subscriptions import jobs as subscription_jobs

if TYPE_CHECKING:
    from ratemill.intake.caches import RatingCaches

POLL_S = 0.2
DOUBT_S_MAX = 60.0  # between two tries at a job while the server or the machine may be the cause of its failures

log = logs.get(__name__)


class Runner:
    """One runner of a database; ``run`` returns when ``stopping`` is set, after the table in hand is committed."""

    def __init__(self, database: Database, settings: Settings, stopping: Event) -> None:
        self._database = database
        self._settings = settings
        self._stopping = stopping
        self._line_reader = LineReader()
        self._caches: RatingCaches | None = None  # made when there is something to rate
        self._put_off: dict[tuple[str, int], tuple[float, int]] = {}  # until when, after how many failures in doubt

    def run(self) -> None:
        """Work until told to stop; a database that does not answer is waited for."""
        loop.run(self, self._stopping)

    @property
    def pause_s(self) -> float:
        """Return the time to the next look for jobs."""
        return POLL_S

    def settle(self) -> None:
        """Write how the attempts of this runner ended."""
        tables.settle(self._database)

    def step(self) -> bool:
        """Process one table of each job that is due; return whether any was."""
        with self._database.worker() as connection:
            orders, batches = reprocesses.due(connection), characteristic_jobs.due(connection)
            imports = subscription_jobs.due(connection)
        due = [
            *((self._rate_table, number) for number in orders),
            *((self._item_table, number) for number in batches),
            *((self._line_table, number) for number in imports),
        ]
        return any([self._run_table(run, number) for run, number in due if not self._stopping.is_set()])  # noqa: C419 -- each gets its turn

    def _run_table(self, run: Callable[[int], bool], number: int) -> bool:
        job = run.__name__, number
        until, doubts = self._put_off.get(job, (0.0, 0))
        if monotonic() < until:
            return False
        try:
            beat()
            worked = run(number)
        except Unavailable as error:
            if is_in_doubt(error) or is_in_doubt(error.__cause__):
                self._put_off[job] = monotonic() + growing_pause(POLL_S, DOUBT_S_MAX, doubts), doubts + 1
            if not isinstance(error, DatabaseAway):
                log.warning("job_put_off", job=run.__name__, number=number, error=str(error))
            return False  # the other orders get their turn
        self._put_off.pop(job, None)
        return worked

    def _rate_table(self, reprocess_id: int) -> bool:
        # The table engine is loaded when there is work: most of the time there is none.
        from ratemill.intake.caches import RatingCaches
        from ratemill.jobs import reprocess

        if self._caches is None:
            self._caches = RatingCaches.within(self._settings)
        return reprocess.run_table(self._database, self._settings, reprocess_id, self._caches)

    def _item_table(self, batch_id: int) -> bool:
        return characteristic_batches.run_table(self._database, self._settings, batch_id)

    def _line_table(self, import_number: int) -> bool:
        return subscription_imports.run_table(self._database, self._settings, import_number, self._line_reader)
