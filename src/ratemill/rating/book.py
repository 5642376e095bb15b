"""The price book: the price tables of one owner, checked and compiled for tables of records.

What does not depend on a record is worked out here once: texts are integers, every span is cut to that of its group,
location groups are spread over their members, and each plan in a currency is a *ladder* whose rungs are its groups by
priority. ``ratemill.rating.choice`` climbs it.
"""

from __future__ import annotations

from dataclasses import dataclass

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
from ratemill.rating.terms import terms
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
class PriceBook:
    """A compiled book. A ladder is a plan in a currency; a rung is one of its groups with rates for one class."""

    version: int
    rounding: str
    owner_rate_plan_id: int | None
    classes: pl.DataFrame  # usage_class_id, usage_class, by_location
    ladders: pl.DataFrame  # ladder, rate_plan_id, currency
    groups: pl.DataFrame  # ladder, rate_group_id, start_at, end_at: every usable group, for the reason of a miss
    sheets: pl.DataFrame  # sheet, rate_group_id, usage_class_id
    climbs: pl.DataFrame  # ladder, usage_class_id, rung (the first), rung_end
    rungs: pl.DataFrame  # sheet, places: in the order of the rungs
    stretches: pl.DataFrame  # sheet, node: where there is a rate at any time
    timeline: Timeline
    terms: pl.DataFrame  # see ratemill.rating.terms
    places: Places


def compile_book(tables: PriceTables, *, version: int) -> PriceBook:
    """Return the book of ``tables``; raise ``BookFaults`` with every fault there is."""
    if faults := check_tables(tables):
        raise BookFaults(faults)
    places = compile_places(tables.locations, tables.patterns, tables.location_group_members)
    sheets = _sheets(tables.rates)
    groups = _usable_groups(tables)
    ladders = groups.select("ladder", "rate_plan_id", "currency").unique().sort("ladder")
    rungs = _rungs(groups, sheets)
    stretches = _stretches(tables, sheets, places)
    return PriceBook(
        version=version,
        rounding=tables.owner_rounding,
        owner_rate_plan_id=tables.owner_rate_plan_id,
        classes=tables.classes.select("usage_class_id", "usage_class", by_location=pl.col("rater") == BY_LOCATION),
        ladders=ladders,
        groups=groups.select("ladder", "rate_group_id", "start_at", "end_at"),
        sheets=sheets,
        climbs=_climbs(rungs),
        rungs=rungs.select("sheet", "places"),
        stretches=stretches.select("sheet", "node").unique(),
        timeline=compile_timeline(stretches, sheets=sheets.height, nodes=len(places.following)),
        terms=terms(tables.rates),
        places=places,
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


def _sheets(rates: pl.DataFrame) -> pl.DataFrame:
    pairs = rates.select("rate_group_id", "usage_class_id").unique().sort("rate_group_id", "usage_class_id")
    return pairs.select(pl.int_range(0, pl.len(), dtype=pl.Int64).alias("sheet"), pl.all())


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


def _stretches(tables: PriceTables, sheets: pl.DataFrame, places: Places) -> pl.DataFrame:
    """Return where and when each rate holds, within the span of its group, each location group spread out."""
    groups = tables.groups.select("rate_group_id", group_start_at="start_at", group_end_at="end_at")
    spanned = (
        tables.rates.with_row_index("rate")
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
