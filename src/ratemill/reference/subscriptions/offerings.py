"""Offerings as they were when they were made, and the choice of one of their plans.

A snapshot is a JSON object {id, type, attributes, products, plans}, each product and plan {id, type, attributes}; it never
changes, so that an offering and all subscriptions to it can share it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import msgspec

from ratemill.reference import json_text
from ratemill.reference.json_text import Value
from ratemill.reference.subscriptions import terms
from ratemill.reference.subscriptions.kinds import ObjectKind


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
        return terms.ends_at(started_at, own.end_behavior, own.billing_interval_type, own.plan_length)


class _PlanReference(msgspec.Struct):
    external_ref: str | None = None


class _View(msgspec.Struct):
    id: str
    attributes: _PlanReference
    plans: list[Plan]


class _Lists(msgspec.Struct):
    products: msgspec.Raw
    plans: msgspec.Raw


_view = msgspec.json.Decoder(_View)
_lists = msgspec.json.Decoder(_Lists)


@dataclass(slots=True, eq=False)
class Snapshot:
    """A snapshot; ``number`` is that under which it is stored, None if it is not yet."""

    document: str
    number: int | None = None
    _read: _View | None = field(default=None, init=False)

    @property
    def _seen(self) -> _View:
        if self._read is None:
            self._read = _view.decode(self.document.encode())
        return self._read

    @property
    def external_ref(self) -> str | None:
        """Return the reference of the offering."""
        return self._seen.attributes.external_ref

    def plan(self, *, plan_id: str | None = None, external_ref: str | None = None) -> Plan | None:
        """Return the plan of that id or that reference, None if the offering has none."""
        for plan in self._seen.plans:
            if plan.id == plan_id or (external_ref and plan.external_ref == external_ref):
                return plan
        return None


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
