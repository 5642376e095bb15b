"""Subscription objects are written: lines of an import, or the change of one object, with the services they become.

Which objects a line makes is decided in ``reference/subscription_upserts``; here is what that needs to know, and what is
written: all of a line or, where it is at fault, nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from uuid import UUID, uuid4

from ratemill.catalog.subscriptions import services
from ratemill.catalog.subscriptions.services import Live
from ratemill.reference.json_text import Value
from ratemill.reference.subscriptions import upserts
from ratemill.reference.subscriptions.kinds import ObjectKind
from ratemill.reference.subscriptions.lines import Line, LineFault
from ratemill.reference.subscriptions.offerings import Snapshot
from ratemill.reference.subscriptions.upserts import FileLine, LineContext, LineDecisions, LineReferences, Object, Sold
from ratemill.setup.writing.changes import Via
from ratemill.states import SubscriptionState
from ratemill.store.connections import Connection, clock
from ratemill.store.subscriptions import jobs
from ratemill.store.subscriptions import objects as store
from ratemill.store.subscriptions import services as subscription_services
from ratemill.store.subscriptions.objects import StoredObject, Terms, WrittenObject

__all__ = ["Order", "change_object", "create_object", "write_lines"]

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
    known = _StoredContext(connection, order, upserts.names_of(each.line for each in lines))
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
    known = _StoredContext(connection, order, upserts.names_of([line]))
    decided = upserts.decide([FileLine(1, line)], known.fresh())
    return _written_alone(connection, order, decided, line.kind)


def change_object(
    connection: Connection, order: Order, object_number: int, attributes: dict[str, Value]
) -> UUID | list[LineFault]:
    """Change attributes of one object: those that are named, null clears one; return its id, or the faults."""
    stored = store.find_number(connection, object_number, lock=True)
    if stored is None:
        raise LookupError(object_number)
    found = _object(stored, {})
    line = Line(found.kind, found.external_ref, attributes, "")
    known = _StoredContext(connection, order, upserts.names_of([line]))
    decided = upserts.decide_change(found, attributes, known.fresh())
    return _written_alone(connection, order, decided, found.kind)


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
        snapshots: dict[int, Snapshot] = {}
        by_ref: dict[tuple[ObjectKind, str], Object] = {}
        by_id: dict[tuple[ObjectKind, UUID], Object] = {}
        for each in (_object(stored, snapshots) for stored in found):
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


def _object(stored: StoredObject, snapshots: dict[int, Snapshot]) -> Object:
    """Return an object as decisions know it; ``snapshots`` are those that others share."""
    snapshot = None
    if stored.document is not None:
        snapshot = snapshots.get(stored.snapshot_number or 0) or Snapshot(stored.document, stored.snapshot_number)
        if stored.snapshot_number is not None:
            snapshots[stored.snapshot_number] = snapshot
    return Object(
        ObjectKind(stored.kind),
        stored.object_id,
        stored.external_ref,
        stored.account_id,
        stored.attributes,
        snapshot,
        _sold(stored),
        stored.import_number,
        stored.line_number,
        stored.object_number,
    )


def _sold(stored: StoredObject) -> Sold | None:
    if stored.account_id is None or stored.currency is None or stored.plan_id is None or stored.state is None:
        return None
    return Sold(
        stored.account_id,
        stored.currency,
        stored.plan_id,
        stored.plan_external_ref,
        stored.offering_external_ref,
        stored.state,
        stored.started_at,
        stored.ended_at,
        service=stored.service_id is not None,
    )


def _write(connection: Connection, order: Order, decided: LineDecisions) -> None:
    """Write what was decided; raise ``_IdentifierClash`` if identifiers clash: then all must be taken back."""
    objects = list(decided.objects.values())
    live = [
        each for each in objects if each.sold and not each.sold.served and each.sold.state == SubscriptionState.ACTIVE
    ]
    if order.dry_run:
        with _tried(connection):
            _write_objects(connection, order, [each._replace(snapshot=None) for each in live], live)
            raise _DryRunRollback
        store.insert_trial(connection, order.owner_id, order.import_number or 0, _trials(objects))
    else:
        _write_objects(connection, order, objects, live)


@contextmanager
def _tried(connection: Connection) -> Iterator[None]:
    try:
        with connection.begin_nested():
            yield
    except _DryRunRollback:
        pass


def _trials(objects: Iterable[Object]) -> Iterator[tuple[WrittenObject, str | None]]:
    for each in objects:
        yield _row(each, None), each.snapshot.document if each.snapshot else None


def _write_objects(connection: Connection, order: Order, objects: Sequence[Object], live: Sequence[Object]) -> None:
    _write_snapshots(connection, order, objects)
    fresh = [each for each in objects if each.object_number is None]
    given = store.new_numbers(connection, len(fresh))
    new = [_row(each, number) for each, number in zip(fresh, given, strict=True)]
    changed = [_row(each, each.object_number) for each in objects if each.object_number is not None]
    store.insert(connection, order.owner_id, new)
    store.update(connection, changed)
    all_numbers = {each.object_id: each.object_number or 0 for each in (*new, *changed)}
    service_of = _make_services(connection, order, live, all_numbers)
    store.insert_terms(connection, order.owner_id, new, service_of)
    stored = (each.object_number or 0 for each in changed)
    subscription_services.link(connection, {number: service_of[number] for number in stored if number in service_of})


def _write_snapshots(connection: Connection, order: Order, objects: Sequence[Object]) -> None:
    """Keep the snapshots that are not kept yet, and let them know their numbers."""
    new = list(
        {id(each.snapshot): each.snapshot for each in objects if each.snapshot and not each.snapshot.number}.values()
    )
    numbers = store.insert_snapshots(connection, order.owner_id, [each.document for each in new])
    for each, number in zip(new, numbers, strict=True):
        each.number = number


def _row(one: Object, object_number: int | None) -> WrittenObject:
    return WrittenObject(
        object_number,
        int(one.kind),
        one.object_id,
        one.external_ref,
        one.account_id,
        one.attributes,
        one.snapshot.number if one.snapshot else None,
        one.import_number,
        one.line_number if one.import_number is not None else None,
        _terms(one.sold) if one.sold else None,
    )


def _terms(sold: Sold) -> Terms:
    return Terms(
        sold.account_id,
        sold.currency,
        sold.plan_id,
        sold.plan_external_ref,
        sold.offering_external_ref,
        str(sold.state),
        sold.started_at,
        sold.ended_at,
    )


def _make_services(
    connection: Connection, order: Order, live: Sequence[Object], numbers: Mapping[UUID, int]
) -> dict[int, int]:
    """Make the services of active subscriptions; return those that are new to them, by object number."""
    if not live:
        return {}
    lines = {numbers[each.object_id]: each.line_number or 0 for each in live}
    wanted = [
        Live(
            numbers[each.object_id],
            each.object_id,
            each.external_ref,
            each.sold.account_id,
            each.sold.currency,
            each.sold.started_at,
            each.sold.ended_at,
            each.sold.plan_external_ref,
            each.sold.offering_external_ref,
        )
        for each in live
        if each.sold and each.sold.started_at
    ]
    made = services.make_services(connection, order.owner_id, wanted, made_by=order.made_by, via=order.via)
    if made.faults:
        raise _IdentifierClash({lines[number]: error for number, error in made.faults.items()})
    return made.service_of
