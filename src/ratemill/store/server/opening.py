"""Opening: the database that ``serve`` opens and migrates, as the processes see it that may start before it is ready."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from time import monotonic

from ratemill.errors import DatabaseAway, RatemillError

LOOK_EVERY_S = 1.0
NOT_OPEN = "the database is not open yet"  # callers learn no more than that; the log has ``reason``


class DatabaseOpening:
    """Whether the database is ready to be used. Once it was, it is never asked again: outages are another matter.

    ``look`` returns whether it is ready, and raises if it cannot be reached; ``reason`` is why it was not.
    """

    def __init__(self, look: Callable[[], bool]) -> None:
        self._look = look
        self._lock = Lock()
        self._looked_at = float("-inf")
        self._is_ready = False
        self.reason = ""

    def require(self) -> None:
        """Raise ``DatabaseAway`` until the database is ready. One caller a second looks, and the others wait for it."""
        if self._is_ready:
            return
        with self._lock:
            if not self._is_ready and monotonic() - self._looked_at >= LOOK_EVERY_S:
                self.reason = self._find_reason()
                self._is_ready = not self.reason
                self._looked_at = monotonic()
        if not self._is_ready:
            raise DatabaseAway(NOT_OPEN)

    def _find_reason(self) -> str:
        try:
            return "" if self._look() else "it does not have the tables of this version yet"
        except RatemillError as error:
            return str(error)
