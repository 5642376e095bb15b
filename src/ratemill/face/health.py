"""Health: whether usage that is sent now will be taken, and worked off."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from ratemill.errors import Unavailable
from ratemill.face.envelope import reply
from ratemill.intake import health

router = APIRouter(tags=["Health"])


@router.get("/healthz")
def healthz(request: Request) -> Response:
    """Answer 200 once the database is migrated and a worker runs, before that 503."""
    try:
        workers = health.workers_alive(request.app.state.database)
    except Unavailable as error:
        return reply({"status": "unavailable", "workers": 0, "message": str(error)}, 503)
    return reply({"status": "ok" if workers else "no worker runs", "workers": workers}, 200 if workers else 503)
