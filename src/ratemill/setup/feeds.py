"""Usage feeds for the face: found by what a request calls them."""

from __future__ import annotations

from ratemill.store import feeds
from ratemill.store.connections import Connection
from ratemill.store.feeds import Feed

__all__ = ["Feed", "find_feed"]


def find_feed(connection: Connection, owner_id: int, name_or_id: str) -> Feed | None:
    """Return the feed, enabled or not: all digits, its number first; else API name, then name, whatever the case."""
    return feeds.find(connection, owner_id, name_or_id)
