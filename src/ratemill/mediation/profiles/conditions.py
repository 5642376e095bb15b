"""Conditions of a profile: which fields are compared, how and with what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ratemill.mediation.profiles.declared import Condition, ConditionOperator, Term
from ratemill.mediation.profiles.members import MemberReader

_NO_VALUE = (ConditionOperator.IS_NULL, ConditionOperator.IS_NOT_NULL)
_MANY_VALUES = (ConditionOperator.IN, ConditionOperator.NOT_IN)


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


def _term(members: MemberReader, value: object, path: str) -> Term | None:
    """Read one comparison."""
    entry = members.entry(value, path, {"name", "operator", "value"})
    if entry is None:
        return None
    name = members.known_field(entry, "name", path)
    operators = [str(each) for each in ConditionOperator]
    operator = members.choice(entry, "operator", path, operators, required=True, default=ConditionOperator.EQ)
    return Term(name, ConditionOperator(operator), _values(members, entry, ConditionOperator(operator), path))


def _values(members: MemberReader, entry: Mapping[str, Any], operator: ConditionOperator, path: str) -> tuple[str, ...]:
    """Read what a field is compared with: one value, several, or none."""
    value = entry.get("value")
    if operator in _NO_VALUE:
        if value is not None:
            members.fault(f"{path}.value", f"{operator} takes no value")
        return ()
    if operator in _MANY_VALUES and isinstance(value, list):
        if not value:
            members.fault(f"{path}.value", "a list has at least one value")
        return tuple(members.scalar(each, f"{path}.value[{at}]") for at, each in enumerate(value))
    if value is None:
        members.fault(f"{path}.value", "a value is required")
        return ("",)
    return (members.scalar(value, f"{path}.value"),)
