"""The user-defined fields of a characteristic: ``ud_…`` of its items, and ``udLookup_…`` with rows of their own.

A field is inferred from the first item that bears it, or declared; items are held to the types that are declared.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from ratemill.reference.characteristics.values import ItemFault
from ratemill.reference.json_text import Number, Value
from ratemill.visible import shown

PREFIX, LOOKUP_PREFIX = "ud_", "udLookup_"
LOOKUP = "lookup"
TYPES = ("string", "number", "boolean", "dateTime", "reference")
NAME_CHARS_MAX = 255


def is_field(name: str) -> bool:
    """Return whether a member is a user-defined field."""
    return name.startswith((PREFIX, LOOKUP_PREFIX))


def types_for(name: str) -> tuple[str, ...]:
    """Return the types that a field of this name may be declared with."""
    return (LOOKUP,) if name.startswith(LOOKUP_PREFIX) else TYPES


def inferred(item: Mapping[str, Value]) -> dict[str, str]:
    """Return the type of each user-defined field of an item by its value; a field that is null tells none."""
    return {
        name: known
        for name, value in item.items()
        if name[:2] == "ud" and is_field(name) and (known := _type_of(name, value)) is not None
    }


def check_declared(item: Mapping[str, Value], declared: Mapping[str, str], at: str) -> list[ItemFault]:
    """Return a fault for each field of an item that is not of its declared type.

    ``declared`` gives types by name, ``at`` is the path of the item such as ``items[3]``, or empty.
    """
    return [
        ItemFault(
            "wrong_type",
            f"{shown(name)} is declared as {declared[name]}, not {_shown(value)}",
            f"{at}.{name}".lstrip("."),
        )
        for name, value in item.items()
        if name in declared and not _is_of(value, declared[name])
    ]


def _type_of(name: str, value: Value) -> str | None:
    if value is None:
        return None
    return LOOKUP if name.startswith(LOOKUP_PREFIX) else _TYPE_BY_CLASS.get(type(value))


_TYPE_BY_CLASS: dict[type, str] = {Number: "number", bool: "boolean", dict: "reference", str: "string"}


def _is_of(value: Value, known: str) -> bool:
    if value is None:
        return True
    if known == "number":
        return isinstance(value, Number)
    if known == "boolean":
        return isinstance(value, bool)
    if known in ("reference", LOOKUP):
        return isinstance(value, dict)
    if not isinstance(value, str) or isinstance(value, Number):
        return False
    return known == "string" or _is_time(value)


def _is_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _shown(value: Value) -> str:
    if isinstance(value, Number):
        return f"the number {shown(value)}"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"the text '{shown(value)}'"
    return "an object" if isinstance(value, dict) else "a list"
