"""Formulas: a small grammar of exact arithmetic over fields, read into a tree and then into one fraction.

    sum      = product (("+" | "-") product)*
    product  = signed (("*" | "/") signed)*
    signed   = "-" signed | atom
    atom     = NUMBER | NAME | "[" any name "]" | "(" sum ")"

A NUMBER is digits with a point; a NAME is letters, digits and underscores, a field found whatever its case; a name with
anything else in it stands in brackets. The tree is carried to one fraction, so that nothing is rounded on the way:
`A / B * C` divides once, at the end. What computes it is in `arithmetic.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

from ratemill.money import QUANTITY_INTEGER_DIGITS_MAX, QUANTITY_PLACES_MAX, places
from ratemill.visible import shown

FORMULA_CHARS_MAX = 1_000
_NUMBER_CHARS_MAX = 100
FORMULA_DEPTH_MAX = 40  # brackets and signs inside one another; also bounds the recursion

_TOKEN = re.compile(r"\s*(?:(\d+(?:\.\d*)?|\.\d+)|([^\W\d]\w*)|\[([^\[\]]+)\]|([-+*/()]))", re.ASCII)


@dataclass(frozen=True, slots=True)
class NumberTerm:
    """A number as it is written."""

    value: Decimal


@dataclass(frozen=True, slots=True)
class FieldTerm:
    """The number in a field."""

    field: str


@dataclass(frozen=True, slots=True)
class Operation:
    """Two terms and what is done with them: ``+``, ``-``, ``*`` or ``/``."""

    sign: str
    left: Tree
    right: Tree


Tree: TypeAlias = NumberTerm | FieldTerm | Operation


class FormulaFault(Exception):
    """The text is no formula."""


def parse_formula(text: str, field_named: Callable[[str], str | None]) -> Tree:
    """Return the tree of a formula; raise ``FormulaFault`` with what is wrong and where."""
    if len(text) > FORMULA_CHARS_MAX:
        raise FormulaFault(f"a formula has at most {FORMULA_CHARS_MAX} characters")
    return _Parser(text, field_named).parse()


def fields_of(tree: Tree) -> Iterator[str]:
    """Yield the fields that a formula reads, each as often as it stands there."""
    if isinstance(tree, FieldTerm):
        yield tree.field
    elif isinstance(tree, Operation):
        yield from fields_of(tree.left)
        yield from fields_of(tree.right)


class _Parser:
    """Recursive descent over the tokens of one formula."""

    def __init__(self, text: str, field_named: Callable[[str], str | None]) -> None:
        self.tokens = list(_tokens(text))
        self.at = 0
        self.depth = 0
        self.field_named = field_named

    def parse(self) -> Tree:
        tree = self.sum()
        if self.at < len(self.tokens):
            raise FormulaFault(f"'{shown(self.tokens[self.at][1])}' is not expected here")
        return tree

    def sum(self) -> Tree:
        tree = self.product()
        while sign := self.take("+", "-"):
            tree = Operation(sign, tree, self.product())
        return tree

    def product(self) -> Tree:
        tree = self.signed()
        while sign := self.take("*", "/"):
            tree = Operation(sign, tree, self.signed())
        return tree

    def signed(self) -> Tree:
        if not self.take("-"):
            return self.atom()
        self.deeper()
        tree = self.signed()
        self.depth -= 1
        return Operation("-", NumberTerm(Decimal(0)), tree)

    def atom(self) -> Tree:
        if self.take("("):
            self.deeper()
            tree = self.sum()
            self.depth -= 1
            if not self.take(")"):
                raise FormulaFault("a bracket is opened and not closed")
            return tree
        kind, text = self.tokens[self.at] if self.at < len(self.tokens) else ("end", "")
        self.at += 1
        if kind == "number":
            return NumberTerm(_bounded(text))
        if kind == "name":
            return FieldTerm(self.known(text))
        raise FormulaFault(f"'{shown(text)}' is not expected here" if text else "the formula ends too early")

    def known(self, name: str) -> str:
        field = self.field_named(name)
        if field is None:
            raise FormulaFault(f"'{shown(name)}' is not a field of the profile")
        return field

    def take(self, *signs: str) -> str | None:
        if self.at < len(self.tokens) and self.tokens[self.at][0] == "sign" and self.tokens[self.at][1] in signs:
            self.at += 1
            return self.tokens[self.at - 1][1]
        return None

    def deeper(self) -> None:
        self.depth += 1
        if self.depth > FORMULA_DEPTH_MAX:
            raise FormulaFault(f"brackets and signs stand more than {FORMULA_DEPTH_MAX} deep")


def _bounded(text: str) -> Decimal:
    number = Decimal(text)
    if (
        len(text) > _NUMBER_CHARS_MAX
        or places(number) > QUANTITY_PLACES_MAX
        or number >= Decimal(10) ** QUANTITY_INTEGER_DIGITS_MAX
    ):
        raise FormulaFault(
            f"'{shown(text)}' has more than {QUANTITY_INTEGER_DIGITS_MAX} digits or {QUANTITY_PLACES_MAX} places"
        )
    return number


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    at, end = 0, len(text.rstrip())
    while at < end:
        found = _TOKEN.match(text, at)
        if not found:
            raise FormulaFault(f"'{shown(text[at:].strip())}' is not expected here")
        number, name, bracketed, sign = found.groups()
        if number:
            yield "number", number
        elif sign:
            yield "sign", sign
        else:
            yield "name", name or bracketed.strip()
        at = found.end()
