"""Price tables that cannot be compiled: every fault at once, each at its object and member."""

from __future__ import annotations

import dataclasses
from typing import Any

import polars as pl
import pytest
from tests.rating.books import (
    ALBERTA,
    CALLS,
    CANADA,
    EVERYWHERE,
    PRAIRIES,
    WORLD,
    amounts,
    day,
    frame,
    rated,
    tables,
)

from ratemill.errors import InvariantFailure
from ratemill.rating.book import SCHEMAS, check_tables, compile_book
from ratemill.rating.checks import check_rates
from ratemill.rating.faults import BookFaults
from ratemill.rating.tables import LOCATIONS


def fields(rate: dict[str, Any]) -> set[str]:
    price_tables = tables([{"rate_id": 7, **rate}])
    faults = check_rates(price_tables.rates, price_tables.classes)
    assert {fault.id for fault in faults} <= {7}
    return {fault.field for fault in faults}


@pytest.mark.parametrize(
    ("rate", "expected"),
    [
        ({}, set()),
        ({"amount": "1e5"}, {"amount"}),
        ({"amount": ""}, {"amount"}),
        ({"amount": None}, {"amount"}),
        ({"amount": "1."}, {"amount"}),
        ({"amount": "-12345678901"}, set()),
        ({"amount": "123456789012"}, {"amount"}),
        ({"amount": "100000000000"}, {"amount"}),
        ({"amount": "0012345678901.000"}, set()),
        ({"amount": "0.000000000000000001"}, set()),
        ({"amount": "0.0000000000000000001"}, {"amount"}),
        ({"connection_charge": "-1"}, {"connection_charge"}),
        ({"connection_charge": "-0.00"}, set()),
        ({"connection_charge": None}, {"connection_charge"}),
        ({"minimum_charge": "two"}, {"minimum_charge"}),
        ({"minimum_charge": "2", "maximum_charge": "1.99"}, {"minimum_charge"}),
        ({"minimum_charge": "2", "maximum_charge": "2.00"}, set()),
        ({"rounding_minimum": "-1"}, {"rounding_minimum"}),
        ({"rounding_increment": "0.0000000000001"}, {"rounding_increment"}),
        ({"rounding_increment": "1000000000000000"}, {"rounding_increment"}),
        ({"per": 0}, {"per"}),
        ({"per": None}, {"per"}),
        ({"calculation": "perMoon"}, {"calculation"}),
        ({"location_id": CANADA}, {"location_id"}),
        ({"usage_class_id": CALLS, "location_id": CANADA}, set()),
        ({"usage_class_id": CALLS, "location_id": CANADA, "location_group_id": WORLD}, {"location_group_id"}),
        # products: 18 places leave 7 digits for the unit; 13 places of a connection take from an amount of 11 digits
        ({"amount": "0.000000000000000001", "per": 9999999}, set()),
        ({"amount": "0.000000000000000001", "per": 10000000}, {"per"}),
        ({"amount": "12345678901", "connection_charge": "0.000000000001"}, set()),
        ({"amount": "12345678901", "connection_charge": "0.0000000000001"}, {"amount"}),
        ({"amount": "0.000000000000000001", "connection_charge": "100000"}, set()),
        ({"amount": "0.000000000000000001", "connection_charge": "1000000"}, {"connection_charge"}),
    ],
)
def test_a_rate_by_itself(rate: dict[str, Any], expected: set[str]):
    assert fields(rate) == expected


@pytest.mark.parametrize(
    ("first", "second", "is_tied"),
    [
        ({"end_at": day(2)}, {"start_at": day(2)}, False),
        ({"end_at": day(3)}, {"start_at": day(2)}, True),
        ({}, {"start_at": day(2)}, True),
        ({}, {"end_at": day(2)}, True),
        ({"start_at": day(2)}, {"end_at": day(2)}, False),
        ({"start_at": day(2)}, {"end_at": day(3)}, True),
        ({"start_at": day(2), "end_at": day(2)}, {}, False),
        ({}, {"rate_group_id": 2}, False),
        ({}, {"usage_class_id": CALLS}, False),
        ({"usage_class_id": CALLS, "location_id": ALBERTA}, {"usage_class_id": CALLS, "location_id": CANADA}, False),
        ({"usage_class_id": CALLS, "location_id": ALBERTA}, {"usage_class_id": CALLS, "location_group_id": 1}, False),
        ({"usage_class_id": CALLS, "location_group_id": 1}, {"usage_class_id": CALLS, "location_group_id": 2}, True),
    ],
)
def test_two_rates_at_one_instant_and_place_are_a_tie(first: dict[str, Any], second: dict[str, Any], is_tied: bool):
    members = [(PRAIRIES, ALBERTA), (PRAIRIES, CANADA), (WORLD, ALBERTA), (WORLD, EVERYWHERE)]
    price_tables = tables([first, second], groups=[{}, {"rate_group_id": 2}], members=members)
    assert [fault.field for fault in check_tables(price_tables)] == ["start_at"] * is_tied


def test_a_short_rate_within_a_long_one_is_a_tie_with_every_later_one():
    price_tables = tables([{"end_at": day(9)}, {"start_at": day(2), "end_at": day(3)}, {"start_at": day(4)}])
    assert [fault.id for fault in check_tables(price_tables)] == [2, 3]


def test_every_fault_is_told_at_once():
    price_tables = dataclasses.replace(
        tables(
            [{"amount": "x"}, {"per": 0}],
            groups=[{"places": 12, "is_pass_through": True}],
            plans=[{"rate_plan_id": 1, "places": -1}],
            plan_groups=[{"rate_plan_id": 1, "priority": 1, "rate_group_id": 1}] * 2,
            owner_places=12,
            owner_rounding="sideways",
            patterns=[("1", CANADA), ("1", ALBERTA)],
        ),
        locations=frame(
            [
                {"location_id": 1, "location": "A", "parent_location_id": 2},
                {"location_id": 2, "location": "B", "parent_location_id": 1},
            ],
            LOCATIONS,
        ),
    )
    with pytest.raises(BookFaults) as raised:
        compile_book(price_tables, version=1)
    found = {(fault.table, fault.id, fault.field) for fault in raised.value.faults}
    assert found == {
        ("owner", None, "places"),
        ("owner", None, "rounding"),
        ("plans", 1, "places"),
        ("groups", 1, "places"),
        ("plan_groups", 1, "priority"),
        ("plan_groups", 1, "rate_group_id"),
        ("rates", 1, "amount"),
        ("rates", 2, "per"),
        ("rates", 2, "start_at"),
        ("patterns", CANADA, "pattern"),
        ("patterns", ALBERTA, "pattern"),
        ("locations", 1, "parent_location_id"),
        ("locations", 2, "parent_location_id"),
    }
    assert "rates 1, amount: is not a number in plain notation" in str(raised.value)


def test_a_pass_through_group_for_cost_or_outside_every_plan_does_no_harm():
    passing = {"is_pass_through": True}
    groups = [{}, {"rate_group_id": 2, **passing}, {"rate_group_id": 3, "use_for_cost": True, **passing}]
    order = [{"rate_plan_id": 1, "priority": place, "rate_group_id": group} for place, group in enumerate((3, 1), 1)]
    assert amounts(tables([{}, {"rate_group_id": 3}], groups=groups, plan_groups=order), {}) == ["1"]


def test_the_same_faults_are_found_of_one_rate_and_of_all():
    price_tables = tables([{"amount": "x"}, {}, {"per": 0}])
    single = [check_rates(price_tables.rates.slice(row, 1), price_tables.classes) for row in range(3)]
    assert [fault for faults in single for fault in faults] == check_rates(price_tables.rates, price_tables.classes)
    assert price_tables.rates.schema["per"] == pl.Int64


def test_a_table_of_another_shape_is_our_failure():
    price_tables = tables([{}])
    with pytest.raises(InvariantFailure):
        dataclasses.replace(price_tables, patterns=price_tables.patterns.drop("pattern"))
    with pytest.raises(InvariantFailure):
        dataclasses.replace(price_tables, rates=price_tables.rates.with_columns(amount=pl.lit(1)))


def test_an_owner_without_anything_has_a_book():
    full = tables([])
    emptied = {name: getattr(full, name).clear() for name in SCHEMAS}
    result = rated(dataclasses.replace(full, **emptied), {}, {"usage_identifier": "nobody"})
    assert list(result.exceptions["reason_id"]) == [2401, 2101]
