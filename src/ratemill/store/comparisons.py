"""Comparisons of a list's members with values, as a caller asked for them, joined by and: from texts to conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

from ratemill.visible import shown

Type = Literal["text", "uuid", "timestamptz", "integer"]
_OPERATORS = {"eq": "=", "gt": ">", "ge": ">=", "lt": "<", "le": "<="}
_INTEGER_MAX = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Field:
    """A member that may be compared: its expression in SQL, and its type."""

    expression: str
    type: Type


@dataclass(frozen=True, slots=True)
class Asked:
    """One comparison: eq, gt, ge, lt, le and like have one value, in has several, is_null none."""

    operator: str
    field: str
    values: tuple[str, ...]


def check(asked: Sequence[Asked], fields: Mapping[str, Field]) -> None:
    """Raise ``ValueError`` for the first comparison that ``fields`` do not allow."""
    for each in asked:
        field = fields.get(each.field)
        if field is None:
            raise ValueError(f"this list is not filtered by '{shown(each.field)}', but by {', '.join(fields)}")
        if each.operator == "like" and field.type != "text":
            raise ValueError(f"like compares texts, and {each.field} is none")
        for value in each.values:
            _value(each.field, field, value)


def conditions(asked: Sequence[Asked], fields: Mapping[str, Field]) -> tuple[str, dict[str, Any]]:
    """Return the condition of a query and its parameters; ``check`` has passed what is asked."""
    parts = ["true"]
    values: dict[str, Any] = {}
    for index, each in enumerate(asked):
        field, name = fields[each.field], f"asked_{index}"
        if each.operator == "is_null":
            parts.append(f"{field.expression} is null")
        elif each.operator == "in":
            parts.append(f"{field.expression} = any(%({name})s::{field.type}[])")
            values[name] = [_value(each.field, field, value) for value in each.values]
        elif each.operator == "like":
            parts.append(f"{field.expression} ilike %({name})s")
            values[name] = _pattern(each.values[0])
        else:
            parts.append(f"{field.expression} {_OPERATORS[each.operator]} %({name})s::{field.type}")
            values[name] = _value(each.field, field, each.values[0])
            if each.operator == "eq" and field.type == "text":  # as the index of long references is written
                parts.append(f"md5({field.expression}) = md5(%({name})s)")
    return " and ".join(parts), values


def _value(name: str, field: Field, text: str) -> object:
    if "\0" in text:
        raise ValueError(f"no {name} holds the character NUL")
    try:
        if field.type == "uuid":
            return UUID(text)
        if field.type == "integer":
            return min(max(int(text), -_INTEGER_MAX), _INTEGER_MAX)
        if field.type == "timestamptz":
            at = datetime.fromisoformat(text)
            return at if at.tzinfo else at.replace(tzinfo=UTC)
    except ValueError as error:
        kinds = {"uuid": "a UUID", "integer": "a whole number", "timestamptz": "a time as 2026-01-31T00:00:00Z"}
        raise ValueError(f"{name} is compared with {kinds[field.type]}, not '{shown(text)}'") from error
    return text


def _pattern(text: str) -> str:
    """Return the pattern of a ``like``: ``*`` is any run of characters, at the start or end; all else is itself."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    start, end = escaped.startswith("*"), escaped.endswith("*") and len(escaped) > 1
    middle = escaped[start : len(escaped) - end]
    return f"{'%' if start else ''}{middle}{'%' if end else ''}"
