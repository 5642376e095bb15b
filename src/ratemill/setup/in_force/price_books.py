"""The compiled price book of an owner, kept by a worker and brought forward by what changed since it was read.

The log of changes names every object that changed, and its numbers grow in the order of the commits, for each writer holds
the owner's price book. So a book read at one change is brought to a later one by reading the objects named in between. All
reads of one version are made in one snapshot.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import polars as pl

from ratemill.caches import Cache
from ratemill.columns import bytes_of
from ratemill.heartbeat import beat
from ratemill.rating.book import SCHEMAS, PriceBook, PriceTables, compile_book
from ratemill.rating.book_updates import update_book
from ratemill.setup.objects.location_groups import OBJECT as LOCATION_GROUPS
from ratemill.setup.objects.location_patterns import OBJECT as PATTERNS
from ratemill.setup.objects.locations import OBJECT as LOCATIONS
from ratemill.setup.objects.owners import OBJECT as OWNERS
from ratemill.setup.objects.rate_groups import OBJECT as RATE_GROUPS
from ratemill.setup.objects.rate_plans import OBJECT as RATE_PLANS
from ratemill.setup.objects.rates import OBJECT as RATES
from ratemill.setup.objects.usage_classes import OBJECT as USAGE_CLASSES
from ratemill.setup.objects.usage_roundings import OBJECT as ROUNDINGS
from ratemill.setup.objects.usage_units import OBJECT as UNITS
from ratemill.store import owners
from ratemill.store.connections import Connection
from ratemill.store.owners import SetupPosition
from ratemill.store.setup import changes
from ratemill.store.setup import price_book as prices
from ratemill.store.setup.changes import ChangedIds

OWNERS_MAX = 10_000  # of which a book is kept: an empty one has a few hundred bytes, and its objects a few KB
CHANGES_MAX = 20_000  # with more the book is read again: the log would take as long to go through

# By list, the tables of which rows are read again, and those that are read again as a whole: a few thousand rows at most.
_BY_ROW = {LOCATIONS.list_name: "locations", PATTERNS.list_name: "patterns"}
_WHOLE = {
    USAGE_CLASSES.list_name: ("classes",),
    RATE_PLANS.list_name: ("plans", "plan_groups"),
    RATE_GROUPS.list_name: ("groups",),
    LOCATION_GROUPS.list_name: ("location_group_members",),
}
_LISTS = [
    *_BY_ROW,
    *_WHOLE,
    *(kind.list_name for kind in (RATES, UNITS, ROUNDINGS, OWNERS)),
]
_KEYS = {"locations": "location_id", "patterns": "location_pattern_id"}


@dataclass(frozen=True, slots=True)
class BookAtChange:
    """A book with the number of the newest change that is in it."""

    change_id: int
    book: PriceBook


def book_cache(bytes_max: int) -> Cache[int, BookAtChange]:
    """Return an empty cache for the last book of each owner."""
    return Cache(entries_max=OWNERS_MAX, weight_max=bytes_max, weigh=bytes_of)


def book_at(snapshot: Connection, owner_id: int, position: SetupPosition, books: Cache[int, BookAtChange]) -> PriceBook:
    """Return the owner's book at the position that the snapshot sees, and keep it in ``books``."""
    known = books.get(owner_id)
    if known is not None and known.change_id == position.change_id:
        return replace(known.book, version=position.version)
    book = _next_book(snapshot, owner_id, known, position.version)
    books.put(owner_id, BookAtChange(position.change_id, book))
    return book


def read_tables(snapshot: Connection, owner_id: int) -> PriceTables:
    """Return an owner's price tables."""
    return _with_owner(snapshot, owner_id, {name: _read(snapshot, owner_id, name) for name in SCHEMAS})


def _next_book(snapshot: Connection, owner_id: int, known: BookAtChange | None, version: int) -> PriceBook:
    changed: ChangedIds | None = None
    if known is not None:
        changed = changes.changed_ids(snapshot, owner_id, _LISTS, after=known.change_id, most=CHANGES_MAX)
    if known is None or changed is None:
        tables = read_tables(snapshot, owner_id)
        beat()
        return compile_book(tables, version=version)
    if not changed:
        return replace(known.book, version=version)
    rate_ids = pl.Series(_changed_rates(snapshot, owner_id, changed), dtype=pl.Int64).unique()
    tables = _with_owner(
        snapshot,
        owner_id,
        {
            **{name: getattr(known.book.tables, name) for name in SCHEMAS},
            **_changed_tables(snapshot, owner_id, known.book.tables, changed),
            "rates": _read(snapshot, owner_id, "rates", rate_ids),
        },
    )
    return update_book(known.book, tables, changed=rate_ids, version=version)


def _changed_rates(snapshot: Connection, owner_id: int, changed: ChangedIds) -> list[int]:
    """Return the rates that changed, or whose unit or rounding did."""
    rate_ids = _ids(changed, RATES.list_name)
    counted = [changed.get((kind.list_name, "updated"), []) for kind in (UNITS, ROUNDINGS)]
    if any(counted):
        rate_ids += prices.rates_counted_in(snapshot, owner_id, *counted)
    return rate_ids


def _changed_tables(
    snapshot: Connection, owner_id: int, old: PriceTables, changed: ChangedIds
) -> dict[str, pl.DataFrame]:
    lists = {list_name for list_name, _ in changed}
    names = (name for list_name in lists for name in _WHOLE.get(list_name, ()))
    tables = {name: _read(snapshot, owner_id, name) for name in names}
    for list_name, name in _BY_ROW.items():
        if list_name in lists:
            ids = pl.Series(_ids(changed, list_name), dtype=pl.Int64).unique()
            kept = getattr(old, name).filter(~pl.col(_KEYS[name]).is_in(ids.implode()))
            tables[name] = pl.concat([kept, _read(snapshot, owner_id, name, ids)])
    return tables


def _ids(changed: ChangedIds, list_name: str) -> list[int]:
    return [object_id for (name, _), ids in changed.items() if name == list_name for object_id in ids]


def _read(snapshot: Connection, owner_id: int, name: str, ids: pl.Series | None = None) -> pl.DataFrame:
    beat()  # a million rates take seconds
    rows = prices.read_table(snapshot, name, owner_id, None if ids is None else ids.to_list())
    return pl.DataFrame(rows, schema=SCHEMAS[name], orient="row")


def _with_owner(snapshot: Connection, owner_id: int, frames: dict[str, pl.DataFrame]) -> PriceTables:
    owner = owners.read(snapshot, owner_id)
    return PriceTables(
        owner_places=owner.amount_places,
        owner_rounding=owner.rounding,
        owner_rate_plan_id=owner.rate_plan_id,
        **frames,
    )
