"""Under which names the API answers, and the addresses that its answers name.

A page on the web can let a browser call a machine of its network under the page's own name. So a name is answered only if it
is known; the address by which the connection came in is no name that a page could have.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from ratemill.errors import BadRequest, CallerError, MisdirectedRequest
from ratemill.settings import Settings
from ratemill.visible import shown

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

LOOPBACK = ("localhost", "127.0.0.1", "::1")
SEEN_MAX = 100
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Hosts:
    """Middleware that answers only under known names."""

    def __init__(self, app: ASGIApp, *, settings: Settings, refuse: Callable[[Request, CallerError], Response]) -> None:
        self._app, self._refuse = app, refuse
        self._names = {*LOOPBACK, *settings.host_names}
        self._seen: set[bytes] = set()  # whole fields that name one of these
        if settings.public_url:
            self._names.add(_name_of(urlsplit(settings.public_url).netloc))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on if its ``Host`` is known."""
        fault = self._fault(scope) if scope["type"] == "http" else None
        if fault:
            await self._refuse(Request(scope), fault)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _fault(self, scope: Scope) -> CallerError | None:
        given = [value for name, value in scope["headers"] if name == b"host"]
        if len(given) == 1 and given[0] in self._seen:
            return None
        if not given and scope["http_version"] == "1.0":  # such as the health check of a load balancer, never a browser
            return None
        if len(given) != 1:
            return BadRequest(f"a request must have one Host header field, got {len(given)}")
        name = _name_of(given[0].decode("latin-1"))
        if name in self._names:
            if len(self._seen) < SEEN_MAX:
                self._seen.add(given[0])
            return None
        if scope.get("server") and name == scope["server"][0]:
            return None
        return MisdirectedRequest(
            f"this server does not answer as '{shown(name)}'; name the hosts it answers as in RATEMILL_HOSTS"
        )


def _name_of(host: str) -> str:
    """Return the name in ``HOST`` or ``HOST:PORT``, in small letters; an IPv6 address without its brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].rstrip(".").lower()


def address_of(request: Request, path: str) -> str:
    """Return the address of a path: below the public URL, or else the one on which the connection came in."""
    public_url: str = request.app.state.settings.public_url
    if public_url:
        return public_url.rstrip("/") + path
    scheme, (host, port) = request.url.scheme, request.scope.get("server") or ("localhost", None)
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}{'' if port in {None, _DEFAULT_PORTS.get(scheme)} else f':{port}'}{path}"
