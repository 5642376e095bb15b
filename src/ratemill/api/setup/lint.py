"""The lint of a rate plan over HTTP."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from ratemill.access.tokens import Principal
from ratemill.api.http import envelope, paging
from ratemill.api.http.auth import needs
from ratemill.api.http.paths import RESOURCES
from ratemill.setup.lint import lint

router = APIRouter(prefix=RESOURCES, tags=["Lint"])


@router.get("/Usage/Rate/Plan/{number}/Lint")
def lint_plan(number: str, request: Request, principal: Annotated[Principal, Depends(needs("read"))]) -> Response:
    """Return what is likely a mistake in a rate plan."""
    paging.read_query(request)
    plan_id = min(envelope.number_in_path(number), paging.NUMBER_MAX)
    return envelope.reply(
        envelope.one(lint.as_json(lint.lint(request.app.state.database, principal.owner_id, plan_id)))
    )
