"""Comparisons in SQL: one text for each operator, for every list that is filtered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ratemill.comparisons import MANY_VALUES, NEGATED, NO_VALUE, OF_TEXTS, Comparison, Operator

Values = dict[str, Any]
"""The parameters of a statement, by name; each value that is bound adds one."""

# What is true of an expression {e} and a value {v}, or an array of values.
_TESTS = {
    Operator.EQ: "{e} = {v}",
    Operator.LT: "{e} < {v}",
    Operator.LT_EQ: "{e} <= {v}",
    Operator.GT: "{e} > {v}",
    Operator.GT_EQ: "{e} >= {v}",
    Operator.CONTAINS: "strpos({e}, {v}) > 0",
    Operator.STARTS_WITH: "starts_with({e}, {v})",
    Operator.ENDS_WITH: "right({e}, length({v})) = {v}",
    Operator.LIKE: "{e} ilike {v}",
    Operator.IN: "{e} = any({v})",
    Operator.IS_NULL: "{e} is null",
    Operator.IS_NOT_NULL: "{e} is not null",
}

# How an index over digests finds what these operators do, before the texts are compared.
_BY_DIGEST = {
    Operator.EQ: "{digest} = md5({v})::{type} and {test}",
    Operator.IN: "{digest} = any(array(select md5(w.text)::{type} from unnest({v}) w (text))) and {test}",
}


@dataclass(frozen=True, slots=True)
class ComparedColumn:
    """What may be compared: an expression and its type; ``digest`` is what an index has of it, in a type of its own."""

    expression: str
    type: str
    digest: str = ""
    digest_type: str = "uuid"
    any_case: bool = False  # whether texts are found in it in any letter case


def condition(comparison: Comparison[Any], column: ComparedColumn, values: Values) -> str:
    """Return a comparison as a condition; what it compares with goes into ``values``."""
    operator, negated = positive(comparison.operator)
    value = bound(comparison, column.type, values)
    tested = predicate(operator, column.expression, value, any_case=column.any_case)
    if column.digest and operator in _BY_DIGEST and not negated:
        names = {"digest": column.digest, "type": column.digest_type, "v": value, "test": tested}
        tested = _BY_DIGEST[operator].format(**names)
    return not_true(tested) if negated else f"({tested})"


def conditions(comparisons: Iterable[Comparison[str]], columns: Mapping[str, ComparedColumn], values: Values) -> str:
    """Return the condition that all comparisons of ``columns`` hold."""
    return joined(
        (condition(comparison, columns[comparison.member], values) for comparison in comparisons), any_of=False
    )


def types(columns: Mapping[str, ComparedColumn]) -> dict[str, str]:
    """Return the type of each member that is compared."""
    return {name: column.type for name, column in columns.items()}


def positive(operator: Operator) -> tuple[Operator, bool]:
    """Return the operator that is tested, and whether the comparison holds where that does not."""
    return NEGATED.get(operator, operator), operator in NEGATED


def bound(comparison: Comparison[Any], type_: str, values: Values) -> str:
    """Return the placeholder of what a comparison compares with; empty if that is nothing."""
    if comparison.operator in NO_VALUE:
        return ""
    if comparison.operator in MANY_VALUES:
        return bind(list(comparison.values), f"{type_}[]", values)
    (value,) = comparison.values
    return bind(_pattern(value) if comparison.operator is Operator.LIKE else value, type_, values)


def bind(value: object, type_: str, values: Values) -> str:
    """Return the placeholder of a value that is added to ``values``."""
    name = f"v{len(values)}"
    values[name] = value
    return f"%({name})s::{type_}"


def predicate(operator: Operator, expression: str, value: str, *, any_case: bool = False) -> str:
    """Return what an operator that is not negated tests."""
    if any_case and operator in OF_TEXTS:
        expression, value = f"lower({expression})", f"lower({value})"
    return _TESTS[operator].format(e=expression, v=value)


def not_true(condition: str) -> str:
    """Return a condition that holds where another does not, a member without a value included."""
    return f"({condition}) is not true"


def joined(conditions: Iterable[str], *, any_of: bool) -> str:
    """Return the condition that all of them hold, or any; true if there are none."""
    return (" or " if any_of else " and ").join(conditions) or "true"


def _pattern(text: str) -> str:
    """Return the pattern of a ``like``: ``*`` is any run of characters, at the start or end; all else is itself."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    start, end = escaped.startswith("*"), escaped.endswith("*") and len(escaped) > 1
    middle = escaped[start : len(escaped) - end]
    return f"{'%' if start else ''}{middle}{'%' if end else ''}"
