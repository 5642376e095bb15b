"""Comparisons of a member with values, in every dialect: their operators, their record and the rules they must keep.

A dialect parses its own text, has its own names for the operators and its own messages. SQL is written from a comparison by
``ratemill.store.comparisons``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, Literal, TypeAlias, TypeVar

from ratemill.visible import shown

VALUES_MAX = 10_000  # of one comparison
TERMS_MAX = 100  # comparisons of one filter


class Operator(StrEnum):
    """An operator, by its name in the JSON dialects."""

    EQ = "eq"
    NOT_EQ = "notEq"
    LT = "lt"
    LT_EQ = "ltEq"
    GT = "gt"
    GT_EQ = "gtEq"
    CONTAINS = "contains"
    STARTS_WITH = "startsWith"
    ENDS_WITH = "endsWith"
    IN = "in"
    NOT_IN = "notIn"
    IS_NULL = "isNull"
    IS_NOT_NULL = "isNotNull"
    LIKE = "like"  # of subscriptions only: a pattern with * at its ends, in any letter case


JSON_OPERATORS = tuple(operator for operator in Operator if operator is not Operator.LIKE)
NO_VALUE = frozenset({Operator.IS_NULL, Operator.IS_NOT_NULL})
MANY_VALUES = frozenset({Operator.IN, Operator.NOT_IN})
ORDERING = frozenset({Operator.LT, Operator.LT_EQ, Operator.GT, Operator.GT_EQ})
OF_TEXTS = frozenset({Operator.CONTAINS, Operator.STARTS_WITH, Operator.ENDS_WITH, Operator.LIKE})
NEGATED = {Operator.NOT_EQ: Operator.EQ, Operator.NOT_IN: Operator.IN}
"""Operators that hold where another does not, a member without a value included."""

Member = TypeVar("Member")


@dataclass(frozen=True, slots=True)
class Comparison(Generic[Member]):
    """A member and what it is compared with: several values for in and notIn, none for isNull and isNotNull, else one."""

    member: Member
    operator: Operator
    values: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class RawComparison:
    """A comparison as a caller wrote it: the names of a member and an operator, and a text, a list of texts or None."""

    member: str
    operator: str
    value: str | Sequence[str] | None


@dataclass(frozen=True, slots=True)
class Junction(Generic[Member]):
    """Two or more parts of which all must hold, or any."""

    operator: Literal["and", "or"]
    parts: tuple[Condition[Member], ...]


Condition: TypeAlias = Comparison[Member] | Junction[Member]


@dataclass(frozen=True, slots=True)
class ComparisonRules:
    """What one dialect accepts, and its messages, which may name {operator}, {count} and {bound}."""

    readers: Mapping[str, Callable[[str], Any]]  # by type: text to value, or ValueError
    ordered: frozenset[str]  # types whose values have an order
    texts_only: str = "{operator} compares texts only"
    ordered_only: str = "{operator} compares what has an order only"
    no_value: str = "{operator} takes no value"
    one_value: str = "{operator} takes one value"
    many_values: str = "{operator} takes 1 to {bound} values, not {count}"
    many_in_a_list: bool = False  # whether the only value of in or notIn must be in a list, too

    def values(self, type_: str, texts: Iterable[str]) -> tuple[Any, ...]:
        """Return the values of texts; raise ``ValueError``."""
        read = self.readers[type_]
        return tuple(read(text) for text in texts)


def operator_named(name: str, operators: Iterable[str]) -> Operator:
    """Return the operator of that name in the JSON dialects; raise ``ValueError``."""
    if name not in operators:
        raise ValueError(f"'{shown(name)}' is no operator: {', '.join(operators)}")
    return Operator(name)


def check_operator(operator: Operator, type_: str, rules: ComparisonRules) -> None:
    """Raise ``ValueError`` if the operator does not compare values of that type."""
    if operator in OF_TEXTS and type_ != "text":
        raise ValueError(rules.texts_only.format(operator=operator))
    if operator in ORDERING and type_ not in rules.ordered:
        raise ValueError(rules.ordered_only.format(operator=operator))


def read_values(
    operator: Operator, type_: str, given: str | Sequence[str] | None, rules: ComparisonRules
) -> tuple[Any, ...]:
    """Return the values of a comparison, each as its type; raise ``ValueError``."""
    check_operator(operator, type_, rules)
    if operator in NO_VALUE:
        if given is not None:
            raise ValueError(rules.no_value.format(operator=operator))
        return ()
    if operator not in MANY_VALUES and not isinstance(given, str):
        raise ValueError(rules.one_value.format(operator=operator))
    texts = [given] if isinstance(given, str) else list(given or ())
    listed = not isinstance(given, str) or not rules.many_in_a_list or operator not in MANY_VALUES
    if not listed or not 0 < len(texts) <= VALUES_MAX:
        raise ValueError(rules.many_values.format(operator=operator, bound=VALUES_MAX, count=len(texts)))
    return rules.values(type_, texts)


def read_truth(text: str) -> bool:
    """Return whether a text is true, in any letter case; raise ``ValueError`` if it is neither true nor false."""
    if text.lower() not in {"true", "false"}:
        raise ValueError(f"'{shown(text)}' is neither true nor false")
    return text.lower() == "true"
