"""What an item of a characteristic names, and how it joins what is stored.

An item names other items (``ItemUse``), which must exist, and objects that no call makes (``NamedObject``), which are
registered.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

from ratemill.caches import TEXT_CHARS_MAX, TEXTS_MAX
from ratemill.reference.characteristics.items import CHARACTERISTIC_MAX, is_kept
from ratemill.reference.characteristics.references import is_item_kind, kind_of
from ratemill.reference.characteristics.values import ItemFault, key_of, read_date
from ratemill.reference.json_text import Number, Value

Item = Mapping[str, Value]

PARENT = "parentReference"
_PERCENT_WHOLE = 100


class ItemUse(NamedTuple):
    """Where an item names another: ``member`` is the place in the item, ``key`` is id, guid, sid or description."""

    member: str
    characteristic: int
    key: str
    value: str


NamedObject = tuple[str, str, str]
"""What a reference names that is no item: its kind, such as ``contact`` or the name of a field, key and value."""


class ItemReferences(NamedTuple):
    """What an item names, in the order of its members."""

    uses: list[ItemUse]
    objects: list[NamedObject]


def names_of(item: Item, number: int) -> ItemReferences:
    """Return what an item of the characteristic ``number`` names."""
    names = ItemReferences([], [])
    for name, value in item.items():
        if type(value) is dict or type(value) is list:
            _look(value, name, name, number, names)
    return names


def _look(value: Value, name: str, path: str, number: int, names: ItemReferences) -> None:
    """Add what a value names: itself, if its member is a reference, else what is in it."""
    if type(value) is dict:
        named_by, kind, of = _target(name, number)
        if not named_by:
            for inner, each in value.items():
                if type(each) is dict or type(each) is list:
                    _look(each, inner, f"{path}.{inner}", number, names)
            return
        named = key_of(value)
        if named is not None:
            if not of:
                names.objects.append((kind, *named))
            elif of <= CHARACTERISTIC_MAX:
                names.uses.append(ItemUse(path, of, *named))
    elif type(value) is list:
        for index, each in enumerate(value):
            _look(each, name, f"{path}[{index}]", number, names)


def _target(name: str, number: int) -> tuple[bool, str, int]:
    """Return whether a member of this name is a reference, what it points to, and the characteristic if that is an item."""
    if not name.endswith("Reference") and not name.startswith("ud_"):
        return False, "", 0
    return _pointed_to(name, number) if len(name) <= TEXT_CHARS_MAX else _pointed_to.__wrapped__(name, number)


@lru_cache(maxsize=TEXTS_MAX)
def _pointed_to(name: str, number: int) -> tuple[bool, str, int]:
    kind = kind_of(name, number)
    return True, kind, int(kind.removeprefix("user")) if is_item_kind(kind) else 0


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
