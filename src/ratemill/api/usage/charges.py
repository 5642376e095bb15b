"""Charges over HTTP."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from ratemill.access.tokens import Principal
from ratemill.api.http import envelope, paging
from ratemill.api.http.auth import needs
from ratemill.api.http.paths import RESOURCES
from ratemill.api.usage.charge_filters import FILTERS, filters_of
from ratemill.api.usage.instances import charge_instance
from ratemill.ledger import charges

router = APIRouter(prefix=RESOURCES, tags=["Reading back"])

Reader = Annotated[Principal, Depends(needs("read"))]


@router.get("/Udr/Charge/Paged", openapi_extra=paging.described(FILTERS))
def read_charges(request: Request, principal: Reader) -> Response:
    """Return a page of charges, by request, then row; ``from`` and ``to`` bound the usage date."""
    asked, filters = paging.read_page(request, FILTERS)
    shown = charges.page(request.app.state.database, principal.owner_id, filters_of(filters), asked)
    return envelope.reply(envelope.paged(shown, asked, charge_instance))


@router.get("/Udr/Charge/{number}")
def read_charge(number: str, request: Request, principal: Reader) -> Response:
    """Return one charge."""
    paging.read_query(request)
    shown = charges.find(request.app.state.database, principal.owner_id, envelope.number_in_path(number))
    return envelope.reply(envelope.one(charge_instance(shown)))
