"""The log of what calls changed in a characteristic, over HTTP: items, lists and fields, the newest change first."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter, Request
from starlette.responses import Response

from ratemill.api.characteristics.items import SKIP_MAX, TOP, TOP_MAX, Json, Reader, list_of
from ratemill.api.characteristics.parameters import Parameters
from ratemill.api.http import paging
from ratemill.catalog.characteristics import changes as characteristic_changes
from ratemill.catalog.characteristics.changes import ACTIONS, OBJECTS
from ratemill.catalog.characteristics.items import CollectionQuery
from ratemill.store.characteristics.changes import CharacteristicChangeFilters
from ratemill.visible import shown

router = APIRouter(prefix="/api/data", tags=["Characteristics"])

_TEXT: Json = {"type": "string"}
_ABOUT: dict[str, tuple[str, Json]] = {
    "object": ("What was changed.", {"enum": list(OBJECTS)}),
    "name": ("The id of the item, description of the list or name of the field.", _TEXT),
    "action": ("What was done.", {"enum": list(ACTIONS)}),
    "changedBy": ("The name of the token.", _TEXT),
    "from": ("Not before this time.", _TEXT),
    "to": ("Before this time.", _TEXT),
    "$top": ("Changes of a page.", {"type": "integer", "minimum": 0, "maximum": TOP_MAX}),
    "$skip": ("Changes before the page.", {"type": "integer", "minimum": 0, "maximum": SKIP_MAX}),
}
_DESCRIBED: Json = {
    "parameters": [
        {"name": name, "in": "query", "required": False, "description": about, "schema": schema}
        for name, (about, schema) in _ABOUT.items()
    ]
}


@router.get("/user{number:characteristic}changes", openapi_extra=_DESCRIBED)
def read_changes(number: int, request: Request, principal: Reader) -> Response:
    """Return what calls changed in a characteristic, the newest first: who, when, before and after."""
    parameters = Parameters(request, *_ABOUT, collection=True)
    asked = CollectionQuery(
        top=parameters.whole("$top", TOP, largest=TOP_MAX),
        skip=parameters.whole("$skip", 0, largest=SKIP_MAX),
        bytes_max=request.app.state.settings.page_bytes_max,
    )
    filters = CharacteristicChangeFilters(
        number,
        object=_one_of(parameters, "object", OBJECTS),
        name=_text(parameters, "name"),
        action=_one_of(parameters, "action", ACTIONS),
        changed_by=_text(parameters, "changedBy"),
        from_at=_time(parameters, "from"),
        to_at=_time(parameters, "to"),
    )
    parameters.check()
    found = characteristic_changes.page(request.app.state.database, principal.owner_id, filters, asked)
    return list_of(request, found, asked, parameters.warnings)


def _text(parameters: Parameters, name: str) -> str | None:
    text = parameters.text(name)
    return None if text is None else paging.read_text(text)


def _one_of(parameters: Parameters, name: str, known: tuple[str, ...]) -> str | None:
    text = parameters.text(name)
    if text is not None and text.lower() not in known:
        parameters.fault(name, f"may be {', '.join(known)}, not '{shown(text)}'")
    return None if text is None else text.lower()


def _time(parameters: Parameters, name: str) -> datetime | None:
    text = parameters.text(name)
    if text is None:
        return None
    try:
        return paging.read_time(text)
    except ValueError as error:
        parameters.fault(name, str(error))
        return None
