"""What an item of a characteristic names, how it joins what is stored, and which items of a batch hold together.

An item names other items (``Use``), which must exist, and objects that no call makes (``NamedObject``), which are
registered. A batch holds as a whole as far as it can: an item that names a refused one is refused too, and so is each
item of a circle of parents.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache

from ratemill.reference.characteristic_fields import LOOKUP_PREFIX, PREFIX
from ratemill.reference.characteristic_items import ItemFault
from ratemill.reference.json_text import Number, Value

Item = Mapping[str, Value]

PARENT = "parentReference"
_PLAIN = {
    "adminClassReference",
    "comment",
    "description",
    "id",
    "ipRightsBearingFlag",
    PARENT,
    "royaltyBearingFlag",
}

# The members by which a reference may name its object, in the order in which they count if there are several.
_KEYS = {
    "guid": "guid",
    "id": "id",
    "sid": "sid",
    "description": "description",
    "name": "name",
    "registeredprocedurename": "registeredProcedureName",
    "registeredprodedurename": "registeredProcedureName",
}
_PERCENT_WHOLE = 100
_KEY_OF_ITEM = re.compile(r"udKey(X|[1-9][0-9]?)Reference\Z")
_OF_CHARACTERISTIC = re.compile(r"udKey(X|[1-9][0-9]?)(HierarchyType|List)Reference\Z")
_PERIOD = re.compile(r"(?:start|end)(Actual|Other|Posted)PeriodReference\Z")
_CONTACT = re.compile(r"contact[1-4]Reference\Z")


@dataclass(frozen=True, slots=True)
class Use:
    """Where an item names another: ``member`` is the place in the item, ``key`` is id, guid, sid or description."""

    member: str
    characteristic: int
    key: str
    value: str


@dataclass(frozen=True, slots=True, order=True)
class NamedObject:
    """What a reference names that is no item: ``kind`` such as contact, adminClass, user1List or the name of a field."""

    kind: str
    key: str
    value: str


@dataclass(frozen=True, slots=True)
class Names:
    """What an item names, in the order of its members."""

    uses: list[Use]
    objects: list[NamedObject]


def names_of(item: Item, number: int) -> Names:
    """Return what an item of the characteristic ``number`` names."""
    names = Names([], [])
    for member, reference, target in _references(item, number):
        named = _identified(reference)
        if named is None:
            continue
        if isinstance(target, int):
            names.uses.append(Use(member, target, *named))
        else:
            names.objects.append(NamedObject(target, *named))
    return names


def kept(item: Item, number: int) -> dict[str, Value]:
    """Return the members of an item that its characteristic keeps: those that it knows, in their order."""
    bill = f"user{number}BOMHeaders"
    return {
        name: value
        for name, value in item.items()
        if name in _PLAIN or name == bill or name.startswith((PREFIX, LOOKUP_PREFIX))
    }


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
        if span is None:
            continue
        warnings += [
            ItemFault("dates_overlap", f"the dates meet those of user{number}BOMHeaders[{other}]", path)
            for start, end, other in spans
            if start < span[1] and span[0] < end
        ]
        spans.append((*span, index))
    return warnings


def refused_together(
    faulty: Iterable[int],
    ahead: Iterable[tuple[int, int]],
    parents: Mapping[int, int | None],
    stored_parents: Mapping[int, int],
) -> tuple[set[int], list[list[int]]]:
    """Return all items of a batch that are refused, by number, and the circles of parents among them.

    ``faulty`` are refused already. ``ahead`` are pairs of an item and one that it names and that is in the batch only.
    ``parents`` gives the parent that an item of the batch names, None for none any more; ``stored_parents`` the parents
    in the store, which hold where the batch names none and for whoever is refused. Items of the store that are not in the
    batch have negative numbers.
    """
    named_by: defaultdict[int, list[int]] = defaultdict(list)
    for item, named in ahead:
        named_by[named].append(item)
    refused: set[int] = set()
    circles: list[list[int]] = []
    found = list(faulty)
    while True:
        _refuse(found, named_by, refused)
        found = []
        for circle in _circles(parents, stored_parents, refused):
            circles.append(circle)
            found += [item for item in circle if item in parents and item not in refused]
        if not found:
            return refused, circles


def _refuse(found: list[int], named_by: Mapping[int, Sequence[int]], refused: set[int]) -> None:
    """Add to ``refused`` what was found, and whoever names it."""
    waiting = list(found)
    while waiting:
        item = waiting.pop()
        if item not in refused:
            refused.add(item)
            waiting += named_by.get(item, ())


def _circles(
    parents: Mapping[int, int | None], stored_parents: Mapping[int, int], refused: set[int]
) -> Iterator[list[int]]:
    """Yield each circle of parents, as it would be without the refused items."""
    seen: dict[int, int] = {}  # the item from which each was reached
    for start in parents:
        node: int | None = start
        while node is not None and node not in seen:
            seen[node] = start
            node = parents[node] if node in parents and node not in refused else stored_parents.get(node)
        if node is None or seen[node] != start:
            continue
        circle = [node]
        while True:
            last = circle[-1]
            above = parents[last] if last in parents and last not in refused else stored_parents[last]
            if above is None or above == node:
                break
            circle.append(above)
        yield circle


def _references(item: Item, number: int) -> Iterator[tuple[str, Value, int | str]]:
    """Yield each reference of an item: its place, itself, and the characteristic or the kind of object that it names."""
    bill = f"user{number}BOMHeaders"
    for name, value in item.items():
        if isinstance(value, dict):
            if name.startswith(LOOKUP_PREFIX):
                yield from _of_lookup(name, value, number)
            elif name == PARENT:
                yield name, value, number
            elif name == "adminClassReference":
                yield name, value, "adminClass"
            elif name.startswith(PREFIX):
                yield name, value, name
        elif name == bill and isinstance(value, list):
            yield from _of_bill(name, value, number)


def _of_lookup(name: str, lookup: dict[str, Value], number: int) -> Iterator[tuple[str, Value, int | str]]:
    rows = lookup.get("udfLookupItems")
    for index, row in enumerate(rows if isinstance(rows, list) else ()):
        for member, value in row.items() if isinstance(row, dict) else ():
            if not isinstance(value, dict):
                continue
            target = member if member.startswith(PREFIX) else _target(member, number)
            if target is not None:
                yield f"{name}.udfLookupItems[{index}].{member}", value, target


def _of_bill(name: str, headers: list[Value], number: int) -> Iterator[tuple[str, Value, int | str]]:
    for index, header in enumerate(headers):
        if not isinstance(header, dict):
            continue
        at = f"{name}[{index}]"
        yield f"{at}.allocationMethodReference", header.get("allocationMethodReference"), "procedure"
        yield f"{at}.allocationUDFReference", header.get("allocationUDFReference"), "userDefinedField"
        details = header.get(f"user{number}BOMDetails")
        for row, detail in enumerate(details if isinstance(details, list) else ()):
            for member, value in detail.items() if isinstance(detail, dict) else ():
                target = _target(member, number)
                if isinstance(target, int):
                    yield f"{at}.user{number}BOMDetails[{row}].{member}", value, target


@lru_cache(maxsize=4_096)
def _target(member: str, number: int) -> int | str | None:
    """Return what a member of a row names: the items of a characteristic, or objects of a kind; None: nothing."""
    if key := _KEY_OF_ITEM.match(member):
        return number if key[1] == "X" else int(key[1])
    if _CONTACT.match(member):
        return "contact"
    if period := _PERIOD.match(member):
        return f"{period[1].lower()}Period"
    if of := _OF_CHARACTERISTIC.match(member):
        return f"user{number if of[1] == 'X' else of[1]}{of[2]}"
    return None


def _identified(reference: Value) -> tuple[str, str] | None:
    """Return the key and the value by which a reference names its object; None if it names nothing."""
    if not isinstance(reference, dict):
        return None
    found = {
        _KEYS[name.lower()]: value
        for name, value in reference.items()
        if isinstance(value, str) and name.lower() in _KEYS
    }
    for key in _KEYS.values():
        if key in found:
            return key, str(found[key])
    return None


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


def _span(header: dict[str, Value]) -> tuple[datetime, datetime] | None:
    try:
        start, end = (_instant(header.get(name)) for name in ("effectiveFromDate", "effectiveToDate"))
    except (ValueError, OverflowError):
        return None
    return start or datetime.min.replace(tzinfo=UTC), end or datetime.max.replace(tzinfo=UTC)


def _instant(text: Value) -> datetime | None:
    if not isinstance(text, str):
        return None
    instant = datetime.fromisoformat(text)
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
