"""Items of characteristics over HTTP: ``/api/data/user1`` to ``user20``, read, created, changed, deleted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.convertors import Convertor, register_url_convertor
from starlette.responses import Response

from ratemill.access.tokens import Principal
from ratemill.api.characteristics import envelope
from ratemill.api.characteristics.parameters import Parameters
from ratemill.api.http.auth import needs
from ratemill.api.http.bodies import read_json_body
from ratemill.api.http.exact_json import Exact
from ratemill.api.http.hosts import address_of
from ratemill.catalog.characteristics import edits as characteristic_edits
from ratemill.catalog.characteristics import items as characteristics
from ratemill.catalog.characteristics.edits import ItemAuthor
from ratemill.catalog.characteristics.items import AUDIT, Collection, CollectionQuery, Members
from ratemill.errors import Fault
from ratemill.reference.characteristics.values import ID_CHARS_MAX, ItemFault
from ratemill.visible import shown


class Characteristic(Convertor[int]):
    """The number of a characteristic in a path."""

    regex = "(?:1[0-9]|20|[1-9])"

    def convert(self, value: str) -> int:
        """Return the number."""
        return int(value)

    def to_string(self, value: int) -> str:
        """Return the number as it is written."""
        return str(value)


register_url_convertor("characteristic", Characteristic())

router = APIRouter(prefix="/api/data", tags=["Characteristics"])

Json = dict[str, Any]
Reader = Annotated[Principal, Depends(needs("read"))]
Writer = Annotated[Principal, Depends(needs("setup"))]

TOP, TOP_MAX = 20, 1_000
SKIP_MAX = 2**31 - 1  # more items than any characteristic has
MINIMAL = ("_type", "displayName", "guid", "sid", "id")


@dataclass(slots=True)
class ItemQuery:
    """What a call's query says: the part of a list, and which members are shown."""

    selection: CollectionQuery = field(default_factory=CollectionQuery)
    views: set[str] = field(default_factory=set)
    include: list[str] = field(default_factory=list)
    exclude: list[str] = field(default_factory=list)
    warnings: list[ItemFault] = field(default_factory=list)


def described(*names: str, body: Json | None = None) -> Json:
    """Return what the API's description says of parameters of a call, by name, and of its body, by member."""
    known: Json = {"parameters": [_PARAMETERS[name] for name in names]}
    if body is not None:
        schema = {"type": "object", "properties": body}
        known["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return known


def _parameter(name: str, about: str, schema: Json) -> Json:
    return {"name": name, "in": "query", "required": False, "description": about, "schema": schema}


_TEXT: Json = {"type": "string"}
_PARAMETERS: Json = {
    "$filter": _parameter("$filter", "FIELD OPERATOR 'VALUE', joined by and, or, brackets.", _TEXT),
    "$orderby": _parameter("$orderby", "FIELD asc or FIELD desc, with commas between.", _TEXT),
    "$skip": _parameter("$skip", "Objects before the page.", {"type": "integer", "minimum": 0, "maximum": SKIP_MAX}),
    "$top": _parameter("$top", "Objects of a page.", {"type": "integer", "minimum": 0, "maximum": TOP_MAX}),
    "minimal": _parameter("minimal", "What names an item alone.", {"type": "boolean"}),
    "verbose": _parameter("verbose", "Also who created and changed it, and when.", {"type": "boolean"}),
    "include": _parameter("include", "Members that are shown too, with commas between.", _TEXT),
    "exclude": _parameter("exclude", "Members that are left out, with commas between.", _TEXT),
}
PAGED = ("$filter", "$orderby", "$skip", "$top")
VIEWS = ("minimal", "verbose", "include", "exclude")
_ITEM: Json = {
    "id": {"type": ["string", "null"], "maxLength": ID_CHARS_MAX},
    "description": {"type": ["string", "null"]},
    "comment": {"type": ["string", "null"]},
    "adminClassReference": {"type": ["object", "null"]},
    "parentReference": {"type": ["object", "null"]},
    "ipRightsBearingFlag": {"type": ["boolean", "null"]},
    "royaltyBearingFlag": {"type": ["boolean", "null"]},
}


@router.get("/user{number:characteristic}", openapi_extra=described(*PAGED, *VIEWS))
def read_items(number: int, request: Request, principal: Reader) -> Response:
    """Return items of a characteristic: ``$filter``, ``$orderby``, ``$skip`` and ``$top`` say which."""
    query = read_query(request)
    database = request.app.state.database
    found = characteristics.page(database, principal.owner_id, number, query.selection)
    return collection(request, number, principal, query, found)


@router.get("/user{number:characteristic}/{guid}", openapi_extra=described(*VIEWS))
def read_item(number: int, guid: str, request: Request, principal: Reader) -> Response:
    """Return one item."""
    query = read_query(request, paged=False)
    item = characteristics.find(request.app.state.database, principal.owner_id, number, guid)
    return _one(request, number, principal, query, item)


@router.get("/user{number:characteristic}/{guid}/children", openapi_extra=described(*PAGED, *VIEWS))
def read_children(number: int, guid: str, request: Request, principal: Reader) -> Response:
    """Return the items whose parent an item is, as a collection."""
    query = read_query(request)
    found = characteristics.children(request.app.state.database, principal.owner_id, number, guid, query.selection)
    return collection(request, number, principal, query, found)


@router.get("/user{number:characteristic}/{guid}/parents", openapi_extra=described(*VIEWS))
def read_parents(number: int, guid: str, request: Request, principal: Reader) -> Response:
    """Return an item's parent, the parent of that, and so on to the top."""
    query = read_query(request, paged=False)
    found = characteristics.parents(request.app.state.database, principal.owner_id, number, guid)
    return collection(request, number, principal, query, found)


@router.post("/user{number:characteristic}", status_code=201, openapi_extra=described(*VIEWS, body=_ITEM))
async def create_item(number: int, request: Request, principal: Writer) -> Response:
    """Create an item; one without an id gets the next number."""
    query, body = read_query(request, paged=False), await read_json_body(request)

    def create() -> Response:
        database, owner_id = request.app.state.database, principal.owner_id
        done = characteristic_edits.create(database, owner_id, number, body=body, by=_author(request, principal))
        query.warnings += done.warnings
        return _one(request, number, principal, query, done.item, status=201)

    return await run_in_threadpool(create)


@router.put("/user{number:characteristic}/{guid}", openapi_extra=described(*VIEWS, body=_ITEM))
@router.patch("/user{number:characteristic}/{guid}", openapi_extra=described(*VIEWS, body=_ITEM))
async def update_item(number: int, guid: str, request: Request, principal: Writer) -> Response:
    """Change the members of an item that are sent; null clears, what is not sent stays."""
    query, body = read_query(request, paged=False), await read_json_body(request)

    def update() -> Response:
        database, owner_id = request.app.state.database, principal.owner_id
        done = characteristic_edits.update(database, owner_id, number, guid, body=body, by=_author(request, principal))
        query.warnings += done.warnings
        return _one(request, number, principal, query, done.item)

    return await run_in_threadpool(update)


@router.delete("/user{number:characteristic}/{guid}")
def delete_item(number: int, guid: str, request: Request, principal: Writer) -> Response:
    """Delete an item that nothing uses; 409 names who does."""
    query = read_query(request, paged=False)
    characteristic_edits.delete(
        request.app.state.database, principal.owner_id, number, guid, by=_author(request, principal)
    )
    return envelope.result({}, warnings=query.warnings)


def read_query(
    request: Request,
    *,
    paged: bool = True,
    check: Callable[[CollectionQuery], list[Fault]] = characteristics.faults_of,
) -> ItemQuery:
    """Return what a call's query says, names in any letter case; raise ``BadRequest`` with every fault.

    ``check`` tells what is wrong with the texts of ``$filter`` and ``$orderby``.
    """
    parameters = Parameters(request, *(PAGED if paged else ()), "default", *VIEWS, collection=True)
    query = ItemQuery(
        selection=CollectionQuery(
            filter=parameters.text("$filter"),
            order=parameters.text("$orderby"),
            skip=parameters.whole("$skip", 0, largest=SKIP_MAX),
            top=parameters.whole("$top", TOP, largest=TOP_MAX),
            bytes_max=request.app.state.settings.page_bytes_max,
        ),
        views={name for name in ("minimal", "default", "verbose") if parameters.switch(name)},
        include=parameters.listed("include"),
        exclude=parameters.listed("exclude"),
        warnings=parameters.warnings,
    )
    parameters.faults += check(query.selection)
    parameters.check()
    return query


def list_of(request: Request, collection: Collection, query: CollectionQuery, warnings: list[ItemFault]) -> Response:
    """Return a collection in its envelope, with the ways to the pages before and after."""
    before = max(query.skip - query.top, 0)
    following = query.skip + len(collection.items)  # a page of long objects ends before `$top`
    content = {
        "previousPageUrl": _url(request, before, query.top) if query.skip and query.top else None,
        "nextPageUrl": _url(request, following, query.top)
        if collection.items and following < collection.total
        else None,
        "itemCount": len(collection.items),
        "totalItemCount": collection.total,
        "items": [Exact(item) for item in collection.items],
    }
    return envelope.result(content, warnings=warnings)


def collection(
    request: Request, number: int, principal: Principal, query: ItemQuery, collection: Collection
) -> Response:
    """Return a collection of items with the members that are asked for."""
    names = _names(request, number, principal, query)
    items = [_viewed(item, query, names) for item in collection.items]
    return list_of(request, Collection(items, collection.total), query.selection, query.warnings + collection.warnings)


def _one(
    request: Request, number: int, principal: Principal, query: ItemQuery, item: Members, *, status: int = 200
) -> Response:
    shown = _viewed(item, query, _names(request, number, principal, query))
    return envelope.result(Exact(shown), warnings=query.warnings, status=status)


def _names(request: Request, number: int, principal: Principal, query: ItemQuery) -> Mapping[str, str]:
    """Return the members that are asked for or left out by name, in their own letter case; warn of what is none."""
    if not (query.include or query.exclude):
        return {}
    known = characteristics.known_members(request.app.state.database, principal.owner_id, number)
    by_lower = {name.lower(): name for name in known}
    for parameter in ("include", "exclude"):
        for name in getattr(query, parameter):
            if name.lower() not in by_lower:
                message = f"'{shown(name)}' is no member of a user{number}"
                query.warnings.append(ItemFault("member_not_known", message, parameter))
    return by_lower


def _author(request: Request, principal: Principal) -> ItemAuthor:
    return ItemAuthor(principal.name, strict=request.app.state.settings.references_strict)


def _viewed(item: Members, query: ItemQuery, names: Mapping[str, str]) -> Members:
    """Return the members of an item that are asked for, in their order."""
    included = {names.get(name.lower()) for name in query.include}
    excluded = {names.get(name.lower()) for name in query.exclude}
    if "minimal" in query.views and not query.views & {"default", "verbose"}:
        shown = {name for name in item if name in MINIMAL}
    else:
        shown = {name for name in item if "verbose" in query.views or name not in AUDIT}
    return {name: value for name, value in item.items() if name in (shown | included) and name not in excluded}


def _url(request: Request, skip: int, top: int) -> str:
    """Return the address of another part of the list that a call asks for."""
    kept = [(name, text) for name, text in request.query_params.multi_items() if name.lower() not in ("$skip", "$top")]
    parts = [f"{quote(name, safe='$')}={quote(text)}" if text else quote(name, safe="$") for name, text in kept]
    parts += [f"$skip={skip}", f"$top={top}"]
    path = request.scope.get("asked_path", request.url.path)
    return address_of(request, f"{quote(path)}?{'&'.join(parts)}")
