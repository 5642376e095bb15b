"""The body of a search: ``{"query": {top, fields, search, condition, orderBy, pagination}}``, with every fault at once."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from ratemill.api.http import paging
from ratemill.api.http.bodies import compared, object_of
from ratemill.comparisons import TERMS_MAX
from ratemill.errors import BadRequest, Code, Fault
from ratemill.pages import PAGE_ROWS_MAX, Paging
from ratemill.setup.declaration import SetupObject
from ratemill.setup.reading import searching
from ratemill.setup.reading.searching import OPERATORS, SetupQuery
from ratemill.store.setup.searches import ColumnComparison
from ratemill.visible import shown

TOP = 100  # rows of the only page, if no page is asked for
ORDERS_MAX = 20
_MEMBERS = ("top", "fields", "search", "condition", "orderBy", "pagination")
_DIRECTIONS = {"asc": False, "desc": True, "ascending": False, "descending": True}


@dataclass(frozen=True, slots=True)
class SearchBody:
    """What is looked for, which page of it, and which members are shown: none named, all."""

    query: SetupQuery
    paging: Paging
    fields: tuple[str, ...]


def schema(kind: SetupObject) -> dict[str, Any]:
    """Return the JSON schema of the body of a search."""
    page = {name: dict(one.schema) for name, one in paging.PAGING.items()}
    scalar: dict[str, Any] = {"type": ["string", "number", "boolean", "null"]}
    term = {
        "name": {"enum": list(searching.fields(kind))},
        "operator": {"enum": list(OPERATORS)},
        "value": {"anyOf": [scalar, {"type": "array", "items": scalar}]},
    }
    query = {
        "top": {"type": "integer", "minimum": 1, "maximum": PAGE_ROWS_MAX, "default": TOP},
        "fields": {"type": "array", "items": {"enum": shown_names(kind)}},
        "search": {"type": "array", "maxItems": TERMS_MAX, "items": _object(term, "name", "operator")},
        "condition": {"enum": ["and", "or"], "default": "and"},
        "orderBy": {
            "type": "array",
            "maxItems": ORDERS_MAX,
            "items": _object(
                {"name": {"enum": searching.orderable(kind)}, "direction": {"enum": ["asc", "desc"]}}, "name"
            ),
        },
        "pagination": _object(page),
    }
    return _object({"query": _object(query)}, "query")


def shown_names(kind: SetupObject) -> list[str]:
    """Return the members of an instance by their names on the wire."""
    names = ["identity", "ownerId", "ownerName"]
    for member in kind.members:
        names += [member.id_name, member.name] if member.is_reference else [member.name]
    return names


def read(kind: SetupObject, body: bytes, header: dict[str, Any], faults: list[Fault]) -> SearchBody:
    """Return what a body asks for; ``header`` is the page that a header asks for. Raises ``BadRequest``."""
    return _SearchBodyReader(kind, faults).body(object_of(body), header)


def _object(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    made = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**made, "required": list(required)} if required else made


class _SearchBodyReader:
    """Numbers come as texts of their digits: no value passes through a float."""

    def __init__(self, kind: SetupObject, faults: list[Fault]) -> None:
        self._kind, self._faults = kind, faults

    def body(self, root: dict[str, Any], header: dict[str, Any]) -> SearchBody:
        self._only(root, ("query",), "")
        query = root.get("query")
        if not isinstance(query, dict):
            self._fault("query", "query is an object")
            query = {}
        self._only(query, _MEMBERS, "query.")
        condition = query.get("condition") or "and"
        if condition not in ("and", "or"):
            self._fault("query.condition", "condition is 'and' or 'or'")
        found = SetupQuery(self._terms(query), condition == "or", self._order(query))
        read = SearchBody(found, self._paging(query, header), self._fields(query))
        if self._faults:
            raise BadRequest(faults=self._faults)
        return read

    def _terms(self, query: dict[str, Any]) -> tuple[ColumnComparison, ...]:
        terms = self._list(query, "search", TERMS_MAX)
        return tuple(found for at, term in enumerate(terms) if (found := self._term(term, f"query.search[{at}]")))

    def _term(self, term: object, at: str) -> ColumnComparison | None:
        if not isinstance(term, dict):
            self._fault(at, "a comparison is an object with name, operator and value")
            return None
        self._only(term, ("name", "operator", "value"), f"{at}.")
        name, operator = term.get("name"), term.get("operator")
        if not isinstance(name, str) or not isinstance(operator, str):
            self._fault(at, "a comparison has a name and an operator")
            return None
        try:
            return searching.comparison(self._kind, name, operator, compared(term.get("value")))
        except ValueError as error:
            self._fault(at, f"{shown(name)}: {error}")
            return None

    def _order(self, query: dict[str, Any]) -> tuple[tuple[str, bool], ...]:
        known, order = searching.orderable(self._kind), []
        for at, each in enumerate(self._list(query, "orderBy", ORDERS_MAX)):
            place = f"query.orderBy[{at}]"
            if not isinstance(each, dict):
                self._fault(place, "an order is an object with name and direction")
                continue
            self._only(each, ("name", "direction"), f"{place}.")
            name, direction = each.get("name"), each.get("direction") or "asc"
            if name not in known:
                self._fault(f"{place}.name", f"{json.dumps(name)} is nothing to order by: {', '.join(known)}")
            elif not isinstance(direction, str) or direction.lower() not in _DIRECTIONS:
                self._fault(f"{place}.direction", "direction is 'asc' or 'desc'")
            else:
                order.append((str(name), _DIRECTIONS[direction.lower()]))
        return tuple(order)

    def _fields(self, query: dict[str, Any]) -> tuple[str, ...]:
        known, fields = shown_names(self._kind), []
        for at, name in enumerate(self._list(query, "fields", len(known))):
            if name not in known:
                self._fault(
                    f"query.fields[{at}]", f"{self._kind.a_noun} has no member {json.dumps(name)}: {', '.join(known)}"
                )
            else:
                fields.append(str(name))
        return tuple(fields)

    def _paging(self, query: dict[str, Any], header: dict[str, Any]) -> Paging:
        top = query.get("top")
        size = TOP if top is None else self._number(top, "query.top", PAGE_ROWS_MAX)
        page = query.get("pagination")
        if page is not None and not isinstance(page, dict):
            self._fault("query.pagination", "pagination is an object")
            page = None
        self._only(page or {}, tuple(paging.PAGING), "query.pagination.")
        asked = {"size": size, **header}
        for name, parameter in paging.PAGING.items():
            value = (page or {}).get(name)
            if value is not None:
                self._page_member(asked, name, value, parameter)
        return paging.within_bounds(Paging(**asked), self._faults, "query.pagination.")

    def _page_member(self, values: dict[str, Any], name: str, value: object, parameter: paging.Parameter) -> None:
        try:
            values[parameter.member] = parameter.read(value if isinstance(value, str) else json.dumps(value))
        except ValueError as error:
            self._fault(f"query.pagination.{name}", f"{name} {error}")

    def _number(self, value: object, at: str, most: int) -> int:
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:  # noqa: PLR2004 - digits
            number = int(value)
            if 1 <= number <= most:
                return number
        self._fault(at, f"must be a whole number from 1 to {most}")
        return 1

    def _list(self, query: dict[str, Any], name: str, most: int) -> list[Any]:
        value = query.get(name)
        if value is None:
            return []
        if not isinstance(value, list) or len(value) > most:
            self._fault(f"query.{name}", f"{name} is a list of at most {most}")
            return []
        return value

    def _only(self, given: dict[str, Any], known: tuple[str, ...], at: str) -> None:
        for name in given:
            if name not in known:
                self._fault(
                    f"{at}{name}", f"'{shown(name)}' is no member here: {', '.join(known)}", Code.MEMBER_UNKNOWN
                )

    def _fault(self, field: str, message: str, code: int = Code.FILTER_NOT_VALID) -> None:
        self._faults.append(Fault(code, message, field=field))
