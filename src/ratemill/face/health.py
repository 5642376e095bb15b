"""Health: whether usage that is sent now will be taken, and worked off."""

from __future__ import annotations

from anyio import CapacityLimiter, move_on_after, to_thread
from fastapi import APIRouter, Request
from starlette.responses import Response

from ratemill.errors import Unavailable
from ratemill.face.envelope import reply
from ratemill.intake import health

ANSWER_S_MAX = 4.5  # whatever the database does; 5 s are promised
LOOKS_MAX = 2  # at the database at once, in threads of their own: those of the requests may all be waiting for it

router = APIRouter(tags=["Health"])
_looks = CapacityLimiter(LOOKS_MAX)


@router.get("/healthz")
async def healthz(request: Request) -> Response:
    """Answer 200 once the database is migrated and a worker runs, before that 503; within 5 s in any case."""
    workers, message = 0, f"the database has not answered for {ANSWER_S_MAX} s"
    with move_on_after(ANSWER_S_MAX):
        try:
            workers = await to_thread.run_sync(
                health.workers_alive, request.app.state.database, limiter=_looks, abandon_on_cancel=True
            )
            message = ""
        except Unavailable as error:
            message = str(error)
    if message:
        return reply({"status": "unavailable", "workers": 0, "message": message}, 503)
    return reply({"status": "ok" if workers else "no worker runs", "workers": workers}, 200 if workers else 503)
