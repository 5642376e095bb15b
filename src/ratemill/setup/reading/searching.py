"""Set-up objects by what their members are: comparisons, an order, pages."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache

from ratemill import money
from ratemill.comparisons import Comparison, ComparisonRules, Operator, operator_named, read_truth, read_values
from ratemill.errors import Code, NotFound
from ratemill.pages import Page, Paging
from ratemill.periods import read_instant
from ratemill.setup.declaration import MemberKind, SetupObject
from ratemill.setup.reading.long_lists import LongLists
from ratemill.setup.reading.showing import ObjectView, pointer_of, shape, show
from ratemill.store.connections import Connection, Database
from ratemill.store.setup import searches
from ratemill.store.setup.searches import ColumnComparison, ObjectSearch, SearchColumn
from ratemill.texts import storable
from ratemill.visible import shown

NUMBER_MAX = 2**63 - 1  # what the database counts with
OPERATORS = (
    Operator.EQ,
    Operator.NOT_EQ,
    Operator.IN,
    Operator.LT,
    Operator.LT_EQ,
    Operator.GT,
    Operator.GT_EQ,
    Operator.CONTAINS,
    Operator.STARTS_WITH,
    Operator.ENDS_WITH,
    Operator.IS_NULL,
    Operator.IS_NOT_NULL,
    Operator.NOT_IN,
)
_NULL = {Operator.EQ: Operator.IS_NULL, Operator.NOT_EQ: Operator.IS_NOT_NULL}  # a comparison with null
_WHOLE = re.compile(r"[+-]?\d{1,40}\Z", re.ASCII)
_TYPES = {
    MemberKind.TEXT: "text",
    MemberKind.CHOICE: "text",
    MemberKind.INTEGER: "bigint",
    MemberKind.BOOL: "boolean",
    MemberKind.PRICE: "numeric",
    MemberKind.QUANTITY: "numeric",
    MemberKind.INSTANT: "timestamptz",
}


@dataclass(frozen=True, slots=True)
class SetupQuery:
    """What a caller looks for: comparisons joined by and, or by or; the order by wire names, True where it descends."""

    comparisons: tuple[ColumnComparison, ...] = ()
    any_of: bool = False
    order: tuple[tuple[str, bool], ...] = ()


@lru_cache
def fields(kind: SetupObject) -> dict[str, SearchColumn]:
    """Return what of an object may be compared, by its name on the wire."""
    found = {"identity": SearchColumn(kind.identity, "bigint")}
    if kind.owned:
        found["ownerId"] = SearchColumn("owner_id", "integer")
    lists = {one.column: one for one in shape(kind).lists}
    for member in kind.members:
        pointer, pointers = pointer_of(kind, member), lists.get(member.column)
        if pointer is not None or pointers is not None:
            found[member.id_name] = SearchColumn(member.column, "bigint", pointer, pointers)
            if pointers is not None or (pointer is not None and pointer.name):
                found[member.name] = SearchColumn(member.column, "text", pointer, pointers, by_name=True)
        elif member.kind in _TYPES and not (member.inner or member.virtual):
            found[member.name] = SearchColumn(member.column, _TYPES[member.kind])
    return found


def orderable(kind: SetupObject) -> list[str]:
    """Return the names on the wire that objects may be ordered by."""
    return [name for name, field in fields(kind).items() if field.pointers is None]


def comparison(kind: SetupObject, name: str, operator: str, value: str | Sequence[str] | None) -> ColumnComparison:
    """Return a comparison of a member; raise ``ValueError`` with what is wrong with it."""
    field = fields(kind).get(name)
    if field is None:
        raise ValueError(f"'{shown(name)}' is nothing that a {kind.noun} is found by: {', '.join(fields(kind))}")
    named = operator_named(operator, OPERATORS)
    if value is None and named in _NULL:
        named = _NULL[named]
    return Comparison(field, named, read_values(named, field.type, value, _RULES))


def page(
    database: Database, owner_id: int, kind: SetupObject, query: SetupQuery, paging: Paging, *, lists: LongLists
) -> Page[ObjectView]:
    """Return a page of the objects that are looked for, by identity unless another order is asked for."""
    with database.reader(owner_id) as connection:
        return page_within(connection, owner_id, kind, query, paging, lists=lists)


def page_within(
    connection: Connection, owner_id: int, kind: SetupObject, query: SetupQuery, paging: Paging, *, lists: LongLists
) -> Page[ObjectView]:
    """Return a page as ``page`` does, in a transaction that is open already."""
    search = _search(owner_id, kind, query)
    by_identity = searches.settled(connection, search)
    total = lists.total(connection, kind, by_identity) if paging.with_total else None
    found = lists.identities(connection, by_identity, paging, total)
    return Page(list(show(connection, owner_id, kind, found).values()), total)


def total(connection: Connection, owner_id: int, kind: SetupObject, query: SetupQuery) -> int:
    """Return how many objects are looked for."""
    return searches.count(connection, _search(owner_id, kind, query))


def everything(
    connection: Connection, owner_id: int, kind: SetupObject, query: SetupQuery, rows_at_once: int
) -> Iterator[list[ObjectView]]:
    """Yield all objects that are looked for, by identity, so many at once."""
    search, last = _search(owner_id, kind, replace(query, order=())), 0
    while found := searches.identities_after(connection, search, last, rows_at_once):
        last = found[-1]
        yield list(show(connection, owner_id, kind, found).values())
        if len(found) < rows_at_once:
            return


def find(connection: Connection, owner_id: int, kind: SetupObject, identity: int) -> ObjectView:
    """Return one object; raise ``NotFound``."""
    shown = show(connection, owner_id, kind, [min(identity, NUMBER_MAX)]).get(identity)
    if shown is None:
        raise NotFound(f"there is no {kind.noun} {identity}", code=Code.OBJECT_NOT_FOUND)
    return shown


def _search(owner_id: int, kind: SetupObject, query: SetupQuery) -> ObjectSearch:
    known = fields(kind)
    order = tuple((known[name], descends) for name, descends in query.order)
    return ObjectSearch(kind.table, kind.identity, owner_id, query.comparisons, query.any_of, order)


def _whole(text: str) -> int:
    if not _WHOLE.match(text):
        raise ValueError(f"'{shown(text)}' is not a whole number")
    return max(-NUMBER_MAX, min(int(text), NUMBER_MAX))


def _owner(text: str) -> int:
    return max(-1, min(_whole(text), 2**31 - 1))


def _number(text: str) -> Decimal:
    if (number := money.decimal_within(text)) is None:
        raise ValueError(f"'{shown(text)}' is not a number of ours")
    return number


def _instant(text: str) -> object:
    try:
        return read_instant(text.replace(" ", "+") if "T" in text else text)
    except (ValueError, OverflowError):
        raise ValueError(f"'{shown(text)}' is not a time: write 2022-05-01T00:00:00Z or 2022-05-01") from None


_RULES = ComparisonRules(
    {
        "text": storable,
        "bigint": _whole,
        "integer": _owner,
        "boolean": read_truth,
        "numeric": _number,
        "timestamptz": _instant,
    },
    ordered=frozenset({"text", "bigint", "integer", "numeric", "timestamptz"}),
    many_values="{operator} takes a list of 1 to {bound} values",
    many_in_a_list=True,
)
