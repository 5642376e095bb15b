"""Products, plans, subscribers, offerings and subscriptions, one by one: read, made, changed, taken away.

Whatever changes one is checked and written as the lines of an import are.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from ratemill.access.tokens import Principal
from ratemill.catalog.subscriptions import services
from ratemill.catalog.subscriptions.writing import Order, change_object, create_object
from ratemill.comparisons import Comparison
from ratemill.errors import BadRequest, Code, Conflict, Fault, NotFound
from ratemill.reference.json_text import Value
from ratemill.reference.subscriptions.filters import check
from ratemill.reference.subscriptions.lines import Line, LineFault
from ratemill.settings import Settings
from ratemill.states import SubscriptionState
from ratemill.store.bulk import Clash
from ratemill.store.comparisons import types
from ratemill.store.connections import Connection, Database, clock
from ratemill.store.subscriptions import pages
from ratemill.store.subscriptions.pages import ShownObject
from ratemill.subscription_objects import ObjectKind
from ratemill.visible import shown

_WITH_ACCOUNT = (ObjectKind.SUBSCRIBER, ObjectKind.SUBSCRIPTION)
_ATTRIBUTES = "data.attributes"


def page(
    database: Database,
    owner_id: int,
    kind: ObjectKind,
    comparisons: Sequence[Comparison[str]],
    *,
    offset: int,
    limit: int,
    bytes_max: int,
) -> tuple[list[ShownObject], int]:
    """Return a page of the objects of a kind, the first made first, and how many there are; raise ``BadRequest``."""
    fields = pages.ACCOUNT_FIELDS if kind in _WITH_ACCOUNT else pages.FIELDS
    checked = check(comparisons, types(fields))
    with database.reader(owner_id) as connection:
        return pages.page(connection, owner_id, kind, checked, fields, offset=offset, limit=limit, bytes_max=bytes_max)


def find(database: Database, owner_id: int, kind: ObjectKind, object_id: str) -> ShownObject:
    """Return an object; raise ``NotFound``, also for one of another owner."""
    with database.reader(owner_id) as connection:
        return _found(connection, owner_id, kind, object_id)


def create(database: Database, settings: Settings, principal: Principal, line: Line) -> ShownObject:
    """Make an object; raise ``BadRequest`` with every fault."""
    try:
        with database.face(principal.owner_id) as connection:
            made = _good(create_object(connection, _order(settings, principal), line))
            return _found(connection, principal.owner_id, line.kind, str(made))
    except Clash as clash:
        raise _raced(clash) from clash


def change(
    database: Database,
    settings: Settings,
    principal: Principal,
    *,
    kind: ObjectKind,
    object_id: str,
    attributes: dict[str, Value],
) -> ShownObject:
    """Change the attributes that are named, null clears one; raise ``NotFound``, or ``BadRequest`` with every fault."""
    try:
        with database.face(principal.owner_id) as connection:
            number = _found(connection, principal.owner_id, kind, object_id, lock=True).object_number
            _good(change_object(connection, _order(settings, principal), number, attributes))
            return _found(connection, principal.owner_id, kind, object_id)
    except Clash as clash:
        raise _raced(clash) from clash


def cancel(database: Database, principal: Principal, object_id: str) -> ShownObject:
    """End a subscription, and the service that it became, now; raise ``NotFound``, or ``Conflict`` if it has ended."""
    with database.face(principal.owner_id) as connection:
        found = _found(connection, principal.owner_id, ObjectKind.SUBSCRIPTION, object_id, lock=True)
        if found.state == SubscriptionState.CANCELED:
            raise Conflict(f"the subscription '{shown(object_id)}' is canceled")
        at = clock(connection)
        _end_service(connection, principal, found, at)
        pages.cancel(connection, found.object_number, at)
        return _found(connection, principal.owner_id, ObjectKind.SUBSCRIPTION, object_id)


def delete(database: Database, principal: Principal, kind: ObjectKind, object_id: str) -> None:
    """Take an object away; raise ``NotFound``.

    What was made of it stays: offerings and subscriptions have it in their snapshots, the service that a subscription became
    ends now and keeps its charges.
    """
    with database.face(principal.owner_id) as connection:
        found = _found(connection, principal.owner_id, kind, object_id, lock=True)
        _end_service(connection, principal, found, clock(connection))
        pages.delete(connection, found.object_number)


def _end_service(connection: Connection, principal: Principal, shown_object: ShownObject, at: datetime) -> None:
    if shown_object.service_name is not None:
        number = shown_object.object_number
        services.end_services(connection, principal.owner_id, [number], at, made_by=principal.name, via="http")


def _found(
    connection: Connection, owner_id: int, kind: ObjectKind, object_id: str, *, lock: bool = False
) -> ShownObject:
    try:
        found = pages.find(connection, owner_id, kind, UUID(object_id), lock=lock)
    except ValueError:
        found = None
    if found is None:
        raise NotFound(f"there is no {kind.word} '{shown(object_id)}'")
    return found


def _order(settings: Settings, principal: Principal) -> Order:
    return Order(principal.owner_id, principal.name, account_must_exist=settings.account_must_exist, via="http")


def _good(made: UUID | list[LineFault]) -> UUID:
    if isinstance(made, UUID):
        return made
    place = {fault.field: f"{_ATTRIBUTES}.{fault.field}" if fault.field else "data" for fault in made}
    raise BadRequest(faults=[Fault(Code.BAD_REQUEST, fault.error, field=place[fault.field]) for fault in made])


def _raced(clash: Clash) -> Conflict:
    return Conflict(f"another call wrote the same at the same time: {clash.detail}")
