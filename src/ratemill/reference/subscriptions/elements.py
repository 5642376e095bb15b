"""What stands inside a line: the products and plans that an offering names or brings, the offering of a subscription."""

from __future__ import annotations

from uuid import UUID

from ratemill.reference import json_text
from ratemill.reference.json_text import Value
from ratemill.reference.subscriptions import offerings
from ratemill.reference.subscriptions.drafts import LineDraft
from ratemill.reference.subscriptions.lines import LineFault, reference_of
from ratemill.reference.subscriptions.records import Attributes, check, merge
from ratemill.subscription_objects import ObjectKind, Snapshot, SubscriptionObject

SNAPSHOT_CHARS_MAX = 65_536  # of an offering with all that it holds: two thousand are read at once


def own_offering(draft: LineDraft, attributes: Attributes) -> tuple[Snapshot | None, list[SubscriptionObject | None]]:
    """Make the offering that stands inside a subscription, with its products and plans."""
    own = attributes.get("offering")
    if not isinstance(own, dict):
        return None, []
    stored = _inline_stored(draft, ObjectKind.OFFERING, own, "offering")
    if stored is not None:
        own = merge(json_text.reread(stored.attributes), own, ObjectKind.OFFERING)
    object_id = stored.object_id if stored else draft.world.new_id()
    snapshot, plans = build(draft, object_id, own, attributes)
    if snapshot is not None:
        holding = own | {name: attributes[name] for name in ("products", "plans")}
        draft.add(ObjectKind.OFFERING, stored, object_id, own, text=json_text.write(holding), snapshot=snapshot)
    return snapshot, plans


def build(
    draft: LineDraft, object_id: UUID, own: Attributes, holding: Attributes
) -> tuple[Snapshot | None, list[SubscriptionObject | None]]:
    """Return the snapshot of an offering, None if something is wrong, and its plans in their order."""
    products = _elements(draft, ObjectKind.PRODUCT, holding)
    plans = _elements(draft, ObjectKind.PLAN, holding)
    if draft.faults or None in products or None in plans:
        return None, plans
    entries = [
        [offerings.entry(held.kind, held.object_id, held.attributes) for held in part if held]
        for part in (products, plans)
    ]
    length = sum(len(entry) for part in entries for entry in part)
    if length > SNAPSHOT_CHARS_MAX:
        error = f'"products" and "plans" have {length} characters together, at most {SNAPSHOT_CHARS_MAX} are allowed'
        draft.faults.append(LineFault("products", error))
        return None, plans
    return offerings.take(object_id, own, *entries), plans


def _elements(draft: LineDraft, kind: ObjectKind, attributes: Attributes) -> list[SubscriptionObject | None]:
    elements = attributes.get(kind.plural)
    if not isinstance(elements, list):
        return [None]
    return [_element(draft, kind, element, f"{kind.plural}[{index}]") for index, element in enumerate(elements)]


def _element(draft: LineDraft, kind: ObjectKind, value: Value, at: str) -> SubscriptionObject | None:
    """Return what an element names, or what it brings."""
    if isinstance(value, dict):
        return _inline(draft, kind, {name: member for name, member in value.items() if name != "meta"}, at)
    ref = reference_of(value)
    if ref is None:
        return None  # which is a fault of its form
    found = draft.find_id(kind, ref) or draft.find_ref(kind, ref)
    if found is None:
        draft.note_missing(kind, ref, kind.plural, at)
    return found


def _inline(draft: LineDraft, kind: ObjectKind, attributes: Attributes, at: str) -> SubscriptionObject | None:
    """Make, or with upsert change, an object that stands inside another."""
    stored = _inline_stored(draft, kind, attributes, at)
    if check(kind, attributes):
        return None  # said of the list already
    if stored is not None:
        attributes = merge(json_text.reread(stored.attributes), attributes, kind)
    object_id = stored.object_id if stored else draft.world.new_id()
    return draft.add(kind, stored, object_id, attributes, text=json_text.write(attributes))


def _inline_stored(draft: LineDraft, kind: ObjectKind, attributes: Attributes, at: str) -> SubscriptionObject | None:
    stored = draft.find_ref(kind, reference_of(attributes.get("external_ref")))
    if stored is None or draft.world.upsert:
        return stored
    draft.note_taken(at.partition("[")[0], f"{at}.external_ref", stored)
    return None
