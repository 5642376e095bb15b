"""What a record costs: the rounding of the quantity, the price, and the rounding of the money."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import polars as pl
import pytest
from tests.rating.books import amounts, rated, tables

from ratemill.columns import CHARGES
from ratemill.rating.amounts import round_quotient
from ratemill.reasons import RATING


def quantities(*values: str) -> list[dict[str, Any]]:
    return [{"quantity": Decimal(value)} for value in values]


def rounded(rate: dict[str, Any], *values: str) -> list[Decimal]:
    result = rated(tables([rate]), *quantities(*values))
    assert result.charges["quantity_charged"].equals(result.charges["quantity_rounded"])
    return list(result.charges["quantity_rounded"])


def test_the_guides_record():
    result = rated(tables([{"amount": "0.0123"}]), *quantities("94"))
    assert result.charges.schema == CHARGES
    charge = result.charges.row(0, named=True)
    assert charge["amount"] == Decimal("1.1562")
    assert charge["currency"] == "USD"
    assert (charge["run"], charge["rate_plan_id"], charge["rate_group_id"], charge["rate_id"]) == (1, 1, 1, 1)
    assert (charge["account_id"], charge["service_id"], charge["location_id"]) == (1, 1, None)


@pytest.mark.parametrize(
    ("minimum", "increment", "values", "expected"),
    [
        (None, None, ("0", "0.000000000001", "-7.5"), ("0", "0.000000000001", "-7.5")),
        ("60", None, ("0", "59.9", "60", "60.1"), ("0", "60", "60", "60.1")),
        ("60", "0", ("0", "1", "61"), ("0", "60", "61")),
        (None, "60", ("0", "1", "60", "60.000000000001"), ("0", "60", "60", "120")),
        ("30", "6", ("29", "30", "30.1", "36", "36.1"), ("30", "30", "36", "36", "42")),
        ("30", "6", ("-29", "-30.1", "-42"), ("-30", "-36", "-42")),
        ("0.5", "0.25", ("0.1", "0.6", "0.75"), ("0.5", "0.75", "0.75")),
    ],
)
def test_a_quantity_is_rounded_up_from_the_minimum_by_whole_increments(
    minimum: str | None, increment: str | None, values: tuple[str, ...], expected: tuple[str, ...]
):
    rate = {"rounding_minimum": minimum, "rounding_increment": increment}
    assert rounded(rate, *values) == [Decimal(value) for value in expected]


@pytest.mark.parametrize(
    ("rate", "expected"),
    [
        # 0, 30, 90 and -90 seconds
        ({"amount": "0.06"}, ["0", "1.8", "5.4", "-5.4"]),
        ({"amount": "0.06", "per": 60}, ["0", "0.03", "0.09", "-0.09"]),
        ({"amount": "0.06", "per": 60, "rounding_increment": "60"}, ["0", "0.06", "0.12", "-0.12"]),
        ({"amount": "-0.06", "per": 60}, ["0", "-0.03", "-0.09", "0.09"]),
        ({"amount": "1", "per": 3600}, ["0", "0.00833333333", "0.025", "-0.025"]),
        # an event counts each record once, a credit once back; its unit plays no part
        ({"amount": "0.5", "per": 60, "calculation": "perEvent"}, ["0.5", "0.5", "0.5", "-0.5"]),
        ({"amount": "0.5", "calculation": "perEvent", "connection_charge": "1"}, ["0.5", "1.5", "1.5", "-1.5"]),
        ({"amount": "0.5", "calculation": "perEvent", "maximum_charge": "0.2"}, ["0.2", "0.2", "0.2", "-0.2"]),
        # the connection is due once, if the quantity is not 0
        ({"amount": "0.06", "connection_charge": "0.1"}, ["0", "1.9", "5.5", "-5.5"]),
        ({"amount": "0", "connection_charge": "0.1"}, ["0", "0.1", "0.1", "-0.1"]),
        # limits are on connection and steps together, and nothing is due for nothing
        ({"amount": "0.06", "minimum_charge": "2"}, ["0", "2", "5.4", "-5.4"]),
        ({"amount": "0.06", "maximum_charge": "2"}, ["0", "1.8", "2", "-2"]),
        ({"amount": "0.06", "connection_charge": "0.3", "minimum_charge": "2"}, ["0", "2.1", "5.7", "-5.7"]),
        ({"amount": "0.01", "minimum_charge": "1", "maximum_charge": "1"}, ["0", "1", "1", "-1"]),
        ({"amount": "-1", "minimum_charge": "0"}, ["0", "0", "0", "0"]),
    ],
)
def test_the_price_of_a_record(rate: dict[str, Any], expected: list[str]):
    assert amounts(tables([rate]), *quantities("0", "30", "90", "-90")) == expected


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("half_up", ["0.12", "0.13", "0.14", "0.13", "0.12", "-0.13", "-0.14", "-0.12"]),
        ("half_even", ["0.12", "0.12", "0.14", "0.13", "0.12", "-0.12", "-0.14", "-0.12"]),
        ("up", ["0.13", "0.13", "0.14", "0.13", "0.13", "-0.13", "-0.14", "-0.13"]),
        ("down", ["0.12", "0.12", "0.13", "0.12", "0.12", "-0.12", "-0.13", "-0.12"]),
    ],
)
def test_money_is_rounded_once_by_its_magnitude(method: str, expected: list[str]):
    book = tables([{"amount": "0.001"}], owner_places=2, owner_rounding=method)
    values = quantities("124", "125", "135", "125.000000000001", "124.999999999999", "-125", "-135", "-124.9")
    assert amounts(book, *values) == expected


def test_nothing_is_divided_before_the_end():
    """A third and two thirds of a cent make one cent, where rounding each would lose it."""
    thirds = {"amount": "1", "per": 3, "connection_charge": "0.005"}
    assert amounts(tables([thirds], owner_places=2), *quantities("0.005", "0.015")) == ["0.01", "0.01"]
    assert amounts(tables([{"amount": "1", "per": 3}], owner_places=0), *quantities("1", "1.5", "2")) == ["0", "1", "1"]


def test_a_product_keeps_every_digit():
    """A decimal product would round 130.5 x 0.00123456789 to the larger scale of the two."""
    assert amounts(tables([{"amount": "0.00123456789"}]), *quantities("130.5")) == ["0.16111110965"]
    down = tables([{"amount": "0.00123456789"}], owner_rounding="down")
    assert amounts(down, *quantities("130.5")) == ["0.16111110964"]


@pytest.mark.parametrize(
    ("group", "plan", "owner", "expected"), [(1, 2, 3, "1.2"), (None, 2, 3, "1.23"), (None, None, 3, "1.235")]
)
def test_the_lowest_level_that_states_places_wins(group: int | None, plan: int | None, owner: int, expected: str):
    book = tables(
        [{"amount": "1.23456"}],
        groups=[{"places": group}],
        plans=[{"rate_plan_id": 1, "places": plan}],
        owner_places=owner,
    )
    assert amounts(book, *quantities("1")) == [expected]


def test_the_largest_quantity_at_the_longest_price_is_exact():
    largest = "999999999999999.999999999999"
    result = rated(tables([{"amount": "99999999999"}], owner_rounding="down"), *quantities(largest, "-" + largest))
    exact = Decimal("99999999998999999999999999.900000000001")
    assert [amount.copy_abs() for amount in result.charges["amount"]] == [Decimal(str(exact)[:-1])] * 2


def test_a_quantity_that_is_rounded_beyond_its_digits_is_an_exception_and_spoils_no_other():
    book = tables([{"amount": "1", "rounding_increment": "7"}])
    result = rated(book, *quantities("999999999999999", "7", "99999999999999999999999999", "-1e15"))
    assert list(result.charges["amount"]) == [Decimal(7)]
    assert set(result.exceptions["reason_id"]) == {RATING["quantity_is_too_large_to_rate"].id}
    assert list(result.exceptions["value"]) == [
        "999999999999999",
        "99999999999999999999999999",
        "-1000000000000000",
    ]


@pytest.mark.parametrize("rounding", ["half_up", "half_even", "up", "down"])
def test_a_quotient_beyond_64_bits_is_rounded_exactly(rounding: str):
    divisor = 2 * 10**36
    magnitudes = [0, divisor // 2, divisor // 2 - 1, divisor // 2 + 1, divisor, 3 * divisor // 2, 40 * divisor + 1]
    table = pl.DataFrame({"m": magnitudes, "d": [divisor] * 7}, schema={"m": pl.Int128, "d": pl.Int128})
    quotient = table.select(round_quotient(pl.col("m"), pl.col("d"), rounding)).to_series()
    expected = {
        "half_up": [0, 1, 0, 1, 1, 2, 40],
        "half_even": [0, 0, 0, 1, 1, 2, 40],
        "up": [0, 1, 1, 1, 1, 2, 41],
        "down": [0, 0, 0, 0, 1, 1, 40],
    }
    assert list(quotient) == expected[rounding]
