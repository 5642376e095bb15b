"""What belongs to a characteristic beside its items, over HTTP: lists of items, and user-defined fields."""

from __future__ import annotations

from functools import partial

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from ratemill.api.characteristics import envelope
from ratemill.api.characteristics.items import (
    PAGED,
    VIEWS,
    Json,
    Reader,
    Writer,
    collection,
    described,
    list_of,
    read_query,
)
from ratemill.api.http.bodies import read_json_body
from ratemill.api.http.exact_json import Exact
from ratemill.catalog.characteristics import fields as characteristic_fields
from ratemill.catalog.characteristics import lists as characteristic_lists
from ratemill.catalog.characteristics.items import part_faults
from ratemill.reference.characteristics.values import LOOKUP, TYPES

router = APIRouter(prefix="/api/data", tags=["Characteristics"])

_of_lists = partial(part_faults, known=characteristic_lists.MEMBERS)
_of_fields = partial(part_faults, known=characteristic_fields.MEMBERS)
_NAMED: Json = {"type": ["array", "null"], "items": {"type": "object"}}
_LIST: Json = {"description": {"type": "string"}, "includedItems": _NAMED, "excludedItems": _NAMED}
_FIELD: Json = {"name": {"type": "string"}, "type": {"enum": [*TYPES, LOOKUP]}}


@router.get("/user{number:characteristic}lists", openapi_extra=described(*PAGED))
def read_lists(number: int, request: Request, principal: Reader) -> Response:
    """Return the lists of a characteristic, by description."""
    query = read_query(request, check=_of_lists)
    found = characteristic_lists.page(request.app.state.database, principal.owner_id, number, query.selection)
    return list_of(request, found, query.selection, query.warnings)


@router.post("/user{number:characteristic}lists", status_code=201, openapi_extra=described(body=_LIST))
async def create_list(number: int, request: Request, principal: Writer) -> Response:
    """Make a list: its description, the items that it takes in, those that it leaves out."""
    query, body = read_query(request, paged=False), await read_json_body(request)
    create = partial(
        characteristic_lists.create, request.app.state.database, principal.owner_id, number, body, by=principal.name
    )
    done = await run_in_threadpool(create)
    return envelope.result(Exact(done.members), warnings=query.warnings + done.warnings, status=201)


@router.get("/user{number:characteristic}lists/{guid}")
def read_list(number: int, guid: str, request: Request, principal: Reader) -> Response:
    """Return one list."""
    query = read_query(request, paged=False)
    found = characteristic_lists.find(request.app.state.database, principal.owner_id, number, guid)
    return envelope.result(Exact(found), warnings=query.warnings)


@router.get("/user{number:characteristic}lists/{guid}/items", openapi_extra=described(*PAGED, *VIEWS))
def read_list_items(number: int, guid: str, request: Request, principal: Reader) -> Response:
    """Return the items that are in a list now, with all below what it takes in, without all below what it leaves out."""
    query = read_query(request)
    database = request.app.state.database
    found = characteristic_lists.members(database, principal.owner_id, number, guid, query.selection)
    return collection(request, number, principal, query, found)


@router.put("/user{number:characteristic}lists/{guid}", openapi_extra=described(body=_LIST))
@router.patch("/user{number:characteristic}lists/{guid}", openapi_extra=described(body=_LIST))
async def update_list(number: int, guid: str, request: Request, principal: Writer) -> Response:
    """Say anew which items a list takes in or leaves out; what is not sent stays."""
    query, body = read_query(request, paged=False), await read_json_body(request)
    database, by = request.app.state.database, principal.name
    update = partial(characteristic_lists.update, database, principal.owner_id, number, guid, body=body, by=by)
    done = await run_in_threadpool(update)
    return envelope.result(Exact(done.members), warnings=query.warnings + done.warnings)


@router.delete("/user{number:characteristic}lists/{guid}")
def delete_list(number: int, guid: str, request: Request, principal: Writer) -> Response:
    """Delete a list that no item names."""
    query = read_query(request, paged=False)
    characteristic_lists.delete(request.app.state.database, principal.owner_id, number, guid, by=principal.name)
    return envelope.result({}, warnings=query.warnings)


@router.get("/user{number:characteristic}fields", openapi_extra=described(*PAGED))
def read_fields(number: int, request: Request, principal: Reader) -> Response:
    """Return the user-defined fields of a characteristic, declared or inferred, by name."""
    query = read_query(request, check=_of_fields)
    found = characteristic_fields.page(request.app.state.database, principal.owner_id, number, query.selection)
    return list_of(request, found, query.selection, query.warnings)


@router.post("/user{number:characteristic}fields", status_code=201, openapi_extra=described(body=_FIELD))
async def declare_field(number: int, request: Request, principal: Writer) -> Response:
    """Declare a field by name and type: items are held to it from now on."""
    query, body = read_query(request, paged=False), await read_json_body(request)
    database, by = request.app.state.database, principal.name
    declare = partial(characteristic_fields.declare, database, principal.owner_id, number, body, by=by)
    done = await run_in_threadpool(declare)
    return envelope.result(Exact(done.field), warnings=query.warnings + done.warnings, status=201)


@router.get("/user{number:characteristic}fields/{name}")
def read_field(number: int, name: str, request: Request, principal: Reader) -> Response:
    """Return one field."""
    query = read_query(request, paged=False)
    found = characteristic_fields.find(request.app.state.database, principal.owner_id, number, name)
    return envelope.result(Exact(found), warnings=query.warnings)


@router.put("/user{number:characteristic}fields/{name}", openapi_extra=described(body=_FIELD))
@router.patch("/user{number:characteristic}fields/{name}", openapi_extra=described(body=_FIELD))
async def redeclare_field(number: int, name: str, request: Request, principal: Writer) -> Response:
    """Declare a known field with a type, its first or another."""
    query, body = read_query(request, paged=False), await read_json_body(request)
    database, by = request.app.state.database, principal.name
    declare = partial(characteristic_fields.declare, database, principal.owner_id, number, body, by=by, name=name)
    done = await run_in_threadpool(declare)
    return envelope.result(Exact(done.field), warnings=query.warnings + done.warnings)


@router.delete("/user{number:characteristic}fields/{name}")
def delete_field(number: int, name: str, request: Request, principal: Writer) -> Response:
    """Forget a field in which no item has a value."""
    query = read_query(request, paged=False)
    characteristic_fields.remove(request.app.state.database, principal.owner_id, number, name, by=principal.name)
    return envelope.result({}, warnings=query.warnings)
