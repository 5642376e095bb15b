"""Price tables, holders and usage records for the tests of rating, written as short lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import polars as pl

from ratemill.columns import ACCOUNTS, IDENTIFIERS, SERVICES, USAGE
from ratemill.rating.book import PriceBook, PriceTables, compile_book
from ratemill.rating.rate import Holders, RatingResult, rate
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

Row = Mapping[str, Any]

VOICE, CALLS = 1, 2  # a class rated by class, and one rated by location
EVERYWHERE, CANADA, ALBERTA, CALGARY, FRANCE = 1, 2, 3, 4, 5
PRAIRIES, WORLD = 1, 2  # location groups

WHEN = datetime(2022, 5, 1, 12, tzinfo=UTC)

DEFAULTS: dict[str, Row] = {
    "groups": {"rate_group_id": 1, "currency": "USD", "is_pass_through": False, "use_for_cost": False},
    "rates": {
        "rate_group_id": 1,
        "usage_class_id": VOICE,
        "amount": "1",
        "per": 1,
        "calculation": "perUnit",
        "connection_charge": "0",
    },
    "usage": {
        "submission_id": 1,
        "batch_id": 1,
        "usage_at": WHEN,
        "identifier_type": "Unknown",
        "usage_identifier": "id",
        "quantity": Decimal(1),
        "inbound": False,
        "reverse_rating": False,
        "usage_class_id": VOICE,
    },
    "accounts": {"currency": "USD"},
}


def day(number: int, month: int = 5) -> datetime:
    """Midnight of a day in 2022."""
    return datetime(2022, month, number, tzinfo=UTC)


def frame(rows: Sequence[Row], columns: pl.Schema, defaults: Row | None = None) -> pl.DataFrame:
    """Return a table of ``columns``; a member that a row lacks is that of ``defaults``, else null."""
    return pl.DataFrame([{**dict.fromkeys(columns), **(defaults or {}), **row} for row in rows], schema=columns)


def tables(
    rates: Sequence[Row],
    *,
    groups: Sequence[Row] = ({},),
    plans: Sequence[Row] = ({"rate_plan_id": 1},),
    plan_groups: Sequence[Row] = ({"rate_plan_id": 1, "priority": 1, "rate_group_id": 1},),
    owner_places: int = 11,
    owner_rounding: str = "half_up",
    owner_rate_plan_id: int | None = None,
    patterns: Sequence[tuple[str, int]] = (("1", CANADA), ("1403", ALBERTA), ("1403867", CALGARY), ("33", FRANCE)),
    members: Sequence[tuple[int, int]] = ((PRAIRIES, ALBERTA), (WORLD, EVERYWHERE)),
) -> PriceTables:
    """Return price tables with two classes, a small tree of places, and what the test names."""
    return PriceTables(
        owner_places=owner_places,
        owner_rounding=owner_rounding,
        owner_rate_plan_id=owner_rate_plan_id,
        classes=frame(
            [
                {"usage_class_id": VOICE, "usage_class": "voice", "base_unit": "Time", "rater": "Class"},
                {"usage_class_id": CALLS, "usage_class": "calls", "base_unit": "Time", "rater": "GeoTree"},
            ],
            CLASSES,
        ),
        plans=frame(plans, PLANS),
        plan_groups=frame(plan_groups, PLAN_GROUPS),
        groups=frame(groups, GROUPS, DEFAULTS["groups"]),
        rates=frame([{"rate_id": number, **rate} for number, rate in enumerate(rates, 1)], RATES, DEFAULTS["rates"]),
        locations=frame(
            [
                {"location_id": EVERYWHERE, "location": "Everywhere"},
                {"location_id": CANADA, "location": "Canada", "parent_location_id": EVERYWHERE},
                {"location_id": ALBERTA, "location": "Alberta", "parent_location_id": CANADA},
                {"location_id": CALGARY, "location": "Calgary", "parent_location_id": ALBERTA},
                {"location_id": FRANCE, "location": "France", "parent_location_id": EVERYWHERE},
            ],
            LOCATIONS,
        ),
        patterns=frame([{"pattern": pattern, "location_id": location} for pattern, location in patterns], PATTERNS),
        location_group_members=frame(
            [{"location_group_id": group, "location_id": location} for group, location in members],
            LOCATION_GROUP_MEMBERS,
        ),
    )


def book(price_tables: PriceTables) -> PriceBook:
    """Return the compiled book of the tables."""
    return compile_book(price_tables, version=1)


def usage(*records: Row) -> pl.DataFrame:
    """Return usage records, their rows numbered from 1."""
    return frame([{"row_index": row, **record} for row, record in enumerate(records, 1)], USAGE, DEFAULTS["usage"])


def holders(
    identifiers: Sequence[Row] = ({},),
    services: Sequence[Row] = ({},),
    accounts: Sequence[Row] = ({},),
) -> Holders:
    """Return holders: identifier ``id`` of service 1 of account 1 on plan 1, unless told otherwise."""
    return Holders(
        identifiers=frame(
            identifiers,
            IDENTIFIERS,
            {"usage_identifier": "id", "identifier_type": "Unknown", "service_id": 1},
        ),
        services=frame(services, SERVICES, {"service_id": 1, "service": "Line", "account_id": 1, "rate_plan_id": 1}),
        accounts=frame(accounts, ACCOUNTS, {"account_id": 1, "account": "Acme", **DEFAULTS["accounts"]}),
    )


def rated(price_tables: PriceTables, *records: Row, held: Holders | None = None) -> RatingResult:
    """Rate the records by the tables."""
    return rate(usage(*records), book(price_tables), held or holders())


def amounts(price_tables: PriceTables, *records: Row) -> list[str]:
    """Return the amounts of the records, in plain notation, by row; all of them must have one."""
    result = rated(price_tables, *records)
    assert result.exceptions.is_empty(), result.exceptions
    return [format(amount.normalize(), "f") if amount else "0" for amount in result.charges["amount"]]
