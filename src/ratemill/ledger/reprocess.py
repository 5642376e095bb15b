"""Order a reprocess and follow it: which exceptions are meant, from when on, and what came of it.

What is meant is always said: certain exceptions, those that a filter finds, or all. The work is a job's
(``ratemill.jobs.reprocess``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from ratemill import money
from ratemill.errors import BadRequest, Code, Fault, NotFound
from ratemill.ledger.reading import NUMBER_MAX
from ratemill.periods import read_instant
from ratemill.store.charges import reprocesses
from ratemill.store.charges.reprocesses import MEMBERS, OPERATORS, Criteria, Reprocess
from ratemill.store.connections import Database
from ratemill.visible import shown

__all__ = ["Comparison", "Criteria", "Reprocess", "all_of_them", "by_ids", "by_search", "find", "order"]


IDS_MAX = 100_000  # ticked by hand or by a script; more are better found by a filter
TERMS_MAX = 100
VALUES_MAX = 10_000
NO_VALUE = {"isNull", "isNotNull"}
MANY_VALUES = {"in", "notIn"}
OF_TEXTS = {"contains", "startsWith", "endsWith"}
OF_ORDERED = {"lt", "ltEq", "gt", "gtEq"}
_ORDERED = {"numeric", "timestamptz", "text"}


@dataclass(frozen=True, slots=True)
class Comparison:
    """One comparison of a filter; ``value`` is a text, a list of texts, or None."""

    name: str
    operator: str
    value: str | Sequence[str] | None


def all_of_them() -> Criteria:
    """Mean every open exception."""
    return {"all": True}


def by_ids(ids: Sequence[int]) -> Criteria:
    """Mean certain exceptions; those that are not open are passed over."""
    if not 0 < len(ids) <= IDS_MAX:
        raise BadRequest(f"1 to {IDS_MAX} ids may be named, not {len(ids)}", code=Code.FILTER_NOT_VALID)
    return {"ids": sorted({each for each in ids if 0 < each <= NUMBER_MAX})}


def by_search(comparisons: Sequence[Comparison], *, any_of: bool = False) -> Criteria:
    """Mean the exceptions that a filter finds; raise ``BadRequest`` with every fault of it."""
    if not 0 < len(comparisons) <= TERMS_MAX:
        raise BadRequest(
            f"a filter has 1 to {TERMS_MAX} comparisons, not {len(comparisons)}", code=Code.FILTER_NOT_VALID
        )
    faults: list[Fault] = []
    search = [_term(row, each, faults) for row, each in enumerate(comparisons, 1)]
    if faults:
        raise BadRequest(faults=faults)
    return {"condition": "or" if any_of else "and", "search": search}


def order(
    database: Database, owner_id: int, criteria: Criteria, *, scheduled_at: datetime | None, created_by: str
) -> Reprocess:
    """Write an order to reprocess, due at once unless later is asked for; return it with what it matches now."""
    with database.face(owner_id) as connection:
        reprocess_id = reprocesses.insert(
            connection, owner_id=owner_id, criteria=criteria, scheduled_at=scheduled_at, created_by=created_by
        )
    return find(database, owner_id, reprocess_id)


def find(database: Database, owner_id: int, reprocess_id: int) -> Reprocess:
    """Return the order of that number; raise ``NotFound`` if the owner has none."""
    with database.reader(owner_id) as connection:
        found = reprocesses.find(connection, min(reprocess_id, NUMBER_MAX))
    if found is None:
        raise NotFound(f"there is no reprocess {reprocess_id}", code=Code.REPROCESS_NOT_FOUND)
    return found


def _term(row: int, asked: Comparison, faults: list[Fault]) -> Mapping[str, object]:
    """Return a comparison as it is kept; add what is wrong with it to ``faults``."""
    try:
        values = _values(asked)
    except ValueError as error:
        faults.append(Fault(Code.FILTER_NOT_VALID, str(error), row=row, field=asked.name))
        values = []
    return {"name": asked.name, "operator": asked.operator, "values": values}


def _values(asked: Comparison) -> list[str]:
    member = MEMBERS.get(asked.name)
    if member is None:
        raise ValueError(f"'{shown(asked.name)}' is no member of a rating exception")
    if asked.operator not in OPERATORS:
        raise ValueError(f"'{shown(asked.operator)}' is no operator: {', '.join(OPERATORS)}")
    if asked.operator in OF_TEXTS and member.type != "text":
        raise ValueError(f"{asked.operator} compares texts only")
    if asked.operator in OF_ORDERED and member.type not in _ORDERED:
        raise ValueError(f"{asked.operator} compares what has an order only")
    return [_READERS[member.type](value) for value in _listed(asked)]


def _listed(asked: Comparison) -> list[str]:
    if asked.operator in NO_VALUE:
        if asked.value is not None:
            raise ValueError(f"{asked.operator} takes no value")
        return []
    values = [asked.value] if isinstance(asked.value, str) else list(asked.value or ())
    if asked.operator not in MANY_VALUES and (len(values) != 1 or not isinstance(asked.value, str)):
        raise ValueError(f"{asked.operator} takes one value")
    if not 0 < len(values) <= VALUES_MAX:
        raise ValueError(f"{asked.operator} takes 1 to {VALUES_MAX} values, not {len(values)}")
    return values


def _number(text: str) -> str:
    try:
        return money.plain(money.parse_decimal(text.strip()))
    except ArithmeticError as error:
        raise ValueError(f"'{shown(text)}' is not a number") from error


def _instant(text: str) -> str:
    try:
        return read_instant(text).isoformat()
    except (ValueError, OverflowError) as error:
        raise ValueError(f"'{shown(text)}' is not a time") from error


def _boolean(text: str) -> str:
    if text.lower() not in {"true", "false"}:
        raise ValueError(f"'{shown(text)}' is neither true nor false")
    return text.lower()


def _tracking_id(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError as error:
        raise ValueError(f"'{shown(text)}' is no tracking id") from error


def _text(text: str) -> str:
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("a text holds neither a NUL nor half of a surrogate pair")
    return text


_READERS = {
    "numeric": _number,
    "timestamptz": _instant,
    "boolean": _boolean,
    "uuid": _tracking_id,
    "text": _text,
}
