"""Products, plans, subscribers, offerings and subscriptions over HTTP: lists, single ones, and what changes one."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from ratemill.access.tokens import Principal
from ratemill.api.http.auth import needs
from ratemill.api.http.bodies import read_json_body
from ratemill.api.http.exact_json import Exact
from ratemill.api.subscriptions import envelope, lists
from ratemill.api.subscriptions.envelope import OWNER, PREFIX, Json, time
from ratemill.api.subscriptions.lists import PAGED, read_wanted
from ratemill.catalog.subscriptions import objects
from ratemill.errors import BadRequest, Code, Fault
from ratemill.reference import json_text
from ratemill.reference.json_text import Value
from ratemill.reference.subscriptions import lines
from ratemill.reference.subscriptions.lines import Line
from ratemill.states import SubscriptionState
from ratemill.store.subscriptions.pages import ShownObject
from ratemill.subscription_objects import ObjectKind

router = APIRouter(prefix=PREFIX, tags=["Subscriptions"])

Reader = Annotated[Principal, Depends(needs("read"))]
Writer = Annotated[Principal, Depends(needs("setup"))]

_FLAT = (
    ObjectKind.OFFERING,
    ObjectKind.SUBSCRIPTION,
)  # may be sent without type and attributes, as a call that builds one
_HELD = (ObjectKind.PRODUCT, ObjectKind.PLAN)  # what a snapshot holds


def _sent(kind: ObjectKind, *required: str) -> Json:
    names = {"id": {"type": "string"}, "type": {"const": kind.wire}, "attributes": {"type": "object"}}
    data = {"type": "object", "properties": names, "required": list(required)}
    body = {"type": "object", "required": ["data"], "properties": {"data": data}}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": body}}}}


def _add_routes(kind: ObjectKind) -> None:
    """Add the routes of one kind: its list, one of it, and what changes it."""

    def read_objects(request: Request, principal: Reader) -> Response:
        wanted = read_wanted(request)
        found, total = objects.page(
            request.app.state.database,
            principal.owner_id,
            kind,
            wanted.comparisons,
            offset=wanted.offset,
            limit=wanted.limit,
            bytes_max=request.app.state.settings.page_bytes_max,
        )
        return lists.page(request, wanted, [_shown(each) for each in found], total)

    def read_object(object_id: str, request: Request, principal: Reader) -> Response:
        found = objects.find(request.app.state.database, principal.owner_id, kind, object_id)
        return envelope.data(_shown(found))

    async def create_object(request: Request, principal: Writer) -> Response:
        line = await run_in_threadpool(_line_of, await read_json_body(request), kind)
        state = request.app.state
        made = await run_in_threadpool(objects.create, state.database, state.settings, principal, line)
        return envelope.data(_shown(made), 201)

    async def change_object(object_id: str, request: Request, principal: Writer) -> Response:
        attributes = await run_in_threadpool(_changes_of, await read_json_body(request), kind, object_id)
        state = request.app.state
        change = partial(objects.change, kind=kind, object_id=object_id, attributes=attributes)
        changed = await run_in_threadpool(change, state.database, state.settings, principal)
        return envelope.data(_shown(changed))

    def delete_object(object_id: str, request: Request, principal: Writer) -> Response:
        objects.delete(request.app.state.database, principal, kind, object_id)
        return Response(status_code=204)

    add, many, one = router.add_api_route, f"/{kind.plural}", f"/{kind.plural}/{{object_id}}"
    add(many, read_objects, methods=["GET"], description=f"Return a page of the {kind.plural}.", openapi_extra=PAGED)
    add(
        many,
        create_object,
        methods=["POST"],
        status_code=201,
        description=f"Make one {kind.word}, by the rules of an import's line.",
        openapi_extra=_sent(kind) if kind in _FLAT else _sent(kind, "type", "attributes"),
    )
    add(one, read_object, methods=["GET"], description=f"Return one {kind.word}.")
    add(
        one,
        change_object,
        methods=["PUT"],
        description=f"Change those attributes of a {kind.word} that are named; null clears one.",
        openapi_extra=_sent(kind, "id", "type", "attributes"),
    )
    add(one, delete_object, methods=["DELETE"], status_code=204, description=f"Take a {kind.word} away.")


for _kind in ObjectKind:
    _add_routes(_kind)


@router.post("/subscriptions/{object_id}/cancel")
def cancel_subscription(object_id: str, request: Request, principal: Writer) -> Response:
    """End a subscription, and the service that it became, now; 409 if it is canceled."""
    return envelope.data(_shown(objects.cancel(request.app.state.database, principal, object_id)))


def _line_of(body: bytes, kind: ObjectKind) -> Line:
    """Return what a body says of a new object; raise ``BadRequest``."""
    data = _data_of(body)
    if kind in _FLAT and "attributes" not in data:
        attributes = {name: value for name, value in data.items() if name not in ("id", "type")}
        _check_type(data.get("type", kind.wire), kind)
        return Line(
            kind,
            lines.reference_of(attributes.get("external_ref")),
            attributes,
            json_text.write(attributes),
        )
    line = lines.read(body)
    if not isinstance(line, Line):
        raise BadRequest(faults=[Fault(Code.BAD_REQUEST, fault.error) for fault in line])
    _check_type(line.kind.wire, kind)
    return line


def _changes_of(body: bytes, kind: ObjectKind, object_id: str) -> dict[str, Value]:
    """Return the attributes that a body changes; raise ``BadRequest``."""
    data = _data_of(body)
    faults = []
    given_id, given_type, attributes = (data.get(name) for name in ("id", "type", "attributes"))
    if given_id is None or str(given_id).lower() != object_id.lower():
        said = '"id" is required' if given_id is None else '"id" is not that of the path'
        faults.append(Fault(Code.BAD_REQUEST, said, field="data.id"))
    if given_type != kind.wire:
        faults.append(_wrong_type(given_type, kind))
    if not isinstance(attributes, dict):
        said = "is required" if attributes is None else "must be an object"
        faults.append(Fault(Code.BAD_REQUEST, f'"attributes" {said}', field="data.attributes"))
    if faults or not isinstance(attributes, dict):
        raise BadRequest(faults=faults)
    return attributes


def _data_of(body: bytes) -> dict[str, Value]:
    try:
        sent = json_text.read(body)
        json_text.write(sent).encode()  # half of a surrogate pair can be written in no answer
    except ValueError as error:
        raise BadRequest(f"the body is not JSON: {error}", code=Code.BODY_NOT_JSON) from error
    data = sent.get("data") if isinstance(sent, dict) else None
    if not isinstance(data, dict):
        said = "is required" if data is None else "must be an object"
        raise BadRequest(faults=[Fault(Code.BAD_REQUEST, f'"data" {said}', field="data")])
    return data


def _check_type(given: Value, kind: ObjectKind) -> None:
    if given != kind.wire:
        raise BadRequest(faults=[_wrong_type(given, kind)])


def _wrong_type(given: Value, kind: ObjectKind) -> Fault:
    said = "is required" if given is None else f'must be "{kind.wire}"'
    return Fault(Code.BAD_REQUEST, f'"type" {said}', field="data.type")


def _shown(shown_object: ShownObject) -> Json:
    kind = ObjectKind(shown_object.kind)
    attributes = _read(shown_object.attributes)
    snapshot = _read(shown_object.document) if shown_object.document else {}
    meta: Json = {"owner": OWNER, "timestamps": _timestamps(shown_object)}
    shown: Json = {"id": str(shown_object.object_id), "type": kind.wire}
    if kind is ObjectKind.SUBSCRIPTION:
        attributes |= {"offering": snapshot, "plan_id": str(shown_object.plan_id)}
        meta |= _state(shown_object, attributes)
    times = {name: time(getattr(shown_object, name)) for name in ("created_at", "updated_at")}
    shown |= {"attributes": Exact({**attributes, **times})}
    if kind is ObjectKind.OFFERING:
        held = {each.plural: _list(snapshot, each.plural) for each in _HELD}
        shown["relationships"] = {name: {"data": [_pointer(one) for one in many]} for name, many in held.items()}
        shown["included"] = {name: Exact([*many]) for name, many in held.items()}
        meta["external_product_refs"] = [ref for one in held["products"] if (ref := _ref_of(one))]
    if shown_object.import_id:
        meta["import"] = {"id": str(shown_object.import_id), "line_number": shown_object.line_number}
    return {**shown, "meta": meta}


def _timestamps(shown_object: ShownObject) -> Json:
    times = {"updated_at": time(shown_object.updated_at), "created_at": time(shown_object.created_at)}
    if shown_object.started_at:
        times["started_at"] = time(shown_object.started_at)
    if shown_object.ended_at:
        name = "canceled_at" if shown_object.state == SubscriptionState.CANCELED else "end_date"
        times[name] = time(shown_object.ended_at)
    return times


def _state(shown_object: ShownObject, attributes: dict[str, Value]) -> Json:
    """Return what a subscription is now, and the service by which its usage is rated."""
    is_over = shown_object.ended_at is not None and shown_object.ended_at <= shown_object.read_at
    is_active = shown_object.state == SubscriptionState.ACTIVE and not is_over
    return {
        "status": "active" if is_active else "inactive",
        "state": "closed" if shown_object.state == SubscriptionState.ACTIVE and is_over else shown_object.state,
        "canceled": shown_object.state == SubscriptionState.CANCELED,
        "paused": False,
        "closed": is_over,
        "suspended": False,
        "pending": shown_object.state == SubscriptionState.PENDING,
        "manual_payments": attributes.get("manual_payments") is True,
        "first_invoice_prepaid": attributes.get("first_invoice_paid") is True,
        "account_name": shown_object.account_name,
        "account_service_name": shown_object.service_name,
    }


def _read(text: str) -> dict[str, Value]:
    value = json_text.reread(text)
    return value if isinstance(value, dict) else {}


def _list(snapshot: dict[str, Value], name: str) -> list[dict[str, Value]]:
    many = snapshot.get(name)
    return [each for each in many if isinstance(each, dict)] if isinstance(many, list) else []


def _pointer(value: dict[str, Value]) -> Json:
    return {"type": value.get("type"), "id": value.get("id")}


def _ref_of(value: dict[str, Value]) -> Value:
    attributes = value.get("attributes")
    return attributes.get("external_ref") if isinstance(attributes, dict) else None
