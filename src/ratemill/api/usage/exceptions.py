"""Import exceptions and rating exceptions over HTTP."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from ratemill.access.tokens import Principal
from ratemill.api.http import envelope, paging
from ratemill.api.http.auth import needs
from ratemill.api.http.paging import TIMES, Parameter
from ratemill.api.http.paths import RESOURCES
from ratemill.api.usage.carried_filters import ITEMS, split_items
from ratemill.api.usage.instances import (
    IMPORT_EXCEPTION_STATES,
    import_exception_instance,
    kind_instance,
    rating_exception_instance,
)
from ratemill.ledger import exceptions
from ratemill.reasons import IMPORT, RATING_KINDS
from ratemill.store.charges.import_exceptions import ImportExceptionFilters
from ratemill.store.charges.rating_exceptions import RatingExceptionFilters

router = APIRouter(prefix=RESOURCES, tags=["Reading back"])

Reader = Annotated[Principal, Depends(needs("read"))]

_OF_REQUEST = {
    "trackingId": Parameter("tracking_id", paging.read_tracking_id, "Either tracking id of the request."),
    "udrFeedName": Parameter("feed", paging.read_text, "The feed, in any letter case."),
    "importBatchId": Parameter("batch_id", paging.read_number, "The batch."),
}
IMPORT_FILTERS = {
    **_OF_REQUEST,
    "dataImportExceptionStatusTypeName": Parameter(
        "state",
        paging.one_of({name: state for state, name in IMPORT_EXCEPTION_STATES.items()}),
        "New, Resubmitted or WrittenOff.",
    ),
    "dataImportExceptionErrorTypeName": Parameter(
        "reason_id", paging.one_of({reason.name: reason.id for reason in IMPORT.values()}), "The reason by its name."
    ),
    **TIMES,
}
RATING_FILTERS = {
    **_OF_REQUEST,
    "udrUsageExceptionTypeName": Parameter(
        "kind", paging.one_of({name: kind for kind, name in RATING_KINDS.items()}), "The kind by its name."
    ),
    "udrUsageIdentifier": Parameter("usage_identifier", paging.read_text, "The identifier that the usage carries."),
    "accountName": Parameter("account", paging.read_text, "The account, as far as it was found."),
    **ITEMS,
    "complete": Parameter("is_open", lambda text: not paging.read_boolean(text), "true: those that are done."),
    **TIMES,
}


@router.get("/DataImport/History/Exception/Paged", openapi_extra=paging.described(IMPORT_FILTERS))
def read_import_exceptions(request: Request, principal: Reader) -> Response:
    """Return a page of import exceptions of every state, by request, then row."""
    asked, filters = paging.read_page(request, IMPORT_FILTERS)
    shown = exceptions.import_page(
        request.app.state.database, principal.owner_id, ImportExceptionFilters(**filters), asked
    )
    return envelope.reply(envelope.paged(shown, asked, import_exception_instance))


@router.get("/DataImport/History/Exception/{number}")
def read_import_exception(number: str, request: Request, principal: Reader) -> Response:
    """Return one import exception."""
    paging.read_query(request)
    shown = exceptions.find_import(request.app.state.database, principal.owner_id, envelope.number_in_path(number))
    return envelope.reply(envelope.one(import_exception_instance(shown)))


@router.get("/Udr/Usage/Exception/Paged", openapi_extra=paging.described(RATING_FILTERS))
def read_rating_exceptions(request: Request, principal: Reader) -> Response:
    """Return a page of rating exceptions, open ones unless ``complete=true``, by request, then row."""
    asked, filters = paging.read_page(request, RATING_FILTERS)
    items, others = split_items(filters)
    asked_for = RatingExceptionFilters(**others, items=items)
    shown = exceptions.rating_page(request.app.state.database, principal.owner_id, asked_for, asked)
    return envelope.reply(envelope.paged(shown, asked, rating_exception_instance))


@router.get("/Udr/Usage/ExceptionType/Paged", openapi_extra=paging.described({}))
def read_kinds_page(request: Request, principal: Reader) -> Response:
    """Return a page of the kinds of rating exceptions, in their order, each with the count of open ones."""
    asked, _ = paging.read_page(request, {})
    shown = exceptions.kinds_page(request.app.state.database, principal.owner_id, asked)
    return envelope.reply(envelope.paged(shown, asked, kind_instance))


@router.get("/Udr/Usage/ExceptionType/{number}")
def read_kind(number: str, request: Request, principal: Reader) -> Response:
    """Return one kind of rating exceptions, with the count of open ones."""
    paging.read_query(request)
    kind = exceptions.find_kind(request.app.state.database, principal.owner_id, envelope.number_in_path(number))
    return envelope.reply(envelope.one(kind_instance(kind)))


@router.get("/Udr/Usage/ExceptionType")
def read_kinds(request: Request, principal: Reader) -> Response:
    """Return every kind of rating exceptions, with the count of open ones."""
    paging.read_query(request)
    kinds = exceptions.kinds(request.app.state.database, principal.owner_id)
    return envelope.reply(envelope.everything([kind_instance(kind) for kind in kinds]))
