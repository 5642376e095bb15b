"""Who calls: from the header to the token to the owner and the rights."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from ratemill.setup.tokens import Principal, Right, admit, authenticate

_BEARER = "bearer "
_SESSION_HEADER = "x-alliantsession"  # of the batch dialect below /api/, whose clients send what its login gave


def needs(right: Right) -> Callable[[Request], Coroutine[Any, Any, Principal]]:
    """Return a dependency that lets a caller with ``right`` through; 401 without a valid token, 403 without the right."""

    async def principal(request: Request) -> Principal:
        who = await run_in_threadpool(authenticate, request.app.state.database, secret_of(request))
        return admit(who, right)

    return principal


def secret_of(request: Request) -> str:
    """Return the secret that a request bears, or an empty text."""
    authorization = request.headers.get("authorization", "")
    if authorization.lower().startswith(_BEARER):
        return authorization[len(_BEARER) :].strip()
    if request.url.path.lower().startswith("/api/"):
        return request.headers.get(_SESSION_HEADER, "")
    return ""
