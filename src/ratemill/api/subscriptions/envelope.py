"""The envelope of the calls under ``/v2/subscriptions``: data, or errors with status, title, detail and what else is known.

Every answer has it, also that of a path or method which is not there and that of a call without a token. The statuses are
the dialect's: no 413, 415 or 422, which are 400 here, and no 503, which is 500.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ratemill.api.http.exact_json import encode
from ratemill.errors import CallerError, Code, Fault, Unauthorized, readable
from ratemill.texts import writable
from ratemill.visible import shown

PREFIX = "/v2/subscriptions"
OWNER = "store"  # whose everything is; an organization above stores is not known here

Json = dict[str, Any]

_STATUSES = {412: 409, 413: 400, 415: 400, 422: 400, 503: 500}
_TITLES = {
    400: "Validation Error",
    401: "Unable to validate access token",
    409: "Write Conflict",
    500: "Internal Server Error",
}
FILTER_DETAIL = "Could not parse the supplied filter"


def data(content: object, status: int = 200, **beside: object) -> Response:
    """Return the answer to a call that was carried out; ``beside`` stands beside its data, such as links."""
    return _answer({"data": content, **beside}, status)


def speaks(request: Request) -> bool:
    """Whether a call is one of this envelope."""
    return f"{request.url.path.lower()}/".startswith(f"{PREFIX}/")


def caller_error(error: CallerError) -> Response:
    """Return the answer to a caller who erred."""
    headers = {"WWW-Authenticate": "Bearer"} if isinstance(error, Unauthorized) else None
    return _refused(error.status, error.faults, headers)


def failed(status: int, fault: Fault, headers: dict[str, str] | None = None) -> Response:
    """Return the answer to a call that found no route, or in which we or the world failed."""
    return _refused(status, [fault], headers)


def time(at: datetime) -> str:
    """Return an instant as this dialect writes it: UTC, microseconds."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _refused(status: int, faults: Sequence[Fault], headers: dict[str, str] | None) -> Response:
    shown = _STATUSES.get(status, status)
    return _answer({"errors": [_error(shown, fault) for fault in faults]}, shown, headers)


def _error(status: int, fault: Fault) -> Json:
    title = _TITLES.get(status) or HTTPStatus(status).phrase
    if fault.code == Code.FILTER_NOT_VALID:
        return {
            "title": "Bad Request",
            "status": str(status),
            "detail": FILTER_DETAIL,
            "meta": {"reason": writable(fault.message)},
        }
    error = {"title": title, "status": str(status)}
    detail = readable(f"{shown(fault.field)}: {fault.message}") if fault.field else fault.message
    if detail and fault.code != Code.NOT_AUTHENTICATED:
        error["detail"] = writable(detail)
    return error


def _answer(content: Json, status: int, headers: dict[str, str] | None = None) -> Response:
    return Response(encode(content), status, headers, media_type="application/json")
