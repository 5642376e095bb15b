"""What an item of a characteristic may look like: every fault at once, each with the path of its property.

Checked when an item is received: shape, types, ranges, dates. What it refers to is settled when it is processed.
"""

from __future__ import annotations

from dataclasses import dataclass

from ratemill.reference.json_text import Value

CHARACTERISTIC_MAX = 20


@dataclass(frozen=True, slots=True)
class ItemFault:
    """One thing wrong, or worth a warning.

    ``property`` is its path, such as ``items[3].udLookup_X.udfLookupItems[0].amount1Range``; empty: the whole.
    """

    code: str
    message: str
    property: str


def check(item: Value, number: int | None, at: str) -> tuple[list[ItemFault], list[ItemFault]]:
    """Return the faults and the warnings of one item, in the order of its members.

    ``number`` is the characteristic, None if not yet known; ``at`` the path of the item, such as ``items[3]``.
    """
    raise NotImplementedError


def characteristic_of(items: list[Value]) -> int | None:
    """Return the characteristic that ``user<N>BOMHeaders`` or ``udKey<N>Reference`` of the items tell, the first."""
    raise NotImplementedError
