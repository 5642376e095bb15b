"""Presence: whether the server answers, as one process sees it, and the log of that.

All connections of a process share one ``Presence``. It logs one line a minute while the database is away and one when it is
back, and it tells a frozen server from a slow statement by trying a fresh connection.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from time import monotonic

import psycopg

from ratemill import logs
from ratemill.errors import DatabaseAway
from ratemill.store.server.bounded import ServerSilent, was_silent

LOG_S = 60.0  # one line in this time while the database is away
DOUBT_S = 2.0  # a server that answered no statement for so long is tried by a fresh connection
TRY_S = 1.0  # while the database is away, one caller in this time tries it; the others are refused immediately

log = logs.get(__name__)


class Presence:
    """Whether the server answers; ``try_to_connect`` opens and closes a connection of its own in a short bounded time."""

    def __init__(self, try_to_connect: Callable[[], None]) -> None:
        self._try_to_connect = try_to_connect
        self._trying = Lock()
        self._lock = Lock()
        self._answered_at = self._tried_at = self._logged_at = float("-inf")
        self._away_since: float | None = None
        self._away_logged = False
        self._failures = 0
        self._last: DatabaseAway | None = None

    def answered(self) -> None:
        """Note that the server answered; log that it is back if it was away."""
        self._answered_at = monotonic()
        if self._away_since is None:
            return
        with self._lock:
            since, self._away_since = self._away_since, None
            logged, self._away_logged = self._away_logged, False
            failures, self._failures = self._failures, 0
        if since is not None and logged:
            log.info("database_back", away_s=round(self._answered_at - since, 1), failures=failures)

    def failed(self, error: DatabaseAway, *, away: bool) -> None:
        """Note and log a failure; ``away``: the connection is lost or there was none, so the next ones fail too."""
        now = monotonic()
        with self._lock:
            self._failures += 1
            self._last = error
            if away and self._away_since is None:
                self._away_since, self._tried_at = now, now
            is_due = now - self._logged_at >= LOG_S
            if is_due:
                self._logged_at, self._away_logged = now, self._away_since is not None
                failures, self._failures = self._failures, 0
        if is_due:
            log.warning("database_unavailable", error=str(error), failures=failures)

    def refuse_while_away(self) -> None:
        """Raise the last failure while the database is away; each second one caller tries whether it is back."""
        if self._away_since is None:
            return
        if monotonic() - self._tried_at < TRY_S or not self._trying.acquire(blocking=False):
            self._refuse()
            return
        try:
            self._tried_at = monotonic()
            self._try_to_connect()
        except psycopg.OperationalError:
            self._tried_at = monotonic()
            self._refuse()
        else:
            self.answered()
        finally:
            self._trying.release()

    def doubt(self, waited_s: float) -> None:
        """Raise ``ServerSilent`` if a statement was waited for and a fresh connection gets no answer either."""
        if waited_s < DOUBT_S or monotonic() - self._answered_at < DOUBT_S:
            return
        if not self._trying.acquire(blocking=False):
            return
        try:
            self._try_to_connect()
        except psycopg.OperationalError as error:
            if was_silent(error):
                raise ServerSilent(f"the server has not answered for {waited_s:.0f} s") from error
        finally:
            self._trying.release()
        self._answered_at = monotonic()

    def _refuse(self) -> None:
        error = self._last
        if self._away_since is None or error is None:
            return
        fresh = DatabaseAway(str(error))
        self.failed(fresh, away=True)
        raise fresh
