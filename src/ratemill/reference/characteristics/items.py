"""What an item of a characteristic may look like, and how it joins what is stored: faults, each with its path; merging.

Checked when an item is received: shape, types, ranges, dates. What it refers to is settled when it is processed. ``null``
in the place of any member says that it has no value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial

from ratemill.caches import cache_short_texts
from ratemill.reference.characteristics.values import (
    DESCRIPTION_CHARS_MAX,
    NAME_CHARS_MAX,
    NOT_STORABLE,
    Check,
    ItemFault,
    ItemFindings,
    check_date,
    check_flag,
    check_id,
    check_number,
    check_order,
    check_range,
    check_reference,
    check_text,
    check_user_defined,
    check_whole,
    path_of,
    read_date,
)
from ratemill.reference.json_text import Number, Value, kind_of
from ratemill.texts import is_storable
from ratemill.visible import shown

READ_ONLY = frozenset(
    {
        "_timestamp",
        "_type",
        "displayName",
        "guid",
        "sid",
        "hierarchyLevelReference",
        "hierarchyLevelResolvedFlag",
        "hierarchyResolvedFlag",
    }
)
"""Members of an answer, which one that sends it back need not take out."""

Item = Mapping[str, Value]

_PERCENT_WHOLE = 100
_N = "([1-9]|1[0-9]|20)"
_BOM_HEADERS = re.compile(f"user{_N}BOMHeaders")
_BOM_DETAILS = re.compile(f"user{_N}BOMDetails")
_KEY = re.compile(f"udKey{_N}Reference")
_LOOKUP_KEY = re.compile(f"udKey(?:X|{_N})(HierarchyType|List)?Reference")


def check(item: Value, number: int | None, at: str) -> tuple[list[ItemFault], list[ItemFault]]:
    """Return the faults and the warnings of one item, in the order of its members.

    ``number`` is the characteristic, None if not yet known; ``at`` the path of the item, such as ``items[3]``.
    """
    found = ItemFindings()
    if not isinstance(item, dict):
        found.fault("must_be_an_object", f"must be an object, not {kind_of(item)}", at)
    elif not item:
        found.fault("must_not_be_empty", "is empty: an item has at least one member", at)
    else:
        for name, value in item.items():
            checked = _ITEM.get(name)
            if checked is not None:
                checked(value, at, name, found)
            else:
                _other_member(value, at, name, found, number)
    return found.faults, found.warnings


def characteristic_of(items: list[Value]) -> int | None:
    """Return the characteristic that ``user<N>BOMHeaders`` of the items tell, else the ``udKey<N>Reference`` of lookups."""
    for pattern, names in ((_BOM_HEADERS, _names_of_items), (_LOOKUP_KEY, _names_of_lookups)):
        for name in names(items):
            told = pattern.fullmatch(name)
            if told and told[1]:
                return int(told[1])
    return None


@cache_short_texts
def is_kept(name: str) -> bool:
    """Whether a member of that name becomes part of a characteristic's item; of others ``check`` warns."""
    return name in _ITEM or _is_user_defined(name) or _BOM_HEADERS.fullmatch(name) is not None


def _other_member(value: Value, at: str, name: str, findings: ItemFindings, number: int | None) -> None:
    """Check a member whose name is made of its owner's words or of the characteristic's number."""
    if _is_user_defined(name):
        if not is_storable(name):
            findings.fault("text_not_storable", NOT_STORABLE, at, name)
        if len(name) > NAME_CHARS_MAX:
            findings.fault(
                "text_too_long", f"is too long: a field's name has up to {NAME_CHARS_MAX} characters", at, name
            )
        (_lookup if name.startswith("udLookup_") else check_user_defined)(value, at, name, findings)
        return
    bom = _BOM_HEADERS.fullmatch(name)
    if bom:
        if number is not None and int(bom[1]) != number:
            message = (
                f"stands in an item of characteristic {number}: its components are looked up in characteristic {bom[1]}"
            )
            findings.warn("other_characteristic", message, at, name)
        _list_of(value, at, name, findings, partial(_bom_header, number=bom[1]))
    elif name in READ_ONLY:
        findings.warn("member_read_only", "is set by the product; what was sent is passed over", at, name)
    else:
        findings.warn("member_not_known", f"is no member of an item and is not kept{_meant(name, _ITEM)}", at, name)


def _is_user_defined(name: str) -> bool:
    return name.startswith(("ud_", "udLookup_")) and name not in {"ud_", "udLookup_"}


def _meant(name: str, known: Iterable[str]) -> str:
    """Return a hint for a name that differs in letter case alone."""
    meant = [each for each in known if each.lower() == name.lower()]
    return f"; meant is perhaps '{shown(meant[0])}'" if meant else ""


# What is made of several members


def _list_of(
    value: Value,
    at: str,
    name: str,
    findings: ItemFindings,
    read_element: Callable[[dict[str, Value], str, ItemFindings], None],
) -> None:
    """Check every element of a list of objects."""
    if value is None:
        return
    if not isinstance(value, list):
        findings.fault("must_be_a_list", f"must be a list, not {kind_of(value)}", at, name)
        return
    for index, element in enumerate(value):
        path = f"{path_of(at, name)}[{index}]"
        if isinstance(element, dict):
            read_element(element, path, findings)
        else:
            findings.fault("must_be_an_object", f"must be an object, not {kind_of(element)}", path)


def _lookup(value: Value, at: str, name: str, findings: ItemFindings) -> None:
    if value is None:
        return
    if not isinstance(value, dict):
        findings.fault("must_be_an_object", f"must be an object with udfLookupItems, not {kind_of(value)}", at, name)
        return
    path = path_of(at, name)
    if "udfLookupItems" not in value:
        findings.fault("member_required", "is required", path, "udfLookupItems")
    for member, rows in value.items():
        if member == "udfLookupItems":
            _list_of(
                rows, path, member, findings, partial(_lookup_row, looked_up="ud_" + name.removeprefix("udLookup_"))
            )
        else:
            findings.warn(
                "member_not_known", f"is no member of a lookup{_meant(member, ['udfLookupItems'])}", path, member
            )


def _lookup_row(row: dict[str, Value], at: str, findings: ItemFindings, *, looked_up: str) -> None:
    for name, value in row.items():
        checked = _LOOKUP_ROW.get(name)
        if checked is not None:
            checked(value, at, name, findings)
        elif name == looked_up:
            check_user_defined(value, at, name, findings)
        elif _LOOKUP_KEY.fullmatch(name):
            check_reference(value, at, name, findings)
        elif name.startswith("ud_"):
            findings.warn(
                "member_not_known", f"is not the field that is looked up here, '{shown(looked_up)}'", at, name
            )
        else:
            findings.warn("member_not_known", f"is no member of a lookup's row{_meant(name, _LOOKUP_ROW)}", at, name)
    check_order(row, "fromDate", "toDate", at, findings)


def _bom_header(header: dict[str, Value], at: str, findings: ItemFindings, *, number: str) -> None:
    for name, value in header.items():
        checked = _BOM_HEADER.get(name)
        details = None if checked else _BOM_DETAILS.fullmatch(name)
        if checked is not None:
            checked(value, at, name, findings)
        elif details and details[1] == number:
            _list_of(value, at, name, findings, partial(_bom_detail, number=number))
        elif details:
            message = f"stands in user{number}BOMHeaders, whose details are user{number}BOMDetails"
            findings.fault("other_characteristic", message, at, name)
        else:
            message = f"is no member of a bill of materials{_meant(name, [*_BOM_HEADER, f'user{number}BOMDetails'])}"
            findings.warn("member_not_known", message, at, name)
    check_order(header, "effectiveFromDate", "effectiveToDate", at, findings)


def _bom_detail(detail: dict[str, Value], at: str, findings: ItemFindings, *, number: str) -> None:
    component = f"udKey{number}Reference"
    for name, value in detail.items():
        checked = _BOM_DETAIL.get(name)
        if checked is not None:
            checked(value, at, name, findings)
        elif name == component:
            check_reference(value, at, name, findings)
        elif _KEY.fullmatch(name):
            findings.fault(
                "other_characteristic", f"stands in user{number}BOMDetails, which name a {component}", at, name
            )
        else:
            message = f"is no member of a component{_meant(name, [*_BOM_DETAIL, component])}"
            findings.warn("member_not_known", message, at, name)
    if detail.get(component) is None:
        findings.fault("member_required", "is required: it names the component", at, component)


def _names_of_items(items: list[Value]) -> Iterator[str]:
    for item in items:
        if isinstance(item, dict):
            yield from item


def _names_of_lookups(items: list[Value]) -> Iterator[str]:
    for item in items:
        for name, value in item.items() if isinstance(item, dict) else ():
            if name.startswith("udLookup_") and isinstance(value, dict):
                rows = value.get("udfLookupItems")
                yield from _names_of_items(rows if isinstance(rows, list) else [])


_ITEM: dict[str, Check] = {
    "adminClassReference": check_reference,
    "comment": check_text,
    "description": partial(check_text, chars_max=DESCRIPTION_CHARS_MAX),
    "id": check_id,
    "ipRightsBearingFlag": check_flag,
    "parentReference": check_reference,
    "royaltyBearingFlag": check_flag,
}
_RANGES = ("amount1", "amount2", "price1", "price2", "rate1", "rate2", "rate3", "unit1", "unit2")
_PERIODS = [f"{end}{kind}Period" for end in ("start", "end") for kind in ("Actual", "Other", "Posted")]
_LOOKUP_ROW: dict[str, Check] = {
    **{f"{each}Range": check_range for each in _RANGES},
    **{f"contact{number}Reference": check_reference for number in (1, 2, 3, 4)},
    **{f"{each}Reference": check_reference for each in _PERIODS},
    "fromDate": check_date,
    "toDate": check_date,
    "sortOrderNumber": check_whole,
    "text1": check_text,
    "text2": check_text,
}
_BOM_HEADER: dict[str, Check] = {
    "allocationMethodReference": check_reference,
    "allocationUDFReference": check_reference,
    "effectiveFromDate": check_date,
    "effectiveToDate": check_date,
}
_BOM_DETAIL: dict[str, Check] = {
    "allocationPercent": check_number,
    "largeSortOrderNumber": check_whole,
    "quantity": check_number,
}


# How an item joins what is stored


def kept(item: dict[str, Value]) -> dict[str, Value]:
    """Return the members of an item that its characteristic keeps, those that it knows, in their order; itself if all."""
    if all(map(is_kept, item)):
        return item
    return {name: value for name, value in item.items() if is_kept(name)}


def bills_of(item: Item) -> list[str]:
    """Return the members of an item that hold its bills of materials."""
    return [name for name in item if name.endswith("BOMHeaders") and is_kept(name)]


def merged(stored: Item, sent: Item) -> dict[str, Value] | None:
    """Return ``stored`` with the members of ``sent`` in the place of its own; None if each equals what is stored.

    A member that is sent holds as a whole; one that is not sent stays. A null equals a member that is not there.
    """
    changed = {name: value for name, value in sent.items() if not _same(stored.get(name), value)}
    return {**stored, **changed} if changed else None


def bill_warnings(item: Item, number: int, at: str) -> list[ItemFault]:
    """Return a warning for each bill of materials whose percents are not 100, or whose dates meet those of another."""
    headers = item.get(f"user{number}BOMHeaders")
    if not isinstance(headers, list):
        return []
    warnings: list[ItemFault] = []
    spans: list[tuple[datetime, datetime, int]] = []
    for index, header in enumerate(headers):
        if not isinstance(header, dict):
            continue
        path = f"{at}.user{number}BOMHeaders[{index}]"
        total = _percents(header.get(f"user{number}BOMDetails"))
        if total is not None and total != _PERCENT_WHOLE:
            warnings.append(ItemFault("percents_not_100", f"allocationPercent comes to {total:f}, not 100", path))
        span = _span(header)
        warnings += [
            ItemFault("dates_overlap", f"the dates meet those of user{number}BOMHeaders[{other}]", path)
            for start, end, other in spans
            if start < span[1] and span[0] < end
        ]
        spans.append((*span, index))
    return warnings


def _same(stored: Value, sent: Value) -> bool:
    """Return whether two values are the same JSON: a number is no text, and has its digits."""
    if stored != sent:
        return False
    if isinstance(stored, dict) and isinstance(sent, dict):
        return all(_same(stored[name], value) for name, value in sent.items())
    if isinstance(stored, list) and isinstance(sent, list):
        return all(map(_same, stored, sent))
    return isinstance(stored, Number) == isinstance(sent, Number)


def _percents(details: Value) -> Decimal | None:
    if not isinstance(details, list):
        return None
    given = [
        detail["allocationPercent"] for detail in details if isinstance(detail, dict) and "allocationPercent" in detail
    ]
    numbers = [Decimal(each) for each in given if isinstance(each, Number)]
    return sum(numbers, Decimal()) if numbers else None


def _span(header: dict[str, Value]) -> tuple[datetime, datetime]:
    start, end = (_instant(header.get(name)) for name in ("effectiveFromDate", "effectiveToDate"))
    return start or datetime.min.replace(tzinfo=UTC), end or datetime.max.replace(tzinfo=UTC)


def _instant(text: Value) -> datetime | None:
    return read_date(text) if isinstance(text, str) else None
