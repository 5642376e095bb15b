"""One line of a file of subscription objects: ``{"data": {"type": …, "attributes": {…}}}``."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from ratemill.reference import json_text
from ratemill.reference.json_text import Number, Value
from ratemill.reference.subscription_kinds import BY_WIRE, Kind

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


@dataclass(frozen=True, slots=True)
class Line:
    """What a line says; ``text`` is the JSON of its attributes, as it was sent."""

    kind: Kind
    external_ref: str | None
    attributes: dict[str, Value]
    text: str


class _Data(msgspec.Struct):
    type: str


class _Typed(msgspec.Struct):
    data: _Data


class _RawData(msgspec.Struct):
    attributes: msgspec.Raw = msgspec.Raw()


class _Raw(msgspec.Struct):
    data: _RawData


_typed = msgspec.json.Decoder(_Typed)
_raw = msgspec.json.Decoder(_Raw)


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
    except UnicodeEncodeError:
        return [LineFault("", "the line holds half of a surrogate pair, which is no character")]
    except ValueError as error:
        return [LineFault("", _printable(str(error)))]


def _read(line: bytes) -> Line:
    """Return what a line says; raise ``ValueError`` for what is wrong with it."""
    if sum(map(line.count, (b",", b"[", b"{"))) > VALUES_MAX:
        raise ValueError(f"a line may hold up to {VALUES_MAX} values")
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
        raise ValueError(f'"data.attributes" must be an object, not {kind_of(attributes)}')
    return Line(BY_WIRE[kind], reference_of(attributes.get("external_ref")), attributes, text)


def reference_of(value: Value) -> str | None:
    """Return the text of a reference; an empty one is none, and so is what no reference can be."""
    if type(value) is str and 0 < len(value) <= EXTERNAL_REF_CHARS_MAX and "\0" not in value:
        return value
    return None


def _value(line: bytes) -> Value:
    try:
        value = json_text.read(line)
    except ValueError as error:
        raise ValueError(f"the line is not JSON: {error}") from error
    if b"\\u" in line:
        json_text.write(value).encode()  # half of a surrogate pair can be written in no file
    return value


def _member(name: str, whole: Value) -> dict[str, Value]:
    if not isinstance(whole, dict):
        raise ValueError(f"the line must be a JSON object, not {kind_of(whole)}")  # noqa: TRY004 -- data errs, no caller
    value = whole.get(name)
    if not isinstance(value, dict):
        said = "is required" if value is None else f"must be an object, not {kind_of(value)}"
        raise ValueError(f'"{name}" {said}')  # noqa: TRY004 -- the same
    return value


def kind_of(value: Value) -> str:
    """Return what a value is, as a message says it."""
    if isinstance(value, Number):
        return "a number"
    if isinstance(value, str):
        return "a text"
    if isinstance(value, bool):
        return "true" if value else "false"
    return "null" if value is None else "a list" if isinstance(value, list) else "an object"


def shown(value: Value) -> str:
    """Return a value as a message repeats it: a text in quotes, a number by its digits, cut where it is long."""
    if isinstance(value, Number):
        return value if len(value) <= _SHOWN_MAX else "a number"
    if isinstance(value, str):
        return _printable(f"'{value}'" if len(value) <= _SHOWN_MAX else f"'{value[:_SHOWN_MAX]}…'")
    return kind_of(value)


def _printable(message: str) -> str:
    """Return a message that can be stored, whatever it repeats."""
    return message.replace("\0", "\\u0000").encode(errors="backslashreplace").decode()
