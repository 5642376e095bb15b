"""The references of an item: where they stand, what kind of thing each points to, and by which key.

An item names other items (``ItemUse``), which must exist, and objects that no call creates (``NamedObject``), which are
registered.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, TypeAlias

from ratemill.caches import TEXT_CHARS_MAX, TEXTS_MAX
from ratemill.reference.characteristics.values import key_of
from ratemill.reference.json_text import Value

_OF_ITEM = re.compile(r"udKey(X|\d{1,2})Reference\Z", re.IGNORECASE)
_NUMBERED = re.compile(r"\d+\Z")
_KINDS = {
    "startActualPeriod": "period",
    "endActualPeriod": "period",
    "startOtherPeriod": "period",
    "endOtherPeriod": "period",
    "startPostedPeriod": "period",
    "endPostedPeriod": "period",
    "allocationMethod": "procedure",
    "allocationUDF": "userDefinedField",
}
_SUFFIX = "Reference"
PARENT = "parentReference"
CHARACTERISTIC_MAX = 20


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference where it stands.

    ``member`` is its path in the item, ``kind`` what it points to: ``user<N>`` is an item of characteristic N, all else is
    a named object; ``key`` and ``value`` are those of ``values.key_of``.
    """

    member: str
    kind: str
    key: str
    value: str

    @property
    def of_item(self) -> bool:
        """Whether it points to an item of a characteristic."""
        return is_item_kind(self.kind)


Look: TypeAlias = "Callable[[Reference, dict[str, Value]], dict[str, Value] | None]"


def references(item: Mapping[str, Value], number: int) -> Iterator[Reference]:
    """Return every reference of an item of characteristic ``number``, in the order of its members."""
    found: list[Reference] = []
    rewritten(item, number, lambda reference, _: found.append(reference))
    yield from found


def rewritten(item: Mapping[str, Value], number: int, look: Look) -> dict[str, Value]:
    """Return the item with what ``look`` gives in the place of each reference; where it gives None, it stays as sent.

    ``look`` takes the reference and the object that was sent in its place.
    """
    return {name: _rewritten(value, name, name, number, look) for name, value in item.items()}


def target_kind(member: str, number: int) -> str:
    """Return what a reference in ``member``, the name without a path, points to; ``number`` is the item's characteristic."""
    if member == "parentReference":
        return f"user{number}"
    of_item = _OF_ITEM.match(member)
    if of_item:
        return f"user{number if of_item[1] in 'xX' else int(of_item[1])}"
    if member.startswith("ud_") or not member.endswith(_SUFFIX):
        return member
    bare = member.removesuffix(_SUFFIX)
    if bare.lower().startswith("udkey"):
        what = re.sub(r"(?i)\Audkey(x|\d{1,2})", "", bare)
        return list_kind(number) if what == "List" else what[:1].lower() + what[1:]
    return _KINDS.get(bare, _NUMBERED.sub("", bare))


def list_kind(number: int) -> str:
    """Return the kind of the lists of a characteristic."""
    return f"user{number}list"


def is_item_kind(kind: str) -> bool:
    """Return whether things of a kind are items of a characteristic."""
    return kind.startswith("user") and kind[4:].isdigit()


def _rewritten(value: Value, name: str, path: str, number: int, look: Look) -> Value:
    if isinstance(value, list):
        return [_rewritten(each, name, f"{path}[{at}]", number, look) for at, each in enumerate(value)]
    if not isinstance(value, dict):
        return value
    if name.endswith(_SUFFIX) or name.startswith("ud_"):
        named = key_of(value)
        return value if named is None else look(Reference(path, target_kind(name, number), *named), value) or value
    return {inner: _rewritten(each, inner, f"{path}.{inner}", number, look) for inner, each in value.items()}


# What an item names, which is looked up for each item of a batch


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


def names_of(item: Mapping[str, Value], number: int) -> ItemReferences:
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
    kind = target_kind(name, number)
    return True, kind, int(kind.removeprefix("user")) if is_item_kind(kind) else 0
