"""Price lists in bulk over HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from ratemill.access.tokens import Principal
from ratemill.api.http import envelope, paging
from ratemill.api.http.auth import needs
from ratemill.api.http.bodies import read_csv_body
from ratemill.api.http.paging import Parameter, read_boolean, read_text, read_time
from ratemill.api.http.paths import RESOURCES
from ratemill.errors import BadRequest
from ratemill.setup.declaration import MemberKind, SetupObject
from ratemill.setup.price_lists import laying
from ratemill.setup.price_lists.laying import PATTERNS, RATES, PriceList, PriceListOutcome
from ratemill.setup.writing.changes import Author

router = APIRouter(prefix=RESOURCES, tags=["Price lists"])

Setter = Annotated[Principal, Depends(needs("setup"))]

# One list at a time holds its hundreds of megabytes and computes; others wait without a thread.
_ONE_AT_A_TIME = CapacityLimiter(1)


def _read_mode(text: str) -> bool:
    if text.lower() not in {"merge", "replace"}:
        raise ValueError("must be merge or replace")
    return text.lower() == "replace"


def _defaults_of(kind: SetupObject, *without: str) -> dict[str, Parameter]:
    """Return a parameter for each member that may stand for empty cells."""
    return {
        member.name: Parameter(member.name, read_text, f"Stands for an empty cell or a missing column {member.name}.")
        for member in kind.members
        if member.kind is not MemberKind.REFERENCES and not member.virtual and member.name not in without
    }


COMMON = {
    "preview": Parameter("preview", read_boolean, "Say what would be done and write nothing."),
    "mode": Parameter("replaces", _read_mode, "merge (default): what is not named stays; replace: it goes."),
    "createLocations": Parameter("makes_locations", read_boolean, "Make the locations that are named and not there."),
}
RATE_LIST = {
    **COMMON,
    "effective": Parameter("effective", read_time, "From when rows without a start hold, in the place of what holds."),
    **_defaults_of(RATES, "usageRateGroupName"),
}
PATTERN_LIST = {**COMMON, **_defaults_of(PATTERNS, "name")}


def _described(parameters: Mapping[str, Parameter], example: str) -> dict[str, Any]:
    body = {"required": True, "content": {"text/csv": {"schema": {"type": "string"}, "example": example}}}
    return {**paging.described(parameters, paged=False), "requestBody": body}


@router.post(
    "/Usage/Rate/Group/{number}/PriceList",
    openapi_extra=_described(RATE_LIST, "usageClassName,geoTreeLocationName,amount\nvoice,France,0.0123\n"),
)
async def lay_rates(number: str, request: Request, principal: Setter) -> Response:
    """Lay a CSV of rates over one rate group, or with ``preview`` say what that would do."""
    rate_group_id = envelope.number_in_path(number)
    query, preview = _asked(request, RATE_LIST)
    text = await read_csv_body(request)
    asked = PriceList(text, rate_group=min(rate_group_id, paging.NUMBER_MAX), **query)
    return await _lay(request, principal, asked, preview=preview)


@router.post(
    "/GeoTree/Location/Pattern/PriceList",
    openapi_extra=_described(PATTERN_LIST, "name,geoTreeLocationName\n33,France\n336,France mobile\n"),
)
async def lay_patterns(request: Request, principal: Setter) -> Response:
    """Lay a CSV of patterns over those that are stored, or with ``preview`` say what that would do."""
    query, preview = _asked(request, PATTERN_LIST)
    asked = PriceList(await read_csv_body(request), **query)
    return await _lay(request, principal, asked, preview=preview)


def _asked(request: Request, parameters: Mapping[str, Parameter]) -> tuple[dict[str, Any], bool]:
    query = paging.read_query(request, parameters)
    known: dict[str, Any] = {}
    for member in ("replaces", "makes_locations", "effective"):
        if member in query:
            known[member] = query.pop(member)
    preview = bool(query.pop("preview", False))
    return {**known, "defaults": {name: text for name, text in query.items() if text}}, preview


async def _lay(request: Request, principal: Principal, price_list: PriceList, *, preview: bool) -> Response:
    def work() -> PriceListOutcome:
        author = Author(principal.name, "http")
        return laying.lay(request.app.state.database, principal.owner_id, price_list, preview=preview, author=author)

    outcome = await to_thread.run_sync(work, limiter=_ONE_AT_A_TIME)
    if outcome.faults and not preview:
        raise BadRequest(faults=outcome.faults)
    item = {
        "identity": outcome.rate_group_id,
        "action": "previewed" if preview else "updated",
        "dtoTypeKey": RATES.dto_type_key if outcome.rate_group_id else PATTERNS.dto_type_key,
        "instance": outcome.as_json(),
    }
    return envelope.reply(envelope.write("update", [item]))
