"""What is kept of long lists from one page to the next: how many rows a search finds, and where pages end.

Both hold for one version of the owner's set-up, which every change raises. A total outlives changes that the log tells
apart: of other lists, and, for a whole list, what was created and deleted since.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from ratemill.pages import Paging
from ratemill.setup.declaration import SetupObject
from ratemill.store import owners
from ratemill.store.connections import Connection, database_name
from ratemill.store.setup import changes, searches
from ratemill.store.setup.searches import ObjectSearch, Walk

ROWS_MIN = 5_000  # a shorter list is counted sooner than anything is looked up
SEARCHES_MAX = 1_000  # of which something is kept
PLACES_MAX = 1_000  # kept of one search
CHANGES_MAX = 5_000  # looked through since a total was counted; with more it is counted anew

_Known = TypeVar("_Known")
Place = tuple[int, int]  # after so many rows stands this identity


@dataclass(frozen=True, slots=True)
class _Total:
    """How many rows a search found at a version, when this was the newest change in the log."""

    version: int
    change_id: int
    rows: int


# By search. Threads share these: what is there is replaced, never altered.
_totals: dict[tuple[object, ...], _Total] = {}
_places: dict[tuple[object, ...], tuple[int, tuple[Place, ...]]] = {}  # the version, and places by their rows


def total(connection: Connection, kind: SetupObject, search: ObjectSearch) -> int:
    """Return how many rows a search finds, in a transaction that sees one state."""
    if not search.is_owned:
        return searches.count(connection, search)
    key = _key(connection, search)
    version = owners.version(connection, search.owner_id)
    known = _totals.get(key)
    if known is not None and known.version != version:
        known = _brought_up(connection, kind, search, known, version)
    if known is None:
        rows = searches.count(connection, search)
        if rows < ROWS_MIN:
            return rows
        known = _Total(version, changes.last(connection, search.owner_id), rows)
    _keep(_totals, key, known)
    return known.rows


def identities(connection: Connection, search: ObjectSearch, paging: Paging, total: int | None) -> list[int]:
    """Return the identities of one page, looked for from the nearest place known, in a transaction that sees one state."""
    limit = paging.rows_max if total is None else max(0, min(paging.rows_max, total - paging.offset))
    if search.order or not search.is_owned or paging.offset < ROWS_MIN:
        return searches.identities(connection, search, _walk(paging.offset, limit, total, ()))
    key = _key(connection, search)
    version = owners.version(connection, search.owner_id)
    known_at, places = _places.get(key, (version, ()))
    places = places if known_at == version else ()
    found = searches.identities(connection, search, _walk(paging.offset, limit, total, places))
    if found and len(places) < PLACES_MAX:
        place = (paging.offset + len(found), found[-1])
        _keep(_places, key, (version, tuple(sorted({*places, place}))))
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
    if known.version > version or any(one.field.pointer or one.field.pointers for one in search.comparisons):
        return None  # other lists decide, too
    since = changes.since(connection, search.owner_id, kind.list_name, known.change_id, most=CHANGES_MAX)
    if since is None or (search.comparisons and since.rows):
        return None
    return _Total(version, since.last, known.rows + since.created - since.deleted)


def _keep(kept: dict[tuple[object, ...], _Known], key: tuple[object, ...], known: _Known) -> None:
    while key not in kept and len(kept) >= SEARCHES_MAX:
        kept.pop(next(iter(kept)), None)
    kept[key] = known


def _key(connection: Connection, search: ObjectSearch) -> tuple[object, ...]:
    return (database_name(connection), *search.key)
