"""Order a reprocess and follow it: which exceptions are meant, from when on, and what came of it.

What is meant is always said: certain exceptions, those that a filter finds, or all. The work is a job's
(``ratemill.jobs.reprocess``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from ratemill import money
from ratemill.comparisons import (
    JSON_OPERATORS,
    TERMS_MAX,
    ComparisonRules,
    RawComparison,
    operator_named,
    read_truth,
    read_values,
)
from ratemill.errors import BadRequest, Code, Fault, NotFound
from ratemill.ledger.reading import NUMBER_MAX
from ratemill.periods import read_instant
from ratemill.store.charges import reprocesses
from ratemill.store.charges.reprocesses import MEMBERS, Criteria, Reprocess
from ratemill.store.connections import Database
from ratemill.texts import is_storable
from ratemill.visible import shown

IDS_MAX = 100_000  # ticked by hand or by a script; more are better found by a filter


def all_of_them() -> Criteria:
    """Mean every open exception."""
    return {"all": True}


def by_ids(ids: Sequence[int]) -> Criteria:
    """Mean certain exceptions; those that are not open are passed over."""
    if not 0 < len(ids) <= IDS_MAX:
        raise BadRequest(f"1 to {IDS_MAX} ids may be named, not {len(ids)}", code=Code.FILTER_NOT_VALID)
    return {"ids": sorted({each for each in ids if 0 < each <= NUMBER_MAX})}


def by_search(comparisons: Sequence[RawComparison], *, any_of: bool = False) -> Criteria:
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


def _term(row: int, comparison: RawComparison, faults: list[Fault]) -> Mapping[str, object]:
    """Return a comparison as it is kept; add what is wrong with it to ``faults``."""
    try:
        values = _values(comparison)
    except ValueError as error:
        faults.append(Fault(Code.FILTER_NOT_VALID, str(error), row=row, field=comparison.member))
        values = ()
    return {"name": comparison.member, "operator": comparison.operator, "values": values}


def _values(comparison: RawComparison) -> tuple[str, ...]:
    column = MEMBERS.get(comparison.member)
    if column is None:
        raise ValueError(f"'{shown(comparison.member)}' is no member of a rating exception")
    operator = operator_named(comparison.operator, JSON_OPERATORS)
    return read_values(operator, column.type, comparison.value, _RULES)


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
    return str(read_truth(text)).lower()


def _tracking_id(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError as error:
        raise ValueError(f"'{shown(text)}' is no tracking id") from error


def _text(text: str) -> str:
    if not is_storable(text):
        raise ValueError("a text holds neither a NUL nor half of a surrogate pair")
    return text


_RULES = ComparisonRules(
    {"numeric": _number, "timestamptz": _instant, "boolean": _boolean, "uuid": _tracking_id, "text": _text},
    ordered=frozenset({"numeric", "timestamptz", "text"}),
)
