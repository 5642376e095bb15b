"""The schemas of the price tables, as they are handed over for compiling.

Ids name objects, times are UTC and null where open, numbers are plain decimal texts in which nothing has been rounded.
"""

from __future__ import annotations

import polars as pl

from ratemill.columns import INSTANT, Columns


def _schema(columns: Columns) -> pl.Schema:
    return pl.Schema(columns)


# `rater` is Class or GeoTree.
CLASSES = _schema(
    {"usage_class_id": pl.Int32, "usage_class": pl.String, "base_unit": pl.String, "rater": pl.String},
)
# `places` are those of the amounts, null where the level does not state them.
PLANS = _schema({"rate_plan_id": pl.Int64, "places": pl.Int16})
# The groups of a plan, priority 1 first.
PLAN_GROUPS = _schema({"rate_plan_id": pl.Int64, "priority": pl.Int32, "rate_group_id": pl.Int64})
GROUPS = _schema(
    {
        "rate_group_id": pl.Int64,
        "currency": pl.String,
        "start_at": INSTANT,
        "end_at": INSTANT,
        "places": pl.Int16,
        "is_pass_through": pl.Boolean,
        "use_for_cost": pl.Boolean,
    },
)
# `per` is how many base units the amount pays for; `calculation` is perUnit or perEvent; `rounding_minimum` and
# `rounding_increment` are in base units. Only the location, the rounding and the limits may be null.
RATES = _schema(
    {
        "rate_id": pl.Int64,
        "rate_group_id": pl.Int64,
        "usage_class_id": pl.Int32,
        "location_id": pl.Int64,
        "location_group_id": pl.Int64,
        "start_at": INSTANT,
        "end_at": INSTANT,
        "amount": pl.String,
        "per": pl.Int64,
        "calculation": pl.String,
        "rounding_minimum": pl.String,
        "rounding_increment": pl.String,
        "connection_charge": pl.String,
        "minimum_charge": pl.String,
        "maximum_charge": pl.String,
    },
)
LOCATIONS = _schema({"location_id": pl.Int64, "location": pl.String, "parent_location_id": pl.Int64})
PATTERNS = _schema({"location_pattern_id": pl.Int64, "pattern": pl.String, "location_id": pl.Int64})
LOCATION_GROUP_MEMBERS = _schema({"location_group_id": pl.Int64, "location_id": pl.Int64})
