"""The references of an item: where they stand, what kind of thing each points to, and by which key."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

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


@dataclass(frozen=True, slots=True)
class Reference:
    """A reference where it stands.

    ``member`` is its path in the item, ``kind`` what it points to: ``user<N>`` is an item of characteristic N, all else is
    a named object; ``key`` and ``value`` are those of ``characteristic_items.key_of``.
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


def kind_of(member: str, number: int) -> str:
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
        return value if named is None else look(Reference(path, kind_of(name, number), *named), value) or value
    return {inner: _rewritten(each, inner, f"{path}.{inner}", number, look) for inner, each in value.items()}
