"""Charges over HTTP."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from ratemill.face import envelope, paging
from ratemill.face.auth import needs
from ratemill.face.instances import charge_instance
from ratemill.face.paging import TIMES, Parameter
from ratemill.face.paths import RESOURCES
from ratemill.ledger import charges
from ratemill.ledger.charges import ChargeFilters
from ratemill.setup.tokens import Principal

router = APIRouter(prefix=RESOURCES, tags=["Reading back"])

Reader = Annotated[Principal, Depends(needs("read"))]

FILTERS = {
    "trackingId": Parameter("tracking_id", paging.read_tracking_id, "Either tracking id of the request."),
    "importBatchId": Parameter("batch_id", paging.read_number, "The batch."),
    "udrFeedName": Parameter("feed", paging.read_text, "The feed, in any letter case."),
    "udrUsageIdentifier": Parameter("usage_identifier", paging.read_text, "The identifier that the usage carries."),
    "accountName": Parameter("account", paging.read_text, "The account that pays."),
    "accountServiceName": Parameter("service", paging.read_text, "The service that was used."),
    "usageClassName": Parameter("usage_class", paging.read_text, "The usage class."),
    **TIMES,
}


@router.get("/Udr/Charge/Paged", openapi_extra=paging.described(FILTERS))
def read_charges(request: Request, principal: Reader) -> Response:
    """Return a page of charges, by request, then row; ``from`` and ``to`` bound the usage date."""
    asked, filters = paging.read_page(request, FILTERS)
    shown = charges.page(request.app.state.database, principal.owner_id, ChargeFilters(**filters), asked)
    return envelope.reply(envelope.paged(shown, asked, charge_instance))


@router.get("/Udr/Charge/{number}")
def read_charge(number: str, request: Request, principal: Reader) -> Response:
    """Return one charge."""
    paging.read_query(request)
    shown = charges.find(request.app.state.database, principal.owner_id, envelope.number_in_path(number))
    return envelope.reply(envelope.one(charge_instance(shown)))
