"""The query of the calls under ``/api/``: switches that may stand without a value, in any letter case."""

from __future__ import annotations

from starlette.requests import Request

from ratemill.errors import BadRequest, Code, Fault
from ratemill.reference.characteristic_values import ItemFault

_TRUE, _FALSE = frozenset({"", "true", "1"}), frozenset({"false", "0"})


def read_switches(request: Request, names: tuple[str, ...]) -> dict[str, bool]:
    """Return which switches are on: ``?submit``, ``?Submit=true`` and ``=1`` are, an absent one is not.

    Raises ``BadRequest`` for another value, and for one that comes twice.
    """
    faults: list[Fault] = []
    found: dict[str, bool] = {}
    known = {name.lower(): name for name in names}
    for asked, text in request.query_params.multi_items():
        name = known.get(asked.lower())
        if name is None:
            continue
        if name in found:
            faults.append(_fault(asked, f"{asked} comes more than once"))
        elif text.lower() not in _TRUE | _FALSE:
            faults.append(_fault(asked, f"{asked} stands alone, or is true or false, not '{text}'"))
        found[name] = text.lower() in _TRUE
    if faults:
        raise BadRequest(faults=faults)
    return {name: found.get(name, False) for name in names}


def read_whole(request: Request, name: str, default: int) -> int:
    """Return a whole number from the query, its name in any letter case; raise ``BadRequest``."""
    given = [text for asked, text in request.query_params.multi_items() if asked.lower() == name.lower()]
    if not given:
        return default
    if len(given) > 1:
        raise BadRequest(faults=[_fault(name, f"{name} comes more than once")])
    digits = given[0].removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 18):  # noqa: PLR2004 -- what the database counts with
        raise BadRequest(faults=[_fault(name, f"{name} must be a whole number, not '{given[0]}'")])
    return int(given[0])


def unknown(request: Request, names: tuple[str, ...]) -> list[ItemFault]:
    """Return a warning for each parameter that the call does not know: it goes on without."""
    known = {name.lower() for name in names}
    message = f"is no parameter of this call and is passed over; known are {', '.join(names) or 'none'}"
    return [
        ItemFault("parameter_not_known", f"{asked[:80]} {message}", asked)
        for asked in dict.fromkeys(request.query_params.keys())
        if asked.lower() not in known
    ]


def _fault(name: str, message: str) -> Fault:
    return Fault(Code.PARAMETER_NOT_VALID, message, field=name)
