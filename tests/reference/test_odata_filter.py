"""``$filter`` and ``$orderby``, the text beside the tree."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratemill.comparisons import TERMS_MAX, Comparison, Condition, Junction, Operator
from ratemill.reference.odata_filter import (
    DEPTH_MAX,
    Direction,
    FilterFault,
    Path,
    arranged,
    holds,
    read_filter,
    read_order,
)


def is_(field: str, *values: str, operator: Operator = Operator.EQ) -> Comparison[Path]:
    return Comparison(tuple(field.split(".")), operator, values)


A, B, C = is_("a", "1"), is_("b", "2"), is_("c", "3")


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("id eq '004 Product'", is_("id", "004 Product")),
        (
            "description contains 'O''Neill (and) or'",
            is_("description", "O'Neill (and) or", operator=Operator.CONTAINS),
        ),
        ("id StartsWith ''", is_("id", "", operator=Operator.STARTS_WITH)),
        ("parentReference.id ne 'x'", is_("parentReference.id", "x", operator=Operator.NOT_EQ)),
        ("parentReference/id ne 'x'", is_("parentReference.id", "x", operator=Operator.NOT_EQ)),
        ("  sid ge 12 ", is_("sid", "12", operator=Operator.GT_EQ)),
        ("royaltyBearingFlag eq TRUE", is_("royaltyBearingFlag", "true")),
        ("comment eq null", is_("comment", operator=Operator.IS_NULL)),
        ("a eq '1' and b eq '2' or c eq '3'", Junction("or", (Junction("and", (A, B)), C))),
        ("a eq '1' or b eq '2' and c eq '3'", Junction("or", (A, Junction("and", (B, C))))),
        ("(a eq '1' OR b eq '2')And(c eq '3')", Junction("and", (Junction("or", (A, B)), C))),
        ("a eq '1' and b eq '2' and c eq '3'", Junction("and", (A, B, C))),
        ("((a eq '1'))", A),
    ],
)
def test_a_filter_is_read_as_it_is_meant(text: str, tree: Condition[Path]):
    assert read_filter(text) == tree


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "at character 1: expected the name of a field, not its end"),
        ("id", "at character 3: expected one of contains"),
        ("id is 'x'", "at character 4: expected one of contains"),
        ("id eq x", "at character 7: expected a value in single quotes, not 'x'"),
        ("id eq 'x", "at character 6: a quote is not closed"),
        ("id eq 'x' y", "at character 11: expected 'and', 'or' or the end, not 'y'"),
        ("(id eq 'x'", "at character 11: expected 'and', 'or' or ')', not its end"),
        ("id eq 'x')", "at character 10: expected 'and', 'or' or the end, not ')'"),
        ("id eq 'x' and", "at character 14: expected the name of a field, not its end"),
        ("1d eq 'x'", "at character 1: expected the name of a field, not '1d'"),
        ("id lt null", "at character 7: expected a value"),
        ("contains(id,'x')", "at character 9: expected one of contains"),
    ],
)
def test_a_filter_that_cannot_be_read_says_where(text: str, said: str):
    with pytest.raises(FilterFault, match="cannot be read") as caught:
        read_filter(text)
    assert said in str(caught.value)


def test_a_filter_has_bounds():
    comparison = "a eq '1'"
    read_filter(" or ".join([comparison] * TERMS_MAX))
    with pytest.raises(FilterFault, match=str(TERMS_MAX)):
        read_filter(" or ".join([comparison] * (TERMS_MAX + 1)))
    read_filter("(" * DEPTH_MAX + comparison + ")" * DEPTH_MAX)
    with pytest.raises(FilterFault, match=str(DEPTH_MAX)):
        read_filter("(" * 10_000 + comparison + ")" * 10_000)


@given(st.text())
def test_a_value_is_read_as_it_was_written(value: str):
    quoted = value.replace("'", "''")
    assert read_filter(f"id eq '{quoted}'") == is_("id", value)


@given(st.text("id eq'()and or\t0x", max_size=40))
def test_a_filter_is_read_or_refused(text: str):
    with suppress(FilterFault):
        read_filter(text)


def test_an_order_is_read_as_it_is_meant():
    expected = (Direction(("description",), True), Direction(("parentReference", "id"), False))
    assert read_order("description desc, parentReference.id") == expected
    assert read_order("id ASC") == (Direction(("id",), False),)


@pytest.mark.parametrize("text", ["", "id,", "id up", "id asc desc", "'id'", ",".join(["id"] * 11)])
def test_an_order_that_cannot_be_read_is_refused(text: str):
    with pytest.raises(FilterFault):
        read_order(text)


@pytest.mark.parametrize(
    ("text", "held"),
    [
        ("name eq 'ud_Color'", True),
        ("name eq 'ud_color'", False),
        ("name contains 'COL' and type eq 'string'", True),
        ("name endswith 'x' or name startswith 'UD_'", True),
        ("type ne 'string'", False),
        ("type gt 'number' and type lt 'x'", True),
        ("comment eq null", True),
        ("comment contains 'x'", False),
        ("name ne null", True),
        ("flag eq true", True),
        ("flag ne 'true'", False),
    ],
)
def test_a_filter_holds_for_an_object_or_not(text: str, held: bool):
    assert holds(read_filter(text), {"name": "ud_Color", "type": "string", "flag": True}) is held


def test_objects_are_arranged_by_several_members():
    rows = [{"a": "1", "b": "x"}, {"a": "2", "b": "x"}, {"b": "y"}]
    assert arranged(rows, read_order("b desc, a")) == [{"b": "y"}, {"a": "1", "b": "x"}, {"a": "2", "b": "x"}]
