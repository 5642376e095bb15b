"""The values of which an item of a characteristic is made: texts, numbers, ranges, dates, references, user-defined fields.

``null`` in the place of any member says that it has no value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

from ratemill.caches import cache_short_texts
from ratemill.errors import Code, Fault, readable
from ratemill.reference.json_text import Number, Value, kind_of
from ratemill.texts import is_storable
from ratemill.visible import shown as cut

ID_CHARS_MAX = 255
DESCRIPTION_CHARS_MAX = 4_000
TEXT_CHARS_MAX = 64 * 1024  # of a comment and of a user-defined text, as of a field of usage
REFERENCE_CHARS_MAX = 500  # an index holds them
NAME_CHARS_MAX = 128  # of a user-defined field, prefix included
NUMBER_CHARS_MAX = 64  # more digits than any amount has
WHOLE_DIGITS_MAX = 18

REFERENCE_KEYS = ("guid", "sid", "id", "description", "name", "registeredProdedureName", "registeredProcedureName")
_KEY_OF = {key.lower(): key for key in REFERENCE_KEYS}  # letter case makes no difference: clients write `Id` as well

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

    def __post_init__(self) -> None:
        """Make the message fit to be read and stored, whatever it repeats; ``property`` stays exact."""
        object.__setattr__(self, "message", readable(self.message))


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


def as_faults(faults: Iterable[ItemFault]) -> list[Fault]:
    """Return what is wrong with items as what is wrong with a call."""
    return [Fault(Code.VALUE_NOT_VALID, each.message, field=each.property, word=each.code) for each in faults]


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
class ItemFindings:
    """The faults and the warnings that were found so far."""

    faults: list[ItemFault] = field(default_factory=list)
    warnings: list[ItemFault] = field(default_factory=list)

    def fault(self, code: str, message: str, at: str, name: str = "") -> None:
        """Note a fault of the member ``name`` at the path ``at``; without a name, of what stands there."""
        self.faults.append(ItemFault(code, f"{cut(name or at)} {message}", path_of(at, name)))

    def warn(self, code: str, message: str, at: str, name: str = "") -> None:
        """Note a warning in the same way."""
        self.warnings.append(ItemFault(code, f"{cut(name or at)} {message}", path_of(at, name)))


Check = Callable[[Value, str, str, ItemFindings], None]


def path_of(at: str, name: str) -> str:
    """Return the path of a member of what stands at ``at``."""
    return f"{at}.{name}" if at and name else at or name


# Values


NOT_STORABLE = "holds a NUL or half of a surrogate pair, which no text has"


def check_text(value: Value, at: str, name: str, findings: ItemFindings, *, chars_max: int = TEXT_CHARS_MAX) -> None:
    """Check a text of up to ``chars_max`` characters."""
    if value is None:
        return
    if type(value) is not str:
        findings.fault("must_be_a_text", f"must be a text, not {kind_of(value)}", at, name)
        return
    if len(value) > chars_max:
        findings.fault("text_too_long", f"has {len(value)} characters, at most {chars_max} are taken", at, name)
    if not is_storable(value):
        findings.fault("text_not_storable", NOT_STORABLE, at, name)


def check_id(value: Value, at: str, name: str, findings: ItemFindings) -> None:
    """Check the id of an item."""
    check_text(value, at, name, findings, chars_max=ID_CHARS_MAX)
    if type(value) is str and not value.strip():
        findings.fault("must_not_be_empty", "must not be empty; without an id the item gets the next number", at, name)


def check_flag(value: Value, at: str, name: str, findings: ItemFindings) -> None:
    """Check what is true or false."""
    if value is not None and not isinstance(value, bool):
        findings.fault("must_be_true_or_false", f"must be true or false, not {kind_of(value)}", at, name)


def check_number(value: Value, at: str, name: str, findings: ItemFindings) -> None:
    """Check a number, of any digits that are few."""
    if value is None:
        return
    if not isinstance(value, Number):
        findings.fault("must_be_a_number", f"must be a number, not {kind_of(value)}", at, name)
    elif len(value) > NUMBER_CHARS_MAX or ("e" in value.lower() and not _has_few_digits(value)):
        message = f"has too many digits: at most {NUMBER_CHARS_MAX} characters, written out as well"
        findings.fault("number_too_long", message, at, name)


def _has_few_digits(value: str) -> bool:
    mantissa, exponent = value.lower().split("e")
    return len(exponent) <= len("+64") and abs(int(exponent)) + len(mantissa) <= NUMBER_CHARS_MAX


def check_whole(value: Value, at: str, name: str, findings: ItemFindings) -> None:
    """Check a whole number."""
    if value is None:
        return
    if not isinstance(value, Number) or not _WHOLE.fullmatch(value):
        findings.fault("must_be_a_whole_number", f"must be a whole number, not {shown(value)}", at, name)
    elif len(value) > WHOLE_DIGITS_MAX:
        findings.fault("number_too_long", f"has over {WHOLE_DIGITS_MAX} digits", at, name)


def shown(value: Value) -> str:
    """Return a value as a message repeats it: a short one as it is, else its kind."""
    return str(value) if isinstance(value, Number) and len(value) <= NUMBER_CHARS_MAX else kind_of(value)


def check_range(value: Value, at: str, name: str, findings: ItemFindings) -> None:
    """Check a low and a high number, such as ``4.21:30.45``."""
    if value is None:
        return
    if type(value) is not str:
        findings.fault("must_be_a_range", f"must be a text such as '1:3', not {kind_of(value)}", at, name)
        return
    wrong = _range_fault(value)
    if wrong:
        findings.fault(*wrong, at, name)


@cache_short_texts
def _range_fault(text: str) -> tuple[str, str] | None:
    ends = _RANGE.fullmatch(text) if len(text) <= 2 * NUMBER_CHARS_MAX else None
    if not ends:
        return "must_be_a_range", f"must be a low and a high number, such as '4.21:30.45', not '{cut(text)}'"
    if Decimal(ends[1]) > Decimal(ends[2]):
        return "range_must_not_fall", f"must have the low number first, not '{cut(text)}'"
    return None


_instant = cache_short_texts(read_date)


def check_date(value: Value, at: str, name: str, findings: ItemFindings) -> None:
    """Check a time as ISO 8601 writes it."""
    if value is None:
        return
    if type(value) is not str:
        findings.fault(
            "must_be_a_date", f"must be a text such as '2021-08-06T00:00:00', not {kind_of(value)}", at, name
        )
    elif _instant(value) is None:
        message = f"must be a time as ISO 8601 writes it, such as '2021-08-06T00:00:00', not '{cut(value)}'"
        findings.fault("must_be_a_date", message, at, name)


def check_order(holder: dict[str, Value], first: str, last: str, at: str, findings: ItemFindings) -> None:
    """Hold that a span does not end before it begins; dates that are none were said before."""
    begins, ends = holder.get(first), holder.get(last)
    if type(begins) is str and type(ends) is str:
        from_at, to_at = _instant(begins), _instant(ends)
        if from_at and to_at and from_at > to_at:
            message = f"must not be before {first}: {ends} is before {begins}"
            findings.fault("must_not_end_before_it_begins", message, at, last)


# References


def check_reference(value: Value, at: str, name: str, findings: ItemFindings) -> None:
    """Check an object that names another by one key."""
    if value is None:
        return
    if not isinstance(value, dict):
        findings.fault(
            "must_be_a_reference", f"must be an object such as {{'id': '…'}}, not {kind_of(value)}", at, name
        )
        return
    text = value.get("id") if len(value) == 1 else None
    if type(text) is str and text and text.isascii() and is_storable(text, REFERENCE_CHARS_MAX):
        return  # most references by far
    named = [key for key in value if key.lower() in _KEY_OF]
    if not named:
        message = f"names nothing: one of {', '.join(REFERENCE_KEYS[:-1])} is needed"
        findings.fault("reference_without_key", message, at, name)
    elif len(named) > 1 and not value.keys() & _ANSWERED:
        findings.fault("reference_with_many_keys", f"is named by one key, not by {' and '.join(named)}", at, name)
    for key in named:
        _reference_key(value[key], at, f"{name}.{key}", _KEY_OF[key.lower()], findings)
    if len(value) > len(named):
        for key in value.keys() - _ANSWERED - set(named):
            findings.warn("member_not_known", "is no member of a reference", at, f"{name}.{key}")


def _reference_key(value: Value, at: str, path: str, key: str, findings: ItemFindings) -> None:
    if key == "sid":
        if not isinstance(value, str) or not (value.isascii() and value.isdigit() and len(value) <= WHOLE_DIGITS_MAX):
            findings.fault("must_be_a_whole_number", f"must be a whole number, not {kind_of(value)}", at, path)
        return
    if type(value) is not str:
        findings.fault("must_be_a_text", f"must be a text, not {kind_of(value)}", at, path)
    elif not value:
        findings.fault("must_not_be_empty", "must not be empty", at, path)
    elif key == "guid" and not _is_guid(value):
        findings.fault("must_be_a_guid", f"must be a GUID, not '{cut(value)}'", at, path)
    elif not is_storable(value, REFERENCE_CHARS_MAX):
        check_text(value, at, path, findings, chars_max=REFERENCE_CHARS_MAX)


def _is_guid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True


def check_user_defined(value: Value, at: str, name: str, findings: ItemFindings) -> None:
    """Check the value of a field that its owner named."""
    if isinstance(value, Number):
        check_number(value, at, name, findings)
    elif isinstance(value, str):
        check_text(value, at, name, findings)
    elif isinstance(value, dict):
        check_reference(value, at, name, findings)
    elif isinstance(value, list):
        message = "must be a text, a number, true, false or a reference, not a list"
        findings.fault("must_not_be_a_list", message, at, name)


# User-defined fields: a type is inferred from the first item that has the field, or declared, and then held


PREFIX, LOOKUP_PREFIX = "ud_", "udLookup_"
LOOKUP = "lookup"
TYPES = ("string", "number", "boolean", "dateTime", "reference")
DECLARED_NAME_CHARS_MAX = 255


def is_field(name: str) -> bool:
    """Return whether a member is a user-defined field."""
    return name.startswith((PREFIX, LOOKUP_PREFIX))


def types_for(name: str) -> tuple[str, ...]:
    """Return the types that a field of this name may be declared with."""
    return (LOOKUP,) if name.startswith(LOOKUP_PREFIX) else TYPES


def inferred(item: Mapping[str, Value]) -> dict[str, str]:
    """Return the type of each user-defined field of an item by its value; a field that is null tells none."""
    return {
        name: known
        for name, value in item.items()
        if name[:2] == "ud" and is_field(name) and (known := _type_of(name, value)) is not None
    }


def check_declared(item: Mapping[str, Value], declared: Mapping[str, str], at: str) -> list[ItemFault]:
    """Return a fault for each field of an item that is not of its declared type.

    ``declared`` gives types by name, ``at`` is the path of the item such as ``items[3]``, or empty.
    """
    return [
        ItemFault(
            "wrong_type",
            f"{cut(name)} is declared as {declared[name]}, not {_told(value)}",
            f"{at}.{name}".lstrip("."),
        )
        for name, value in item.items()
        if name in declared and not _is_of(value, declared[name])
    ]


def _type_of(name: str, value: Value) -> str | None:
    if value is None:
        return None
    return LOOKUP if name.startswith(LOOKUP_PREFIX) else _TYPE_BY_CLASS.get(type(value))


_TYPE_BY_CLASS: dict[type, str] = {Number: "number", bool: "boolean", dict: "reference", str: "string"}


def _is_of(value: Value, known: str) -> bool:
    if value is None:
        return True
    if known == "number":
        return isinstance(value, Number)
    if known == "boolean":
        return isinstance(value, bool)
    if known in ("reference", LOOKUP):
        return isinstance(value, dict)
    if not isinstance(value, str) or isinstance(value, Number):
        return False
    return known == "string" or _is_time(value)


def _is_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _told(value: Value) -> str:
    if isinstance(value, Number):
        return f"the number {cut(value)}"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"the text '{cut(value)}'"
    return "an object" if isinstance(value, dict) else "a list"
