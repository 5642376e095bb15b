"""Subscription objects are written: lines of an import, or the change of one object, with the services they become.

Which objects a line makes is decided in ``reference/subscriptions/upserts``; here is what that needs to know, and what is
written: all of a line or, where it is at fault, nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from uuid import UUID, uuid4

from ratemill.catalog.subscriptions import services
from ratemill.catalog.subscriptions.services import ActiveSubscription
from ratemill.reference.json_text import Value
from ratemill.reference.subscriptions import records, upserts
from ratemill.reference.subscriptions.drafts import LineContext, LineDecisions
from ratemill.reference.subscriptions.lines import FileLine, Line, LineFault
from ratemill.reference.subscriptions.records import LineReferences
from ratemill.setup.writing.changes import Via
from ratemill.states import SubscriptionState
from ratemill.store.connections import Connection, clock
from ratemill.store.subscriptions import jobs
from ratemill.store.subscriptions import objects as store
from ratemill.store.subscriptions import services as subscription_services
from ratemill.subscription_objects import ObjectKind, SubscriptionObject

PART_LINES = 4_096  # lines that are written at once: while the database writes some, the next are decided on
_REFERENCE = "external_ref"


@dataclass(frozen=True, slots=True)
class Order:
    """For whom and how objects are written; ``import_number`` is None where no file brings them, but a call (``via``)."""

    owner_id: int
    made_by: str
    import_number: int | None = None
    upsert: bool = False
    dry_run: bool = False
    account_must_exist: bool = False
    via: Via = "import"


class _IdentifierClash(Exception):
    """Identifiers of subscriptions are those of other services: what was written is taken back."""

    def __init__(self, by_line: dict[int, str]) -> None:
        self.by_line = by_line
        super().__init__(f"{len(by_line)} identifiers clash")


class _DryRunRollback(Exception):
    """A dry run is over: what was written is taken back."""


def write_lines(
    connection: Connection, order: Order, lines: Sequence[FileLine], *, meanwhile: Callable[[], None]
) -> dict[int, list[LineFault]]:
    """Write what lines of one kind bring, in their order; return the faults of those that are refused, by their number.

    ``meanwhile`` is done while the database writes; it does not use the connection.
    """
    known = _StoredContext(connection, order, records.names_of(each.line for each in lines))
    refused: dict[int, list[LineFault]] = {}
    while True:
        kept = [each for each in lines if each.line_number not in refused]
        try:
            with connection.begin_nested():
                return refused | _write_in_parts(connection, order, kept, known.fresh(), meanwhile)
        except _IdentifierClash as clashing:
            refused |= {number: [LineFault(_REFERENCE, error)] for number, error in clashing.by_line.items()}


def _write_in_parts(
    connection: Connection, order: Order, lines: Sequence[FileLine], world: LineContext, meanwhile: Callable[[], None]
) -> dict[int, list[LineFault]]:
    """Decide on lines while those before are written: one thread has the connection, the other asks it nothing."""
    faults: dict[int, list[LineFault]] = {}
    # With upsert a line may change what one before it made, which must not be written yet.
    size = max(1, len(lines)) if order.upsert else PART_LINES
    with ThreadPoolExecutor(max_workers=1) as writer:
        writing: Future[None] | None = None
        for at in range(0, len(lines), size):
            decided = upserts.decide(lines[at : at + size], world)
            faults |= decided.faults
            if writing:
                writing.result()
            writing = writer.submit(_write, connection, order, decided)
        meanwhile()
        if writing:
            writing.result()
    return faults


def create_object(connection: Connection, order: Order, line: Line) -> UUID | list[LineFault]:
    """Make one object; return its id, or its faults."""
    known = _StoredContext(connection, order, records.names_of([line]))
    decided = upserts.decide([FileLine(1, line)], known.fresh())
    return _written_alone(connection, order, decided, line.kind)


def change_object(
    connection: Connection, order: Order, object_number: int, attributes: dict[str, Value]
) -> UUID | list[LineFault]:
    """Change attributes of one object: those that are named, null clears one; return its id, or the faults."""
    stored = store.find_number(connection, object_number, lock=True)
    if stored is None:
        raise LookupError(object_number)
    line = Line(stored.kind, stored.external_ref, attributes, "")
    known = _StoredContext(connection, order, records.names_of([line]))
    decided = upserts.decide_change(stored, attributes, known.fresh())
    return _written_alone(connection, order, decided, stored.kind)


def _written_alone(
    connection: Connection, order: Order, decided: LineDecisions, kind: ObjectKind
) -> UUID | list[LineFault]:
    if decided.faults:
        return next(iter(decided.faults.values()))
    try:
        with connection.begin_nested():
            _write(connection, order, decided)
    except _IdentifierClash as clashing:
        return [LineFault(_REFERENCE, error) for error in clashing.by_line.values()]
    return next(each.object_id for each in decided.objects.values() if each.kind is kind)


class _StoredContext:
    """What lines refer to, as it is before they are written; made fresh for each attempt to write them."""

    def __init__(self, connection: Connection, order: Order, names: LineReferences) -> None:
        trial = order.import_number if order.dry_run else None
        found = store.find(
            connection, order.owner_id, names.refs, names.ids, lock=order.upsert and not order.dry_run, trial=trial
        )
        by_ref: dict[tuple[ObjectKind, str], SubscriptionObject] = {}
        by_id: dict[tuple[ObjectKind, UUID], SubscriptionObject] = {}
        for each in found:
            by_id[each.kind, each.object_id] = each
            if each.external_ref is not None:
                by_ref[each.kind, each.external_ref] = each
        missing = {
            kind: [ref for ref in refs if (ObjectKind(kind), ref) not in by_ref]
            for kind, refs in names.refs.items()
            if order.import_number is not None
        }
        failed = jobs.failed_lines(connection, order.import_number or 0, missing)
        self._world = LineContext(
            clock(connection),
            uuid4,
            order.upsert,
            order.import_number,
            by_ref,
            by_id,
            {(ObjectKind(kind), ref): number for (kind, ref), number in failed.items()},
            store.existing_accounts(connection, order.owner_id, names.accounts) if order.account_must_exist else None,
        )

    def fresh(self) -> LineContext:
        """Return the world as it was found."""
        return replace(self._world, by_ref=dict(self._world.by_ref), by_id=dict(self._world.by_id))


def _write(connection: Connection, order: Order, decided: LineDecisions) -> None:
    """Write what was decided; raise ``_IdentifierClash`` if identifiers clash: then all must be taken back."""
    objects = list(decided.objects.values())
    if order.dry_run:
        with _tried(connection):
            _write_objects(
                connection, order, [each._replace(snapshot=None) for each in objects if _needs_service(each)]
            )
            raise _DryRunRollback
        store.insert_trial(connection, order.owner_id, order.import_number or 0, objects)
    else:
        _write_objects(connection, order, objects)


@contextmanager
def _tried(connection: Connection) -> Iterator[None]:
    try:
        with connection.begin_nested():
            yield
    except _DryRunRollback:
        pass


def _needs_service(written: SubscriptionObject) -> bool:
    """Return whether an object is an active subscription whose service is missing or must change."""
    return written.terms is not None and not written.is_served and written.terms.state == SubscriptionState.ACTIVE


def _write_objects(connection: Connection, order: Order, objects: Sequence[SubscriptionObject]) -> None:
    _write_snapshots(connection, order, objects)
    numbers = iter(store.new_numbers(connection, sum(each.object_number is None for each in objects)))
    written = [each._replace(object_number=next(numbers)) if each.object_number is None else each for each in objects]
    new = [each for each, before in zip(written, objects, strict=True) if before.object_number is None]
    changed = [each for each in objects if each.object_number is not None]
    store.insert(connection, order.owner_id, new)
    store.update(connection, changed)
    service_of = _make_services(connection, order, [each for each in written if _needs_service(each)])
    store.insert_terms(connection, order.owner_id, new, service_of)
    stored = (each.object_number or 0 for each in changed)
    subscription_services.link(connection, {number: service_of[number] for number in stored if number in service_of})


def _write_snapshots(connection: Connection, order: Order, objects: Sequence[SubscriptionObject]) -> None:
    """Keep the snapshots that are not kept yet, and let them know their numbers."""
    new = list(
        {id(each.snapshot): each.snapshot for each in objects if each.snapshot and not each.snapshot.number}.values()
    )
    numbers = store.insert_snapshots(connection, order.owner_id, [each.document for each in new])
    for each, number in zip(new, numbers, strict=True):
        each.number = number


def _make_services(connection: Connection, order: Order, live: Sequence[SubscriptionObject]) -> dict[int, int]:
    """Make the services of active subscriptions; return those that are new to them, by object number."""
    if not live:
        return {}
    active = [
        ActiveSubscription(each.object_number, each.object_id, each.external_ref, each.terms)
        for each in live
        if each.object_number and each.terms
    ]
    made = services.make_services(connection, order.owner_id, active, made_by=order.made_by, via=order.via)
    if made.faults:
        lines = {each.object_number: each.line_number or 0 for each in live}
        raise _IdentifierClash({lines[number]: error for number, error in made.faults.items()})
    return made.service_of
