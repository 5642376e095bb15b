"""Numbers are exact, or break one of three rules; none is rounded and none raises."""

from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratemill.mediation.quantities import Quantities, plain_text, read_quantities
from ratemill.money import QUANTITY_INTEGER_DIGITS_MAX, QUANTITY_PLACES_MAX, parse_decimal, places


def judged(text: str) -> str | Decimal | None:
    """Return what becomes of one text."""
    read = read_quantities(pl.Series([text, "1"]))
    for name in ("not_number", "too_many_places", "too_many_digits"):
        broken = getattr(read, name)
        if broken is not None and broken[0]:
            return name
    value = read.value[0]
    assert isinstance(value, Decimal)
    return value


GOOD = {
    "94": "94",
    "94.0": "94",
    "-5": "-5",
    "+5": "5",
    ".5": "0.5",
    "5.": "5",
    "-.5": "-0.5",
    "007": "7",
    "1e2": "100",
    "1E+2": "100",
    "25e-1": "2.5",
    "0.00012e4": "1.2",
    "1.5000000000000000": "1.5",
    "000000000000000000000012.50": "12.5",
    "999999999999999.999999999999": "999999999999999.999999999999",
    "1e14": "100000000000000",
    "100000e-12": "0.0000001",
    "1e-12": "0.000000000001",
    "0e-9999": "0",
    "0e9999": "0",
    "-0": "0",
    "0.1": "0.1",
}


@pytest.mark.parametrize(("text", "number"), GOOD.items())
def test_numbers_are_read_exactly(text: str, number: str):
    assert judged(text) == Decimal(number)


BAD = {
    "ninety": "not_number",
    "": "not_number",
    ".": "not_number",
    "+": "not_number",
    "e5": "not_number",
    "1e": "not_number",
    "1 000": "not_number",
    " 1": "not_number",
    "1,5": "not_number",
    "0x10": "not_number",
    "NaN": "not_number",
    "inf": "not_number",
    "--1": "not_number",
    "٣": "not_number",
    "1\n": "not_number",
    "1e99999": "not_number",
    "0.1234567890123": "too_many_places",
    "1e-13": "too_many_places",
    "1e-9999": "too_many_places",
    "1234567890123456": "too_many_digits",
    "1e15": "too_many_digits",
    "1e9999": "too_many_digits",
    "9" * 400: "too_many_digits",
    "-" + "9" * 400: "too_many_digits",
}


@pytest.mark.parametrize(("text", "rule"), BAD.items(), ids=[text[:20] for text in BAD])
def test_what_is_no_quantity_says_why(text: str, rule: str):
    assert judged(text) == rule


def test_an_absent_text_breaks_no_rule():
    read = read_quantities(pl.Series([None, "1", "x"]))
    assert read.value.to_list() == [None, 1, None]
    assert read.not_number is not None
    assert read.not_number.to_list() == [False, False, True]
    assert read_quantities(pl.Series([None], dtype=pl.String)).value.to_list() == [None]


number_texts = st.from_regex(r"\A[+-]?([0-9]{1,20}(\.[0-9]{0,20})?|\.[0-9]{1,20})([eE][+-]?[0-9]{1,3})?\Z")


@given(st.lists(number_texts, min_size=1, max_size=30))
@settings(deadline=None)
def test_numbers_agree_with_the_ground(texts: list[str]):
    read: Quantities = read_quantities(pl.Series(texts))
    for text, value in zip(texts, read.value.to_list(), strict=True):
        exact = parse_decimal(text) if len(text) < 100 else Decimal(0)
        fits = places(exact) <= QUANTITY_PLACES_MAX and abs(exact) < Decimal(10) ** QUANTITY_INTEGER_DIGITS_MAX
        assert value == (exact if fits else None), text


@given(st.decimals(-(10**15) + 1, 10**15 - 1, places=12))
@settings(deadline=None)
def test_a_number_is_written_in_one_way(number: Decimal):
    read = read_quantities(pl.Series([format(number, "f")])).value
    text = read.to_frame("q").select(plain_text(pl.col("q"))).item()
    assert Decimal(text) == number
    assert "E" not in text
    assert not (text.endswith("0") and "." in text)
