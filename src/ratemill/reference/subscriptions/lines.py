"""One line of a file of subscription objects: ``{"data": {"type": …, "attributes": {…}}}``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from ratemill.errors import readable
from ratemill.nesting import NESTING_MAX
from ratemill.reference import json_text
from ratemill.reference.json_text import Number, Value, kind_of
from ratemill.subscription_objects import BY_WIRE, ObjectKind
from ratemill.texts import is_storable, is_writable
from ratemill.visible import shown as cut

# A record of some ten attributes has some dozen values. A line of millions would take a hundred times its length of memory.
VALUES_MAX = 100_000
EXTERNAL_REF_CHARS_MAX = 2_048
_SHOWN_MAX = 200
_TYPES = ", ".join(BY_WIRE)


@dataclass(frozen=True, slots=True)
class LineFault:
    """One thing wrong with a line; ``field`` is the attribute, empty where the line as a whole is at fault."""

    field: str
    error: str

    def __post_init__(self) -> None:
        """Make the error fit to be read and stored, whatever it repeats."""
        object.__setattr__(self, "error", readable(self.error))


class Line(NamedTuple):
    """What a line says; ``text`` is the JSON of its attributes, as it was sent."""

    kind: ObjectKind
    external_ref: str | None
    attributes: dict[str, Value]
    text: str


class FileLine(NamedTuple):
    """A line with its number in its file."""

    line_number: int
    line: Line


class _TypeData(msgspec.Struct):
    type: str


class _TypeLine(msgspec.Struct):
    data: _TypeData


class _RawData(msgspec.Struct):
    attributes: msgspec.Raw = msgspec.Raw()


class _RawLine(msgspec.Struct):
    data: _RawData


class _QuickData(msgspec.Struct, forbid_unknown_fields=True):
    type: str
    attributes: msgspec.Raw


class _QuickLine(msgspec.Struct, forbid_unknown_fields=True):
    data: _QuickData


_OUTER = 2  # objects that the attributes stand in
_MEMBERS = (b'"data"', b'"type"', b'"attributes"')
_quick = msgspec.json.Decoder(_QuickLine)
_typed = msgspec.json.Decoder(_TypeLine)
_raw = msgspec.json.Decoder(_RawLine)


def classify(line: bytes) -> int:
    """Return the number of the kind that a line tells, 0 if it is not JSON or of no known type.

    This is what counts as uploaded. The line is UTF-8.
    """
    try:
        return BY_WIRE.get(_typed.decode(line).data.type, 0)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return 0


def read(line: bytes) -> Line | list[LineFault]:
    """Return what a line says, or what is wrong with it as a whole; its attributes are not checked yet."""
    try:
        return _read(line)
    except ValueError as error:
        return [LineFault("", str(error))]


def _read(line: bytes) -> Line:
    """Return what a line says; raise ``ValueError`` for what is wrong with it."""
    if sum(map(line.count, (b",", b"[", b"{"))) > VALUES_MAX:
        raise ValueError(f"a line may hold up to {VALUES_MAX} values")
    quick = _read_quickly(line)
    if quick is not None:
        return quick
    data = _member("data", _value(line))
    kind = data.get("type")
    if type(kind) is not str or kind not in BY_WIRE:
        said = "is required" if kind is None else f"must be one of {_TYPES}, not {shown(kind)}"
        raise ValueError(f'"data.type" {said}')
    attributes, text = data.get("attributes"), "{}"
    if attributes is None:
        attributes = {}
    elif isinstance(attributes, dict):
        text = bytes(_raw.decode(line).data.attributes).decode()
    else:
        raise ValueError(f'"data.attributes" must be an object, not {value_kind(attributes)}')
    return Line(BY_WIRE[kind], reference_of(attributes.get("external_ref")), attributes, text)


def _read_quickly(line: bytes) -> Line | None:
    """Return what a line in the usual form says, at two thirds of the time; None where that must be looked at closely."""
    if b"\\" in line or any(line.count(member) != 1 for member in _MEMBERS):
        return None  # a member might stand twice, or be written in another way
    try:
        data = _quick.decode(line).data
        text = bytes(data.attributes).decode()
        attributes = json_text.read(text)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    is_flat = text.count("[") + text.count("{") <= NESTING_MAX - _OUTER
    if data.type not in BY_WIRE or not is_flat or not isinstance(attributes, dict):
        return None
    return Line(BY_WIRE[data.type], reference_of(attributes.get("external_ref")), attributes, text)


def reference_of(value: Value) -> str | None:
    """Return the text of a reference; an empty one is none, and so is what no reference can be."""
    if type(value) is str and value and is_storable(value, EXTERNAL_REF_CHARS_MAX):
        return value
    return None


def _value(line: bytes) -> Value:
    try:
        value = json_text.read(line)
    except ValueError as error:
        raise ValueError(f"the line is not JSON: {error}") from error
    if b"\\u" in line and not is_writable(json_text.write(value)):
        raise ValueError("the line holds half of a surrogate pair, which is no character")
    return value


def _member(name: str, whole: Value) -> dict[str, Value]:
    if not isinstance(whole, dict):
        raise ValueError(f"the line must be a JSON object, not {value_kind(whole)}")  # noqa: TRY004 -- data errs, no caller
    value = whole.get(name)
    if not isinstance(value, dict):
        said = "is required" if value is None else f"must be an object, not {value_kind(value)}"
        raise ValueError(f'"{name}" {said}')  # noqa: TRY004 -- the same
    return value


def value_kind(value: Value) -> str:
    """Return what a value is, as a message says it; a truth value is named."""
    return str(value).lower() if isinstance(value, bool) else kind_of(value)


def shown(value: Value) -> str:
    """Return a value as a message repeats it: a text in quotes, a number by its digits, cut where it is long."""
    if isinstance(value, Number):
        return value if len(value) <= _SHOWN_MAX else "a number"
    if isinstance(value, str):
        return f"'{cut(value)}'"
    return value_kind(value)
