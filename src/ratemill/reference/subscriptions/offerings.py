"""Offerings as they were when they were created, and the terms of a subscription to one of their plans.

A snapshot is a JSON object {id, type, attributes, products, plans}, each product and plan {id, type, attributes}; it never
changes, so that an offering and all subscriptions to it can share it.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterable
from datetime import MAXYEAR, UTC, datetime, timedelta
from functools import lru_cache
from uuid import UUID

import msgspec

from ratemill.reference import json_text
from ratemill.reference.json_text import Value
from ratemill.reference.subscriptions.values import instant_of
from ratemill.states import SubscriptionState
from ratemill.subscription_objects import ObjectKind, Snapshot, SubscriptionTerms

_DAYS = {"day": 1, "week": 7}
_MONTHS = {"month": 1, "year": 12}
_MONTHS_OF_YEAR = 12
_INTERVALS_MAX = 366 * MAXYEAR  # days of the whole calendar: no length beyond it has an end

# Most ids come several times in a file: that of an account, that of a plan.
uuid_of = lru_cache(8_192)(UUID)


class PlanAttributes(msgspec.Struct):
    """What of a plan's attributes its choice and its end need."""

    billing_interval_type: str
    plan_length: int
    end_behavior: str
    external_ref: str | None = None


class Plan(msgspec.Struct):
    """A plan of a snapshot."""

    id: str
    attributes: PlanAttributes

    @property
    def external_ref(self) -> str | None:
        """Return the reference of the plan."""
        return self.attributes.external_ref

    def ends_at(self, started_at: datetime) -> datetime | None:
        """Return when a subscription to the plan ends; None if it runs on."""
        own = self.attributes
        return ends_at(started_at, own.end_behavior, own.billing_interval_type, own.plan_length)


class _PlanReference(msgspec.Struct):
    external_ref: str | None = None


class Offering(msgspec.Struct):
    """What of a snapshot the terms of a subscription depend on."""

    id: str
    attributes: _PlanReference
    plans: list[Plan]

    @property
    def external_ref(self) -> str | None:
        """Return the reference of the offering."""
        return self.attributes.external_ref

    def plan(self, *, plan_id: str | None = None, external_ref: str | None = None) -> Plan | None:
        """Return the plan of that id or that reference, None if the offering has none."""
        for plan in self.plans:
            if plan.id == plan_id or (external_ref and plan.external_ref == external_ref):
                return plan
        return None


class _Lists(msgspec.Struct):
    products: msgspec.Raw
    plans: msgspec.Raw


_offering = msgspec.json.Decoder(Offering)
_lists = msgspec.json.Decoder(_Lists)


def read(snapshot: Snapshot) -> Offering:
    """Return the offering that a snapshot holds."""
    return _offering.decode(snapshot.document.encode())


def entry(kind: ObjectKind, object_id: UUID, attributes: str) -> str:
    """Return a product or a plan as it stands in a snapshot; ``attributes`` is a JSON object."""
    return f'{{"id":"{object_id}","type":"{kind.wire}","attributes":{attributes}}}'


def take(object_id: UUID, attributes: dict[str, Value], products: Iterable[str], plans: Iterable[str]) -> Snapshot:
    """Return the snapshot of an offering from its entries; what names them is left out of its attributes."""
    own = {name: value for name, value in attributes.items() if name not in ("products", "plans")}
    return Snapshot(_document(object_id, own, f"[{','.join(products)}]", f"[{','.join(plans)}]"))


def rename(old: Snapshot, object_id: UUID, attributes: dict[str, Value]) -> Snapshot:
    """Return a snapshot that holds what ``old`` does, of an offering whose own attributes are others."""
    lists = _lists.decode(old.document.encode())
    own = {name: value for name, value in attributes.items() if name not in ("products", "plans")}
    return Snapshot(_document(object_id, own, bytes(lists.products).decode(), bytes(lists.plans).decode()))


def _document(object_id: UUID, attributes: dict[str, Value], products: str, plans: str) -> str:
    own = f'{{"id":"{object_id}","type":"{ObjectKind.OFFERING.wire}","attributes":{json_text.write(attributes)}'
    return f'{own},"products":{products},"plans":{plans}}}'


def terms_of(
    attributes: dict[str, Value], offering: Offering, plan: Plan, before: SubscriptionTerms | None, *, at: datetime
) -> SubscriptionTerms:
    """Return the terms of a subscription with these attributes to a plan of an offering.

    ``before`` are its terms until now: a start is kept, and a canceled subscription stays canceled. ``at`` is the start of
    an active subscription that gives none.
    """
    state = SubscriptionState.PENDING if attributes.get("pending") is True else SubscriptionState.ACTIVE
    started_at = instant_of(attributes.get("started_at"))
    if state is SubscriptionState.ACTIVE and started_at is None:
        started_at = before.started_at if before and before.started_at else at
    ended_at = plan.ends_at(started_at) if started_at else None
    if before and before.state == SubscriptionState.CANCELED:
        state, started_at, ended_at = SubscriptionState.CANCELED, before.started_at, before.ended_at
    return SubscriptionTerms(
        account_id=uuid_of(str(attributes["account_id"])),
        currency=str(attributes["currency"]),
        plan_id=uuid_of(plan.id),
        plan_external_ref=plan.external_ref or None,
        offering_external_ref=offering.external_ref or None,
        state=state.value,
        started_at=started_at,
        ended_at=ended_at,
    )


def ends_at(started_at: datetime, end_behavior: str, interval: str, length: int) -> datetime | None:
    """Return when a subscription ends whose plan has this ``plan_length`` and this end; None if it runs on.

    A plan that closes ends ``plan_length`` intervals of ``billing_interval_type`` after the start, in the calendar of UTC;
    where the month has no such day, on its last. A plan that rolls never ends, nor does one whose end is no date.
    """
    if end_behavior != "close" or not 0 < length <= _INTERVALS_MAX:
        return None
    start = started_at.astimezone(UTC)
    try:
        if interval in _DAYS:
            return start + timedelta(days=length * _DAYS[interval])
        return _months_later(start, length * _MONTHS[interval]) if interval in _MONTHS else None
    except OverflowError:
        return None


def _months_later(start: datetime, months: int) -> datetime | None:
    years, month = divmod(start.month - 1 + months, _MONTHS_OF_YEAR)
    if start.year + years > MAXYEAR:
        return None
    year, month = start.year + years, month + 1
    return start.replace(year=year, month=month, day=min(start.day, monthrange(year, month)[1]))
