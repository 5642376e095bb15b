"""Mending over HTTP: edit and resubmit a refused row, write exceptions off, reprocess."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from ratemill.access.tokens import Principal
from ratemill.api.http import envelope, paging
from ratemill.api.http.auth import needs
from ratemill.api.http.bodies import object_of, read_json_body
from ratemill.api.http.envelope import Json
from ratemill.api.http.paths import RESOURCES
from ratemill.api.usage import reprocess_body
from ratemill.api.usage.instances import import_exception_instance, rating_exception_instance
from ratemill.api.usage.reprocess_body import reprocess_instance
from ratemill.errors import BadRequest, Code
from ratemill.ledger import reprocess, resubmit, write_off
from ratemill.texts import is_storable

router = APIRouter(prefix=RESOURCES, tags=["Mending"])

Corrector = Annotated[Principal, Depends(needs("correct"))]
Reader = Annotated[Principal, Depends(needs("read"))]

NOTE_CHARS_MAX = 1_000


def _body(properties: Json, *, required: bool = True) -> dict[str, Any]:
    schema = {"type": "object", "properties": properties}
    return {"requestBody": {"required": required, "content": {"application/json": {"schema": schema}}}}


_ROW = _body({"data": {"description": "The row as mended: a string, or an object where the request brought objects."}})
_NOTE = _body({"note": {"type": "string", "maxLength": NOTE_CHARS_MAX}}, required=False)
_ORDER = _body(
    {
        "filterCriteria": {"type": "object"},
        "ids": {"type": "array", "items": {"type": "integer"}},
        "all": {"type": "boolean"},
        "scheduledStart": {"type": "string", "format": "date-time"},
    }
)


@router.post("/DataImport/History/Exception/{number}/Resubmit", openapi_extra=_ROW)
async def resubmit_row(number: str, request: Request, principal: Corrector) -> Response:
    """Send in an edited row in the place of a refused one."""
    body = await read_json_body(request)
    refused = await run_in_threadpool(
        resubmit.resubmit,
        request.app.state.database,
        principal.owner_id,
        envelope.number_in_path(number),
        body,
        created_by=principal.name,
    )
    return _updated("dataImportException", refused.import_exception_id, import_exception_instance(refused))


@router.post("/DataImport/History/Exception/{number}/WriteOff", openapi_extra=_NOTE)
async def write_off_import_exception(number: str, request: Request, principal: Corrector) -> Response:
    """Give up a refused row; it stays an import exception."""
    note = _read_note(await read_json_body(request))
    refused = await run_in_threadpool(
        write_off.write_off_import,
        request.app.state.database,
        principal.owner_id,
        envelope.number_in_path(number),
        note=note,
        created_by=principal.name,
    )
    return _updated("dataImportException", refused.import_exception_id, import_exception_instance(refused))


@router.post("/Udr/Usage/Exception/{number}/WriteOff", openapi_extra=_NOTE)
async def write_off_rating_exception(number: str, request: Request, principal: Corrector) -> Response:
    """Give up a usage record that cannot be rated."""
    note = _read_note(await read_json_body(request))
    excepted = await run_in_threadpool(
        write_off.write_off_rating,
        request.app.state.database,
        principal.owner_id,
        envelope.number_in_path(number),
        note=note,
        created_by=principal.name,
    )
    return _updated("udrUsageException", excepted.rating_exception_id, rating_exception_instance(excepted))


@router.post("/UsageRatedExceptionSchedule/Reprocess", openapi_extra=_ORDER)
async def order_reprocess(request: Request, principal: Corrector) -> Response:
    """Rate rating exceptions anew: those that a filter finds, those of certain ids, or all."""
    asked = reprocess_body.read(await read_json_body(request))
    ordered = await run_in_threadpool(
        reprocess.order,
        request.app.state.database,
        principal.owner_id,
        asked.criteria,
        scheduled_at=asked.scheduled_at,
        created_by=principal.name,
    )
    made = {
        "identity": ordered.reprocess_id,
        "action": "created",
        "dtoTypeKey": "usageRatedExceptionSchedule",
        "instance": reprocess_instance(ordered),
    }
    return envelope.reply(envelope.write("create", [made]))


@router.get("/UsageRatedExceptionSchedule/{number}")
def read_reprocess(number: str, request: Request, principal: Reader) -> Response:
    """Return how far a reprocess has come."""
    paging.read_query(request)
    found = reprocess.find(request.app.state.database, principal.owner_id, envelope.number_in_path(number))
    return envelope.reply(envelope.one(reprocess_instance(found)))


def _updated(kind: str, identity: int, instance: Json) -> Response:
    """Return the answer to a change of an exception, its members in ``instance`` and beside it."""
    item = {"identity": identity, "action": "updated", "dtoTypeKey": kind, "instance": instance, **instance}
    return envelope.reply(envelope.write("update", [item]))


class _WriteOff(msgspec.Struct, forbid_unknown_fields=True):
    note: str | None = None


def _read_note(body: bytes) -> str | None:
    """Return why something is written off, if the caller says it."""
    if not body.strip():
        return None
    object_of(body)
    try:
        note = msgspec.json.decode(body, type=_WriteOff).note
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(
            f"the body may be an object with the member 'note': {error}", code=Code.NOTE_NOT_VALID
        ) from error
    if note is not None and not is_storable(note, NOTE_CHARS_MAX):
        raise BadRequest(f"a note has up to {NOTE_CHARS_MAX} characters and no NUL", code=Code.NOTE_NOT_VALID)
    return note or None
