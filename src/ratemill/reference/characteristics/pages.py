"""The bodies that bring items of a characteristic in: what opens a batch, and its pages; every fault at once.

A page's items are kept as the text that was sent, blanks and all; what is checked is what that text says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from ratemill.errors import BadRequest, Code
from ratemill.reference import json_text
from ratemill.reference.characteristics.items import characteristic_of, check
from ratemill.reference.characteristics.values import (
    DESCRIPTION_CHARS_MAX,
    ID_CHARS_MAX,
    ItemFault,
    as_faults,
    shown,
)
from ratemill.reference.json_text import Number, Value
from ratemill.texts import is_storable
from ratemill.visible import shown as cut

FAULTS_MAX = 10_000  # a page that is wrong throughout is said in full; more would only be longer
_WHOLE = re.compile(r"-?[0-9]{1,18}")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

_OPENING = ("importFileName", "description", "pageSize", "totalItems", "pageNumber", "items")
_PAGE = ("pageNumber", "items")


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """What a batch may hold: items of one page, and of all of them."""

    page_items_max: int
    batch_items_max: int


@dataclass(frozen=True, slots=True)
class Frame:
    """What a page must fit in: items of a page and of all pages, and the characteristic, None if not known yet."""

    page_size: int
    total_items: int
    characteristic: int | None

    @property
    def last_page(self) -> int:
        """The number of the last page, counted from 0."""
        return (self.total_items - 1) // self.page_size


@dataclass(frozen=True, slots=True)
class BatchPage:
    """One page: its number, its items, the text of the list as it was sent, and the characteristic that they tell."""

    number: int
    items: list[Value]
    text: bytes
    characteristic: int | None
    warnings: list[ItemFault]


@dataclass(frozen=True, slots=True)
class BatchOpening:
    """What opens a batch."""

    import_file_name: str
    description: str | None
    frame: Frame
    page: BatchPage | None
    warnings: list[ItemFault]


def read_opening(body: bytes, limits: BatchLimits, characteristic: int | None) -> BatchOpening:
    """Read the body that opens a batch, with or without a page; raise ``BadRequest`` with every fault."""
    asked = _members(body)
    faults: list[ItemFault] = []
    warnings = _unknown(asked, _OPENING)
    name = _file_name(asked, faults)
    description = _description(asked, faults)
    page_size = _bounded(asked, "pageSize", limits.page_items_max, faults)
    total_items = _bounded(asked, "totalItems", limits.batch_items_max, faults)
    frame = Frame(page_size, total_items, characteristic) if page_size and total_items else None
    page = None
    if asked.get("items") is not None:
        page = _page(asked, body, faults, frame=frame, characteristic=characteristic, limits=limits)
    elif asked.get("pageNumber") is not None:
        warnings.append(ItemFault("member_passed_over", "pageNumber says nothing without items", "pageNumber"))
    if faults or frame is None:
        raise BadRequest(faults=as_faults(_cut(faults)))
    return BatchOpening(name, description, frame, page, warnings)


def read_page(body: bytes, frame: Frame, limits: BatchLimits) -> tuple[BatchPage | None, list[ItemFault]]:
    """Read the body that brings a page, and the warnings of it; None if it brings none; raise ``BadRequest``."""
    asked = _members(body)
    warnings = _unknown(asked, _PAGE)
    if asked.get("items") is None and asked.get("pageNumber") is None:
        return None, warnings
    faults: list[ItemFault] = []
    page = _page(asked, body, faults, frame=frame, characteristic=frame.characteristic, limits=limits)
    if faults or page is None:
        raise BadRequest(faults=as_faults(_cut(faults)))
    return page, warnings


def span(frame: Frame, number: int) -> str | None:
    """Return what is wrong with the number of a page, or None."""
    if 0 <= number <= frame.last_page:
        return None
    pages = f"{frame.total_items} items in pages of {frame.page_size}"
    return f"pageNumber must be 0 to {frame.last_page} ({pages}), not {number}"


def _members(body: bytes) -> dict[str, Value]:
    try:
        asked = json_text.read(body.removeprefix(_BYTE_ORDER_MARK))
    except ValueError as error:
        raise BadRequest(f"the body is not JSON: {error}", code=Code.BODY_NOT_JSON) from error
    if not isinstance(asked, dict):
        raise BadRequest("the body must be a JSON object", code=Code.BODY_NOT_AN_OBJECT)
    return asked


def _unknown(members: dict[str, Value], known: Iterable[str]) -> list[ItemFault]:
    message = f"is not known here and is passed over; known are {', '.join(known)}"
    return [
        ItemFault("member_not_known", f"{cut(member)} {message}", member) for member in members if member not in known
    ]


def _required(members: dict[str, Value], name: str, faults: list[ItemFault]) -> Value:
    value = members.get(name)
    if value is None:
        meant = [member for member in members if member.lower() == name.lower() and member != name]
        hint = f"; '{cut(meant[0])}' is another name" if meant else ""
        faults.append(ItemFault("member_required", f"{name} is required{hint}", name))
    return value


def _file_name(members: dict[str, Value], faults: list[ItemFault]) -> str:
    name = _required(members, "importFileName", faults)
    if name is None:
        return ""
    if type(name) is not str or not name.strip() or not is_storable(name, ID_CHARS_MAX):
        message = f"importFileName must be a text of 1 to {ID_CHARS_MAX} characters"
        faults.append(ItemFault("must_be_a_text", message, "importFileName"))
    return str(name)


def _description(members: dict[str, Value], faults: list[ItemFault]) -> str | None:
    text = members.get("description")
    if text is None:
        return None
    if type(text) is not str or not is_storable(text, DESCRIPTION_CHARS_MAX):
        message = f"description must be a text of up to {DESCRIPTION_CHARS_MAX} characters"
        faults.append(ItemFault("must_be_a_text", message, "description"))
    return str(text)


def _whole(value: Value) -> int | None:
    return int(value) if isinstance(value, Number) and _WHOLE.fullmatch(value) else None


def _bounded(members: dict[str, Value], name: str, most: int, faults: list[ItemFault]) -> int:
    """Return a count of items; 0 if there is a fault."""
    value = _required(members, name, faults)
    if value is None:
        return 0
    number = _whole(value)
    if number is None or not 1 <= number <= most:
        shown = f", not {cut(value)}" if isinstance(value, str) and len(value) <= ID_CHARS_MAX else ""
        faults.append(
            ItemFault("must_be_a_whole_number", f"{name} must be a whole number from 1 to {most}{shown}", name)
        )
        return 0
    return number


def _page(
    members: dict[str, Value],
    body: bytes,
    faults: list[ItemFault],
    *,
    frame: Frame | None,
    characteristic: int | None,
    limits: BatchLimits,
) -> BatchPage | None:
    number = _page_number(members, frame, faults)
    items = _required(members, "items", faults)
    if items is None:
        return None
    if not isinstance(items, list) or not items:
        faults.append(ItemFault("must_be_a_list", "items must be a list of one item or more", "items"))
        return None
    most = frame.page_size if frame else limits.page_items_max
    if len(items) > most:
        message = f"items has {len(items)} items, a page of this batch at most {most}"
        faults.append(ItemFault("too_many_items", message, "items"))
    if frame and len(items) > frame.total_items:
        message = f"items has {len(items)} items, and all pages have {frame.total_items} (totalItems)"
        faults.append(ItemFault("too_many_items", message, "items"))
    told = characteristic or characteristic_of(items)
    warnings: list[ItemFault] = []
    for index, item in enumerate(items):
        wrong, doubtful = check(item, told, f"items[{index}]")
        faults += wrong
        warnings += doubtful
    return None if faults else BatchPage(number, items, _text_of_items(body), told, _cut(warnings))


def _page_number(members: dict[str, Value], frame: Frame | None, faults: list[ItemFault]) -> int:
    value = _required(members, "pageNumber", faults)
    if value is None:
        return 0
    number = _whole(value)
    if number is None:
        message = f"pageNumber must be a whole number, counted from 0, not {shown(value)}"
        faults.append(ItemFault("must_be_a_whole_number", message, "pageNumber"))
        return 0
    wrong = span(frame, number) if frame else None
    if wrong:
        faults.append(ItemFault("page_number_out_of_span", wrong, "pageNumber"))
    return number


def _text_of_items(body: bytes) -> bytes:
    """Return the text of the list, as it stands in a body that has been read."""
    try:
        return bytes(msgspec.json.decode(body.removeprefix(_BYTE_ORDER_MARK), type=dict[str, msgspec.Raw])["items"])
    except msgspec.DecodeError as error:
        raise BadRequest(f"the body is not JSON: {error}", code=Code.BODY_NOT_JSON) from error


def _cut(faults: list[ItemFault]) -> list[ItemFault]:
    if len(faults) <= FAULTS_MAX:
        return faults
    more = f"{len(faults) - FAULTS_MAX} more were found and are not listed"
    return [*faults[:FAULTS_MAX], ItemFault("and_more", more, "")]
