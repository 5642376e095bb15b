"""Subscription objects as every stage passes them on: their kinds, one object, and the terms of a subscription."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import NamedTuple
from uuid import UUID


class ObjectKind(IntEnum):
    """A kind of object, in the order in which an import writes them; each refers only to kinds before it."""

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


class SubscriptionTerms(NamedTuple):
    """What rates a subscription; the fields are columns of table ``subscriptions``.

    Usage counts in ``[started_at, ended_at)``. The references are those of the chosen plan and its offering, which find the
    rate plan. ``account_id`` is that of the sender.
    """

    account_id: UUID
    currency: str
    plan_id: UUID
    plan_external_ref: str | None
    offering_external_ref: str | None
    state: str
    started_at: datetime | None
    ended_at: datetime | None


@dataclass(slots=True, eq=False)
class Snapshot:
    """An offering as it was when it was created, a JSON document; ``number`` is None until it is stored."""

    document: str
    number: int | None = None


class SubscriptionObject(NamedTuple):
    """An object as it is stored or will be; ``object_number`` is None until it has one.

    ``import_number`` and ``line_number`` name the line that wrote it last. Of a subscription: ``service_id`` is the service
    that it became, and ``is_served`` is True if that service needs no change.
    """

    kind: ObjectKind
    object_id: UUID
    external_ref: str | None
    account_id: UUID | None
    attributes: str
    snapshot: Snapshot | None = None
    import_number: int | None = None
    line_number: int | None = None
    object_number: int | None = None
    terms: SubscriptionTerms | None = None
    service_id: int | None = None
    is_served: bool = False
