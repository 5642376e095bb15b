"""Who may send a body: the token is checked before the first byte is read, and each owner has a share of what is read.

A valid token is remembered for a few seconds, for this check alone: what a request reads or writes is authorized by the
database each time, so a revoked token ends with its next request.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from ratemill import logs
from ratemill.access.database import Database
from ratemill.access.token_uses import TokenUses
from ratemill.access.tokens import TOKEN_REQUIRED, Principal, authenticate, digest
from ratemill.api.http.answers import UNREAD_BODY
from ratemill.api.http.attempts import SMALL_BODY, TokenRates, is_local
from ratemill.api.http.auth import PUBLIC, secret_of
from ratemill.errors import CallerError, ContentTooLarge, TooManyRequests, Unauthorized, Unavailable
from ratemill.settings import Settings

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

REMEMBERED_S = 5.0
TOKENS_MAX = 10_000  # remembered at the same time
RETRY_AFTER_S = 1
ROOM_WITHIN_S = 2.0  # small bodies make room within milliseconds
LOCAL_OR_TOKEN = frozenset({"/openapi.json"})  # for callers on this machine, and for those with any valid token
_HELD, _OWNER = "ratemill.held_bytes", "ratemill.owner_id"  # names in the scope of a request
_PUBLIC = frozenset(path.lower() for path in PUBLIC if "{" not in path)

log = logs.get(__name__)


class KnownTokens:
    """Tokens that were valid a few seconds ago."""

    def __init__(self, database: Database, uses: TokenUses) -> None:
        self._database, self._uses = database, uses
        self._known: OrderedDict[bytes, tuple[float, Principal]] = OrderedDict()

    async def principal(self, secret: str) -> Principal | None:
        """Return the caller with the secret, or None if the token is unknown, revoked or expired."""
        if not secret:
            return None
        key = digest(secret)
        until, principal = self._known.get(key, (0.0, None))
        if principal is not None and monotonic() < until:
            self._uses.note(principal.token_id, principal.owner_id)
            return principal
        self._known.pop(key, None)
        principal = await run_in_threadpool(authenticate, self._database, secret)
        if principal is not None:
            self._uses.note(principal.token_id, principal.owner_id)
            self._known[key] = monotonic() + REMEMBERED_S, principal
            if len(self._known) > TOKENS_MAX:
                self._known.popitem(last=False)
        return principal


class Bodies:
    """The request bodies of this process: how many arrive for each owner, and how many bytes of them are in memory."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._shares: dict[int, asyncio.Semaphore] = {}
        self._held_bytes: Counter[int | None] = Counter()  # by owner

    async def begin(self, owner_id: int) -> None:
        """Count a body of an owner that arrives; raise ``TooManyRequests`` if there is no room for it soon."""
        most = self._settings.owner_uploads_max
        share = self._shares.setdefault(owner_id, asyncio.Semaphore(most))
        if not share.locked():
            await share.acquire()  # does not wait
            return
        try:
            async with asyncio.timeout(ROOM_WITHIN_S):
                await share.acquire()
        except TimeoutError:
            message = f"{most} request bodies of this owner are arriving already; send again when one is complete"
            raise TooManyRequests(message, retry_after_s=RETRY_AFTER_S) from None

    def end(self, owner_id: int) -> None:
        """Stop counting a body: it is complete, or will never be."""
        self._shares[owner_id].release()

    def hold(self, scope: Scope, size: int) -> None:
        """Count bytes that a request keeps in memory until it is answered; raise an error if there is no room.

        ``Unavailable`` if all have too many; ``TooManyRequests`` if the owner has more than half of what there may be. A
        request that is the only one is let in.
        """
        most, owner_id, held = self._settings.bodies_bytes_max, scope.get(_OWNER), scope.get(_HELD, 0)
        of_all, of_owner = self._held_bytes.total(), self._held_bytes[owner_id]
        if of_all + size > most and of_all > held:
            raise Unavailable(f"request bodies of {most} bytes are in memory already")
        if of_owner + size > most // 2 and of_owner > held:
            message = (
                f"request bodies of this owner with {most // 2} bytes are in memory; send again when one is answered"
            )
            raise TooManyRequests(message, retry_after_s=RETRY_AFTER_S)
        self._held_bytes[owner_id] += size
        scope[_HELD] = held + size

    def release(self, scope: Scope) -> None:
        """Stop counting the bytes of a request."""
        owner_id = scope.get(_OWNER)
        self._held_bytes[owner_id] -= scope.pop(_HELD, 0)
        if not self._held_bytes[owner_id]:
            del self._held_bytes[owner_id]


class Admission:
    """Middleware that lets a body in, or answers before it is read."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        tokens: KnownTokens,
        rates: TokenRates,
        bodies: Bodies,
        settings: Settings,
        refuse: Callable[[Request, CallerError | Unavailable], Response],
    ) -> None:
        self._app, self._tokens, self._rates, self._refuse = app, tokens, rates, refuse
        self._bodies, self._settings = bodies, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand the request on if it has no body, or if its caller may send one."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            self._rates.count(request)
            arrival = await self._let_in(request)
        except (CallerError, Unavailable) as error:
            await self._refuse(request, error)(scope, receive, send)
            return
        except ClientDisconnect:  # in the middle of a body that is read here
            log.debug("caller_gone", path=scope["path"])
            return
        try:
            await self._app(scope, arrival or receive, send)
        finally:
            self._bodies.release(scope)
            if isinstance(arrival, _ArrivingBody):
                arrival.end()

    async def _let_in(self, request: Request) -> Receive | None:
        """Return what the body is read from, None if the request has none; raise an error if it must not be read."""
        path = request.scope["path"].lower()
        if path in LOCAL_OR_TOKEN and not is_local(request):
            await self._principal(request)
        if not has_body(request.scope):
            return None
        if path in _PUBLIC:
            return await self._small_body(request)
        owner_id = request.scope[_OWNER] = (await self._principal(request)).owner_id
        return _ArrivingBody(self._bodies, owner_id, request)

    async def _principal(self, request: Request) -> Principal:
        principal = await self._tokens.principal(secret_of(request))
        if principal is None:
            raise Unauthorized(TOKEN_REQUIRED)
        return principal

    async def _small_body(self, request: Request) -> Receive:
        """Read the body of a call that needs no token, and return what hands it on."""
        most, body = self._settings.login_body_bytes_max, bytearray()
        declared = request.headers.get("content-length", "")
        if declared.isdigit() and int(declared) > most:
            raise ContentTooLarge(f"the body has {declared[:30]} bytes; this path accepts at most {most}")
        async for chunk in request.stream():
            body += chunk
            if len(body) > most:
                raise ContentTooLarge(f"the body has more than {most} bytes, which is the most this path accepts")
        request.scope[SMALL_BODY] = whole = bytes(body)
        messages: list[Message] = [{"type": "http.request", "body": whole, "more_body": False}]

        async def receive() -> Message:
            return messages.pop() if messages else await request.receive()

        return receive


class _ArrivingBody:
    """The body of one request. Unless all of it is here when it is first asked for, it counts for its owner until it is."""

    def __init__(self, bodies: Bodies, owner_id: int, request: Request) -> None:
        self._bodies, self._owner_id, self._receive = bodies, owner_id, request.receive
        self._is_unread = request.scope.get(UNREAD_BODY, bool)
        self._is_counted = False

    async def __call__(self) -> Message:
        """Return the next part of the body."""
        if not self._is_counted and self._is_unread():
            await self._bodies.begin(self._owner_id)
            self._is_counted = True
        message = await self._receive()
        if not message.get("more_body", False):
            self.end()
        return message

    def end(self) -> None:
        """Stop counting."""
        if self._is_counted:
            self._is_counted = False
            self._bodies.end(self._owner_id)


def has_body(scope: Scope) -> bool:
    """Return whether a request has a body, by its header fields."""
    return any(
        (name == b"content-length" and value.strip(b" 0") != b"") or name == b"transfer-encoding"
        for name, value in scope["headers"]
    )
