"""``$filter`` and ``$orderby``: from their text to a tree.

The dialect writes ``FIELD OPERATOR 'VALUE'`` also for ``contains``, ``startswith`` and ``endswith``, which OData has as
functions; the parsers of OData refuse that, so this is one of its own. What a field means is not decided here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NoReturn, TypeAlias, TypeVar

from ratemill.comparisons import NO_VALUE, TERMS_MAX, Comparison, Condition, Junction, Operator
from ratemill.visible import shown

OPERATORS = {
    "contains": Operator.CONTAINS,
    "endswith": Operator.ENDS_WITH,
    "startswith": Operator.STARTS_WITH,
    "eq": Operator.EQ,
    "ne": Operator.NOT_EQ,
    "le": Operator.LT_EQ,
    "lt": Operator.LT,
    "ge": Operator.GT_EQ,
    "gt": Operator.GT,
}
DEPTH_MAX = 20  # of brackets within brackets
FIELDS_MAX = 10  # of one order

_TESTS: dict[Operator, Callable[[str, str], bool]] = {
    Operator.CONTAINS: lambda own, given: given.lower() in own.lower(),
    Operator.ENDS_WITH: lambda own, given: own.lower().endswith(given.lower()),
    Operator.STARTS_WITH: lambda own, given: own.lower().startswith(given.lower()),
    Operator.LT_EQ: str.__le__,
    Operator.LT: str.__lt__,
    Operator.GT_EQ: str.__ge__,
    Operator.GT: str.__gt__,
}
_OF_NULL = {Operator.EQ: Operator.IS_NULL, Operator.NOT_EQ: Operator.IS_NOT_NULL}
_TOKEN = re.compile(r"\s*(?:(?P<bracket>[()])|'(?P<value>(?:[^']|'')*)'|(?P<word>[^\s()']+))")
_FIELD = re.compile(r"[^\W\d][\w-]*(?:[./][\w-]+)*\Z")
_NUMBER = re.compile(r"-?\d{1,100}(?:\.\d{1,100})?\Z", re.ASCII)


Members = TypeVar("Members", bound=Mapping[str, object])
Path: TypeAlias = tuple[str, ...]
"""The path of a member: ``("parentReference", "id")``."""


class FilterFault(ValueError):
    """The text cannot be read; the message says where and what was expected."""


@dataclass(frozen=True, slots=True)
class Direction:
    """A field of an order, and whether it descends."""

    field: tuple[str, ...]
    descending: bool


@dataclass(frozen=True, slots=True)
class _FilterToken:
    kind: str
    text: str
    at: int  # the first character, from 1

    @property
    def shown(self) -> str:
        return f"'{shown(self.text)}'" if self.kind != "end" else "its end"


def read_filter(text: str) -> Condition[Path]:
    """Return the tree of a ``$filter``; raise ``FilterFault``. ``and`` binds tighter than ``or``."""
    reader = _TokenReader(text)
    tree = reader.any_of(0)
    if reader.next.kind != "end":
        reader.fail("'and', 'or' or the end")
    return tree


def read_order(text: str) -> tuple[Direction, ...]:
    """Return the fields of an ``$orderby``, ``FIELD [asc|desc]`` with commas between; raise ``FilterFault``."""
    order = tuple(_direction(part) for part in text.split(","))
    if len(order) > FIELDS_MAX:
        raise FilterFault(f"has {len(order)} fields, at most {FIELDS_MAX} are taken")
    return order


def holds(tree: Condition[Path], members: Mapping[str, object]) -> bool:
    """Return whether a filter lets an object through, whose truth values are texts to it: for lists that are short."""
    if isinstance(tree, Junction):
        return (all if tree.operator == "and" else any)(holds(part, members) for part in tree.parts)
    value = members.get(tree.member[0])
    value = str(value).lower() if isinstance(value, bool) else value
    if tree.operator in NO_VALUE:
        return (value is None) == (tree.operator is Operator.IS_NULL)
    given: str = tree.values[0]
    if tree.operator in (Operator.EQ, Operator.NOT_EQ):
        return (value == given) == (tree.operator is Operator.EQ)
    return isinstance(value, str) and _TESTS[tree.operator](value, given)


def arranged(members: Iterable[Members], order: Iterable[Direction]) -> list[Members]:
    """Return objects in an order; one without the member stands first."""
    found = list(members)
    for each in reversed(list(order)):
        found.sort(key=lambda one: str(one.get(each.field[0]) or ""), reverse=each.descending)
    return found


def fields_of(tree: Condition[Path]) -> Iterator[tuple[str, ...]]:
    """Return the field of each comparison of a filter."""
    if isinstance(tree, Comparison):
        yield tree.member
    else:
        for part in tree.parts:
            yield from fields_of(part)


def _direction(part: str) -> Direction:
    words = part.split()
    name, direction = words[0] if words else "", words[1].lower() if len(words) > 1 else "asc"
    if len(words) > 2 or direction not in ("asc", "desc") or not _FIELD.match(name):  # noqa: PLR2004 - field, direction
        raise FilterFault(f"is FIELD asc or FIELD desc, with commas between, not '{shown(part.strip())}'")
    return Direction(_path(name), direction == "desc")


def _path(name: str) -> tuple[str, ...]:
    return tuple(re.split(r"[./]", name))


def _tokens(text: str) -> Iterator[_FilterToken]:
    at, end = 0, len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            raise FilterFault(f"cannot be read at character {at + 1}: a quote is not closed")
        kind = match.lastgroup or ""
        yield _FilterToken(
            kind, match[kind].replace("''", "'") if kind == "value" else match[kind], match.start(kind) + 1
        )
        at = match.end()
    yield _FilterToken("end", "", end + 1)


class _TokenReader:
    """Goes through the tokens once, from left to right."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._comparisons = 0
        self.next = next(self._tokens)

    def any_of(self, depth: int) -> Condition[Path]:
        """Return ``… or …``."""
        return self._joined("or", [self._all_of(depth)], depth)

    def _all_of(self, depth: int) -> Condition[Path]:
        return self._joined("and", [self._single(depth)], depth)

    def _joined(self, operator: Literal["and", "or"], parts: list[Condition[Path]], depth: int) -> Condition[Path]:
        while self.next.kind == "word" and self.next.text.lower() == operator:
            self._take()
            parts.append(self._all_of(depth) if operator == "or" else self._single(depth))
        return parts[0] if len(parts) == 1 else Junction(operator, tuple(parts))

    def _single(self, depth: int) -> Condition[Path]:
        if (self.next.kind, self.next.text) != ("bracket", "("):
            return self._comparison()
        if depth == DEPTH_MAX:
            raise FilterFault(f"has more than {DEPTH_MAX} brackets within brackets")
        self._take()
        tree = self.any_of(depth + 1)
        if (self.next.kind, self.next.text) != ("bracket", ")"):
            self.fail("'and', 'or' or ')'")
        self._take()
        return tree

    def _comparison(self) -> Comparison[Path]:
        self._comparisons += 1
        if self._comparisons > TERMS_MAX:
            raise FilterFault(f"has more than {TERMS_MAX} comparisons")
        if self.next.kind != "word" or not _FIELD.match(self.next.text):
            self.fail("the name of a field")
        field = _path(self._take().text)
        if self.next.kind != "word" or self.next.text.lower() not in OPERATORS:
            self.fail(f"one of {', '.join(OPERATORS)}")
        operator = OPERATORS[self._take().text.lower()]
        value = self._value(operator)
        if value is None:
            return Comparison(field, _OF_NULL[operator])
        return Comparison(field, operator, (value,))

    def _value(self, operator: Operator) -> str | None:
        if self.next.kind == "value":
            return self._take().text
        word = self.next.text.lower() if self.next.kind == "word" else ""
        if word == "null" and operator in _OF_NULL:
            self._take()
            return None
        if word in ("true", "false") or _NUMBER.match(word):
            self._take()
            return word
        return self.fail("a value in single quotes")

    def _take(self) -> _FilterToken:
        taken, self.next = self.next, next(self._tokens, self.next)
        return taken

    def fail(self, expected: str) -> NoReturn:
        """Say what was expected in the place of what comes."""
        raise FilterFault(f"cannot be read at character {self.next.at}: expected {expected}, not {self.next.shown}")
