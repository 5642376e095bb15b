"""Characteristics 1 to 20 as usage carries them: by which names, and with the ids of which items."""

from __future__ import annotations

import json
from collections.abc import Iterable

COUNT = 20
NUMBERS = {f"characteristic{number}": number for number in range(1, COUNT + 1)}
"""The number of a characteristic by the name of its target, which is also the name of its filter and its member."""

NAMES = tuple(NUMBERS)

Carried = tuple[int, str]
"""A characteristic and the id of the item of it that a record names."""


def carried(extension: str | None) -> list[Carried]:
    """Return what a usage record's extension, a JSON object as text, names of the characteristics, by their numbers."""
    if extension is None or '"characteristic' not in extension:
        return []
    members = json.loads(extension)
    return [(number, str(members[name])) for name, number in NUMBERS.items() if members.get(name) is not None]


def as_members(named: Iterable[Carried]) -> dict[str, str]:
    """Return items as the members of an extension that name them."""
    return {NAMES[number - 1]: id_ for number, id_ in named}
