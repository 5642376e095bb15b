"""Health: whether the process is alive, whether it can accept usage, and whether all parts of the service are at work.

Each is answered within 5 s, whatever the database does: the looks at it have threads and a connection of their own, with
bounds of their own, because those of the requests may all be waiting for the database.
"""

from __future__ import annotations

from contextlib import suppress

from anyio import CapacityLimiter, move_on_after, to_thread
from fastapi import APIRouter, Request
from starlette.responses import Response

from ratemill.api.http.envelope import reply
from ratemill.errors import Unavailable
from ratemill.intake import health
from ratemill.store.usage.workers import Health

ANSWER_S_MAX = 4.5  # 5 s are promised
LOOKS_MAX = 2  # at the database at the same time
RETRY_AFTER_S = "5"
AWAY = "the database does not answer; the log shows why"  # these callers have no token: they learn no host or port

router = APIRouter(tags=["Health"])
_looks = CapacityLimiter(LOOKS_MAX)


@router.get("/livez")
async def livez(_request: Request) -> Response:
    """Return 200 while the process and its event loop are running. The database is not asked."""
    return reply({"status": "ok"}, 200)


@router.get("/readyz")
async def readyz(request: Request) -> Response:
    """Return 200 while the database answers, so that requests are accepted; else 503, within 5 s in any case."""
    if await _look(request) is None:
        return _unavailable({"status": "unavailable", "message": AWAY})
    return reply({"status": "ok"}, 200)


@router.get("/healthz")
async def healthz(request: Request) -> Response:
    """Return 200 while the database answers and a worker runs; else 503, within 5 s in any case."""
    found = await _look(request)
    if found is None:
        return _unavailable({"status": "unavailable", "workers": 0, "message": AWAY})
    answer: dict[str, object] = {
        "status": "ok" if found.workers else "no worker runs",
        "workers": found.workers,
        "workerSeenSecondsAgo": found.worker_seen_s,
        "rowsWaiting": found.rows_waiting,
        "rowsCountedSecondsAgo": found.rows_counted_s,
        "oldestWaitingSeconds": found.oldest_waiting_s,
    }
    return reply(answer, 200) if found.workers else _unavailable(answer)


async def _look(request: Request) -> Health | None:
    """Return what the database shows, nothing if it does not answer in time."""
    with move_on_after(ANSWER_S_MAX), suppress(Unavailable):
        return await to_thread.run_sync(health.look, request.app.state.database, limiter=_looks, abandon_on_cancel=True)
    return None


def _unavailable(answer: dict[str, object]) -> Response:
    return reply(answer, 503, {"Retry-After": RETRY_AFTER_S})
