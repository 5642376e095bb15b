"""The bound of the backlog: counted by the API where no worker does it, and explained to who is over it."""

from __future__ import annotations

from threading import Lock
from time import monotonic

from ratemill.errors import TooManyRequests, Unavailable
from ratemill.settings import Settings
from ratemill.store.connections import Database
from ratemill.store.usage import backlog
from ratemill.store.usage.backlog import Backlog, BacklogBounds

RETRY_AFTER_S = 5  # long enough for a worker to take some hundred thousand records
LOOK_EVERY_S = 1.0
WAIT_S_MAX = 3.0  # for the count of another thread; a count itself is given up after two


class BacklogKeeper:
    """Keeps the figures of the backlog fresh while requests come in; one in a process, at most one thread at work."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._counting = Lock()
        self._looked_at = monotonic()

    @property
    def is_look_due(self) -> bool:
        """Return whether this process has not looked at the figures for a second."""
        return monotonic() - self._looked_at >= LOOK_EVERY_S and not self._counting.locked()

    def look(self) -> bool:
        """Count if it is due and neither a worker nor another thread is doing it; return whether it was counted."""
        return self._count(wait_s=0)

    def refresh(self, backlog: Backlog) -> bool:
        """Count again after a request was not admitted; return whether it may be tried again.

        Figures that are too old are waited for, wherever they are counted; others are good enough to refuse by.
        """
        if backlog.is_stale:
            self._count(wait_s=WAIT_S_MAX)
            return True
        return backlog.counted_s >= LOOK_EVERY_S and self.look()

    def _count(self, *, wait_s: float) -> bool:
        if not self._counting.acquire(timeout=wait_s):
            return False
        try:
            self._looked_at = monotonic()
            with self._database.aside() as connection:
                return backlog.count_if_due(connection, wait=wait_s > 0)
        except Unavailable:  # the next look tries again
            return False
        finally:
            self._counting.release()


def bounds(settings: Settings) -> BacklogBounds:
    """Return the bounds that the settings give."""
    rows_max = settings.backlog_rows_max
    return BacklogBounds(rows_max, max(1, rows_max * settings.owner_backlog_percent_max // 100))


def refusal(settings: Settings, backlog: Backlog) -> TooManyRequests:
    """Return the error for a request that was not admitted: the bound, what waits and what to do."""
    most = bounds(settings)
    nothing = f"nothing of this request was accepted; send it again after {RETRY_AFTER_S} s"
    if backlog.is_stale:
        message = (
            f"the waiting records were last counted {backlog.counted_s:.0f} s ago, so their bound cannot be checked; "
            f"{nothing}. If this lasts, check at /healthz that a worker is alive"
        )
    elif backlog.owners > 1 and backlog.owner_rows_waiting >= most.owner_rows_max:
        message = (
            f"{backlog.owner_rows_waiting} records of this owner wait for a worker; the bound of one owner is "
            f"{most.owner_rows_max} (RATEMILL_OWNER_BACKLOG_PERCENT_MAX of RATEMILL_BACKLOG_ROWS_MAX); {nothing}"
        )
    else:
        message = (
            f"{backlog.rows_waiting} records wait for a worker, {backlog.owner_rows_waiting} of them of this owner; "
            f"the bound is {most.rows_max} (RATEMILL_BACKLOG_ROWS_MAX); {nothing}"
        )
    return TooManyRequests(message, retry_after_s=RETRY_AFTER_S)
