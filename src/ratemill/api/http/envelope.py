"""The envelope of the calls under ``/ResourceServer/``: what a write, a read and an error look like."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ratemill.errors import CallerError, Fault, NotFound, Unauthorized
from ratemill.pages import Page, Paging, Row
from ratemill.texts import writable
from ratemill.visible import shown

Json = dict[str, Any]

_TYPES = {"GET": "get", "HEAD": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_SEND_MESSAGE = re.compile(r"/DataImport/Usage/[^/]+\Z", re.IGNORECASE)
_SEARCH = re.compile(r"/Search\Z", re.IGNORECASE)
_UPDATE = re.compile(r"/(Resubmit|WriteOff|PriceList)\Z", re.IGNORECASE)
_DIGITS_MAX = 30  # more than any number of ours has
_ENCODER = msgspec.json.Encoder()


def reply(content: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Return ``content`` as a JSON answer."""
    return Response(_ENCODER.encode(content), status, headers, media_type="application/json")


def write(kind: str, items: list[Json], *, tracking_id: str | None = None) -> Json:
    """Return the envelope of a write."""
    return {
        "trackingId": tracking_id or str(uuid4()),
        "type": kind,
        "results": {"totalCount": len(items), "items": items},
    }


def one(instance: Json) -> Json:
    """Return the envelope of one object."""
    return {"trackingId": str(uuid4()), "instance": instance}


def everything(items: list[Json]) -> Json:
    """Return the envelope of a whole list."""
    return {"trackingId": str(uuid4()), "totalCount": len(items), "items": items}


def page(items: list[Any], paging: Paging, total_count: int | None, *, is_cut: bool = False) -> Json:
    """Return the envelope of one page; without a total, ``totalCount`` is left out, and ``next`` unless the page is cut."""
    pagination = {"pageNumber": paging.number, "pageSize": paging.size, "excludeTotalCount": total_count is None}
    results: Json = {} if total_count is None else {"totalCount": total_count}
    return {
        "trackingId": str(uuid4()),
        "pagination": {**pagination, "next": paging.skip + len(items)} if is_cut else pagination,
        "pagedResults": {**results, "items": items},
    }


def paged(rows: Page[Row], paging: Paging, instance: Callable[[Row], Json]) -> Json:
    """Return the envelope of one page, each row written by ``instance``, of no more bytes than the page may have."""
    items: list[msgspec.Raw] = []
    bytes_left = paging.bytes_max
    for row in rows.rows:
        item = _ENCODER.encode(instance(row))
        bytes_left -= len(item) + 1  # a comma follows
        if bytes_left < 0 and items:
            break
        items.append(msgspec.Raw(item))
    return page(items, paging, rows.total, is_cut=rows.is_cut or len(items) < len(rows.rows))


def number_in_path(text: str) -> int:
    """Return the number that a path names; anything else names nothing that could be found."""
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX):
        raise NotFound(f"there is nothing of the number '{shown(text)}'")
    return int(text)


def errors(request: Request, faults: list[Fault]) -> Json:
    """Return the envelope of an error: every fault at once."""
    return {"trackingId": str(uuid4()), "type": call_type(request), "errors": [fault(each) for each in faults]}


def caller_error(request: Request, error: CallerError) -> Response:
    """Return the answer to a caller who erred."""
    headers = {"WWW-Authenticate": "Bearer"} if isinstance(error, Unauthorized) else None
    return reply(errors(request, error.faults), error.status, headers)


def call_type(request: Request) -> str:
    """Return the ``type`` that the call has, or would have had."""
    path = request.scope.get("asked_path", request.url.path).rstrip("/")
    if request.method == "POST":
        if "/internal/" not in path.lower() and _SEND_MESSAGE.search(path):
            return "sendMessage"
        if _UPDATE.search(path):
            return "update"
        if _SEARCH.search(path):
            return "get"
    return _TYPES.get(request.method, "get")


def fault(fault: Fault) -> Json:
    """Return one fault, or one warning, as it stands in an envelope."""
    known: Json = {"code": fault.code, "message": writable(fault.message)}
    if fault.row is not None:
        known["row"] = fault.row
    if fault.field is not None:
        known["field"] = writable(fault.field)
    return known
