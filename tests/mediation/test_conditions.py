"""Conditions and the filter: numbers are compared as numbers, all else as text; what does not pass is skipped."""

from typing import Any

import pytest
from tests.mediation.tables import ends, mediated, short


def passes(text: str, operator: str, value: object = None) -> bool:
    """Tell whether the filter lets a row with this text in a field through."""
    term = {"name": "note", "operator": operator} | ({} if value is None else {"value": value})
    profile = short({"name": "note"}, filter={"search": [term]})
    [(_, end)] = ends(mediated([f'a,1,2022-05-01,voice,"{text}"'], profile)).items()
    return end == "usage"


@pytest.mark.parametrize(
    ("text", "operator", "value", "found"),
    [
        ("6", "eq", "6", True),
        ("6.0", "eq", "6", True),
        ("6", "eq", 6, True),
        ("60", "eq", "6", False),
        ("10", "gt", "9", True),
        ("x", "gt", "9", True),
        ("10", "lt", "9", False),
        ("0.1", "ltEq", "0.10", True),
        ("1e2", "gtEq", "100", True),
        ("apple", "lt", "banana", True),
        ("b", "gtEq", "b", True),
        ("API", "eq", "api", False),
        ("API", "notEq", "api", True),
        ("6.0", "notEq", "6", False),
        ("a.c", "contains", ".", True),
        ("abc", "contains", ".", False),
        ("abc", "startsWith", "ab", True),
        ("abc", "startsWith", "b", False),
        ("abc", "endsWith", "bc", True),
        ("b", "in", ["a", "b"], True),
        ("2.0", "in", ["1", 2], True),
        ("c", "in", ["a", "b"], False),
        ("c", "notIn", ["a", "b"], True),
        ("a", "notIn", ["a", "b"], False),
        ("a", "in", "a", True),
        ("a", "isNull", None, False),
        ("a", "isNotNull", None, True),
        ("true", "eq", True, True),
    ],
)
def test_operators(text: str, operator: str, value: object, found: bool):
    assert passes(text, operator, value) is found


@pytest.mark.parametrize("operator", ["eq", "lt", "ltEq", "gt", "gtEq", "contains", "startsWith", "endsWith", "in"])
def test_an_absent_field_is_equal_to_nothing(operator: str):
    assert not passes("", operator, "a")


@pytest.mark.parametrize(("operator", "value"), [("notEq", "a"), ("notIn", ["a"]), ("isNull", None)])
def test_an_absent_field_passes_what_denies(operator: str, value: object):
    assert passes("", operator, value)


def test_terms_are_joined_by_and_or_by_or():
    search = [{"name": "note", "operator": "eq", "value": "x"}, {"name": "value", "operator": "gt", "value": 5}]
    rows = ["a,9,2022-05-01,voice,x", "a,1,2022-05-01,voice,x", "a,9,2022-05-01,voice,y", "a,1,2022-05-01,voice,y"]

    def found(condition: dict[str, Any]) -> list[str]:
        return list(ends(mediated(rows, short({"name": "note"}, filter=condition))).values())

    assert found({"search": search}) == ["usage", "skipped", "skipped", "skipped"]
    assert found({"condition": "or", "search": search}) == ["usage", "usage", "usage", "skipped"]


def test_a_skipped_row_breaks_no_rule_but_those_of_its_text():
    profile = short(
        {"name": "type", "transforms": [{"type": "trim"}]},
        {"name": "at", "required": True, "transforms": [{"type": "time"}]},
        filter={"search": [{"name": "type", "operator": "eq", "value": "6"}]},
    )
    rows = [
        "a,1,2022-05-01,voice, 6 ,9:00",
        "a,x,,nothing,5,noon",
        "a,1,2022-05-01,voice,5",
        "a,1,2022-05-01,voice,6,noon",
    ]
    assert list(ends(mediated(rows, profile)).values()) == [
        "usage",
        "skipped",
        "row_has_too_few_fields",
        "value_must_be_a_time",
    ]
