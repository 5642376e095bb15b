"""What one line is about to write, and what is there for it to refer to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from ratemill.reference.subscriptions import offerings
from ratemill.reference.subscriptions.lines import LineFault, reference_of, shown
from ratemill.reference.subscriptions.offerings import Offering, uuid_of
from ratemill.reference.subscriptions.records import Attributes
from ratemill.reference.subscriptions.values import is_uuid
from ratemill.subscription_objects import ObjectKind, Snapshot, SubscriptionObject, SubscriptionTerms

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


class LineDraft:
    """The objects that a line writes, which are there for the line itself, and for others once it holds."""

    def __init__(self, world: LineContext, line_number: int) -> None:
        self.world = world
        self.faults: list[LineFault] = []
        self._line_number = line_number
        self._made: dict[UUID, SubscriptionObject] = {}
        self._refs: dict[Reference, SubscriptionObject] = {}
        self._freed: list[Reference] = []

    def keep(self, decided: LineDecisions) -> None:
        """Let the line hold."""
        decided.objects |= self._made
        for freed in self._freed:
            self.world.by_ref.pop(freed, None)
        for made in self._made.values():
            self.world.by_id[made.kind, made.object_id] = made
        self.world.by_ref |= self._refs

    def add(
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
        """Add an object with these attributes to what the line writes; ``stored`` is what it changes."""
        account_id = attributes.get("account_id")
        import_number = self.world.import_number
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

    def free(self, stored: SubscriptionObject) -> None:
        """Let other lines have the reference of an object that takes another."""
        if stored.external_ref:
            self._freed.append((stored.kind, stored.external_ref))

    def find_ref(self, kind: ObjectKind, ref: str | None) -> SubscriptionObject | None:
        """Return the object of that reference: the line's own, else one that is there."""
        if ref is None:
            return None
        return self._refs.get((kind, ref)) or self.world.by_ref.get((kind, ref))

    def find_id(self, kind: ObjectKind, text: str) -> SubscriptionObject | None:
        """Return the object of that id, None also for what is no id."""
        return self.world.by_id.get((kind, UUID(text))) if is_uuid(text) else None

    def is_of_this_file(self, stored: SubscriptionObject) -> bool:
        """Return whether another line of the same file wrote an object."""
        return stored.import_number is not None and stored.import_number == self.world.import_number

    def note_taken(self, field_name: str, at: str, stored: SubscriptionObject) -> None:
        """Add the fault that an object has the reference of another."""
        where = f"stands in line {stored.line_number} of this file" if self.is_of_this_file(stored) else "is there"
        error = f'"{at}" must be unique: {stored.kind.word} {shown(stored.external_ref)} {where} already'
        self.faults.append(LineFault(field_name, error))

    def note_missing(self, kind: ObjectKind, ref: str, field_name: str, at: str) -> None:
        """Add the fault that a reference leads to no object."""
        failed = self.world.failed.get((kind, ref))
        what = f"there is no {kind.word} {shown(ref)}"
        if failed is not None:
            what += f"; line {failed} of this file, which has it, was refused"
        self.faults.append(LineFault(field_name, f'"{at}": {what}'))

    def check_account(self, attributes: Attributes) -> None:
        """Add the fault that the account of the attributes does not exist, where it must."""
        account_id = attributes.get("account_id")
        known = self.world.accounts
        if known is not None and is_uuid(account_id) and str(account_id).lower() not in known:
            self.faults.append(LineFault("account_id", f'"account_id": there is no account {shown(account_id)}'))


def _serving(subscription: SubscriptionObject) -> tuple[object, ...]:
    """Return what of a subscription its service follows."""
    terms = subscription.terms
    followed = (terms.account_id, terms.currency, terms.started_at, terms.ended_at) if terms else ()
    return subscription.external_ref, *followed
