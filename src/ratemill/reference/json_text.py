"""JSON that goes out as it came in: members in their order, numbers by their digits, never through a float."""

from __future__ import annotations

import json
from collections.abc import Callable
from json.encoder import encode_basestring
from typing import NoReturn, TypeAlias

import msgspec

from ratemill.nesting import TOO_DEEP, is_too_deep
from ratemill.visible import shown

Value: TypeAlias = "dict[str, Value] | list[Value] | str | bool | None"  # a Number is a str of its own class


class Number(str):
    """The digits of a number, as they were sent; told from a text by its class alone."""

    __slots__ = ()


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


def read(text: str | bytes) -> Value:
    """Return the value that ``text`` (UTF-8) writes; numbers are ``Number``.

    Raises ``ValueError`` for what is no JSON, a member named twice in one object, NaN and the infinities, and a depth
    over ``NESTING_MAX``.
    """
    if is_too_deep(text):
        raise ValueError(TOO_DEEP)
    value: Value = _READ(text if isinstance(text, str) else text.decode())
    return value


def reread(text: str | bytes) -> Value:
    """Return what ``read`` returned for this text before: at a third of its time, for nothing is checked again."""
    value: Value = _REREAD(text if isinstance(text, str) else text.decode())
    return value


_REREAD = json.JSONDecoder(parse_float=Number, parse_int=Number).decode


def elements(text: bytes) -> list[bytes]:
    """Return the texts of the elements of a list that ``read`` took before, at a twentieth of the time of reading them."""
    return [bytes(each) for each in _ELEMENTS.decode(text)]


_ELEMENTS = msgspec.json.Decoder(list[msgspec.Raw])


def compact(text: str) -> str | None:
    """Return what ``write`` makes of the value that ``text`` writes, without making it; None where only that tells.

    Blanks go; all else stays as it is. A text with an escape may have been written in another way.
    """
    return None if "\\" in text else msgspec.json.format(text, indent=-1)


def write(value: Value) -> str:
    """Return the JSON of a value, with no blanks: what ``read`` reads as the same value."""
    parts: list[str] = []
    _append(value, parts.append)
    return "".join(parts)


def _append(value: Value, put: Callable[[str], None]) -> None:
    """Put the parts of a value; what is neither object nor list is put together with its name, which halves the time."""
    if type(value) is dict:
        mark = "{"
        for name, member in value.items():
            named = mark + encode_basestring(name) + ":"
            if type(member) is str:
                put(named + encode_basestring(member))
            elif type(member) is dict or type(member) is list:
                put(named)
                _append(member, put)
            else:
                put(named + _scalar(member))
            mark = ","
        put("}" if value else "{}")
    elif type(value) is list:
        mark = "["
        for element in value:
            put(mark)
            _append(element, put)
            mark = ","
        put("]" if value else "[]")
    else:
        put(_scalar(value))


def _scalar(value: Value) -> str:
    if isinstance(value, str):
        return value if isinstance(value, Number) else encode_basestring(value)
    return "null" if value is None else "true" if value else "false"


def _once(pairs: list[tuple[str, Value]]) -> dict[str, Value]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise ValueError(f"the member '{shown(name)}' stands twice in one object")
            seen.add(name)
    return members


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


_READ = json.JSONDecoder(
    parse_float=Number, parse_int=Number, parse_constant=_no_number, object_pairs_hook=_once
).decode
