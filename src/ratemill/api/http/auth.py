"""Who calls: from the header to the token to the owner and the rights."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.routing import BaseRoute

from ratemill.access.tokens import Principal, Right, admit, authenticate
from ratemill.errors import Forbidden
from ratemill.visible import shown

F = TypeVar("F", bound=Callable[..., Any])

_BEARER = "bearer "
_RIGHT = "declared_right"  # the attribute of a function that holds its right
_SESSION_HEADER = "x-alliantsession"  # of the batch dialect below /api/, whose clients send what its login gave


# Paths that answer without a token. Any other route declares a right, or a test fails.
PUBLIC = frozenset(
    {
        "/healthz",
        "/livez",
        "/readyz",
        "/openapi.json",
        "/AuthorizationServer/api/v7/Access/Login",
        "/oauth/access_token",
        "/api/security/login",
        "/api/security/logout",
        "/api/security/systemLayers",
        "/api/security/systemLayers/{key}/applicationLayers",
    }
)
LOGINS = frozenset(
    path.lower() for path in ("/AuthorizationServer/api/v7/Access/Login", "/oauth/access_token", "/api/security/login")
)


def needs(right: Right, *, of_feeds: bool = False) -> Callable[[Request], Coroutine[Any, Any, Principal]]:
    """Return a dependency that lets a caller with ``right`` through; 401 without a valid token, 403 without the right.

    A token that is bound to feeds is let through only where the route looks at feeds itself, ``of_feeds``.
    """

    async def principal(request: Request) -> Principal:
        who = await run_in_threadpool(authenticate, request.app.state.database, secret_of(request))
        admitted = admit(who, right)
        request.app.state.token_uses.note(admitted.token_id, admitted.owner_id)
        if admitted.feed_ids is not None and not of_feeds:
            raise Forbidden(
                f"the token '{shown(admitted.name)}' is bound to feeds: it imports usage and reads its histories"
            )
        return admitted

    return declares(right)(principal)


def declares(right: Right) -> Callable[[F], F]:
    """Return a decorator that declares the right of a dependency, or of an endpoint that checks the caller itself."""

    def decorate(function: F) -> F:
        setattr(function, _RIGHT, right)
        return function

    return decorate


def right_of(route: BaseRoute) -> Right | None:
    """Return the right that a route declares, or None."""
    if not isinstance(route, APIRoute):
        return None
    return getattr(route.endpoint, _RIGHT, None) or _right_within(route.dependant)


def _right_within(dependant: Dependant) -> Right | None:
    for needed in dependant.dependencies:
        right: Right | None = getattr(needed.call, _RIGHT, None) or _right_within(needed)
        if right is not None:
            return right
    return None


def secret_of(request: Request) -> str:
    """Return the secret that a request bears, or an empty text."""
    authorization = request.headers.get("authorization", "")
    if authorization.lower().startswith(_BEARER):
        return authorization[len(_BEARER) :].strip()
    if request.scope["path"].lower().startswith("/api/"):
        return request.headers.get(_SESSION_HEADER, "")
    return ""
