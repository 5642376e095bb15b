"""Usage import: the four routes, each with and without ``internal/``, and their replies."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter, Request
from fastapi.routing import APIRoute
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from ratemill.api.http.auth import declares, secret_of
from ratemill.api.http.bodies import read_json_body
from ratemill.api.http.envelope import Json, reply, write
from ratemill.api.http.paths import RESOURCES
from ratemill.intake import accept
from ratemill.intake.accept import Receipt
from ratemill.records import Route

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class _Direct(APIRoute):
    """A route whose function gets the path's names and the request; nothing else is looked for in it before."""

    def get_route_handler(self) -> Handler:
        """Return what answers a request."""

        async def handle(request: Request) -> Response:
            answer: Response = await self.endpoint(**request.path_params, request=request)
            return answer

        return handle


router = APIRouter(prefix=RESOURCES, tags=["Usage import"], route_class=_Direct)

_BODIES: dict[str, Any] = {
    "rows": {
        "type": "object",
        "required": ["data"],
        "properties": {"data": {"type": "array", "items": {"type": "string"}}},
    },
    "multi": {
        "type": "object",
        "required": ["data"],
        "properties": {"data": {"type": "array", "items": {"type": "object"}}},
    },
    "single": {"type": "object"},
}


def _body(route: Route) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": _BODIES[route]}}}}


@router.post("/DataImport/Usage/Json/Multi/{feed}", openapi_extra=_body("multi"))
@declares("import")
async def import_objects(feed: str, request: Request) -> Response:
    """Take up to 1,000 usage records as JSON objects."""
    return await _import(request, feed, "multi", _created)


@router.post("/DataImport/Usage/Json/{feed}", openapi_extra=_body("single"))
@declares("import")
async def import_object(feed: str, request: Request) -> Response:
    """Take one usage record as a JSON object."""
    return await _import(request, feed, "single", _created)


@router.post("/DataImport/Usage/{feed}", openapi_extra=_body("rows"))
@declares("import")
async def import_rows(feed: str, request: Request) -> Response:
    """Take up to 1,000 usage records, each as one string in the format of the feed's data profile."""
    return await _import(request, feed, "rows", _message_sent)


@router.post("/internal/DataImport/Usage/Json/Multi/{feed}", openapi_extra=_body("multi"))
@declares("import")
async def import_objects_internal(feed: str, request: Request) -> Response:
    """Take up to 1,000 usage records as JSON objects."""
    return await _import(request, feed, "multi", _tracked)


@router.post("/internal/DataImport/Usage/Json/{feed}", openapi_extra=_body("single"))
@declares("import")
async def import_object_internal(feed: str, request: Request) -> Response:
    """Take one usage record as a JSON object."""
    return await _import(request, feed, "single", _tracked)


@router.post("/internal/DataImport/Usage/{feed}", openapi_extra=_body("rows"))
@declares("import")
async def import_rows_internal(feed: str, request: Request) -> Response:
    """Take up to 1,000 usage records, each as one string in the format of the feed's data profile."""
    return await _import(request, feed, "rows", _tracked)


async def _import(request: Request, feed: str, route: Route, answer: Any) -> Response:  # noqa: ANN401
    asked = accept.ImportRequest(
        secret=secret_of(request),
        feed=feed,
        route=route,
        body=await read_json_body(request),
        fingerprint=f"{request.method} {request.url.path.lower()}",
        idempotency_key=request.headers.get("idempotency-key"),
    )
    state = request.app.state
    accepted = await run_in_threadpool(accept.accept, state.database, state.settings, state.backlog, asked)
    headers = {"Idempotent-Replayed": "true"} if accepted.replayed else None
    response = reply(answer(accepted), headers=headers)
    if state.backlog.is_look_due:
        response.background = BackgroundTask(state.backlog.look)  # runs when the answer is sent
    return response


def _message_sent(accepted: Receipt) -> Json:
    item = {
        "action": "messageSent",
        "dtoTypeKey": "dataImportUsageResults",
        "instance": {"identity": accepted.submission_id, "successful": True},
    }
    return write("sendMessage", [item], tracking_id=str(accepted.request_tracking_id))


def _created(accepted: Receipt) -> Json:
    return write("create", [_tracking_item(accepted)], tracking_id=str(accepted.request_tracking_id))


def _tracked(accepted: Receipt) -> Json:
    sent = {"action": "messageSent", "dtoTypeKey": "sendUsage", "instance": _tracking(accepted)}
    return write("create", [sent, _tracking_item(accepted)], tracking_id=str(accepted.request_tracking_id))


def _tracking_item(accepted: Receipt) -> Json:
    return {"action": "created", "dtoTypeKey": "dataImportRequestTracking", "instance": _tracking(accepted)}


def _tracking(accepted: Receipt) -> Json:
    return {"trackingId": str(accepted.import_tracking_id), "udrFeedId": accepted.feed_id}
