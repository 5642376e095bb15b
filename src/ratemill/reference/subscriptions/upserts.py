"""What lines of a file come to: which objects are made or changed, and every fault of the lines that are refused.

Lines are taken in turn. Each is whole or not at all: a line with a fault leaves nothing behind, of what stands inside it
either. What lines refer to was looked up before (``references.names_of``) and is handed in as a ``LineContext``, which also
holds what the lines before have made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from ratemill.reference import json_text
from ratemill.reference.json_text import Value
from ratemill.reference.subscriptions import offerings
from ratemill.reference.subscriptions.lines import FileLine, Line, LineFault, reference_of, shown
from ratemill.reference.subscriptions.offerings import Offering, Plan, uuid_of
from ratemill.reference.subscriptions.records import OF_A_WAY, Attributes, check, in_order, is_selected
from ratemill.reference.subscriptions.values import is_uuid
from ratemill.subscription_objects import ObjectKind, Snapshot, SubscriptionObject, SubscriptionTerms

FAULTS_MAX = 100  # of one line; more would only be longer
SNAPSHOT_CHARS_MAX = 65_536  # of an offering with all that it holds: two thousand are read at once

Reference: TypeAlias = "tuple[ObjectKind, str]"


@dataclass(slots=True)
class LineContext:
    """What is there when lines are decided on, and how.

    ``failed`` has the lines of this file that failed, by what they would have brought; ``accounts`` the names of those
    accounts that are there, None if any will do. ``at`` is when new objects are made. ``offerings`` are those read so far.
    """

    at: datetime
    new_id: Callable[[], UUID]
    upsert: bool = False
    import_number: int | None = None
    by_ref: dict[Reference, SubscriptionObject] = field(default_factory=dict)
    by_id: dict[tuple[ObjectKind, UUID], SubscriptionObject] = field(default_factory=dict)
    failed: dict[Reference, int] = field(default_factory=dict)
    accounts: set[str] | None = None
    offerings: dict[Snapshot, Offering] = field(default_factory=dict)

    def offering(self, snapshot: Snapshot) -> Offering:
        """Return the offering that a snapshot holds, which is read once."""
        if snapshot not in self.offerings:
            self.offerings[snapshot] = offerings.read(snapshot)
        return self.offerings[snapshot]


@dataclass(slots=True)
class LineDecisions:
    """What lines come to: objects to write, each once, and the faults of lines by their number."""

    objects: dict[UUID, SubscriptionObject] = field(default_factory=dict)
    faults: dict[int, list[LineFault]] = field(default_factory=dict)


def decide(lines: Iterable[FileLine], world: LineContext) -> LineDecisions:
    """Return what lines come to, taken in turn; the world then holds what they made."""
    decided = LineDecisions()
    for one in lines:
        draft = _Draft(world, one.line_number)
        faults = check(one.line.kind, one.line.attributes) + draft.put_line(one.line)
        if faults:
            decided.faults[one.line_number] = cut(in_order(one.line.kind, faults))
        else:
            draft.keep(decided)
    return decided


def decide_change(stored: SubscriptionObject, attributes: Attributes, world: LineContext) -> LineDecisions:
    """Return what a change of an object comes to: its attributes, of which it names those that change; null clears one.

    The world holds what ``references.names_of`` found for the change. Faults are those of line 1.
    """
    draft = _Draft(world, 1)
    faults = check(stored.kind, attributes, partial=True)
    faults += draft.change(stored, attributes)
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


class _Draft:
    """One line in the making: objects that are there for the line itself, and for others once it holds."""

    def __init__(self, world: LineContext, line_number: int) -> None:
        self._world = world
        self._line_number = line_number
        self._made: dict[UUID, SubscriptionObject] = {}
        self._refs: dict[Reference, SubscriptionObject] = {}
        self._freed: list[Reference] = []
        self._faults: list[LineFault] = []

    def keep(self, decided: LineDecisions) -> None:
        """Let the line hold."""
        decided.objects |= self._made
        for freed in self._freed:
            self._world.by_ref.pop(freed, None)
        for made in self._made.values():
            self._world.by_id[made.kind, made.object_id] = made
        self._world.by_ref |= self._refs

    def put_line(self, line: Line) -> list[LineFault]:
        """Make what a line says, as far as it can be made; return what is wrong beyond its attributes by themselves."""
        stored = self._find_ref(line.kind, reference_of(line.external_ref))
        if stored is not None and (not self._world.upsert or self._is_of_this_file(stored)):
            self._taken("external_ref", "external_ref", stored)
            stored = None
        if stored is None:
            self._put(line.kind, None, line.attributes, line.text)
            return self._faults
        return self.change(stored, line.attributes)

    def change(self, stored: SubscriptionObject, changes: Attributes) -> list[LineFault]:
        """Change an object; return what is wrong beyond the attributes by themselves."""
        before = json_text.reread(stored.attributes)
        merged = _merge(before if isinstance(before, dict) else {}, changes, stored.kind)
        if not check(stored.kind, changes, partial=True):
            self._faults += check(stored.kind, merged)
        ref = reference_of(merged.get("external_ref"))
        if ref != stored.external_ref:
            other = self._find_ref(stored.kind, ref)
            if other is not None:
                self._taken("external_ref", "external_ref", other)
            if stored.external_ref:
                self._freed.append((stored.kind, stored.external_ref))
        same = stored.kind in (ObjectKind.OFFERING, ObjectKind.SUBSCRIPTION) and OF_A_WAY.isdisjoint(changes)
        self._put(stored.kind, stored, merged, json_text.write(merged), keeps_snapshot=same)
        return self._faults

    # The parts of an object

    def _put(
        self,
        kind: ObjectKind,
        stored: SubscriptionObject | None,
        attributes: Attributes,
        text: str,
        *,
        keeps_snapshot: bool = False,
    ) -> None:
        object_id = stored.object_id if stored else self._world.new_id()
        snapshot, terms = None, None
        self._check_account(attributes)
        if kind is ObjectKind.OFFERING and keeps_snapshot and stored and stored.snapshot:
            snapshot = offerings.rename(stored.snapshot, object_id, attributes)
        elif kind is ObjectKind.OFFERING:
            snapshot, _ = self._build(object_id, attributes, attributes)
            if snapshot and stored and stored.snapshot and stored.snapshot.document == snapshot.document:
                snapshot = stored.snapshot
        elif kind is ObjectKind.SUBSCRIPTION:
            snapshot, terms = self._sell(stored, attributes, keeps_snapshot=keeps_snapshot)
        if not self._faults:
            self._keep(kind, stored, object_id, attributes, text=text, snapshot=snapshot, terms=terms)

    def _keep(
        self,
        kind: ObjectKind,
        stored: SubscriptionObject | None,
        object_id: UUID,
        attributes: Attributes,
        *,
        text: str,
        snapshot: Snapshot | None = None,
        terms: SubscriptionTerms | None = None,
    ) -> SubscriptionObject:
        account_id = attributes.get("account_id")
        import_number = self._world.import_number
        made = SubscriptionObject(
            kind=kind,
            object_id=object_id,
            external_ref=reference_of(attributes.get("external_ref")),
            account_id=uuid_of(account_id) if type(account_id) is str and is_uuid(account_id) else None,
            attributes=text,
            snapshot=snapshot,
            import_number=import_number,
            line_number=None if import_number is None else self._line_number,
            object_number=stored.object_number if stored else None,
            terms=terms,
            service_id=stored.service_id if stored else None,
        )
        if stored and stored.service_id is not None:
            made = made._replace(is_served=_serving(made) == _serving(stored))
        self._made[object_id] = made
        if made.external_ref is not None:
            self._refs[kind, made.external_ref] = made
        return made

    def _build(
        self, object_id: UUID, own: Attributes, holding: Attributes
    ) -> tuple[Snapshot | None, list[SubscriptionObject | None]]:
        """Return the snapshot of an offering, None if something is wrong, and its plans in their order."""
        products = self._elements(ObjectKind.PRODUCT, holding)
        plans = self._elements(ObjectKind.PLAN, holding)
        if self._faults or None in products or None in plans:
            return None, plans
        entries = [
            [offerings.entry(each.kind, each.object_id, each.attributes) for each in part if each]
            for part in (products, plans)
        ]
        length = sum(len(each) for part in entries for each in part)
        if length > SNAPSHOT_CHARS_MAX:
            error = (
                f'"products" and "plans" have {length} characters together, at most {SNAPSHOT_CHARS_MAX} are allowed'
            )
            self._faults.append(LineFault("products", error))
            return None, plans
        return offerings.take(object_id, own, *entries), plans

    def _elements(self, kind: ObjectKind, attributes: Attributes) -> list[SubscriptionObject | None]:
        elements = attributes.get(kind.plural)
        if not isinstance(elements, list):
            return [None]
        return [self._element(kind, each, f"{kind.plural}[{index}]") for index, each in enumerate(elements)]

    def _element(self, kind: ObjectKind, value: Value, at: str) -> SubscriptionObject | None:
        """Return what an element names, or what it brings."""
        if isinstance(value, dict):
            return self._inline(kind, {name: each for name, each in value.items() if name != "meta"}, at)
        ref = reference_of(value)
        if ref is None:
            return None  # which is a fault of its form
        found = self._find_id(kind, ref) or self._find_ref(kind, ref)
        if found is None:
            self._missing(kind, ref, kind.plural, at)
        return found

    def _inline(self, kind: ObjectKind, attributes: Attributes, at: str) -> SubscriptionObject | None:
        """Make, or with upsert change, an object that stands inside another."""
        stored = self._inline_stored(kind, attributes, at)
        if check(kind, attributes):
            return None  # said of the list already
        if stored is not None:
            before = json_text.reread(stored.attributes)
            attributes = _merge(before if isinstance(before, dict) else {}, attributes, kind)
        object_id = stored.object_id if stored else self._world.new_id()
        return self._keep(kind, stored, object_id, attributes, text=json_text.write(attributes))

    def _inline_stored(self, kind: ObjectKind, attributes: Attributes, at: str) -> SubscriptionObject | None:
        stored = self._find_ref(kind, reference_of(attributes.get("external_ref")))
        if stored is None or self._world.upsert:
            return stored
        self._taken(at.partition("[")[0], f"{at}.external_ref", stored)
        return None

    # Subscriptions

    def _sell(
        self, stored: SubscriptionObject | None, attributes: Attributes, *, keeps_snapshot: bool
    ) -> tuple[Snapshot | None, SubscriptionTerms | None]:
        """Return the offering of a subscription, and its terms."""
        before = stored.terms if stored else None
        snapshot = stored.snapshot if stored and keeps_snapshot else None
        if snapshot is not None and before:
            plan = self._world.offering(snapshot).plan(plan_id=str(before.plan_id))
        else:
            snapshot, plan = self._choose(attributes)
        if stored and stored.service_id is not None and attributes.get("pending") is True:
            self._faults.append(LineFault("pending", '"pending" cannot be true again: the subscription was active'))
        if self._faults or snapshot is None or plan is None:
            return None, None
        offering = self._world.offering(snapshot)
        return snapshot, offerings.terms_of(attributes, offering, plan, before, at=self._world.at)

    def _choose(self, attributes: Attributes) -> tuple[Snapshot | None, Plan | None]:
        """Return the offering that a subscription tells in one of its three ways, and the chosen plan."""
        plans: list[SubscriptionObject | None] = []
        if attributes.get("offering_id") is not None:
            snapshot = self._named_offering("offering_id", attributes)
        elif attributes.get("offering_external_ref") is not None:
            snapshot = self._named_offering("offering_external_ref", attributes)
        else:
            snapshot, plans = self._own_offering(attributes)
        if snapshot is None:
            return None, None
        return snapshot, self._chosen(self._world.offering(snapshot), attributes, plans)

    def _named_offering(self, name: str, attributes: Attributes) -> Snapshot | None:
        ref = reference_of(attributes[name])
        if ref is None or (name == "offering_id" and not is_uuid(ref)):
            return None
        found = (self._find_id if name == "offering_id" else self._find_ref)(ObjectKind.OFFERING, ref)
        if found is None:
            self._missing(ObjectKind.OFFERING, ref, name, name)
            return None
        return found.snapshot

    def _own_offering(self, attributes: Attributes) -> tuple[Snapshot | None, list[SubscriptionObject | None]]:
        """Make the offering that stands inside a subscription, with its products and plans."""
        own = attributes.get("offering")
        if not isinstance(own, dict):
            return None, []
        stored = self._inline_stored(ObjectKind.OFFERING, own, "offering")
        if stored is not None:
            before = json_text.reread(stored.attributes)
            own = _merge(before if isinstance(before, dict) else {}, own, ObjectKind.OFFERING)
        object_id = stored.object_id if stored else self._world.new_id()
        snapshot, plans = self._build(object_id, own, attributes)
        if snapshot is not None:
            holding = own | {name: attributes[name] for name in ("products", "plans")}
            self._keep(ObjectKind.OFFERING, stored, object_id, own, text=json_text.write(holding), snapshot=snapshot)
        return snapshot, plans

    def _chosen(
        self, offering: Offering, attributes: Attributes, plans: list[SubscriptionObject | None]
    ) -> Plan | None:
        plan_id, ref = attributes.get("plan_id"), attributes.get("selected_plan")
        if plan_id is None and ref is None:
            listed = attributes.get("plans")
            marked = [is_selected(each) for each in listed] if isinstance(listed, list) else []
            chosen = next((each for each, is_marked in zip(plans, marked, strict=False) if is_marked and each), None)
            return offering.plan(plan_id=str(chosen.object_id)) if chosen else None
        name, value = ("plan_id", plan_id) if plan_id is not None else ("selected_plan", ref)
        known = reference_of(value)
        if known is None:
            return None
        found = offering.plan(plan_id=known.lower()) if name == "plan_id" else offering.plan(external_ref=known)
        if found is None:
            self._faults.append(LineFault(name, f'"{name}": the offering has no plan {shown(known)}'))
        return found

    # What is there, and what is not

    def _find_ref(self, kind: ObjectKind, ref: str | None) -> SubscriptionObject | None:
        if ref is None:
            return None
        return self._refs.get((kind, ref)) or self._world.by_ref.get((kind, ref))

    def _find_id(self, kind: ObjectKind, text: str) -> SubscriptionObject | None:
        return self._world.by_id.get((kind, UUID(text))) if is_uuid(text) else None

    def _is_of_this_file(self, stored: SubscriptionObject) -> bool:
        return stored.import_number is not None and stored.import_number == self._world.import_number

    def _taken(self, field_name: str, at: str, stored: SubscriptionObject) -> None:
        where = f"stands in line {stored.line_number} of this file" if self._is_of_this_file(stored) else "is there"
        error = f'"{at}" must be unique: {stored.kind.word} {shown(stored.external_ref)} {where} already'
        self._faults.append(LineFault(field_name, error))

    def _missing(self, kind: ObjectKind, ref: str, field_name: str, at: str) -> None:
        failed = self._world.failed.get((kind, ref))
        what = f"there is no {kind.word} {shown(ref)}"
        if failed is not None:
            what += f"; line {failed} of this file, which has it, was refused"
        self._faults.append(LineFault(field_name, f'"{at}": {what}'))

    def _check_account(self, attributes: Attributes) -> None:
        account_id = attributes.get("account_id")
        known = self._world.accounts
        if known is not None and is_uuid(account_id) and str(account_id).lower() not in known:
            self._faults.append(LineFault("account_id", f'"account_id": there is no account {shown(account_id)}'))


def _serving(subscription: SubscriptionObject) -> tuple[object, ...]:
    """Return what of a subscription its service follows."""
    terms = subscription.terms
    followed = (terms.account_id, terms.currency, terms.started_at, terms.ended_at) if terms else ()
    return subscription.external_ref, *followed


def _merge(before: Attributes, changes: Attributes, kind: ObjectKind) -> Attributes:
    """Return attributes with their changes: null takes one away, and a new way to an offering takes the old one's place."""
    dropped = OF_A_WAY if kind is ObjectKind.SUBSCRIPTION and not OF_A_WAY.isdisjoint(changes) else frozenset()
    merged = {name: value for name, value in before.items() if name not in dropped} | changes
    return {name: value for name, value in merged.items() if value is not None}
