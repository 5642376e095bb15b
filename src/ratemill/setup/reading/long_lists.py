"""What is kept of long lists from one page to the next: how many rows a search finds, and where pages end.

Both hold for one version of the owner's set-up, which every change raises. A total outlives changes that the log tells
apart: of other lists, and, for a whole list, what was created and deleted since.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

from ratemill.caches import Cache
from ratemill.pages import Paging
from ratemill.setup.declaration import SetupObject
from ratemill.store import owners
from ratemill.store.connections import Connection
from ratemill.store.setup import changes, searches
from ratemill.store.setup.searches import ObjectSearch, Walk

ROWS_MIN = 5_000  # a shorter list is counted sooner than anything is looked up
SEARCHES_MAX = 1_000  # of which something is kept
PLACES_MAX = 1_000  # kept of one search
ALL_PLACES_MAX = 100_000  # kept of all searches, about 15 MB
CHANGES_MAX = 5_000  # looked through since a total was counted; with more it is counted anew

Place = tuple[int, int]  # after so many rows stands this identity


@dataclass(frozen=True, slots=True)
class _Total:
    """How many rows a search found at a version, when this was the newest change in the log."""

    version: int
    change_id: int
    rows: int


class LongLists:
    """What a process keeps of long lists, by search; threads share it."""

    def __init__(self) -> None:
        self._totals: Cache[bytes, _Total] = Cache(entries_max=SEARCHES_MAX)
        # The version, and places by their rows.
        self._places: Cache[bytes, tuple[int, tuple[Place, ...]]] = Cache(
            entries_max=SEARCHES_MAX, weight_max=ALL_PLACES_MAX, weigh=lambda known: len(known[1])
        )

    def total(self, connection: Connection, kind: SetupObject, search: ObjectSearch) -> int:
        """Return how many rows a search finds, in a transaction that sees one state."""
        if not search.is_owned:
            return searches.count(connection, search)
        key = _key(search)
        version = owners.version(connection, search.owner_id)
        known = self._totals.get(key)
        if known is not None and known.version != version:
            known = _brought_up(connection, kind, search, known, version)
        if known is None:
            rows = searches.count(connection, search)
            if rows < ROWS_MIN:
                return rows
            known = _Total(version, changes.last(connection, search.owner_id), rows)
        self._totals.put(key, known)
        return known.rows

    def identities(self, connection: Connection, search: ObjectSearch, paging: Paging, total: int | None) -> list[int]:
        """Return the identities of one page, from the nearest place known, in a transaction that sees one state."""
        limit = paging.rows_max if total is None else max(0, min(paging.rows_max, total - paging.offset))
        if search.order or not search.is_owned or paging.offset < ROWS_MIN:
            return searches.identities(connection, search, _walk(paging.offset, limit, total, ()))
        key = _key(search)
        version = owners.version(connection, search.owner_id)
        known_at, places = self._places.get(key) or (version, ())
        places = places if known_at == version else ()
        found = searches.identities(connection, search, _walk(paging.offset, limit, total, places))
        if found and len(places) < PLACES_MAX:
            place = (paging.offset + len(found), found[-1])
            self._places.put(key, (version, tuple(sorted({*places, place}))))
        return found


def _walk(offset: int, limit: int, total: int | None, places: Sequence[Place]) -> Walk:
    """Return the shortest way to a page: on from a place before it, back from one behind it or from the end."""
    at = bisect_right(places, offset, key=lambda place: place[0])
    rows, identity = places[at - 1] if at else (0, None)
    ways = [Walk(limit, offset - rows, place=identity)]
    behind = bisect_right(places, offset + limit - 1, key=lambda place: place[0])
    if behind < len(places):
        rows, last = places[behind]
        ways.append(Walk(limit, rows - offset - limit, backwards=True, place=last))
    if total is not None:
        ways.append(Walk(limit, total - offset - limit, backwards=True))
    return min(ways, key=lambda way: way.skipped)


def _brought_up(
    connection: Connection, kind: SetupObject, search: ObjectSearch, known: _Total, version: int
) -> _Total | None:
    """Return a total as of a later version, by the log of changes; None if that does not tell."""
    if known.version > version or any(one.member.pointer or one.member.pointers for one in search.comparisons):
        return None  # other lists decide, too
    since = changes.since(connection, search.owner_id, kind.list_name, known.change_id, most=CHANGES_MAX)
    if since is None or (search.comparisons and since.rows):
        return None
    return _Total(version, since.last, known.rows + since.created - since.deleted)


def _key(search: ObjectSearch) -> bytes:
    """Return a digest: a search may compare with thousands of long values."""
    return blake2b(repr(search.key).encode(errors="replace"), digest_size=16).digest()
