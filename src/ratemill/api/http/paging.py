"""Paging and filters of a reading call: from its query and its ``Pagination`` header, with every fault at once.

The query wins over the header. A parameter that the call does not know, or that comes twice, is refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from starlette.requests import Request

from ratemill.errors import BadRequest, Code, Fault
from ratemill.nesting import is_too_deep
from ratemill.pages import PAGE_ROWS_MAX, Paging
from ratemill.periods import read_instant
from ratemill.texts import without_nul
from ratemill.visible import shown

NUMBER_MAX = 2**63 - 1  # what the database counts with: no row has a larger number
PAGE_NUMBER_MAX = 10**12  # with the largest pages still inside what the database counts with


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a query: the member that it fills, and how its text becomes a value or a ``ValueError``.

    ``schema`` is what the API's description says of its value.
    """

    member: str
    read: Callable[[str], Any]
    about: str
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})


def read_text(text: str) -> str:
    """Return the text as the database can hold it: no name has a NUL."""
    return without_nul(text)


def read_number(text: str) -> int:
    """Return a whole number from 0; one that is too large for any row stays too large."""
    if not (text.isascii() and text.isdigit()):
        raise ValueError("must be a whole number")
    return min(int(text[: len(str(NUMBER_MAX)) + 1]), NUMBER_MAX)


def read_page_number(text: str) -> int:
    """Return the number of a page; the largest is beyond the end of any list, and the answer repeats it exactly."""
    number = int(text[: len(str(NUMBER_MAX))]) if text.isascii() and text.isdigit() else 0
    if not 1 <= number <= PAGE_NUMBER_MAX:
        raise ValueError(f"must be a whole number from 1 to {PAGE_NUMBER_MAX}")
    return number


def read_boolean(text: str) -> bool:
    """Return true or false, in any letter case."""
    if text.lower() not in {"true", "false"}:
        raise ValueError("must be true or false")
    return text.lower() == "true"


def read_time(text: str) -> datetime:
    """Return an instant; a plus sign that was not encoded has become a space."""
    try:
        return read_instant(text.replace(" ", "+") if "T" in text else text)
    except (ValueError, OverflowError):
        raise ValueError("must be a time as ISO 8601 writes it, such as 2026-11-21T10:00:00Z") from None


def read_tracking_id(text: str) -> UUID:
    """Return a tracking id."""
    try:
        return UUID(text)
    except ValueError:
        raise ValueError("must be a tracking id") from None


def one_of(values: Mapping[str, int]) -> Callable[[str], int]:
    """Return a reader of names that stand for numbers, in any letter case; another name is 0 and finds nothing."""
    known = {name.lower(): value for name, value in values.items()}
    return lambda text: known.get(text.lower(), 0)


PAGING = {
    "pageNumber": Parameter(
        "number",
        read_page_number,
        f"The page, 1 to {PAGE_NUMBER_MAX}.",
        {"type": "integer", "minimum": 1, "maximum": PAGE_NUMBER_MAX},
    ),
    "pageSize": Parameter(
        "size",
        read_number,
        f"Rows of a page, 1 to {PAGE_ROWS_MAX}.",
        {"type": "integer", "minimum": 1, "maximum": PAGE_ROWS_MAX},
    ),
    "pageOffset": Parameter(
        "skip",
        read_number,
        "Rows of the page that were given before: the `next` of an answer that ended at its bytes.",
        {"type": "integer", "minimum": 0, "maximum": PAGE_ROWS_MAX - 1},
    ),
    "excludeTotalCount": Parameter(
        "with_total", lambda text: not read_boolean(text), "Leave the total out.", {"type": "boolean"}
    ),
}
_HEADER = {
    "name": "Pagination",
    "in": "header",
    "required": False,
    "description": "pageNumber, pageSize, pageOffset and excludeTotalCount as a JSON object; the query wins.",
    "schema": {"type": "string"},
}
TIMES = {
    "from": Parameter("from_at", read_time, "The first instant."),
    "to": Parameter("to_at", read_time, "The instant after the last."),
}


def described(parameters: Mapping[str, Parameter], *, paged: bool = True) -> dict[str, Any]:
    """Return what the API's description says of the parameters of a call."""
    known = {**parameters, **(PAGING if paged else {})}
    return {
        "parameters": [
            *(
                {"name": name, "in": "query", "required": False, "description": one.about, "schema": dict(one.schema)}
                for name, one in known.items()
            ),
            *([_HEADER] if paged else []),
        ],
    }


def header_described() -> dict[str, Any]:
    """Return what the API's description says of a call whose page may stand in its header or body."""
    return {"parameters": [_HEADER]}


def read_page(request: Request, parameters: Mapping[str, Parameter]) -> tuple[Paging, dict[str, Any]]:
    """Return the page and the filters that a call asks for; raise ``BadRequest``."""
    faults: list[Fault] = []
    paged = read_header(request, faults)
    asked = _read(request, {**parameters, **PAGING}, faults)
    paged |= {one.member: asked.pop(one.member) for one in PAGING.values() if one.member in asked}
    paging = within_bounds(Paging(**paged, bytes_max=request.app.state.settings.page_bytes_max), faults)
    if faults:
        raise BadRequest(faults=faults)
    return paging, asked


def within_bounds(paging: Paging, faults: list[Fault], at: str = "") -> Paging:
    """Hold a page to the bounds of number and size; ``at`` is where its members stand."""
    if not 1 <= paging.size <= PAGE_ROWS_MAX:
        faults.append(Fault(Code.PARAMETER_NOT_VALID, f"pageSize must be 1 to {PAGE_ROWS_MAX}", field=f"{at}pageSize"))
    elif paging.skip >= paging.size:
        message = f"pageOffset must be less than pageSize, {paging.size}, not {paging.skip}"
        faults.append(Fault(Code.PARAMETER_NOT_VALID, message, field=f"{at}pageOffset"))
    return paging


def read_query(request: Request, parameters: Mapping[str, Parameter] | None = None) -> dict[str, Any]:
    """Return the parameters of a call without pages; raise ``BadRequest``."""
    faults: list[Fault] = []
    asked = _read(request, parameters or {}, faults)
    if faults:
        raise BadRequest(faults=faults)
    return asked


def _read(request: Request, parameters: Mapping[str, Parameter], faults: list[Fault]) -> dict[str, Any]:
    return read_pairs(request.query_params.multi_items(), parameters, faults)


def read_pairs(
    pairs: Iterable[tuple[str, str]], parameters: Mapping[str, Parameter], faults: list[Fault]
) -> dict[str, Any]:
    """Return what pairs of a parameter's name and its text ask for, by member; add what is wrong to ``faults``."""
    asked: dict[str, Any] = {}
    for name, text in pairs:
        if name not in parameters:
            known = ", ".join(parameters) or "none"
            faults.append(
                Fault(Code.PARAMETER_UNKNOWN, f"'{shown(name)}' is no parameter of this call: {known}", field=name)
            )
            continue
        if parameters[name].member in asked:
            faults.append(Fault(Code.PARAMETER_NOT_VALID, f"{name} comes more than once", field=name))
        _read_one(asked, name, text, parameters[name], faults)
    return asked


def _read_one(values: dict[str, Any], name: str, text: str, parameter: Parameter, faults: list[Fault]) -> None:
    try:
        values[parameter.member] = parameter.read(text)
    except ValueError as error:
        faults.append(Fault(Code.PARAMETER_NOT_VALID, f"{name} {error}, not '{shown(text)}'", field=name))


def read_header(request: Request, faults: list[Fault]) -> dict[str, Any]:
    """Return what a ``Pagination`` header says, by member; members that are not of paging are passed over."""
    text = request.headers.get("pagination")
    if text is None:
        return {}
    try:
        header = None if is_too_deep(text) else json.loads(text)
    except ValueError:
        header = None
    if not isinstance(header, dict):
        faults.append(
            Fault(Code.PARAMETER_NOT_VALID, "the Pagination header must be a JSON object", field="Pagination")
        )
        return {}
    asked: dict[str, Any] = {}
    for name, parameter in PAGING.items():
        value = header.get(name)
        if value is not None:
            _read_one(asked, name, value if isinstance(value, str) else json.dumps(value), parameter, faults)
    return asked
