"""When tokens were last used: remembered in the process that serves requests, and written now and then, by itself.

No request waits for it, and each token is written at most once a minute.
"""

from __future__ import annotations

from collections import defaultdict
from threading import Lock
from time import monotonic

from ratemill.errors import Unavailable
from ratemill.store import tokens
from ratemill.store.connections import Database

NOTED_EVERY_S = 60.0
_KNOWN_TOKENS_MAX = 10_000  # remembered with the time of their last note


class TokenUses:
    """The uses of tokens that are not written yet."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = Lock()
        self._noted_at: dict[int, float] = {}
        self._pending: dict[int, tuple[int, float]] = {}

    def note(self, token_id: int, owner_id: int) -> None:
        """Remember that a token was used, unless its last use was less than a minute ago."""
        now = monotonic()
        if now - self._noted_at.get(token_id, -NOTED_EVERY_S) < NOTED_EVERY_S:
            return
        with self._lock:
            if len(self._noted_at) >= _KNOWN_TOKENS_MAX:
                self._noted_at.clear()
            self._noted_at[token_id] = now
            self._pending[token_id] = owner_id, now

    def flush(self) -> None:
        """Write what is not written yet; while the database is away, it stays remembered."""
        with self._lock:
            pending, self._pending = self._pending, {}
        by_owner: defaultdict[int, dict[int, float]] = defaultdict(dict)
        for token_id, (owner_id, at) in pending.items():
            by_owner[owner_id][token_id] = at
        for owner_id, uses in by_owner.items():
            try:
                with self._database.face(owner_id) as connection:
                    tokens.note_uses(connection, {token_id: monotonic() - at for token_id, at in uses.items()})
            except Unavailable:
                with self._lock:
                    self._pending = {token_id: (owner_id, at) for token_id, at in uses.items()} | self._pending
