"""Formulas: exact to the one rounding at the end, and no row stops another."""

import re
from decimal import ROUND_HALF_UP, Context, Decimal
from fractions import Fraction

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.mediation.tables import ends, faults, mediated, short

from ratemill.columns import QUANTITY
from ratemill.mediation.arithmetic import compute
from ratemill.mediation.profiles.formulas import FieldTerm, FormulaFault, NumberTerm, Tree, parse_formula


def field_named(name: str) -> str | None:
    return {"a": "a", "b": "b", "c": "c", "bytes up": "a"}.get(name.lower())


def computed(formula: str, **operands: str) -> str | None:
    columns = {name: pl.Series([text, "1"]).cast(QUANTITY) for name, text in operands.items()}
    found = compute(parse_formula(formula, field_named), columns, 2)[0]
    assert found is None or isinstance(found, str)
    return found


@pytest.mark.parametrize(
    ("formula", "found"),
    [
        ("a * 1024", "96256"),
        ("A*1024", "96256"),
        ("[Bytes Up] + 1", "95"),
        ("a + b * 2", "95"),
        ("(a + b) * 2", "189"),
        ("a - b - 1", "92.5"),
        ("-a", "-94"),
        ("--a", "94"),
        ("2 * -a", "-188"),
        ("a / 4", "23.5"),
        ("a / 3", "31.333333333333"),
        ("a / 3 * 3", "94"),
        ("2 / 3", "0.666666666667"),
        ("-2 / 3", "-0.666666666667"),
        ("1 / 2000000000000", "0.000000000001"),
        ("1 / 2000000000001", "0"),
        ("-1 / 2000000000001", "0"),
        ("130.5 * 0.00123456789", "0.161111109645"),
        ("0.000001 * 0.000001 * 1000000 * 1000000", "1"),
        ("a / 0", None),
        ("a / (b - 0.5)", None),
        ("1 / (a / 0)", None),
        ("0 * (a / 0)", None),
        (".5 + 5.", "5.5"),
        ("a * a * a * a", "78074896"),
        ("0 / a", "0"),
        ("a - a", "0"),
        ("999999999999999 * 999999999999999 * 999999999999999", None),
        ("999999999999999 * 999999999999999 / 999999999999999", "999999999999999"),
        ("100000000000000 * 100000000000000 * 100000000000000 / 100000000000000 / 100000000000000", "100000000000000"),
        ("0.000000000001 / 999999999999999.999999999999", "0"),
    ],
)
def test_results(formula: str, found: str | None):
    assert computed(formula, a="94", b="0.5") == found


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("", "ends too early"),
        ("a +", "ends too early"),
        ("a b", "'b' is not expected"),
        ("a ** b", "'*' is not expected"),
        ("(a", "not closed"),
        ("a)", "')' is not expected"),
        ("x + 1", "'x' is not a field"),
        ("__import__('os')", "not expected"),
        ("a % b", "'% b' is not expected"),
        ("1e5", "'e5' is not"),
        ("[a", "'[a' is not expected"),
        ("1234567890123456", "digits"),
        ("0.1234567890123", "places"),
        ("(" * 50 + "a" + ")" * 50, "deep"),
        ("-" * 50 + "a", "deep"),
        ("a+" * 600 + "a", "characters"),
        ("+a", "'+' is not expected"),
    ],
)
def test_what_is_no_formula_says_why(formula: str, message: str):
    with pytest.raises(FormulaFault, match=re.escape(message)):
        parse_formula(formula, field_named)


def exact(tree: Tree, operands: dict[str, Decimal]) -> Fraction:
    if isinstance(tree, NumberTerm):
        return Fraction(tree.value)
    if isinstance(tree, FieldTerm):
        return Fraction(operands[tree.field])
    left, right = exact(tree.left, operands), exact(tree.right, operands)
    return {
        "+": lambda: left + right,
        "-": lambda: left - right,
        "*": lambda: left * right,
        "/": lambda: left / right,
    }[tree.sign]()


def half_up(number: Fraction) -> Decimal:
    scaled = abs(number) * 10**12
    count = int(scaled) + (scaled - int(scaled) >= Fraction(1, 2))
    return Decimal(count if number >= 0 else -count).scaleb(-12, Context(prec=60, rounding=ROUND_HALF_UP))


numbers = st.one_of(
    st.decimals(-1000, 1000, places=3),
    st.decimals(-(10**15) + 1, 10**15 - 1, places=12),
    st.integers(-5, 5).map(Decimal),
)
formulas = st.recursive(
    st.sampled_from(["a", "b", "c", "2", "0.001", "1024", "3"]),
    lambda inner: st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda each: f"({each[0]} {each[1]} {each[2]})"),
    max_leaves=6,
)


@given(formulas, st.lists(st.tuples(numbers, numbers, numbers), min_size=1, max_size=5))
@settings(deadline=None)
def test_results_are_those_of_fractions(formula: str, rows: list[tuple[Decimal, Decimal, Decimal]]):
    tree = parse_formula(formula, field_named)
    columns = {name: pl.Series([row[at] for row in rows], dtype=QUANTITY) for at, name in enumerate("abc")}
    for row, found in zip(rows, compute(tree, columns, len(rows)), strict=True):
        try:
            expected = half_up(exact(tree, dict(zip("abc", row, strict=True))))
        except ZeroDivisionError:
            assert found is None
            continue
        # A result may be missing only where more digits than the bound were needed on the way.
        assert found is None or Decimal(found) == expected
        if formula.count("(") == 1 and all(abs(number) < 10**6 for number in row) and "/" not in formula:
            assert found is not None


def test_a_row_without_a_result_stops_no_other():
    profile = short({"name": "by"}, mappings=[{"target": "value", "formula": "value * 1024 / by"}])
    rows = [f"a,94,2022-05-01,voice,{by}" for by in ("2", "0", "", "x", "4")]
    result = mediated(rows, profile)
    assert ends(result) == {
        1: "usage",
        2: "formula_must_have_a_result",
        3: "field_is_required",
        4: "value_must_be_a_number",
        5: "usage",
    }
    assert [str(each) for each in result.usage["quantity"]] == ["48128.000000000000", "24064.000000000000"]
    assert faults(result, 4) == [("value_must_be_a_number", "by", "x")]


def test_a_result_that_is_too_large_is_refused_as_a_quantity():
    profile = short(mappings=[{"target": "value", "formula": "value * value"}])
    result = mediated(["a,99999999,2022-05-01,voice"], profile)
    assert faults(result) == [("quantity_has_too_many_digits", "value", "9999999800000001")]
