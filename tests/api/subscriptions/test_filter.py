"""The filter of the lists of subscriptions: what is read from a text, and which texts are none."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratemill.api.subscriptions.filter import OPERATORS, SubscriptionFilterFault, parse
from ratemill.comparisons import Comparison, Operator

READ = {
    "eq(name,Alan Turing)": [("eq", "name", ("Alan Turing",))],
    "eq(external_ref, abc )": [("eq", "external_ref", ("abc",))],
    "eq(a,'x,y)')": [("eq", "a", ("x,y)",))],
    'eq(a, " it\'s " )': [("eq", "a", (" it's ",))],
    r'eq(a,"say \"hi\"")': [("eq", "a", ('say "hi"',))],
    r"eq(a,x\,y\)\\)": [("eq", "a", ("x,y)\\",))],
    "eq(a,)": [("eq", "a", ("",))],
    "eq(a,'')": [("eq", "a", ("",))],
    "in(a,1,'2',3)": [("in", "a", ("1", "2", "3"))],
    "is_null(a)": [("is_null", "a", ())],
    "gt(created_at,2026-01-01T00:00:00Z):lt(created_at,2026-02-01T00:00:00Z)": [
        ("gt", "created_at", ("2026-01-01T00:00:00Z",)),
        ("lt", "created_at", ("2026-02-01T00:00:00Z",)),
    ],
}
NONE = [
    "",
    "eq",
    "eq(",
    "eq()",
    "eq(a",
    "eq(a,b",
    "eq(a,'b)",
    "eq(a,b))",
    "eq(a,b,c)",
    "in(a)",
    "is_null(a,b)",
    "EQ(a,b)",
]
NONE += ["eq(a,b):", ":eq(a,b)", "eq(a,b) eq(c,d)", "eq(,b)", "eq(a,'b'c)", "not(eq(a,b))", "eq(a,b\\"]


@pytest.mark.parametrize(("text", "expected"), READ.items())
def test_what_is_read(text: str, expected: list[tuple[str, str, tuple[str, ...]]]):
    assert parse(text) == [Comparison(field, OPERATORS[operator], values) for operator, field, values in expected]


@pytest.mark.parametrize("text", NONE)
def test_what_is_no_filter(text: str):
    with pytest.raises(SubscriptionFilterFault):
        parse(text)


@given(st.lists(st.text(min_size=1), min_size=1, max_size=5))
def test_any_values_are_read_back_from_quotes(values: list[str]):
    quoted = ",".join('"' + each.replace("\\", "\\\\").replace('"', '\\"') + '"' for each in values)
    assert parse(f"in(a,{quoted})") == [Comparison("a", Operator.IN, tuple(values))]


@given(st.text())
def test_any_text_is_read_or_is_a_fault(text: str):
    with suppress(SubscriptionFilterFault):
        assert parse(text)
