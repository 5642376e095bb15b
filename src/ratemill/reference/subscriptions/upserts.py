"""What lines of a file come to: which objects are made or changed, and every fault of the lines that are refused.

Lines are taken in turn. Each is whole or not at all: a line with a fault leaves nothing behind, of what stands inside it
either. What lines refer to was looked up before (``records.names_of``) and is handed in as a ``LineContext``, which also
holds what the lines before have made.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ratemill.reference import json_text
from ratemill.reference.subscriptions import elements, offerings
from ratemill.reference.subscriptions.drafts import LineContext, LineDecisions, LineDraft
from ratemill.reference.subscriptions.lines import FileLine, Line, LineFault, reference_of, shown
from ratemill.reference.subscriptions.offerings import Offering, Plan
from ratemill.reference.subscriptions.records import OF_A_WAY, Attributes, check, in_order, is_selected, merge
from ratemill.reference.subscriptions.values import is_uuid
from ratemill.subscription_objects import ObjectKind, Snapshot, SubscriptionObject, SubscriptionTerms

FAULTS_MAX = 100  # of one line; more would only be longer


def decide(lines: Iterable[FileLine], world: LineContext) -> LineDecisions:
    """Return what lines come to, taken in turn; the world then holds what they made."""
    decided = LineDecisions()
    for line_number, line in lines:
        draft = LineDraft(world, line_number)
        faults = check(line.kind, line.attributes) + _write_line(draft, line)
        if faults:
            decided.faults[line_number] = cut(in_order(line.kind, faults))
        else:
            draft.keep(decided)
    return decided


def decide_change(stored: SubscriptionObject, attributes: Attributes, world: LineContext) -> LineDecisions:
    """Return what a change of an object comes to: its attributes, of which it names those that change; null clears one.

    The world holds what ``records.names_of`` found for the change. Faults are those of line 1.
    """
    draft = LineDraft(world, 1)
    faults = check(stored.kind, attributes, partial=True)
    faults += _change(draft, stored, attributes)
    decided = LineDecisions()
    if faults:
        decided.faults[1] = cut(in_order(stored.kind, faults))
    else:
        draft.keep(decided)
    return decided


def cut(faults: Sequence[LineFault]) -> list[LineFault]:
    """Return the first faults of a line, and how many more there are."""
    if len(faults) <= FAULTS_MAX:
        return list(faults)
    more = f"{len(faults) - FAULTS_MAX + 1} more faults of this line were found and are not listed"
    return [*faults[: FAULTS_MAX - 1], LineFault("", more)]


def _write_line(draft: LineDraft, line: Line) -> list[LineFault]:
    """Make what a line says, as far as it can be made; return what is wrong beyond its attributes by themselves."""
    stored = draft.find_ref(line.kind, reference_of(line.external_ref))
    if stored is not None and (not draft.world.upsert or draft.is_of_this_file(stored)):
        draft.note_taken("external_ref", "external_ref", stored)
        stored = None
    if stored is None:
        _put(draft, line.kind, None, line.attributes, line.text)
        return draft.faults
    return _change(draft, stored, line.attributes)


def _change(draft: LineDraft, stored: SubscriptionObject, changes: Attributes) -> list[LineFault]:
    """Change an object; return what is wrong beyond the attributes by themselves."""
    merged = merge(json_text.reread(stored.attributes), changes, stored.kind)
    if not check(stored.kind, changes, partial=True):
        draft.faults += check(stored.kind, merged)
    ref = reference_of(merged.get("external_ref"))
    if ref != stored.external_ref:
        other = draft.find_ref(stored.kind, ref)
        if other is not None:
            draft.note_taken("external_ref", "external_ref", other)
        draft.free(stored)
    same = stored.kind in (ObjectKind.OFFERING, ObjectKind.SUBSCRIPTION) and OF_A_WAY.isdisjoint(changes)
    _put(draft, stored.kind, stored, merged, json_text.write(merged), keeps_snapshot=same)
    return draft.faults


def _put(
    draft: LineDraft,
    kind: ObjectKind,
    stored: SubscriptionObject | None,
    attributes: Attributes,
    text: str,
    *,
    keeps_snapshot: bool = False,
) -> None:
    object_id = stored.object_id if stored else draft.world.new_id()
    snapshot, terms = None, None
    draft.check_account(attributes)
    if kind is ObjectKind.OFFERING and keeps_snapshot and stored and stored.snapshot:
        snapshot = offerings.rename(stored.snapshot, object_id, attributes)
    elif kind is ObjectKind.OFFERING:
        snapshot, _ = elements.build(draft, object_id, attributes, attributes)
        if snapshot and stored and stored.snapshot and stored.snapshot.document == snapshot.document:
            snapshot = stored.snapshot
    elif kind is ObjectKind.SUBSCRIPTION:
        snapshot, terms = _sell(draft, stored, attributes, keeps_snapshot=keeps_snapshot)
    if not draft.faults:
        draft.add(kind, stored, object_id, attributes, text=text, snapshot=snapshot, terms=terms)


def _sell(
    draft: LineDraft, stored: SubscriptionObject | None, attributes: Attributes, *, keeps_snapshot: bool
) -> tuple[Snapshot | None, SubscriptionTerms | None]:
    """Return the offering of a subscription, and its terms."""
    before = stored.terms if stored else None
    snapshot = stored.snapshot if stored and keeps_snapshot else None
    if snapshot is not None and before:
        plan = draft.world.offering(snapshot).plan(plan_id=str(before.plan_id))
    else:
        snapshot, plan = _choose(draft, attributes)
    if stored and stored.service_id is not None and attributes.get("pending") is True:
        draft.faults.append(LineFault("pending", '"pending" cannot be true again: the subscription was active'))
    if draft.faults or snapshot is None or plan is None:
        return None, None
    offering = draft.world.offering(snapshot)
    return snapshot, offerings.terms_of(attributes, offering, plan, before, at=draft.world.at)


def _choose(draft: LineDraft, attributes: Attributes) -> tuple[Snapshot | None, Plan | None]:
    """Return the offering that a subscription tells in one of its three ways, and the chosen plan."""
    plans: list[SubscriptionObject | None] = []
    if attributes.get("offering_id") is not None:
        snapshot = _named_offering(draft, "offering_id", attributes)
    elif attributes.get("offering_external_ref") is not None:
        snapshot = _named_offering(draft, "offering_external_ref", attributes)
    else:
        snapshot, plans = elements.own_offering(draft, attributes)
    if snapshot is None:
        return None, None
    return snapshot, _chosen(draft, draft.world.offering(snapshot), attributes, plans)


def _named_offering(draft: LineDraft, name: str, attributes: Attributes) -> Snapshot | None:
    ref = reference_of(attributes[name])
    if ref is None or (name == "offering_id" and not is_uuid(ref)):
        return None
    found = (draft.find_id if name == "offering_id" else draft.find_ref)(ObjectKind.OFFERING, ref)
    if found is None:
        draft.note_missing(ObjectKind.OFFERING, ref, name, name)
        return None
    return found.snapshot


def _chosen(
    draft: LineDraft, offering: Offering, attributes: Attributes, plans: list[SubscriptionObject | None]
) -> Plan | None:
    plan_id, ref = attributes.get("plan_id"), attributes.get("selected_plan")
    if plan_id is None and ref is None:
        listed = attributes.get("plans")
        marked = [is_selected(plan) for plan in listed] if isinstance(listed, list) else []
        chosen = next((plan for plan, is_marked in zip(plans, marked, strict=False) if is_marked and plan), None)
        return offering.plan(plan_id=str(chosen.object_id)) if chosen else None
    name, value = ("plan_id", plan_id) if plan_id is not None else ("selected_plan", ref)
    known = reference_of(value)
    if known is None:
        return None
    found = offering.plan(plan_id=known.lower()) if name == "plan_id" else offering.plan(external_ref=known)
    if found is None:
        draft.faults.append(LineFault(name, f'"{name}": the offering has no plan {shown(known)}'))
    return found
