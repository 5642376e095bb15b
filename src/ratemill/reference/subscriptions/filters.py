"""What the lists of subscriptions are filtered by: which members, and how the text of a value is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from uuid import UUID

from ratemill.comparisons import Comparison, ComparisonRules, check_operator
from ratemill.errors import BadRequest, Code
from ratemill.texts import NUL
from ratemill.visible import shown

_INTEGER_MAX = 2**31 - 1


def check(comparisons: Sequence[Comparison[str]], types: Mapping[str, str]) -> list[Comparison[str]]:
    """Return the comparisons with their values read; raise ``BadRequest`` for the first that ``types`` do not allow."""
    try:
        return [_read(comparison, types) for comparison in comparisons]
    except ValueError as error:
        raise BadRequest(str(error), code=Code.FILTER_NOT_VALID) from error


def _read(comparison: Comparison[str], types: Mapping[str, str]) -> Comparison[str]:
    member = comparison.member
    type_ = types.get(member)
    if type_ is None:
        raise ValueError(f"this list is not filtered by '{shown(member)}', but by {', '.join(types)}")
    rules = _rules(member)
    check_operator(comparison.operator, type_, rules)
    return Comparison(member, comparison.operator, rules.values(type_, comparison.values))


def _rules(member: str) -> ComparisonRules:
    readers = {type_: partial(_value, member, type_) for type_ in _READERS}
    return ComparisonRules(readers, frozenset(_READERS), texts_only=f"like compares texts, and {member} is none")


def _value(member: str, type_: str, text: str) -> object:
    if NUL in text:
        raise ValueError(f"no {member} holds the character NUL")
    expected, read = _READERS[type_]
    try:
        return read(text)
    except ValueError as error:
        raise ValueError(f"{member} is compared with {expected}, not '{shown(text)}'") from error


def _whole(text: str) -> int:
    return min(max(int(text), -_INTEGER_MAX), _INTEGER_MAX)


def _time(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


_READERS: dict[str, tuple[str, Callable[[str], object]]] = {
    "uuid": ("a UUID", UUID),
    "integer": ("a whole number", _whole),
    "timestamptz": ("a time as 2026-01-31T00:00:00Z", _time),
    "text": ("a text", str),
}
