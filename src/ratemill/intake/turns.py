"""Turns: a worker goes round the owners, and round the feeds of each owner, a table at a time.

However many feeds an owner has, and however much waits in them, the next table is another owner's if that has one due.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

from ratemill.store.usage.submissions import DueFeed


class Turns:
    """The order in which a worker visits the feeds that are due."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._of_owners: dict[int, int] = {}
        self._of_feeds: dict[int, int] = {}

    def order(self, due: Sequence[DueFeed]) -> list[DueFeed]:
        """Return the feeds by turn: the owner visited longest ago first, then its feeds likewise, then as they came."""
        return sorted(
            due, key=lambda feed: (self._of_owners.get(feed.owner_id, 0), self._of_feeds.get(feed.feed_id, 0))
        )

    def note(self, feed: DueFeed) -> None:
        """Note that a feed, and so its owner, has its turn now."""
        self._of_owners[feed.owner_id] = self._of_feeds[feed.feed_id] = next(self._numbers)
