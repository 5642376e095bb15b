"""What an item of a characteristic may look like: every fault at once, each with the path of its property.

Checked when an item is received: shape, types, ranges, dates. What it refers to is settled when it is processed. ``null``
in the place of any member says that it has no value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache, partial
from uuid import UUID

from ratemill.errors import Code, Fault
from ratemill.reference.json_text import Number, Value

CHARACTERISTIC_MAX = 20
ID_CHARS_MAX = 255
DESCRIPTION_CHARS_MAX = 4_000
TEXT_CHARS_MAX = 64 * 1024  # of a comment and of a user-defined text, as of a field of usage
REFERENCE_CHARS_MAX = 500  # an index holds them
NAME_CHARS_MAX = 128  # of a user-defined field, prefix included
NUMBER_CHARS_MAX = 64  # more digits than any amount has
WHOLE_DIGITS_MAX = 18

REFERENCE_KEYS = ("guid", "sid", "id", "description", "name", "registeredProdedureName", "registeredProcedureName")
_KEY_OF = {key.lower(): key for key in REFERENCE_KEYS}  # letter case makes no difference: clients write `Id` as well
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

_N = "([1-9]|1[0-9]|20)"
_BOM_HEADERS = re.compile(f"user{_N}BOMHeaders")
_BOM_DETAILS = re.compile(f"user{_N}BOMDetails")
_KEY = re.compile(f"udKey{_N}Reference")
_LOOKUP_KEY = re.compile(f"udKey(?:X|{_N})(HierarchyType|List)?Reference")
_RANGE = re.compile(r"(-?[0-9]+(?:\.[0-9]+)?):(-?[0-9]+(?:\.[0-9]+)?)")
_WHOLE = re.compile(r"-?[0-9]+")
_DATE = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)?)?", re.ASCII)
_ANSWERED = frozenset({"_type", "displayName"})  # members of a reference in an answer


@dataclass(frozen=True, slots=True)
class ItemFault:
    """One thing wrong, or worth a warning.

    ``property`` is its path, such as ``items[3].udLookup_X.udfLookupItems[0].amount1Range``; empty: the whole.
    """

    code: str
    message: str
    property: str


def check(item: Value, number: int | None, at: str) -> tuple[list[ItemFault], list[ItemFault]]:
    """Return the faults and the warnings of one item, in the order of its members.

    ``number`` is the characteristic, None if not yet known; ``at`` the path of the item, such as ``items[3]``.
    """
    found = _Found()
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


@lru_cache(maxsize=4_096)
def is_kept(name: str) -> bool:
    """Whether a member of that name becomes part of a characteristic's item; of others ``check`` warns."""
    return name in _ITEM or _is_user_defined(name) or _BOM_HEADERS.fullmatch(name) is not None


def key_of(reference: dict[str, Value]) -> tuple[str, str] | None:
    """Return by which key a reference names its object, and the text of it; None if it names none.

    Both spellings of a procedure's key are one, the one of the wire. Where an answer's reference was sent back, with
    several keys, its guid holds, then its sid.
    """
    if len(reference) == 1:
        text = reference.get("id")
        if type(text) is str and text:
            return "id", text  # most references by far
    named: dict[str, Value] = {}
    for name, value in reference.items():
        known = _KEY_OF.get(name.lower())
        if known:
            named[known] = value
    for key in named if len(named) == 1 else REFERENCE_KEYS:
        text = named.get(key)
        if isinstance(text, str) and text:
            if key == "guid":
                return key, text.lower()
            return ("registeredProdedureName" if key == "registeredProcedureName" else key), str(text)
    return None


def as_faults(found: Iterable[ItemFault]) -> list[Fault]:
    """Return what is wrong with items as what is wrong with a call."""
    return [Fault(Code.VALUE_NOT_VALID, each.message, field=each.property, word=each.code) for each in found]


def read_date(text: str) -> datetime | None:
    """Return the instant that an ISO 8601 text names, without a zone in UTC; None if it names none.

    Never brought into another zone: 9999-12-31T23:59:59 with one would leave the calendar.
    """
    if not _DATE.fullmatch(text):
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


@dataclass(slots=True)
class _Found:
    faults: list[ItemFault] = field(default_factory=list)
    warnings: list[ItemFault] = field(default_factory=list)

    def fault(self, code: str, message: str, at: str, name: str = "") -> None:
        self.faults.append(ItemFault(code, f"{name or at} {message}", _path(at, name)))

    def warn(self, code: str, message: str, at: str, name: str = "") -> None:
        self.warnings.append(ItemFault(code, f"{name or at} {message}", _path(at, name)))


_Check = Callable[[Value, str, str, _Found], None]


def _path(at: str, name: str) -> str:
    return f"{at}.{name}" if at and name else at or name


def _other_member(value: Value, at: str, name: str, found: _Found, number: int | None) -> None:
    """Check a member whose name is made of its owner's words or of the characteristic's number."""
    if _is_user_defined(name):
        if not _is_storable(name):
            found.fault("text_not_storable", _NOT_STORABLE, at, name)
        if len(name) > NAME_CHARS_MAX:
            found.fault("text_too_long", f"is too long: a field's name has up to {NAME_CHARS_MAX} characters", at, name)
        (_lookup if name.startswith("udLookup_") else _user_defined)(value, at, name, found)
        return
    bom = _BOM_HEADERS.fullmatch(name)
    if bom:
        if number is not None and int(bom[1]) != number:
            message = (
                f"stands in an item of characteristic {number}: its components are looked up in characteristic {bom[1]}"
            )
            found.warn("other_characteristic", message, at, name)
        _list_of(value, at, name, found, partial(_bom_header, number=bom[1]))
    elif name in READ_ONLY:
        found.warn("member_read_only", "is set by the product; what was sent is passed over", at, name)
    else:
        found.warn("member_not_known", f"is no member of an item and is not kept{_meant(name, _ITEM)}", at, name)


def _is_user_defined(name: str) -> bool:
    return name.startswith(("ud_", "udLookup_")) and name not in {"ud_", "udLookup_"}


def _meant(name: str, known: Iterable[str]) -> str:
    """Return a hint for a name that differs in letter case alone."""
    meant = [each for each in known if each.lower() == name.lower()]
    return f"; meant is perhaps '{meant[0]}'" if meant else ""


# Values


_NOT_STORABLE = "holds a NUL or half of a surrogate pair, which no text has"


def _is_storable(text: str) -> bool:
    if "\0" in text:
        return False
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def kind_of(value: Value) -> str:
    """Return what a value is, as a message says it."""
    if isinstance(value, Number):
        return "a number"
    if isinstance(value, str):
        return "a text"
    if isinstance(value, bool):
        return "true or false"
    if value is None:
        return "null"
    return "an object" if isinstance(value, dict) else "a list"


def _text(value: Value, at: str, name: str, found: _Found, *, chars_max: int = TEXT_CHARS_MAX) -> None:
    if value is None:
        return
    if type(value) is not str:
        found.fault("must_be_a_text", f"must be a text, not {kind_of(value)}", at, name)
        return
    if len(value) > chars_max:
        found.fault("text_too_long", f"has {len(value)} characters, at most {chars_max} are taken", at, name)
    if not _is_storable(value):
        found.fault("text_not_storable", _NOT_STORABLE, at, name)


def _id(value: Value, at: str, name: str, found: _Found) -> None:
    _text(value, at, name, found, chars_max=ID_CHARS_MAX)
    if type(value) is str and not value.strip():
        found.fault("must_not_be_empty", "must not be empty; without an id the item gets the next number", at, name)


def _flag(value: Value, at: str, name: str, found: _Found) -> None:
    if value is not None and not isinstance(value, bool):
        found.fault("must_be_true_or_false", f"must be true or false, not {kind_of(value)}", at, name)


def _number(value: Value, at: str, name: str, found: _Found) -> None:
    if value is None:
        return
    if not isinstance(value, Number):
        found.fault("must_be_a_number", f"must be a number, not {kind_of(value)}", at, name)
    elif len(value) > NUMBER_CHARS_MAX or ("e" in value.lower() and not _has_few_digits(value)):
        message = f"has too many digits: at most {NUMBER_CHARS_MAX} characters, written out as well"
        found.fault("number_too_long", message, at, name)


def _has_few_digits(value: str) -> bool:
    mantissa, exponent = value.lower().split("e")
    return len(exponent) <= len("+64") and abs(int(exponent)) + len(mantissa) <= NUMBER_CHARS_MAX


def _whole(value: Value, at: str, name: str, found: _Found) -> None:
    if value is None:
        return
    if not isinstance(value, Number) or not _WHOLE.fullmatch(value):
        found.fault("must_be_a_whole_number", f"must be a whole number, not {shown(value)}", at, name)
    elif len(value) > WHOLE_DIGITS_MAX:
        found.fault("number_too_long", f"has over {WHOLE_DIGITS_MAX} digits", at, name)


def shown(value: Value) -> str:
    """Return a value as a message repeats it: a short one as it is, else its kind."""
    return str(value) if isinstance(value, Number) and len(value) <= NUMBER_CHARS_MAX else kind_of(value)


def _range(value: Value, at: str, name: str, found: _Found) -> None:
    if value is None:
        return
    if type(value) is not str:
        found.fault("must_be_a_range", f"must be a text such as '1:3', not {kind_of(value)}", at, name)
        return
    wrong = _range_fault(value)
    if wrong:
        found.fault(*wrong, at, name)


@lru_cache(maxsize=4_096)
def _range_fault(text: str) -> tuple[str, str] | None:
    ends = _RANGE.fullmatch(text) if len(text) <= 2 * NUMBER_CHARS_MAX else None
    if not ends:
        return "must_be_a_range", f"must be a low and a high number, such as '4.21:30.45', not '{text[:80]}'"
    if Decimal(ends[1]) > Decimal(ends[2]):
        return "range_must_not_fall", f"must have the low number first, not '{text}'"
    return None


_instant = lru_cache(maxsize=4_096)(read_date)


def _date(value: Value, at: str, name: str, found: _Found) -> None:
    if value is None:
        return
    if type(value) is not str:
        found.fault("must_be_a_date", f"must be a text such as '2021-08-06T00:00:00', not {kind_of(value)}", at, name)
    elif _instant(value) is None:
        message = f"must be a time as ISO 8601 writes it, such as '2021-08-06T00:00:00', not '{value[:80]}'"
        found.fault("must_be_a_date", message, at, name)


def _in_order(holder: dict[str, Value], first: str, last: str, at: str, found: _Found) -> None:
    """Hold that a span does not end before it begins; dates that are none were said before."""
    begins, ends = holder.get(first), holder.get(last)
    if type(begins) is str and type(ends) is str:
        from_at, to_at = _instant(begins), _instant(ends)
        if from_at and to_at and from_at > to_at:
            message = f"must not be before {first}: {ends} is before {begins}"
            found.fault("must_not_end_before_it_begins", message, at, last)


# References


def _reference(value: Value, at: str, name: str, found: _Found) -> None:
    if value is None:
        return
    if not isinstance(value, dict):
        found.fault("must_be_a_reference", f"must be an object such as {{'id': '…'}}, not {kind_of(value)}", at, name)
        return
    text = value.get("id") if len(value) == 1 else None
    if type(text) is str and 0 < len(text) <= REFERENCE_CHARS_MAX and text.isascii() and "\0" not in text:
        return  # most references by far
    named = [key for key in value if key.lower() in _KEY_OF]
    if not named:
        message = f"names nothing: one of {', '.join(REFERENCE_KEYS[:-1])} is needed"
        found.fault("reference_without_key", message, at, name)
    elif len(named) > 1 and not value.keys() & _ANSWERED:
        found.fault("reference_with_many_keys", f"is named by one key, not by {' and '.join(named)}", at, name)
    for key in named:
        _reference_key(value[key], at, f"{name}.{key}", _KEY_OF[key.lower()], found)
    if len(value) > len(named):
        for key in value.keys() - _ANSWERED - set(named):
            found.warn("member_not_known", "is no member of a reference", at, f"{name}.{key}")


def _reference_key(value: Value, at: str, path: str, key: str, found: _Found) -> None:
    if key == "sid":
        if not isinstance(value, str) or not (value.isascii() and value.isdigit() and len(value) <= WHOLE_DIGITS_MAX):
            found.fault("must_be_a_whole_number", f"must be a whole number, not {kind_of(value)}", at, path)
        return
    if type(value) is not str:
        found.fault("must_be_a_text", f"must be a text, not {kind_of(value)}", at, path)
    elif not value:
        found.fault("must_not_be_empty", "must not be empty", at, path)
    elif key == "guid" and not _is_guid(value):
        found.fault("must_be_a_guid", f"must be a GUID, not '{value[:80]}'", at, path)
    elif len(value) > REFERENCE_CHARS_MAX or not _is_storable(value):
        _text(value, at, path, found, chars_max=REFERENCE_CHARS_MAX)


def _is_guid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


# What is made of several members


def _user_defined(value: Value, at: str, name: str, found: _Found) -> None:
    if isinstance(value, Number):
        _number(value, at, name, found)
    elif isinstance(value, str):
        _text(value, at, name, found)
    elif isinstance(value, dict):
        _reference(value, at, name, found)
    elif isinstance(value, list):
        message = "must be a text, a number, true, false or a reference, not a list"
        found.fault("must_not_be_a_list", message, at, name)


def _list_of(
    value: Value, at: str, name: str, found: _Found, each: Callable[[dict[str, Value], str, _Found], None]
) -> None:
    """Check every element of a list of objects."""
    if value is None:
        return
    if not isinstance(value, list):
        found.fault("must_be_a_list", f"must be a list, not {kind_of(value)}", at, name)
        return
    for index, element in enumerate(value):
        path = f"{_path(at, name)}[{index}]"
        if isinstance(element, dict):
            each(element, path, found)
        else:
            found.fault("must_be_an_object", f"must be an object, not {kind_of(element)}", path)


def _lookup(value: Value, at: str, name: str, found: _Found) -> None:
    if value is None:
        return
    if not isinstance(value, dict):
        found.fault("must_be_an_object", f"must be an object with udfLookupItems, not {kind_of(value)}", at, name)
        return
    path = _path(at, name)
    if "udfLookupItems" not in value:
        found.fault("member_required", "is required", path, "udfLookupItems")
    for member, rows in value.items():
        if member == "udfLookupItems":
            _list_of(rows, path, member, found, partial(_lookup_row, looked_up="ud_" + name.removeprefix("udLookup_")))
        else:
            found.warn(
                "member_not_known", f"is no member of a lookup{_meant(member, ['udfLookupItems'])}", path, member
            )


def _lookup_row(row: dict[str, Value], at: str, found: _Found, *, looked_up: str) -> None:
    for name, value in row.items():
        checked = _LOOKUP_ROW.get(name)
        if checked is not None:
            checked(value, at, name, found)
        elif name == looked_up:
            _user_defined(value, at, name, found)
        elif _LOOKUP_KEY.fullmatch(name):
            _reference(value, at, name, found)
        elif name.startswith("ud_"):
            found.warn("member_not_known", f"is not the field that is looked up here, '{looked_up}'", at, name)
        else:
            found.warn("member_not_known", f"is no member of a lookup's row{_meant(name, _LOOKUP_ROW)}", at, name)
    _in_order(row, "fromDate", "toDate", at, found)


def _bom_header(header: dict[str, Value], at: str, found: _Found, *, number: str) -> None:
    for name, value in header.items():
        checked = _BOM_HEADER.get(name)
        details = None if checked else _BOM_DETAILS.fullmatch(name)
        if checked is not None:
            checked(value, at, name, found)
        elif details and details[1] == number:
            _list_of(value, at, name, found, partial(_bom_detail, number=number))
        elif details:
            message = f"stands in user{number}BOMHeaders, whose details are user{number}BOMDetails"
            found.fault("other_characteristic", message, at, name)
        else:
            message = f"is no member of a bill of materials{_meant(name, [*_BOM_HEADER, f'user{number}BOMDetails'])}"
            found.warn("member_not_known", message, at, name)
    _in_order(header, "effectiveFromDate", "effectiveToDate", at, found)


def _bom_detail(detail: dict[str, Value], at: str, found: _Found, *, number: str) -> None:
    component = f"udKey{number}Reference"
    for name, value in detail.items():
        checked = _BOM_DETAIL.get(name)
        if checked is not None:
            checked(value, at, name, found)
        elif name == component:
            _reference(value, at, name, found)
        elif _KEY.fullmatch(name):
            found.fault("other_characteristic", f"stands in user{number}BOMDetails, which name a {component}", at, name)
        else:
            message = f"is no member of a component{_meant(name, [*_BOM_DETAIL, component])}"
            found.warn("member_not_known", message, at, name)
    if detail.get(component) is None:
        found.fault("member_required", "is required: it names the component", at, component)


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


_ITEM: dict[str, _Check] = {
    "adminClassReference": _reference,
    "comment": _text,
    "description": partial(_text, chars_max=DESCRIPTION_CHARS_MAX),
    "id": _id,
    "ipRightsBearingFlag": _flag,
    "parentReference": _reference,
    "royaltyBearingFlag": _flag,
}
_RANGES = ("amount1", "amount2", "price1", "price2", "rate1", "rate2", "rate3", "unit1", "unit2")
_PERIODS = [f"{end}{kind}Period" for end in ("start", "end") for kind in ("Actual", "Other", "Posted")]
_LOOKUP_ROW: dict[str, _Check] = {
    **{f"{each}Range": _range for each in _RANGES},
    **{f"contact{number}Reference": _reference for number in (1, 2, 3, 4)},
    **{f"{each}Reference": _reference for each in _PERIODS},
    "fromDate": _date,
    "toDate": _date,
    "sortOrderNumber": _whole,
    "text1": _text,
    "text2": _text,
}
_BOM_HEADER: dict[str, _Check] = {
    "allocationMethodReference": _reference,
    "allocationUDFReference": _reference,
    "effectiveFromDate": _date,
    "effectiveToDate": _date,
}
_BOM_DETAIL: dict[str, _Check] = {
    "allocationPercent": _number,
    "largeSortOrderNumber": _whole,
    "quantity": _number,
}
