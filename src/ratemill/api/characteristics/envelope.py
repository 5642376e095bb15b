"""The envelope of the calls under ``/api/``: a result, errors, warnings, and whether there are any.

Every answer has it, also that of a path or method which is not there and that of a call without a session. The statuses
are the dialect's: no 401 but at the login, no 413, no 503; and 422 for an Idempotency-Key, which is of all dialects.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response

from ratemill.api.http.exact_json import encode
from ratemill.errors import CallerError, Code, Fault, Unauthorized
from ratemill.reference.characteristics.values import ItemFault
from ratemill.texts import writable

PREFIX = "/api/"
LOGIN, LOGOUT = "/api/security/login", "/api/security/logout"
_STATUSES = {401: 403, 412: 409, 413: 400, 429: 500, 503: 500}


class Trouble(Protocol):
    """An error or a warning: ``reference.characteristic_items.ItemFault`` is one."""

    @property
    def code(self) -> str:
        """Return its name."""

    @property
    def message(self) -> str:
        """Return the sentence for a person."""

    @property
    def property(self) -> str:
        """Return the path of the member at fault, or an empty text."""


def result(
    content: object,
    *,
    warnings: Iterable[Trouble] = (),
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> Response:
    """Return the answer to a call that was carried out.

    ``content`` may hold ``Exact`` values and, for JSON that is text already, ``msgspec.Raw``.
    """
    return _answer(content, (), warnings, status, headers)


def refused(
    status: int,
    faults: Iterable[Trouble],
    *,
    warnings: Iterable[Trouble] = (),
    headers: dict[str, str] | None = None,
) -> Response:
    """Return the answer to a call that was not carried out, with every fault; the result is null."""
    return _answer(None, faults, warnings, status, headers)


def speaks(request: Request) -> bool:
    """Whether a call is one of this envelope: its path, without the instance, begins with ``/api/``."""
    return f"{request.url.path.lower()}/".startswith(PREFIX)


def caller_error(request: Request, error: CallerError) -> Response:
    """Return the answer to a caller who erred."""
    if isinstance(error, Unauthorized):
        if request.url.path.lower() == LOGIN:
            return refused(error.status, map(_of_fault, error.faults))
        message = "a session is required, or it is over: log in, and send its token as X-AlliantSession"
        return refused(_STATUSES[error.status], [ItemFault("no_session", message, "")])
    return refused(_STATUSES.get(error.status, error.status), map(_of_fault, error.faults))


def failed(status: int, fault: Fault, headers: dict[str, str] | None = None) -> Response:
    """Return the answer to a call that found no route, or in which we or the world failed."""
    return refused(_STATUSES.get(status, status), [_of_fault(fault)], headers=headers)


def _of_fault(fault: Fault) -> ItemFault:
    known = fault.code in Code.__members__.values()
    word = fault.word or (Code(fault.code).name.lower() if known else "not_accepted")
    return ItemFault(word, fault.message, fault.field or fault.path or "")


def _answer(
    content: object,
    faults: Iterable[Trouble],
    warnings: Iterable[Trouble],
    status: int,
    headers: dict[str, str] | None,
) -> Response:
    errors, warned = [_written(fault) for fault in faults], [_written(warning) for warning in warnings]
    body = {
        "result": content,
        "errors": errors,
        "warnings": warned,
        "hasErrors": bool(errors),
        "hasWarnings": bool(warned),
    }
    return Response(encode(body), status, headers, media_type="application/json")


def _written(trouble: Trouble) -> dict[str, str]:
    return {
        "code": trouble.code,
        "message": writable(trouble.message),
        "property": writable(trouble.property),
    }
