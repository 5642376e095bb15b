"""The five kinds of subscription object, by the numbers and in the order in which an import makes them."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum


class ObjectKind(IntEnum):
    """A kind of object; each refers only to kinds before it."""

    PRODUCT = 1
    PLAN = 2
    SUBSCRIBER = 3
    OFFERING = 4
    SUBSCRIPTION = 5

    @property
    def word(self) -> str:
        """Return the name of one in messages: ``product``."""
        return self.name.lower()

    @property
    def wire(self) -> str:
        """Return the type on the wire: ``subscription_product``; that of a subscription is ``subscription``."""
        return _WIRE[self]

    @property
    def plural(self) -> str:
        """Return the segment of the path: ``products``."""
        return f"{self.word}s"


_WIRE = {kind: f"subscription_{kind.name.lower()}" for kind in ObjectKind} | {ObjectKind.SUBSCRIPTION: "subscription"}
BY_WIRE = {wire: kind for kind, wire in _WIRE.items()}


def by_kind(counts: Sequence[int]) -> dict[str, int]:
    """Return counts of the kinds 1 to 5, each under its type on the wire."""
    return {kind.wire: count for kind, count in zip(ObjectKind, counts, strict=True)}
