"""The next version of a price book, from the one before it and what changed: the other rates are not looked at.

A rate that changed is taken out of the settled ones and becomes recent; so does a rate whose group or location group
changed, for its stretches do. Once the recent rates are many, all are settled together again. The book that comes out
rates as the one that ``compile_book`` makes of all the tables.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import polars as pl

from ratemill.rating.book import (
    PlanLadders,
    PriceBook,
    PriceTables,
    RateLayer,
    classes_of,
    compile_layer,
    compile_plans,
    count_sheets,
    read_rates,
    settle,
)
from ratemill.rating.checks import (
    check_numbers,
    check_owner,
    check_patterns,
    check_places,
    check_plan_groups,
    check_tree,
)
from ratemill.rating.faults import BookFault, BookFaults
from ratemill.rating.places import Places, compile_places
from ratemill.rating.terms import read

# Recent rates are compiled with each version, settled ones when the recent ones are more than these.
RECENT_RATES_MIN = 4_096
RECENT_SHARE = 50  # one in so many settled rates

_SHEET = ("rate_group_id", "usage_class_id")


@dataclass(frozen=True, slots=True)
class _Rates:
    """The rates of the next version: which of the settled are gone, and the recent ones."""

    gone: pl.Series
    recent: pl.DataFrame


def update_book(
    book: PriceBook, tables: PriceTables, *, changed: pl.Series, version: int, recent_max: int | None = None
) -> PriceBook:
    """Return the next version of ``book``; raise ``BookFaults`` with every fault of what changed.

    ``changed`` are the ids of the rates that were created, updated or deleted; ``tables`` has the rows of those of them
    that exist as its rates, and all rows of its other tables, which are those of ``book.tables`` where nothing changed.
    With more recent rates than ``recent_max``, all are settled again.
    """
    numbers = read(tables.rates)
    if faults := _faults(book, tables, numbers):
        raise BookFaults(faults)
    rates = _next_rates(book, tables, changed, numbers)
    if recent_max is None:
        recent_max = max(RECENT_RATES_MIN, book.settled.rates.height // RECENT_SHARE)
    places = _next_places(book, tables)
    if rates.recent.height > recent_max or len(places.following) > book.settled.timeline.nodes:
        kept = book.settled.rates.filter(~rates.gone)
        return settle(tables, pl.concat([kept, rates.recent]).sort("rate_id"), version=version)
    return _with_rates(_with_tables(book, tables, places, version), book, rates)


def _faults(book: PriceBook, tables: PriceTables, numbers: pl.DataFrame) -> list[BookFault]:
    """Return the faults of what changed; that rates do not overlap was checked by who wrote them."""
    old = book.tables
    faults = check_owner(tables.owner_places, tables.owner_rounding)
    if tables.plans is not old.plans:
        faults += check_places(tables.plans, table="plans", key="rate_plan_id")
    if tables.groups is not old.groups:
        faults += check_places(tables.groups, table="groups", key="rate_group_id")
    if tables.groups is not old.groups or tables.plan_groups is not old.plan_groups:
        faults += check_plan_groups(tables.plan_groups, tables.groups)
    faults += check_numbers(numbers, tables.classes)
    if tables.patterns is not old.patterns:
        faults += check_patterns(tables.patterns)
    if tables.locations is not old.locations:
        faults += check_tree(tables.locations)
    return faults


def _next_rates(book: PriceBook, tables: PriceTables, changed: pl.Series, numbers: pl.DataFrame) -> _Rates:
    settled = book.settled.rates
    recent = settled.clear() if book.recent is None else book.recent.rates
    gone = pl.repeat(value=False, n=settled.height, eager=True) if book.gone is None else book.gone
    moved = settled.clear()
    has_moved = _has_moved(book, tables)
    if has_moved is not None:
        flags = settled.select(has_moved).to_series() & ~gone
        moved = settled.filter(flags)
        gone = gone | flags
    if not changed.is_empty() and settled.height:
        at = settled["rate_id"].search_sorted(changed)
        rows = at.filter((at < settled.height) & (settled["rate_id"].gather(at.clip(0, settled.height - 1)) == changed))
        gone = gone | pl.repeat(value=False, n=settled.height, eager=True).scatter(rows, values=True)
    kept = pl.concat([recent, moved]).filter(~pl.col("rate_id").is_in(changed.implode()))
    return _Rates(gone, pl.concat([kept, read_rates(numbers)]))


def _has_moved(book: PriceBook, tables: PriceTables) -> pl.Expr | None:
    """Return whether a rate is of a group with another span, or of a location group with other members; None: none is."""
    old = book.tables
    moved = []
    if tables.groups is not old.groups:
        spans = (each.select("rate_group_id", "start_at", "end_at") for each in (tables.groups, old.groups))
        groups = _differing(*spans)["rate_group_id"].unique()
        moved += [] if groups.is_empty() else [pl.col("rate_group_id").is_in(groups.implode())]
    if tables.location_group_members is not old.location_group_members:
        members = _differing(tables.location_group_members, old.location_group_members)
        groups = members["location_group_id"].unique()
        moved += [] if groups.is_empty() else [pl.col("location_group_id").is_in(groups.implode())]
    return pl.any_horizontal(each.fill_null(value=False) for each in moved) if moved else None


def _differing(new: pl.DataFrame, old: pl.DataFrame) -> pl.DataFrame:
    """Return the rows that are in one of two tables only."""
    return pl.concat(
        [one.join(other, on=one.columns, how="anti", nulls_equal=True) for one, other in ((new, old), (old, new))]
    )


def _next_places(book: PriceBook, tables: PriceTables) -> Places:
    old = book.tables
    names = ("locations", "patterns", "location_group_members")
    if all(getattr(tables, name) is getattr(old, name) for name in names):
        return book.places
    return compile_places(tables.locations, tables.patterns, tables.location_group_members, book.places)


def _with_tables(book: PriceBook, tables: PriceTables, places: Places, version: int) -> PriceBook:
    return replace(
        book,
        version=version,
        tables=replace(tables, rates=tables.rates.clear()),
        rounding=tables.owner_rounding,
        owner_rate_plan_id=tables.owner_rate_plan_id,
        classes=book.classes if tables.classes is book.tables.classes else classes_of(tables),
        places=places,
    )


def _with_rates(book: PriceBook, old: PriceBook, rates: _Rates) -> PriceBook:
    """Return ``book`` with the next version's rates; its tables and places are those of that version already.

    ``old`` is the version before it.
    """
    settled = book.settled.rates
    numbered = _number_sheets(book.settled.sheets, settled.filter(rates.gone), rates.recent)
    recent: RateLayer | None = None
    if not rates.recent.is_empty():
        nodes = len(book.places.following)
        recent = compile_layer(book.tables, rates.recent, numbered, book.places, first=settled.height, nodes=nodes)
    return replace(
        book,
        gone=rates.gone if rates.gone.any() else None,
        recent=recent,
        plans=_next_plans(book, old, numbered.filter(pl.col("rates") > 0)),
    )


def _next_plans(book: PriceBook, old: PriceBook, sheets: pl.DataFrame) -> PlanLadders:
    """Return the ladders of the next version; they are the old ones while only prices change."""
    new_tables, old_tables = book.tables, old.tables
    is_same = new_tables.owner_places == old_tables.owner_places and all(
        getattr(new_tables, name) is getattr(old_tables, name) for name in ("plans", "plan_groups", "groups")
    )
    if is_same and sheets.select("sheet", *_SHEET).equals(old.plans.sheets):
        return old.plans
    return compile_plans(new_tables, sheets)


def _number_sheets(sheets: pl.DataFrame, gone: pl.DataFrame, recent: pl.DataFrame) -> pl.DataFrame:
    """Return the sheets with how many rates each has now; those that are new come after the others."""
    less = count_sheets(gone).select(*_SHEET, less="rates")
    more = count_sheets(recent).select(*_SHEET, more="rates")
    known = sheets.join(less, on=_SHEET, how="left").join(more, on=_SHEET, how="left")
    counted = known.select("sheet", *_SHEET, rates=pl.col("rates") - _count("less") + _count("more"))
    new = more.join(sheets, on=_SHEET, how="anti")
    numbers = pl.int_range(0, pl.len(), dtype=pl.Int64) + sheets.height
    return pl.concat([counted, new.select(numbers.alias("sheet"), *_SHEET, rates="more")])


def _count(name: str) -> pl.Expr:
    return pl.col(name).fill_null(0)
