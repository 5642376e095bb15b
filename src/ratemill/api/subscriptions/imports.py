"""Imports of subscription data over HTTP: send a file, see how far its import has come, what was wrong with which line."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Depends, Request
from starlette.requests import ClientDisconnect
from starlette.responses import Response, StreamingResponse

from ratemill.access.tokens import Principal
from ratemill.api.http.auth import needs
from ratemill.api.subscriptions import envelope, lists
from ratemill.api.subscriptions.envelope import OWNER, PREFIX, time
from ratemill.api.subscriptions.lists import FILTER, PAGED, parameter, read_wanted
from ratemill.api.subscriptions.upload import REFERENCE_CHARS_MAX, received
from ratemill.errors import Fault
from ratemill.intake import subscription_imports as intake
from ratemill.ledger import subscription_imports as imports
from ratemill.store.subscriptions.imports import LineError, SubscriptionImport
from ratemill.subscription_objects import by_kind

router = APIRouter(prefix=f"{PREFIX}/imports", tags=["Subscription imports"])

Importer = Annotated[Principal, Depends(needs("import"))]
Follower = Annotated[Principal, Depends(needs("history"))]

JSON_LINES = "application/x-ndjson"
_FILTER, _UPSERT, _DRY_RUN = "filter", "upsert", "dry_run"
_CLOSED_BY_CALLER = 499  # nobody reads it

# One file is looked through while another is written; more would only take the processor from accepts of usage.
_TWO_AT_A_TIME = CapacityLimiter(2)

_BODY: dict[str, Any] = {
    "parameters": [
        {**FILTER, "description": "Its form is checked; it has no effect on an import."},
        parameter(_UPSERT, "Update objects whose external_ref is known.", {"type": "boolean"}),
        parameter(_DRY_RUN, "Check and count everything and make nothing.", {"type": "boolean"}),
    ],
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["import_file"],
                    "properties": {
                        "external_ref": {"type": "string", "maxLength": REFERENCE_CHARS_MAX},
                        "import_file": {"type": "string", "format": "binary"},
                    },
                }
            }
        },
    },
}


@router.post("", status_code=201, openapi_extra=_BODY)
async def create_import(request: Request, principal: Importer) -> Response:
    """Take a file of JSON lines, products, plans, subscribers, offerings and subscriptions, and order its import."""
    state = request.app.state
    faults: list[Fault] = []
    texts = lists.read_texts(request, (_FILTER, _UPSERT, _DRY_RUN), faults)
    lists.read_filter(texts, faults)
    upsert, dry_run = (lists.read_switch(texts, name, faults) for name in (_UPSERT, _DRY_RUN))
    try:
        async with received(request, state.settings) as upload:
            upload.faults.extend(faults)
            receive = partial(intake.receive, upload=upload, upsert=upsert, dry_run=dry_run)
            accepted = await to_thread.run_sync(
                receive, state.database, state.settings, principal, limiter=_TWO_AT_A_TIME
            )
    except ClientDisconnect:
        return Response(status_code=_CLOSED_BY_CALLER)
    return envelope.data(_shown(accepted), 201)


@router.get("", openapi_extra=PAGED)
def read_imports(request: Request, principal: Follower) -> Response:
    """Return a page of the imports, the newest first."""
    wanted = read_wanted(request)
    found, total = imports.page(
        request.app.state.database, principal.owner_id, wanted.comparisons, offset=wanted.offset, limit=wanted.limit
    )
    return lists.page(request, wanted, [_shown(each) for each in found], total)


@router.get("/{import_id}")
def read_import(import_id: str, request: Request, principal: Follower) -> Response:
    """Return one import: its status, when it began and ended, its counts."""
    return envelope.data(_shown(imports.find(request.app.state.database, principal.owner_id, import_id)))


@router.get("/{import_id}/errors", openapi_extra=PAGED)
def read_errors(import_id: str, request: Request, principal: Follower) -> Response:
    """Return a page of what was wrong with the lines of an import, one entry a fault, by line."""
    wanted = read_wanted(request)
    found, total = imports.errors(
        request.app.state.database,
        principal.owner_id,
        import_id,
        wanted.comparisons,
        offset=wanted.offset,
        limit=wanted.limit,
    )
    return lists.page(request, wanted, [_error(each) for each in found], total)


@router.get("/{import_id}/refused")
def read_refused(import_id: str, request: Request, principal: Follower) -> Response:
    """Return the lines of an import that were refused, as they came: a file to mend and send again."""
    pieces = imports.refused_lines(request.app.state.database, principal.owner_id, import_id)
    headers = {"Content-Disposition": f'attachment; filename="refused-{import_id.lower()}.jsonl"'}
    return StreamingResponse(pieces, headers=headers, media_type=JSON_LINES)


def _shown(known: SubscriptionImport) -> dict[str, Any]:
    attributes = {"external_ref": known.external_ref} if known.external_ref is not None else {}
    timestamps = {"updated_at": time(known.updated_at), "created_at": time(known.created_at)}
    if known.started_at:
        timestamps["started_at"] = time(known.started_at)
    if known.finished_at:
        timestamps["finished_at"] = time(known.finished_at)
    meta = {
        "owner": OWNER,
        "timestamps": timestamps,
        "records": {"uploaded": by_kind(known.uploaded), "imported": by_kind(known.imported)},
        "lines": {
            "total": known.lines,
            "imported": sum(known.imported),
            "refused": known.lines_refused,
            "errors": known.faults,
        },
        "upsert": known.upsert,
        "dry_run": known.dry_run,
        "created_by": known.created_by,
    }
    if known.state == "failed" and known.error:
        meta["error"] = known.error
    return {
        "id": str(known.import_id),
        "type": "subscription_import",
        "attributes": {**attributes, "status": known.state},
        "meta": meta,
    }


def _error(known: LineError) -> dict[str, Any]:
    at = time(known.created_at)
    meta: dict[str, Any] = {
        "owner": OWNER,
        "timestamps": {"updated_at": at, "created_at": at},
        "error": known.error,
        "field": known.field,
        "line_number": known.line_number,
    }
    if known.external_ref is not None:
        meta["external_ref"] = known.external_ref
    return {"id": str(known.error_id), "type": "subscription_import_error", "meta": meta}
