"""``$filter`` and ``$orderby``: from their text to a tree.

The dialect writes ``FIELD OPERATOR 'VALUE'`` also for ``contains``, ``startswith`` and ``endswith``, which OData has as
functions; the parsers of OData refuse that, so this is one of its own. What a field means is not decided here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, NoReturn, TypeAlias, TypeVar

from ratemill.visible import shown

OPERATORS = ("contains", "endswith", "startswith", "eq", "ne", "le", "lt", "ge", "gt")
COMPARISONS_MAX = 100  # of one filter
DEPTH_MAX = 20  # of brackets within brackets
FIELDS_MAX = 10  # of one order

_TESTS: dict[str, Callable[[str, str], bool]] = {
    "contains": lambda own, given: given.lower() in own.lower(),
    "endswith": lambda own, given: own.lower().endswith(given.lower()),
    "startswith": lambda own, given: own.lower().startswith(given.lower()),
    "le": str.__le__,
    "lt": str.__lt__,
    "ge": str.__ge__,
    "gt": str.__gt__,
}
_TOKEN = re.compile(r"\s*(?:(?P<bracket>[()])|'(?P<value>(?:[^']|'')*)'|(?P<word>[^\s()']+))")
_FIELD = re.compile(r"[^\W\d][\w-]*(?:[./][\w-]+)*\Z")
_NUMBER = re.compile(r"-?\d{1,100}(?:\.\d{1,100})?\Z", re.ASCII)


Members = TypeVar("Members", bound=Mapping[str, object])


class FilterFault(ValueError):
    """The text cannot be read; the message says where and what was expected."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A field, an operator of ``OPERATORS`` and the value; None stands for ``null``.

    ``field`` is the path of a member: ``("parentReference", "id")``.
    """

    field: tuple[str, ...]
    operator: str
    value: str | None


@dataclass(frozen=True, slots=True)
class Junction:
    """Two or more parts of which all must hold, or any."""

    operator: Literal["and", "or"]
    parts: tuple[Tree, ...]


Tree: TypeAlias = "Comparison | Junction"


@dataclass(frozen=True, slots=True)
class Direction:
    """A field of an order, and whether it descends."""

    field: tuple[str, ...]
    descending: bool


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int  # the first character, from 1

    @property
    def shown(self) -> str:
        return f"'{shown(self.text)}'" if self.kind != "end" else "its end"


def read_filter(text: str) -> Tree:
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


def holds(tree: Tree, members: Mapping[str, object]) -> bool:
    """Return whether a filter lets an object through, whose truth values are texts to it: for lists that are short."""
    if isinstance(tree, Junction):
        return (all if tree.operator == "and" else any)(holds(part, members) for part in tree.parts)
    value = members.get(tree.field[0])
    value = str(value).lower() if isinstance(value, bool) else value
    if tree.operator in ("eq", "ne"):
        return (value == tree.value) == (tree.operator == "eq")
    if not isinstance(value, str) or tree.value is None:
        return False
    return _TESTS[tree.operator](value, tree.value)


def arranged(members: Iterable[Members], order: Iterable[Direction]) -> list[Members]:
    """Return objects in an order; one without the member stands first."""
    found = list(members)
    for each in reversed(list(order)):
        found.sort(key=lambda one: str(one.get(each.field[0]) or ""), reverse=each.descending)
    return found


def fields_of(tree: Tree) -> Iterator[tuple[str, ...]]:
    """Return the field of each comparison of a filter."""
    if isinstance(tree, Comparison):
        yield tree.field
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


def _tokens(text: str) -> Iterator[_Token]:
    at, end = 0, len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            raise FilterFault(f"cannot be read at character {at + 1}: a quote is not closed")
        kind = match.lastgroup or ""
        yield _Token(kind, match[kind].replace("''", "'") if kind == "value" else match[kind], match.start(kind) + 1)
        at = match.end()
    yield _Token("end", "", end + 1)


class _TokenReader:
    """Goes through the tokens once, from left to right."""

    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._comparisons = 0
        self.next = next(self._tokens)

    def any_of(self, depth: int) -> Tree:
        """Return ``… or …``."""
        return self._joined("or", [self._all_of(depth)], depth)

    def _all_of(self, depth: int) -> Tree:
        return self._joined("and", [self._single(depth)], depth)

    def _joined(self, operator: Literal["and", "or"], parts: list[Tree], depth: int) -> Tree:
        while self.next.kind == "word" and self.next.text.lower() == operator:
            self._take()
            parts.append(self._all_of(depth) if operator == "or" else self._single(depth))
        return parts[0] if len(parts) == 1 else Junction(operator, tuple(parts))

    def _single(self, depth: int) -> Tree:
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

    def _comparison(self) -> Comparison:
        self._comparisons += 1
        if self._comparisons > COMPARISONS_MAX:
            raise FilterFault(f"has more than {COMPARISONS_MAX} comparisons")
        if self.next.kind != "word" or not _FIELD.match(self.next.text):
            self.fail("the name of a field")
        field = _path(self._take().text)
        if self.next.kind != "word" or self.next.text.lower() not in OPERATORS:
            self.fail(f"one of {', '.join(OPERATORS)}")
        operator = self._take().text.lower()
        return Comparison(field, operator, self._value(operator))

    def _value(self, operator: str) -> str | None:
        if self.next.kind == "value":
            return self._take().text
        word = self.next.text.lower() if self.next.kind == "word" else ""
        if word == "null" and operator in ("eq", "ne"):
            self._take()
            return None
        if word in ("true", "false") or _NUMBER.match(word):
            self._take()
            return word
        return self.fail("a value in single quotes")

    def _take(self) -> _Token:
        taken, self.next = self.next, next(self._tokens, self.next)
        return taken

    def fail(self, expected: str) -> NoReturn:
        """Say what was expected in the place of what comes."""
        raise FilterFault(f"cannot be read at character {self.next.at}: expected {expected}, not {self.next.shown}")
