"""What an item of a characteristic names, how it joins what is stored, and which items of a batch hold together.

An item names other items (``Use``), which must exist, and objects that no call makes (``NamedObject``), which are
registered. A batch holds as a whole as far as it can: an item that names a refused one is refused too, and so is each
item of a circle of parents.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache

from ratemill.reference.characteristic_items import CHARACTERISTIC_MAX, ItemFault, is_kept, key_of, read_date
from ratemill.reference.characteristic_references import is_item_kind, kind_of
from ratemill.reference.json_text import Number, Value

Item = Mapping[str, Value]

PARENT = "parentReference"
_PERCENT_WHOLE = 100


@dataclass(frozen=True, slots=True)
class Use:
    """Where an item names another: ``member`` is the place in the item, ``key`` is id, guid, sid or description."""

    member: str
    characteristic: int
    key: str
    value: str


NamedObject = tuple[str, str, str]
"""What a reference names that is no item: its kind, such as ``contact`` or the name of a field, key and value."""


@dataclass(frozen=True, slots=True)
class Names:
    """What an item names, in the order of its members."""

    uses: list[Use]
    objects: list[NamedObject]


def names_of(item: Item, number: int) -> Names:
    """Return what an item of the characteristic ``number`` names."""
    names = Names([], [])
    for name, value in item.items():
        if isinstance(value, dict | list):
            _look(value, name, name, number, names)
    return names


def _look(value: Value, name: str, path: str, number: int, names: Names) -> None:
    """Add what a value names: itself, if its member is a reference, else what is in it."""
    if isinstance(value, list):
        for index, each in enumerate(value):
            _look(each, name, f"{path}[{index}]", number, names)
    elif isinstance(value, dict):
        if not name.endswith("Reference") and not name.startswith("ud_"):
            for inner, each in value.items():
                if isinstance(each, dict | list):
                    _look(each, inner, f"{path}.{inner}", number, names)
            return
        named = key_of(value)
        if named is not None:
            kind, of = _target(name, number)
            if not of:
                names.objects.append((kind, *named))
            elif of <= CHARACTERISTIC_MAX:
                names.uses.append(Use(path, of, *named))


@lru_cache(maxsize=4_096)
def _target(name: str, number: int) -> tuple[str, int]:
    """Return what a reference in a member of this name points to, and the characteristic if that is an item."""
    kind = kind_of(name, number)
    return kind, int(kind.removeprefix("user")) if is_item_kind(kind) else 0


def kept(item: Item) -> dict[str, Value]:
    """Return the members of an item that its characteristic keeps: those that it knows, in their order."""
    return {name: value for name, value in item.items() if is_kept(name)}


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
