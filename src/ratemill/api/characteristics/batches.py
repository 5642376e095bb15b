"""Batches of a characteristic's items over HTTP: open one, send its pages, submit it, read it back, clear it."""

from __future__ import annotations

from datetime import UTC
from functools import partial
from typing import Annotated, Any

import msgspec
from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Depends, Path, Request
from starlette.responses import Response

from ratemill.access.tokens import Principal
from ratemill.api.characteristics import envelope
from ratemill.api.characteristics.parameters import Parameters
from ratemill.api.http.auth import needs
from ratemill.api.http.bodies import read_json_body, read_json_body_if_any
from ratemill.api.http.paths import CHARACTERISTICS
from ratemill.intake import characteristic_batches as batches
from ratemill.intake.accept import IDEMPOTENCY_KEY_CHARS_MAX
from ratemill.intake.characteristic_batches import BatchSubmission, ReceivedPage

router = APIRouter(prefix="/api/Import", tags=["Characteristic batches"])

Importer = Annotated[Principal, Depends(needs("import"))]
Follower = Annotated[Principal, Depends(needs("history"))]
Named = Annotated[
    str, Path(description="`UserXs`, or `User1s` to `User20s`.", pattern="^[Uu]ser([Xx]|[1-9]|1[0-9]|20)s$")
]

# One page is checked while another is written; more would only take the processor from accepts of usage.
_TWO_AT_A_TIME = CapacityLimiter(2)

_PAGE_NUMBER = "pageNumber"

_BATCHES = f"/{CHARACTERISTICS}/Batch"
_BATCH = f"{_BATCHES}/{{batch_id:identity}}"

_ITEMS: dict[str, Any] = {
    "pageNumber": {"type": "integer", "minimum": 0},
    "items": {"type": "array", "minItems": 1, "items": {"type": "object"}},
}
_FILE: dict[str, Any] = {
    "importFileName": {"type": "string", "minLength": 1},
    "description": {"type": ["string", "null"]},
    "pageSize": {"type": "integer", "minimum": 1},
    "totalItems": {"type": "integer", "minimum": 1},
}


_KEY: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A call that comes again under it opens nothing and gets the first answer again.",
    "schema": {"type": "string", "minLength": 1, "maxLength": IDEMPOTENCY_KEY_CHARS_MAX},
}


def _described(properties: dict[str, Any], *others: dict[str, Any], required: list[str]) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties, "required": required}
    switches = [
        {"name": name, "in": "query", "required": False, "description": about, "schema": {"type": "boolean"}}
        for name, about in (
            ("Submit", "All pages are here: process them. May stand without a value, in any letter case."),
            ("dryRun", "With Submit: check and count everything and change no item."),
        )
    ]
    body = {"required": bool(required), "content": {"application/json": {"schema": schema}}}
    return {"parameters": [*switches, *others], "requestBody": body}


@router.post(
    _BATCHES,
    status_code=201,
    openapi_extra=_described({**_FILE, **_ITEMS}, _KEY, required=["importFileName", "pageSize", "totalItems"]),
)
async def create_batch(request: Request, principal: Importer, named: Named) -> Response:
    """Open a batch of a characteristic's items, with its first page if it has one, and submit it if asked."""
    parameters, submit = _submit(request)
    body = await read_json_body(request)
    state = request.app.state
    key = request.headers.get("idempotency-key")
    create = partial(batches.create, named=named, body=body, submit=submit, idempotency_key=key)
    created = await to_thread.run_sync(create, state.database, state.settings, principal, limiter=_TWO_AT_A_TIME)
    content = {"batchId": created.batch_id, "jobQueueGuid": str(created.job_id)}
    warnings = [*parameters.warnings, *created.warnings]
    headers = {"Idempotent-Replayed": "true"} if created.replayed else None
    return envelope.result(content, warnings=warnings, status=201, headers=headers)


@router.patch(_BATCH, openapi_extra=_described(_ITEMS, required=[]))
async def send_page(request: Request, principal: Importer, named: Named, batch_id: int) -> Response:
    """Send a page of a batch, submit the batch, or both; a page that is sent again takes the place of the first."""
    parameters, submit = _submit(request)
    body = await read_json_body_if_any(request)
    state = request.app.state
    receive = partial(batches.receive, named=named, batch_id=batch_id, body=body, submit=submit)
    warnings = await to_thread.run_sync(receive, state.database, state.settings, principal, limiter=_TWO_AT_A_TIME)
    return envelope.result({}, warnings=[*parameters.warnings, *warnings])


@router.get(
    _BATCH,
    openapi_extra={
        "parameters": [
            {
                "name": _PAGE_NUMBER,
                "in": "query",
                "required": False,
                "description": "The page, from 0.",
                "schema": {"type": "integer", "minimum": 0},
            }
        ]
    },
)
def read_batch(request: Request, principal: Follower, named: Named, batch_id: int) -> Response:
    """Return a batch with the items of one page, as they were sent."""
    parameters = Parameters(request, _PAGE_NUMBER)
    number = parameters.whole(_PAGE_NUMBER, 0)
    parameters.check()
    received = batches.read(request.app.state.database, principal.owner_id, named, batch_id, number)
    return envelope.result(_instance(received), warnings=parameters.warnings)


@router.post(f"{_BATCH}/clear")
def clear_batch(request: Request, principal: Importer, named: Named, batch_id: int) -> Response:
    """Remove what a batch received; it takes no page afterwards."""
    batches.clear(request.app.state.database, principal.owner_id, named, batch_id)
    return envelope.result({}, warnings=Parameters(request).warnings)


def _submit(request: Request) -> tuple[Parameters, BatchSubmission | None]:
    parameters = Parameters(request, "Submit", "dryRun")
    submit, dry_run = parameters.switch("Submit"), parameters.switch("dryRun")
    parameters.check()
    return parameters, BatchSubmission(dry_run=dry_run) if submit else None


def _instance(received: ReceivedPage) -> dict[str, Any]:
    batch = received.batch
    created = batch.created_at.astimezone(UTC)
    return {
        "importFileName": batch.import_file_name,
        "importFileSID": batch.import_file_id,
        "description": batch.description,
        "fileDownloadNumber": None,
        "pageSize": batch.page_size,
        "totalItems": batch.total_items,
        "batchId": batch.batch_id,
        "pageNumber": received.page_number,
        "receivedItems": batch.items_received,
        "createdDateTime": f"{created:%Y-%m-%dT%H:%M:%S}.{created.microsecond // 1000:03d}",
        "items": msgspec.Raw(received.items),
    }
