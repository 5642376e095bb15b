"""The price book: the price tables of one owner, checked and compiled for tables of records.

What does not depend on a record is worked out here once: texts are integers, every span is cut to that of its group,
location groups are spread over their members, and each plan in a currency is a *ladder* whose rungs are its groups by
priority. ``ratemill.rating.choice`` climbs it.

Most rates are *settled*: compiled together, once. Those that changed since are *recent*, a second and small layer, so that
a changed rate costs no look at the others; ``ratemill.rating.book_updates`` makes the next version of a book that way.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import polars as pl

from ratemill.columns import check
from ratemill.rating.checks import (
    BY_LOCATION,
    check_owner,
    check_patterns,
    check_places,
    check_plan_groups,
    check_rates,
    check_ties,
    check_tree,
)
from ratemill.rating.faults import BookFault, BookFaults
from ratemill.rating.places import ANYWHERE, Places, compile_places
from ratemill.rating.tables import (
    CLASSES,
    GROUPS,
    LOCATION_GROUP_MEMBERS,
    LOCATIONS,
    PATTERNS,
    PLAN_GROUPS,
    PLANS,
    RATES,
)
from ratemill.rating.terms import read, terms
from ratemill.rating.timeline import Timeline, compile_timeline

SCHEMAS = {
    "classes": CLASSES,
    "plans": PLANS,
    "plan_groups": PLAN_GROUPS,
    "groups": GROUPS,
    "rates": RATES,
    "locations": LOCATIONS,
    "patterns": PATTERNS,
    "location_group_members": LOCATION_GROUP_MEMBERS,
}

NODES_SPARE = 1_024  # locations, or members of groups, that may come before the settled rates are compiled again
# Where and when a rate is in force, as the set-up says.
PLACED = ("usage_class_id", "location_id", "location_group_id", "start_at", "end_at")


@dataclass(frozen=True, slots=True)
class PriceTables:
    """What an owner's prices are; the tables have the schemas of ``ratemill.rating.tables``."""

    owner_places: int
    owner_rounding: str  # half_up, half_even, up, down
    owner_rate_plan_id: int | None
    classes: pl.DataFrame
    plans: pl.DataFrame
    plan_groups: pl.DataFrame
    groups: pl.DataFrame
    rates: pl.DataFrame
    locations: pl.DataFrame
    patterns: pl.DataFrame
    location_group_members: pl.DataFrame

    def __post_init__(self) -> None:
        for name, schema in SCHEMAS.items():
            check(getattr(self, name), schema, stage=f"the source of {name}")


@dataclass(frozen=True, slots=True)
class RateLayer:
    """Rates compiled together; each is numbered by its row, those of the recent layer on from the settled ones."""

    rates: pl.DataFrame  # the columns of ``ratemill.rating.terms.TERMS`` and of ``PLACED``
    sheets: pl.DataFrame  # sheet, rate_group_id, usage_class_id, rates (how many)
    stretches: pl.DataFrame  # sheet, node, rate: where there is a rate at any time
    timeline: Timeline


@dataclass(frozen=True, slots=True)
class PlanLadders:
    """What the plans ask for. A ladder is a plan in a currency; a rung is one of its groups with rates for one class."""

    ladders: pl.DataFrame  # ladder, rate_plan_id, currency
    groups: pl.DataFrame  # ladder, rate_group_id, start_at, end_at: every usable group, for the reason of a miss
    sheets: pl.DataFrame  # sheet, rate_group_id, usage_class_id: those that have a rate
    climbs: pl.DataFrame  # ladder, usage_class_id, rung (the first), rung_end
    rungs: pl.DataFrame  # sheet, places: in the order of the rungs


@dataclass(frozen=True, slots=True)
class PriceBook:
    """A compiled book; the settled rates are ordered by rate_id."""

    version: int
    tables: PriceTables  # what the book is compiled from, without the rates
    rounding: str
    owner_rate_plan_id: int | None
    classes: pl.DataFrame  # usage_class_id, usage_class, by_location
    plans: PlanLadders
    settled: RateLayer
    gone: pl.Series | None  # by settled rate, whether it was changed or deleted since; None: none was
    recent: RateLayer | None
    places: Places


def compile_book(tables: PriceTables, *, version: int) -> PriceBook:
    """Return the book of ``tables``; raise ``BookFaults`` with every fault there is."""
    if faults := check_tables(tables):
        raise BookFaults(faults)
    return settle(tables, read_rates(read(tables.rates)).sort("rate_id"), version=version)


def settle(tables: PriceTables, rates: pl.DataFrame, *, version: int) -> PriceBook:
    """Return the book of ``tables`` whose rates are ``rates`` (see ``read_rates``), all of them settled."""
    rates = rates.rechunk()  # to gather rows of several chunks takes ten times as long
    places = compile_places(tables.locations, tables.patterns, tables.location_group_members)
    sheets = count_sheets(rates).select(pl.int_range(0, pl.len(), dtype=pl.Int64).alias("sheet"), pl.all())
    nodes = len(places.following)
    # Room for locations to come: the numbers of a timeline depend on how many nodes there may be.
    settled = compile_layer(tables, rates, sheets, places, first=0, nodes=nodes + nodes // 4 + NODES_SPARE)
    return PriceBook(
        version=version,
        tables=replace(tables, rates=tables.rates.clear()),
        rounding=tables.owner_rounding,
        owner_rate_plan_id=tables.owner_rate_plan_id,
        classes=classes_of(tables),
        plans=compile_plans(tables, sheets),
        settled=settled,
        gone=None,
        recent=None,
        places=places,
    )


def read_rates(numbers: pl.DataFrame) -> pl.DataFrame:
    """Return rates that passed the checks: their terms, and where and when they are in force.

    ``numbers`` are the rates as ``ratemill.rating.terms.read`` returns them.
    """
    return pl.concat([terms(numbers), numbers.select(PLACED)], how="horizontal")


def classes_of(tables: PriceTables) -> pl.DataFrame:
    """Return the classes: usage_class_id, usage_class, by_location."""
    return tables.classes.select("usage_class_id", "usage_class", by_location=pl.col("rater") == BY_LOCATION)


def count_sheets(rates: pl.DataFrame) -> pl.DataFrame:
    """Return how many rates each group has for each class: rate_group_id, usage_class_id, rates."""
    counted = rates.group_by("rate_group_id", "usage_class_id").agg(pl.len().cast(pl.Int64).alias("rates"))
    return counted.sort("rate_group_id", "usage_class_id")


def compile_layer(
    tables: PriceTables, rates: pl.DataFrame, sheets: pl.DataFrame, places: Places, *, first: int, nodes: int
) -> RateLayer:
    """Return the layer of ``rates``, numbered from ``first``; ``nodes`` bounds the nodes of all versions that use it."""
    stretches = _stretches(tables, rates.with_row_index("rate", offset=first), sheets, places)
    sheet_count = int(sheets.select(pl.col("sheet").max().fill_null(-1)).item()) + 1
    return RateLayer(
        rates=rates,
        sheets=sheets,
        stretches=stretches.select("sheet", "node", "rate"),
        timeline=compile_timeline(stretches, sheets=sheet_count, nodes=nodes),
    )


def compile_plans(tables: PriceTables, sheets: pl.DataFrame) -> PlanLadders:
    """Return the ladders of the plans; ``sheets`` are those that have a rate."""
    groups = _usable_groups(tables)
    rungs = _rungs(groups, sheets)
    return PlanLadders(
        ladders=groups.select("ladder", "rate_plan_id", "currency").unique().sort("ladder"),
        groups=groups.select("ladder", "rate_group_id", "start_at", "end_at"),
        sheets=sheets.select("sheet", "rate_group_id", "usage_class_id"),
        climbs=_climbs(rungs),
        rungs=rungs.select("sheet", "places"),
    )


def check_tables(tables: PriceTables) -> list[BookFault]:
    """Return every fault of ``tables``; only tables without one can be compiled."""
    return [
        *check_owner(tables.owner_places, tables.owner_rounding),
        *check_places(tables.plans, table="plans", key="rate_plan_id"),
        *check_places(tables.groups, table="groups", key="rate_group_id"),
        *check_plan_groups(tables.plan_groups, tables.groups),
        *check_rates(tables.rates, tables.classes),
        *check_ties(tables.rates, tables.location_group_members),
        *check_patterns(tables.patterns),
        *check_tree(tables.locations),
    ]


def _usable_groups(tables: PriceTables) -> pl.DataFrame:
    """Return the groups of each plan that may give the retail price, with their ladder and places.

    A group that is used for cost never does.
    """
    plans = tables.plans.select("rate_plan_id", plan_places="places")
    return (
        tables.plan_groups.join(
            tables.groups.filter(~pl.col("use_for_cost").fill_null(value=False)), on="rate_group_id"
        )
        .join(plans, on="rate_plan_id")
        .with_columns(
            places=pl.coalesce("places", "plan_places", pl.lit(tables.owner_places)).cast(pl.Int64),
            ladder=pl.struct("rate_plan_id", "currency").rank("dense").cast(pl.Int64) - 1,
        )
    )


def _rungs(groups: pl.DataFrame, sheets: pl.DataFrame) -> pl.DataFrame:
    order = ("ladder", "usage_class_id", "priority")
    return groups.join(sheets, on="rate_group_id").sort(order).with_row_index("rung")


def _climbs(rungs: pl.DataFrame) -> pl.DataFrame:
    return rungs.group_by("ladder", "usage_class_id").agg(
        rung=pl.col("rung").min().cast(pl.Int64), rung_end=pl.col("rung").max().cast(pl.Int64) + 1
    )


def _stretches(tables: PriceTables, rates: pl.DataFrame, sheets: pl.DataFrame, places: Places) -> pl.DataFrame:
    """Return where and when each rate is in force, within the span of its group, each location group spread out."""
    groups = tables.groups.select("rate_group_id", group_start_at="start_at", group_end_at="end_at")
    spanned = (
        rates.select("rate", "rate_group_id", *PLACED)
        .join(groups, on="rate_group_id")
        .join(sheets, on=["rate_group_id", "usage_class_id"])
        .with_columns(
            start_at=pl.max_horizontal("start_at", "group_start_at"),
            end_at=pl.min_horizontal("end_at", "group_end_at"),
        )
    )
    members = tables.location_group_members.join(places.locations, on="location_id")
    anywhere = spanned.filter(pl.col("location_id").is_null() & pl.col("location_group_id").is_null())
    reached = [
        anywhere.with_columns(node=pl.lit(ANYWHERE, dtype=pl.Int64)),
        spanned.join(places.locations.select("location_id", "node"), on="location_id"),
        spanned.join(members.select("location_group_id", node="member_node"), on="location_group_id"),
    ]
    columns = ("sheet", "node", "start_at", "end_at", pl.col("rate").cast(pl.Int64))
    return pl.concat([part.select(columns) for part in reached])
