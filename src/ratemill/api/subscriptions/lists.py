"""Lists under ``/v2/subscriptions``: which page is asked for, by which filter, and the links from one page to the others."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from ratemill.api.http.hosts import address_of
from ratemill.api.subscriptions import envelope
from ratemill.api.subscriptions import filter as subscription_filter
from ratemill.api.subscriptions.filter import SubscriptionFilterFault
from ratemill.comparisons import Comparison
from ratemill.errors import BadRequest, Code, Fault
from ratemill.visible import shown

Json = dict[str, Any]

LIMIT, LIMIT_MAX = 25, 100
OFFSET_MAX = 2**31 - 1  # more rows than any list has
_OFFSET, _LIMIT, _FILTER = "page[offset]", "page[limit]", "filter"
_WHOLE = re.compile(r"[0-9]{1,10}\Z", re.ASCII)
_TRUE, _FALSE = ("true", "1"), ("false", "0")


@dataclass(frozen=True, slots=True)
class ListRequest:
    """Which part of a list: ``limit`` rows after ``offset``, of those that the comparisons let through."""

    offset: int
    limit: int
    filter: str | None
    comparisons: list[Comparison[str]]


def parameter(name: str, about: str, schema: Json) -> Json:
    """Return the description of a parameter for machines."""
    return {"name": name, "in": "query", "required": False, "description": about, "schema": schema}


FILTER = parameter(
    _FILTER,
    "`op(field,value)`, several joined by `:`; eq, like, in, gt, ge, lt, le, is_null.",
    {"type": "string"},
)
PAGED: Json = {
    "parameters": [
        FILTER,
        parameter(_OFFSET, "Rows before the page.", {"type": "integer", "minimum": 0}),
        parameter(_LIMIT, "Rows of the page.", {"type": "integer", "minimum": 1, "maximum": LIMIT_MAX}),
    ]
}


def read_wanted(request: Request) -> ListRequest:
    """Return which page of a list is asked for; raise ``BadRequest`` with every fault."""
    faults: list[Fault] = []
    texts = read_texts(request, (_FILTER, _OFFSET, _LIMIT), faults)
    offset = _whole(texts, _OFFSET, 0, range(OFFSET_MAX + 1), faults)
    limit = _whole(texts, _LIMIT, LIMIT, range(1, LIMIT_MAX + 1), faults)
    comparisons = read_filter(texts, faults)
    if faults:
        raise BadRequest(faults=faults)
    return ListRequest(offset, limit, texts.get(_FILTER), comparisons)


def read_texts(request: Request, names: Sequence[str], faults: list[Fault]) -> dict[str, str]:
    """Return the parameters of a call; note a fault for each that it does not know, and for one that comes twice."""
    texts: dict[str, str] = {}
    for name, text in request.query_params.multi_items():
        if name not in names:
            known = ", ".join(names) or "none"
            faults.append(_fault(shown(name), f"is no parameter of this call; known are: {known}"))
        elif name in texts:
            faults.append(_fault(name, "comes more than once"))
        else:
            texts[name] = text
    return texts


def read_filter(texts: dict[str, str], faults: list[Fault]) -> list[Comparison[str]]:
    """Return the comparisons of the filter, if there is one."""
    if _FILTER not in texts:
        return []
    try:
        return subscription_filter.parse(texts[_FILTER])
    except SubscriptionFilterFault as error:
        faults.append(Fault(Code.FILTER_NOT_VALID, str(error), field=_FILTER))
        return []


def read_switch(texts: dict[str, str], name: str, faults: list[Fault]) -> bool:
    """Return whether a switch is on; an absent one is not."""
    text = texts.get(name, "false").lower()
    if text not in _TRUE + _FALSE:
        faults.append(_fault(name, f"is true or false, not '{shown(text)}'"))
    return text in _TRUE


def page(request: Request, wanted: ListRequest, rows: list[Json], total: int) -> Response:
    """Return the answer with a page of a list, and where the other pages are; null where there is none."""
    last = max(0, (total - 1) // wanted.limit * wanted.limit)
    following, before = (
        wanted.offset + len(rows),
        wanted.offset - wanted.limit,
    )  # a page of long rows ends before its limit
    links = {
        "current": _link(request, wanted, wanted.offset),
        "first": _link(request, wanted, 0),
        "last": _link(request, wanted, last),
        "next": _link(request, wanted, following) if rows and following < total else None,
        "prev": _link(request, wanted, max(0, before)) if wanted.offset > 0 else None,
    }
    shown = {"limit": wanted.limit, "offset": wanted.offset, "current": wanted.offset // wanted.limit + 1}
    meta = {"page": {**shown, "total": -(-total // wanted.limit)}, "results": {"total": total}}
    return envelope.data(rows, links=links, meta=meta)


def _link(request: Request, wanted: ListRequest, offset: int) -> str:
    place = address_of(request, quote(request.scope.get("asked_path", request.url.path)))
    chosen = f"&{_FILTER}={quote(wanted.filter, safe='(),')}" if wanted.filter is not None else ""
    return f"{place}?{_OFFSET}={offset}&{_LIMIT}={wanted.limit}{chosen}"


def _whole(texts: dict[str, str], name: str, default: int, allowed: range, faults: list[Fault]) -> int:
    text = texts.get(name)
    if text is None:
        return default
    if not _WHOLE.match(text) or int(text) not in allowed:
        faults.append(_fault(name, f"must be a whole number from {allowed[0]} to {allowed[-1]}, not '{shown(text)}'"))
        return default
    return int(text)


def _fault(name: str, message: str) -> Fault:
    return Fault(Code.PARAMETER_NOT_VALID, message, field=name)
