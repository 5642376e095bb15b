"""Set-up objects over HTTP: create, update, patch and delete, the same for every kind; and the log of their changes."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from ratemill.access.tokens import Principal
from ratemill.api.http import envelope, paging
from ratemill.api.http.auth import needs
from ratemill.api.http.bodies import read_json_body
from ratemill.api.http.envelope import Json
from ratemill.api.http.paging import TIMES, Parameter
from ratemill.api.http.paths import IDENTITY, RESOURCES
from ratemill.api.setup import schemas
from ratemill.periods import write_instant
from ratemill.setup.declaration import SetupObject
from ratemill.setup.objects.registry import OBJECTS
from ratemill.setup.writing import changes, deleting, editing, patching
from ratemill.setup.writing.changes import Author
from ratemill.setup.writing.editing import EditResult, EditTarget
from ratemill.store.setup.changes import SetupChange, SetupChangeFilters

router = APIRouter(prefix=RESOURCES)

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


@router.get("/Setup/Change/Paged", tags=["Set-up: changes"], openapi_extra=paging.described(CHANGE_FILTERS))
def read_changes(request: Request, principal: Reader) -> Response:
    """Return a page of the changes of set-up objects, the newest first."""
    asked, filters = paging.read_page(request, CHANGE_FILTERS)
    shown = changes.page(request.app.state.database, principal.owner_id, SetupChangeFilters(**filters), asked)
    return envelope.reply(envelope.paged(shown, asked, change_instance))


@router.get("/Setup/Change/{number}", tags=["Set-up: changes"])
def read_change(number: str, request: Request, principal: Reader) -> Response:
    """Return one change of a set-up object."""
    paging.read_query(request)
    found = changes.find(request.app.state.database, principal.owner_id, envelope.number_in_path(number))
    return envelope.reply(envelope.one(change_instance(found)))


def _creating(kind: SetupObject) -> Endpoint:
    async def create(request: Request, principal: Setter) -> Response:
        paging.read_query(request)
        body = await read_json_body(request)
        database = request.app.state.database
        made = await run_in_threadpool(editing.create, database, principal.owner_id, kind, body, _author(principal))
        return _answer("create", made)

    return create


def _updating(kind: SetupObject) -> Endpoint:
    async def update(request: Request, principal: Setter) -> Response:
        return await _change("update", editing.update, kind, request, principal)

    return update


def _patching(kind: SetupObject) -> Endpoint:
    async def patch(request: Request, principal: Setter) -> Response:
        return await _change("patch", patching.patch, kind, request, principal)

    return patch


def _deleting(kind: SetupObject) -> Endpoint:
    async def delete(request: Request, principal: Setter) -> Response:
        paging.read_query(request)
        gone = await run_in_threadpool(
            deleting.delete,
            request.app.state.database,
            principal.owner_id,
            _target(kind, request),
            _author(principal),
        )
        return _answer("delete", gone)

    return delete


async def _change(
    action: str, verb: Callable[..., EditResult], kind: SetupObject, request: Request, principal: Principal
) -> Response:
    paging.read_query(request)
    body = await read_json_body(request)
    done = await run_in_threadpool(
        verb,
        request.app.state.database,
        principal.owner_id,
        _target(kind, request),
        body,
        _author(principal),
    )
    return _answer(action, done)


def _target(kind: SetupObject, request: Request) -> EditTarget:
    return EditTarget(kind, request.path_params["identity"], request.headers.get("if-match"))


def _author(principal: Principal) -> Author:
    return Author(principal.name, "http")


def _answer(kind: str, done: EditResult) -> Response:
    tag = {} if done.etag is None else {"ETag": done.etag}
    answer = envelope.write(kind, done.items)
    if done.warnings:
        answer["warnings"] = [envelope.fault(warning) for warning in done.warnings]
    return envelope.reply(answer, headers=tag)


_IF_MATCH = {"parameters": [schemas.PATH_IDENTITY, schemas.IF_MATCH]}


def _add_routes(kind: SetupObject) -> None:
    path, shown = f"/{kind.path.rstrip('/')}", schemas.shown(kind)
    one = f"{path}/{IDENTITY}"
    created, changed, patched = (
        schemas.body(schema(kind)) for schema in (schemas.create, schemas.merge, schemas.patch)
    )
    for at, method, endpoint, about, extra, item in (
        (path, "POST", _creating(kind), f"Create {kind.a_noun}.", created, shown),
        (
            one,
            "PUT",
            _updating(kind),
            f"Change the members of {kind.a_noun} that the body names.",
            changed | _IF_MATCH,
            shown,
        ),
        (
            one,
            "PATCH",
            _patching(kind),
            f"Change {kind.a_noun}, others and their parts, all or nothing.",
            patched | _IF_MATCH,
            {"type": "object"},
        ),
        (
            one,
            "DELETE",
            _deleting(kind),
            f"Delete {kind.a_noun} with its parts, unless it is in use.",
            _IF_MATCH,
            {"type": "object"},
        ),
    ):
        if kind.singular and method in {"POST", "DELETE"}:
            continue
        router.add_api_route(
            at,
            endpoint,
            methods=[method],
            name=f"{kind.dto_type_key}.{method.lower()}",
            description=about,
            tags=[f"Set-up: {kind.list_name}"],
            openapi_extra=extra,
            responses={200: schemas.answered(schemas.write_envelope(item))},
        )


for _kind in OBJECTS:
    if not _kind.read_only:
        _add_routes(_kind)
