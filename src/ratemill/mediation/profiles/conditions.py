"""Conditions of a profile: which fields are compared, how and with what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ratemill.comparisons import JSON_OPERATORS, MANY_VALUES, NO_VALUE, Comparison, Operator
from ratemill.mediation.profiles.declared import Condition
from ratemill.mediation.profiles.members import MemberReader


def read_condition(members: MemberReader, value: object, path: str) -> Condition:
    """Read a condition."""
    entry = members.entry(value, path, {"condition", "search"})
    if entry is None:
        return Condition(())
    any_of = members.choice(entry, "condition", path, ["and", "or"], default="and") == "or"
    terms = [_term(members, each, at) for at, each in members.items(entry.get("search"), f"{path}.search")]
    if not terms:
        members.fault(f"{path}.search", "a condition compares at least one field")
    return Condition(tuple(term for term in terms if term), any_of)


def _term(members: MemberReader, value: object, path: str) -> Comparison[str] | None:
    """Read one comparison."""
    entry = members.entry(value, path, {"name", "operator", "value"})
    if entry is None:
        return None
    name = members.known_field(entry, "name", path)
    operators = [str(each) for each in JSON_OPERATORS]
    operator = members.choice(entry, "operator", path, operators, required=True, default=Operator.EQ)
    return Comparison(name, Operator(operator), _values(members, entry, Operator(operator), path))


def _values(members: MemberReader, entry: Mapping[str, Any], operator: Operator, path: str) -> tuple[str, ...]:
    """Read what a field is compared with: one value, several, or none."""
    value = entry.get("value")
    if operator in NO_VALUE:
        if value is not None:
            members.fault(f"{path}.value", f"{operator} takes no value")
        return ()
    if operator in MANY_VALUES and isinstance(value, list):
        if not value:
            members.fault(f"{path}.value", "a list has at least one value")
        return tuple(members.scalar(each, f"{path}.value[{at}]") for at, each in enumerate(value))
    if value is None:
        members.fault(f"{path}.value", "a value is required")
        return ("",)
    return (members.scalar(value, f"{path}.value"),)
