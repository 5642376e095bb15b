"""The table kernel and the record-at-a-time evaluation tell the same, on generated price books and records."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.rating import books

from ratemill.columns import CHARGES, RATING_EXCEPTIONS, RECORD, USAGE
from ratemill.rating.book import PriceTables, check_tables, compile_book
from ratemill.rating.explain import explain
from ratemill.rating.rate import Holders, RatingResult, rate

START = datetime(2022, 1, 1, tzinfo=UTC)
GROUPS, PLANS, SERVICES, ACCOUNTS = (1, 2, 3), (1, 2), (1, 2, 3), (1, 2, 3)
LOCATIONS = (1, 2, 3, 4, 5)

instants = st.integers(0, 8).map(lambda days: START + timedelta(days=days))
maybe_instants = st.none() | instants
seldom = st.integers(0, 9).map(lambda number: number == 9)
digits = st.text("0123456789", min_size=1, max_size=5)


@st.composite
def spans(draw: st.DrawFn) -> tuple[datetime | None, datetime | None]:
    """Draw a [start, end), most of them open at one side."""
    bounds = sorted(draw(st.lists(instants, min_size=2, max_size=2, unique=True)))
    is_bound = draw(st.sampled_from([(False, False), (True, False), (False, True), (True, True)]))
    return (bounds[0] if is_bound[0] else None, bounds[1] if is_bound[1] else None)


@st.composite
def numbers(draw: st.DrawFn, places: int = 6) -> str:
    """Draw a number in plain notation, at times with zeros around it."""
    fraction = draw(st.text("0123456789", max_size=places))
    return draw(digits) + (f".{fraction}" if fraction else "")


@st.composite
def rates(draw: st.DrawFn) -> dict[str, Any]:
    class_id = draw(st.sampled_from([books.VOICE, books.CALLS, books.CALLS]))
    place = draw(st.sampled_from(["", "location_id", "location_group_id"])) if class_id == books.CALLS else ""
    start_at, end_at = draw(spans())
    limits = sorted(draw(st.lists(numbers(), min_size=2, max_size=2)), key=Decimal)
    return {
        "rate_group_id": draw(st.sampled_from(GROUPS)),
        "usage_class_id": class_id,
        **({place: draw(st.sampled_from(LOCATIONS[: 5 if place == "location_id" else 2]))} if place else {}),
        "start_at": start_at,
        "end_at": end_at,
        "amount": draw(st.sampled_from(["", "-"])) + draw(numbers()),
        "per": draw(st.sampled_from([1, 1, 60, 3600, 7, 1024**3])),
        "calculation": draw(st.sampled_from(["perUnit", "perUnit", "perEvent"])),
        "rounding_minimum": draw(st.none() | numbers(12)),
        "rounding_increment": draw(st.none() | st.sampled_from(["0", "1", "60", "0.1", "0.000000000007", "1024"])),
        "connection_charge": draw(st.just("0") | numbers(13)),
        "minimum_charge": draw(st.none() | st.just(limits[0])),
        "maximum_charge": draw(st.none() | st.just(limits[1])),
    }


@st.composite
def price_tables(draw: st.DrawFn) -> PriceTables:
    """Draw price tables; rates that hold at one instant with one before them, or do not fit, are left out."""
    groups = []
    for group_id in GROUPS:
        start_at, end_at = draw(spans())
        groups.append(
            {
                "rate_group_id": group_id,
                "currency": draw(st.sampled_from(["USD", "USD", "USD", "EUR"])),
                "start_at": start_at if draw(seldom) else None,
                "end_at": end_at if draw(seldom) else None,
                "places": draw(st.none() | st.integers(0, 11)),
                "use_for_cost": draw(seldom),
            }
        )
    plan_groups = [
        {"rate_plan_id": plan_id, "priority": priority, "rate_group_id": group_id}
        for plan_id in PLANS
        for priority, group_id in enumerate(
            draw(st.lists(st.sampled_from(GROUPS), min_size=1, max_size=3, unique=True)), 1
        )
    ]
    drawn = books.tables(
        draw(st.lists(rates(), min_size=4, max_size=14)),
        groups=groups,
        plans=[{"rate_plan_id": plan_id, "places": draw(st.none() | st.integers(0, 11))} for plan_id in PLANS],
        plan_groups=plan_groups,
        owner_places=draw(st.integers(0, 11)),
        owner_rounding=draw(st.sampled_from(["half_up", "half_even", "up", "down"])),
        owner_rate_plan_id=draw(st.sampled_from([None, *PLANS])),
        patterns=[
            (pattern, draw(st.sampled_from(LOCATIONS)))
            for pattern in draw(st.lists(st.text("12", min_size=1, max_size=4), max_size=6, unique=True)) or ["1"]
        ],
        members=draw(st.lists(st.tuples(st.sampled_from([1, 2]), st.sampled_from(LOCATIONS)), max_size=4, unique=True)),
    )
    at_fault = [fault.id for fault in check_tables(drawn) if fault.table == "rates"]
    return dataclasses.replace(drawn, rates=drawn.rates.filter(~pl.col("rate_id").is_in(at_fault)))


@st.composite
def all_holders(draw: st.DrawFn) -> Holders:
    def spanned() -> dict[str, Any]:
        start_at, end_at = draw(spans())
        return {"start_at": start_at, "end_at": end_at} if draw(seldom) else {}

    plan, services = st.sampled_from([None, *PLANS]), st.sampled_from(SERVICES)
    return books.holders(
        identifiers=[
            {
                "usage_identifier": text,
                "identifier_type": kind,
                "service_id": draw(services),
                **spanned(),
            }
            for text in ("a", "b", "c")
            for kind in draw(st.sampled_from([["Unknown"], ["Phone"], ["IMSI"], ["Phone", "IMSI"]]))
        ],
        services=[
            {"service_id": service_id, "account_id": account_id, "rate_plan_id": draw(plan), **spanned()}
            for service_id, account_id in zip(SERVICES, ACCOUNTS, strict=True)
        ],
        accounts=[
            {
                "account_id": account_id,
                "parent_account_id": draw(st.sampled_from([None, *range(1, account_id)])),
                "currency": draw(st.sampled_from(["USD", "USD", "EUR"])),
                "rate_plan_id": draw(plan),
                **spanned(),
            }
            for account_id in ACCOUNTS
        ],
    )


quantities = (
    st.decimals(-1000, 1000, places=2)
    | st.decimals(places=12, min_value=Decimal(-(10**15)), max_value=Decimal(10**15))
    | st.sampled_from([Decimal(0), Decimal("999999999999999.999999999999"), Decimal("1e15"), Decimal("1e25")])
)
texts = st.sampled_from(["1122", "1212", "2121", "111", None, ""]) | st.text("12", max_size=6)


@st.composite
def records(draw: st.DrawFn) -> dict[str, Any]:
    return {
        "usage_at": draw(instants) + draw(st.sampled_from([timedelta(), timedelta(microseconds=1)])),
        "usage_identifier": draw(st.sampled_from([*"aaabbbccc", "nobody", None])),
        "identifier_type": draw(st.sampled_from(["Unknown", "Unknown", "Unknown", None, "Phone"])),
        "usage_class_id": draw(st.sampled_from([*[books.VOICE] * 3, *[books.CALLS] * 4, 9])),
        "originating_identifier": draw(texts),
        "terminating_identifier": draw(texts),
        "reverse_rating": draw(st.sampled_from([None, False, False, True])),
        "quantity": draw(quantities),
    }


def outcomes(result: RatingResult) -> list[dict[str, Any]]:
    """Return what rating added to each record, by row."""
    added = [
        {name: row[name] for name in row if name == "row_index" or name not in USAGE}
        for table in (result.charges, result.exceptions)
        for row in table.iter_rows(named=True)
    ]
    return sorted(added, key=lambda row: int(row["row_index"]))


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(price_tables(), all_holders(), st.lists(records(), min_size=5, max_size=12))
def test_the_kernel_tells_what_explain_tells(tables: PriceTables, holders: Holders, drawn: list[dict[str, Any]]):
    usage = books.usage(*drawn)
    result = rate(usage, compile_book(tables, version=1), holders)
    told = [explain(row, tables, holders) for row in usage.iter_rows(named=True)]
    expected = [{"row_index": row, **story.outcome} for row, story in enumerate(told, 1)]
    assert outcomes(result) == expected
    assert all(story.steps for story in told)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(price_tables(), all_holders(), st.lists(records(), min_size=5, max_size=12), st.data())
def test_neither_cuts_nor_order_change_a_charge(
    tables: PriceTables, holders: Holders, drawn: list[dict[str, Any]], data: st.DataObject
):
    usage = books.usage(*drawn)
    book = compile_book(tables, version=1)
    whole = rate(usage, book, holders)
    cut = data.draw(st.integers(0, usage.height))
    parts = [rate(part, book, holders) for part in (usage.head(cut), usage.slice(cut))]
    order = data.draw(st.permutations(range(usage.height)))
    shuffled = rate(usage[list(order)], book, holders)
    joined = RatingResult(*(pl.concat([getattr(part, name) for part in parts]) for name in ("charges", "exceptions")))
    assert outcomes(joined) == outcomes(whole)
    assert outcomes(shuffled) == outcomes(whole)
    ended = pl.concat([table.select(*RECORD) for table in (whole.charges, whole.exceptions)])
    assert ended.sort("row_index").equals(usage.select(*RECORD))


def test_an_empty_table_ends_in_empty_tables():
    result = rate(pl.DataFrame(schema=USAGE), books.book(books.tables([])), books.holders())
    assert (result.charges.schema, result.exceptions.schema) == (CHARGES, RATING_EXCEPTIONS)
    assert result.charges.is_empty()
    assert result.exceptions.is_empty()


def test_the_story_of_the_guides_record():
    record = books.usage({"quantity": Decimal(94)}).row(0, named=True)
    story = explain(record, books.tables([{"amount": "0.0123"}]), books.holders())
    assert story.is_charge
    assert story.steps == (
        "The identifier is 'id' of any type.",
        "Service 'Line' and account 'Acme' are active on 2022-05-01 12:00:00+00:00.",
        "The service has rate plan 1.",
        "Effective groups of the plan in USD, by priority: 1.",
        "Group 1 has rate 1, valid [ever, open).",
        "The quantity 94 is rounded to 94.",
        "94 at 0.0123 for each 1 is 1.1562.",
        "With the connection charge of 0 it is 1.1562.",
        "Rounded to 11 places (half_up) it is 1.1562.",
    )


@pytest.mark.parametrize("quantity", ["0", "-1"])
def test_the_story_of_a_small_record(quantity: str):
    record = books.usage({"quantity": Decimal(quantity)}).row(0, named=True)
    story = explain(record, books.tables([{"amount": "2", "connection_charge": "1"}]), books.holders())
    assert story.outcome["amount"] == 3 * Decimal(quantity)
