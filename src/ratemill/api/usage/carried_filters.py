"""Filters by the items that usage names: the same of charges and of rating exceptions."""

from __future__ import annotations

from typing import Any

from ratemill.api.http import paging
from ratemill.api.http.paging import Parameter
from ratemill.characteristics import NUMBERS, Carried

ITEMS = {name: Parameter(name, paging.read_text, "The id of the item that the usage names.") for name in NUMBERS}


def split_items(values: dict[str, Any]) -> tuple[tuple[Carried, ...] | None, dict[str, Any]]:
    """Return the items among the filters that were read, None if there are none, and the other filters."""
    items = tuple((number, values[name]) for name, number in NUMBERS.items() if name in values)
    return items or None, {member: value for member, value in values.items() if member not in NUMBERS}
