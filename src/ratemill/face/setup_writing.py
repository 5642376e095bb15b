"""Set-up objects over HTTP: create, update, patch and delete, the same for every kind that the registry declares; and the
log of their changes.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from ratemill.face import envelope, paging
from ratemill.face.auth import needs
from ratemill.face.bodies import read_json_body
from ratemill.face.envelope import Json
from ratemill.face.paging import TIMES, Parameter
from ratemill.face.paths import RESOURCES
from ratemill.periods import write_instant
from ratemill.setup import changes, deleting, editing, patching
from ratemill.setup.changes import Author, ChangeFilters, SetupChange
from ratemill.setup.declaration import SetupObject
from ratemill.setup.editing import Written
from ratemill.setup.registry import OBJECTS
from ratemill.setup.tokens import Principal

router = APIRouter(prefix=RESOURCES, tags=["Set-up"])

Setter = Annotated[Principal, Depends(needs("setup"))]
Reader = Annotated[Principal, Depends(needs("read"))]
Endpoint = Callable[..., Coroutine[Any, Any, Response]]

_ACTIONS = ("created", "updated", "deleted")


def _read_action(text: str) -> str:
    if text not in _ACTIONS:
        raise ValueError(f"must be one of {', '.join(_ACTIONS)}")
    return text


CHANGE_FILTERS = {
    "list": Parameter("list", paging.read_text, "The list of the object, such as usageRates."),
    "objectIdentity": Parameter("object_id", paging.read_number, "The object by its identity, with list."),
    "by": Parameter("changed_by", paging.read_text, "The name of the token, or the user who applied a document."),
    "action": Parameter("action", _read_action, "created, updated or deleted."),
    **TIMES,
}


def change_instance(change: SetupChange) -> Json:
    """Return one change as the wire shows it."""
    return {
        "identity": change.setup_change_id,
        "ownerId": change.owner_id,
        "at": write_instant(change.changed_at),
        "by": change.changed_by,
        "via": change.via,
        "list": change.list,
        "objectIdentity": change.object_id,
        "key": change.key_words,
        "action": change.action,
        "before": change.before,
        "after": change.after,
    }


@router.get("/Setup/Change/Paged", openapi_extra=paging.described(CHANGE_FILTERS))
def read_changes(request: Request, principal: Reader) -> Response:
    """Return a page of the changes of set-up objects, the newest first."""
    asked, filters = paging.read_page(request, CHANGE_FILTERS)
    shown = changes.page(request.app.state.database, principal.owner_id, ChangeFilters(**filters), asked)
    return envelope.reply(envelope.paged(shown, asked, change_instance))


@router.get("/Setup/Change/{number}")
def read_change(number: str, request: Request, principal: Reader) -> Response:
    """Return one change of a set-up object."""
    paging.read_query(request)
    found = changes.find(request.app.state.database, principal.owner_id, envelope.number_in_path(number))
    return envelope.reply(envelope.one(change_instance(found)))


def _creating(each: SetupObject) -> Endpoint:
    async def create(request: Request, principal: Setter) -> Response:
        paging.read_query(request)
        body = await read_json_body(request)
        database = request.app.state.database
        made = await run_in_threadpool(editing.create, database, principal.owner_id, each, body, _author(principal))
        return _answer("create", made)

    return create


def _updating(each: SetupObject) -> Endpoint:
    async def update(number: str, request: Request, principal: Setter) -> Response:
        return await _change("update", editing.update, each, number, request, principal)

    return update


def _patching(each: SetupObject) -> Endpoint:
    async def patch(number: str, request: Request, principal: Setter) -> Response:
        return await _change("patch", patching.patch, each, number, request, principal)

    return patch


def _deleting(each: SetupObject) -> Endpoint:
    async def delete(number: str, request: Request, principal: Setter) -> Response:
        paging.read_query(request)
        gone = await run_in_threadpool(
            deleting.delete,
            request.app.state.database,
            principal.owner_id,
            each,
            envelope.number_in_path(number),
            _author(principal),
            if_match=request.headers.get("if-match"),
        )
        return _answer("delete", gone)

    return delete


async def _change(
    kind: str, verb: Callable[..., Written], each: SetupObject, number: str, request: Request, principal: Principal
) -> Response:
    paging.read_query(request)
    identity = envelope.number_in_path(number)
    body = await read_json_body(request)
    done = await run_in_threadpool(
        verb,
        request.app.state.database,
        principal.owner_id,
        each,
        identity,
        body,
        _author(principal),
        if_match=request.headers.get("if-match"),
    )
    return _answer(kind, done)


def _author(principal: Principal) -> Author:
    return Author(principal.name, "http")


def _answer(kind: str, done: Written) -> Response:
    tag = {} if done.etag is None else {"ETag": done.etag}
    return envelope.reply(envelope.write(kind, done.items), headers=tag)


_OBJECT = {"requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}}
_IF_MATCH = {
    "parameters": [
        {
            "name": "If-Match",
            "in": "header",
            "required": False,
            "description": "The ETag of the object that is meant; another by now: 412.",
            "schema": {"type": "string"},
        }
    ]
}


def _add_routes(each: SetupObject) -> None:
    path, key = f"/{each.path.rstrip('/')}", each.dto_type_key
    one = f"{path}/{{number}}"
    if not each.singular:
        router.add_api_route(
            path,
            _creating(each),
            methods=["POST"],
            name=f"{key}.create",
            description=f"Create a {each.noun}.",
            openapi_extra=_OBJECT,
        )
    for method, endpoint, about, extra in (
        ("PUT", _updating(each), f"Change the members of a {each.noun} that the body names.", _OBJECT | _IF_MATCH),
        (
            "PATCH",
            _patching(each),
            f"Change a {each.noun}, others and their parts, all or nothing.",
            _OBJECT | _IF_MATCH,
        ),
        ("DELETE", _deleting(each), f"Delete a {each.noun} with its parts, unless it is in use.", _IF_MATCH),
    ):
        if each.singular and method == "DELETE":
            continue
        router.add_api_route(
            one,
            endpoint,
            methods=[method],
            name=f"{key}.{method.lower()}",
            description=about,
            openapi_extra=extra,
        )


for _each in OBJECTS:
    if not _each.read_only:
        _add_routes(_each)
