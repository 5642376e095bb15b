"""The HTTP application: the routes of every dialect, and the answer to what goes wrong before or inside them."""

from __future__ import annotations

import gc
import re
import resource
import socket
import sys
from asyncio import create_task, sleep
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import uvicorn
from anyio import CapacityLimiter, move_on_after, to_thread
from anyio.to_thread import current_default_thread_limiter
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from ratemill import heartbeat, logs
from ratemill.access.database import Database
from ratemill.access.token_uses import TokenUses
from ratemill.api import health, login, openapi, tokens
from ratemill.api.characteristics import batches as characteristic_batches
from ratemill.api.characteristics import changes as characteristic_changes
from ratemill.api.characteristics import envelope as result_envelope
from ratemill.api.characteristics import items as characteristics
from ratemill.api.characteristics import jobs as characteristic_jobs
from ratemill.api.characteristics import sets as characteristic_sets
from ratemill.api.http import envelope, spool
from ratemill.api.http.admission import Admission, Bodies, KnownTokens
from ratemill.api.http.answers import AnswerHeaders
from ratemill.api.http.attempts import FailedAttempts, TokenRates
from ratemill.api.http.dispatch import PathRouter
from ratemill.api.http.hosts import Hosts
from ratemill.api.http.paths import PathNormalizer
from ratemill.api.http.protocol import BoundedProtocol, DeadlineWatch
from ratemill.api.setup import lint, price_lists, profile_versions
from ratemill.api.setup import reading as setup_reading
from ratemill.api.setup import writing as setup_writing
from ratemill.api.subscriptions import envelope as subscription_envelope
from ratemill.api.subscriptions import imports as subscription_imports
from ratemill.api.subscriptions import objects as subscriptions
from ratemill.api.usage import charges, exceptions, histories, mending
from ratemill.api.usage import imports as usage_import
from ratemill.errors import (
    BadRequest,
    CallerError,
    Code,
    DatabaseAway,
    Fault,
    RatemillError,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    UnstorableData,
    WriteRace,
)
from ratemill.intake.backlog import BacklogKeeper
from ratemill.settings import Settings
from ratemill.setup.reading.long_lists import LongLists
from ratemill.visible import shown

if TYPE_CHECKING:
    from starlette.types import ASGIApp

# Tried before all others, one after the other: usage import is the one that must be fast.
FIRST = (health.router, login.router, usage_import.router)
# In this order: a path that ends in a name stands before the same path with anything in that place.
ROUTERS = (
    characteristic_batches.router,
    mending.router,
    exceptions.router,
    histories.router,
    charges.router,
    characteristic_jobs.router,
    characteristics.router,
    characteristic_sets.router,
    subscription_imports.router,
    subscriptions.router,
    characteristic_changes.router,
    profile_versions.router,
    price_lists.router,
    tokens.router,
    lint.router,
    setup_reading.router,
    setup_writing.router,
)

FINISH_S_MAX = 3  # at the end: an open upload or a caller who reads nothing must not hold `serve`
SWITCH_S = 0.0005  # the loop that reads requests waits no longer for a thread that computes
_CLOSED_BY_CALLER = 499
OTHER_FILES = 256  # database connections, uploads, modules
BEAT_S = 1.0
TOKEN_USES_S = 5.0  # between two writes of when tokens were last used
TOKEN_USES_END_S = 2.0  # for the last of them, at the end
THREADS = 6  # more only wait for each other: the same throughput by measurement, and a fifth off the longest accept

log = logs.get(__name__)


def create_app(database: Database, settings: Settings) -> FastAPI:
    """Return the application on a database."""
    app = _App(title="Ratemill", version="1", lifespan=_ready, redirect_slashes=False, docs_url=None, redoc_url=None)
    app.state.database, app.state.settings, app.state.bodies = database, settings, Bodies(settings)
    app.state.token_uses, app.state.backlog = TokenUses(database), BacklogKeeper(database)
    app.state.attempts, app.state.long_lists = FailedAttempts(settings), LongLists()
    routes = [_without_case(route) for router in ROUTERS for route in router.routes]
    first = [_without_case(route) for router in FIRST for route in router.routes]
    app.router.routes.extend([*first, PathRouter(routes), *routes])
    app.add_exception_handler(CallerError, _caller_error)
    app.add_exception_handler(RequestValidationError, _parameters)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Unavailable, _unavailable)
    app.add_exception_handler(UnstorableData, _unstorable)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(Exception, _our_fault)
    # The last one that is added is the first to see a request.
    app.add_middleware(
        Admission,
        tokens=KnownTokens(database, app.state.token_uses),
        rates=TokenRates(settings),
        bodies=app.state.bodies,
        settings=settings,
        refuse=_refused_before,
    )
    app.add_middleware(PathNormalizer)
    app.add_middleware(Hosts, settings=settings, refuse=_refused_before)
    if settings.proxy_networks:
        app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=settings.proxy_networks)
    return app


class _App(FastAPI):
    def build_middleware_stack(self) -> ASGIApp:
        """Return all that a request goes through."""
        return AnswerHeaders(super().build_middleware_stack())

    def openapi(self) -> dict[str, Any]:
        """Return the description of the API; made at the first call."""
        if not self.openapi_schema:
            self.openapi_schema = openapi.finish(super().openapi())
        return self.openapi_schema


@asynccontextmanager
async def _ready(app: FastAPI) -> AsyncIterator[None]:
    """Let few requests at a time work in threads, and keep what was made up to now out of the collector's sight.

    More threads would only wait for each other; a look through the modules and routes holds every request for 80 ms.
    """
    spool.prepare(app.state.settings)
    current_default_thread_limiter().total_tokens = THREADS
    gc.collect()
    gc.freeze()
    uses: TokenUses = app.state.token_uses
    tasks = create_task(_beat()), create_task(_write_token_uses(uses))
    yield
    for task in tasks:
        task.cancel()
    with move_on_after(TOKEN_USES_END_S):
        await to_thread.run_sync(uses.flush, abandon_on_cancel=True)


async def _write_token_uses(uses: TokenUses) -> None:
    """Write the uses of tokens now and then, in a thread of their own: requests need the others."""
    limiter = CapacityLimiter(1)
    while True:
        await sleep(TOKEN_USES_S)
        try:
            await to_thread.run_sync(uses.flush, limiter=limiter)
        except Exception as error:  # noqa: BLE001 -- whatever it is, the next round tries again
            log.warning("token_uses_not_written", error=str(error))


async def _beat() -> None:
    """Move the heartbeat from the event loop: a loop that is stuck does not move it."""
    while True:
        heartbeat.beat()
        await sleep(BEAT_S)


def run(database: Database, settings: Settings, sockets: list[socket.socket]) -> None:
    """Serve until SIGTERM; requests under way are finished first, as far as they can be within the time."""
    sys.setswitchinterval(SWITCH_S)
    _allow_files(2 * settings.connections_max + OTHER_FILES)
    make_server(database, settings).run(sockets=sockets)


def _allow_files(wanted: int) -> None:
    """Raise this process's limit of open files, of which each connection is one, as far as the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < wanted:
        log.warning("few_files_allowed", allowed=hard, wanted=wanted, remedy="raise ulimit -Hn")


def make_server(database: Database, settings: Settings) -> uvicorn.Server:
    """Return a server of the application, to be run with the sockets that it listens on."""
    config = uvicorn.Config(
        create_app(database, settings),
        http=partial(BoundedProtocol, settings, DeadlineWatch()),  # type: ignore[arg-type]
        loop="uvloop",
        access_log=False,
        log_config=None,  # the log has one format
        log_level="warning",
        timeout_graceful_shutdown=FINISH_S_MAX,
        timeout_keep_alive=settings.keep_alive_s,
        ws="none",
        server_header=False,
        proxy_headers=False,
        ssl_certfile=settings.tls_certificate or None,
        ssl_keyfile=settings.tls_key or None,
    )
    return uvicorn.Server(config)


def _without_case(route: BaseRoute) -> BaseRoute:
    if isinstance(route, Route):
        route.path_regex = re.compile(route.path_regex.pattern, re.IGNORECASE)
    return route


def _caller_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, CallerError)  # noqa: S101 -- registered for this class alone
    return _refused(request, error)


def _parameters(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 -- registered for this class alone
    faults = [
        Fault(Code.PARAMETER_NOT_VALID, f"{shown(fault['loc'][-1])}: {fault['msg']}", field=str(fault["loc"][-1]))
        for fault in error.errors()
    ]
    return _refused(request, BadRequest(faults=faults))


def _refused(request: Request, error: CallerError) -> Response:
    if isinstance(error, Unauthorized):
        error = request.app.state.attempts.answer(request, error)
    if subscription_envelope.speaks(request):
        response = subscription_envelope.caller_error(error)
    elif result_envelope.speaks(request):
        response = result_envelope.caller_error(request, error)
    else:
        response = envelope.caller_error(request, error)
    if isinstance(error, TooManyRequests):
        response.headers["Retry-After"] = str(error.retry_after_s)
    return response


def _refused_before(request: Request, error: CallerError | Unavailable) -> Response:
    """Answer a request that no route has seen."""
    return _refused(request, error) if isinstance(error, CallerError) else _unavailable(request, error)


def _failed(request: Request, status: int, fault: Fault, headers: dict[str, str] | None = None) -> Response:
    if subscription_envelope.speaks(request):
        return subscription_envelope.failed(status, fault, headers)
    if result_envelope.speaks(request):
        return result_envelope.failed(status, fault, headers)
    return envelope.reply(envelope.errors(request, [fault]), status, headers)


def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 -- registered for this class alone
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = ", ".join(sorted(_methods(request)))
        fault = Fault(Code.METHOD_NOT_ALLOWED, f"{request.method} is not allowed here; allowed: {allowed}")
        return _failed(request, error.status_code, fault, {"Allow": allowed})
    code = Code.NOT_FOUND if error.status_code == HTTPStatus.NOT_FOUND else 1000 + error.status_code
    message = "there is no such path" if error.status_code == HTTPStatus.NOT_FOUND else str(error.detail)
    return _failed(request, error.status_code, Fault(code, message))


def _methods(request: Request) -> set[str]:
    """Return the methods of every route of the path; the router itself knows the first only."""
    return {
        method
        for route in request.app.routes
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE
        for method in route.methods or ()
    }


def _unavailable(request: Request, error: Exception) -> Response:
    if not isinstance(error, DatabaseAway):  # the database handle logs that, and counts the requests
        log.warning("unavailable", error=str(error))
    if isinstance(error, WriteRace) and subscription_envelope.speaks(request):
        return _failed(request, 409, Fault(Code.CONFLICT, f"{error}; try again"))
    fault = Fault(Code.UNAVAILABLE, f"{error}; try again, under the same Idempotency-Key if it has one")
    return _failed(request, 503, fault, {"Retry-After": "5"})


def _unstorable(request: Request, error: Exception) -> Response:
    log.error("data_not_storable", path=request.url.path, exc_info=error)  # a check of ours is missing, too
    return _failed(request, 400, Fault(Code.DATA_NOT_STORABLE, str(error)))


def _gone(request: Request, _error: Exception) -> Response:
    """Note that the caller closed the connection before its body was complete; nobody reads the answer."""
    log.debug("caller_gone", path=request.url.path)
    return Response(status_code=_CLOSED_BY_CALLER)


def _our_fault(request: Request, error: Exception) -> Response:
    log.error("request_failed", path=request.url.path, exc_info=error)
    kind = type(error).__name__ if isinstance(error, RatemillError) else "an error"
    return _failed(request, 500, Fault(Code.OUR_FAULT, f"{kind} of ours"))
