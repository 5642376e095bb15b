"""Conditions over fields become expressions: what a filter lets through, where a conditional transform applies.

Two numbers are compared as numbers, exactly, anything else as text. An absent field is equal to nothing: it passes
notEq, notIn and isNull only.
"""

from __future__ import annotations

import polars as pl

from ratemill.comparisons import NEGATED, Comparison, Operator
from ratemill.mediation.profiles.declared import Condition
from ratemill.mediation.quantities import read_quantities
from ratemill.mediation.working import field_column


def holds(condition: Condition, rows: pl.DataFrame) -> pl.Series:
    """Return where the condition holds; never null."""
    terms = [_term_holds(term, rows[field_column(term.member)]) for term in condition.terms]
    joined = pl.any_horizontal if condition.any_of else pl.all_horizontal
    return pl.select(joined(terms)).to_series()


def _term_holds(term: Comparison[str], texts: pl.Series) -> pl.Series:
    if term.operator is Operator.IS_NULL:
        return texts.is_null()
    if term.operator is Operator.IS_NOT_NULL:
        return texts.is_not_null()
    if term.operator in NEGATED:
        return ~_found(NEGATED[term.operator], texts, term.values)
    return _found(term.operator, texts, term.values)


def _found(operator: Operator, texts: pl.Series, values: tuple[str, ...]) -> pl.Series:
    each = [_compared(operator, texts, value) for value in values]
    return pl.select(pl.any_horizontal(each).fill_null(value=False)).to_series()


def _compared(operator: Operator, texts: pl.Series, value: str) -> pl.Series:
    match operator:
        case Operator.CONTAINS:
            return texts.str.contains(value, literal=True)
        case Operator.STARTS_WITH:
            return texts.str.starts_with(value)
        case Operator.ENDS_WITH:
            return texts.str.ends_with(value)
    number = read_quantities(pl.Series([value])).value
    by_text = _ordered(operator, texts, pl.Series([value]))
    if number.is_null().all():
        return by_text
    numbers = read_quantities(texts).value
    by_number = _ordered(operator, numbers, number)
    return pl.select(pl.when(numbers.is_not_null()).then(by_number).otherwise(by_text)).to_series()


def _ordered(operator: Operator, left: pl.Series, right: pl.Series) -> pl.Series:
    match operator:
        case Operator.LT:
            return left < right
        case Operator.LT_EQ:
            return left <= right
        case Operator.GT:
            return left > right
        case Operator.GT_EQ:
            return left >= right
        case _:
            return left == right
