"""What a request body holds: its elements, as text, and nothing of their meaning; and the numbers that name a record.

The face checks the shape of a body with ``read_elements`` before it accepts it; a worker and the audit read the stored bytes
with the same function, so all three count the same records. ``row_index`` counts the elements from 1.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

import msgspec

from ratemill.errors import BadRequest, Code, Fault, invariant
from ratemill.nesting import TOO_DEEP, is_too_deep, shortened
from ratemill.texts import is_storable, readable

Route = Literal["rows", "multi", "single"]
"""Which of the routes a body came by: rows of text, many JSON objects, one JSON object."""

# A record and a charge have no number of their own: theirs is made of their names, each part below its bound.
_ROWS_BOUND, _RUNS_BOUND, _ENTRIES_BOUND = 1024, 8, 64


@dataclass(frozen=True, slots=True)
class Elements:
    """The elements of one body, in order; ``unreadable`` are the row indexes that held half a surrogate pair."""

    texts: list[str]
    unreadable: list[int]
    are_objects: bool


@dataclass(frozen=True, slots=True, order=True)
class ChargeName:
    """What names a charge for ever: its record, the run, and the entry, 0 being the first rating."""

    submission_id: int
    row_index: int
    run: int
    entry: int


def record_identity(submission_id: int, row_index: int) -> int:
    """Return the number of a record, made of its name."""
    invariant(0 <= row_index < _ROWS_BOUND, f"row {row_index} is beyond the rows of a request")
    return submission_id * _ROWS_BOUND + row_index


def charge_identity(name: ChargeName) -> int:
    """Return the number of a charge, made of its name."""
    fits = 0 <= name.run < _RUNS_BOUND and 0 <= name.entry < _ENTRIES_BOUND
    invariant(fits, f"run {name.run}, entry {name.entry} is beyond what a charge's number holds")
    record = record_identity(name.submission_id, name.row_index)
    return (record * _RUNS_BOUND + name.run) * _ENTRIES_BOUND + name.entry


def charge_name(identity: int) -> ChargeName:
    """Return the name of the charge with that number."""
    rest, entry = divmod(identity, _ENTRIES_BOUND)
    rest, run = divmod(rest, _RUNS_BOUND)
    submission_id, row_index = divmod(rest, _ROWS_BOUND)
    return ChargeName(submission_id, row_index, run, entry)


class _TextElements(msgspec.Struct):
    data: list[str]


class _ObjectElements(msgspec.Struct):
    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_ROWS = msgspec.json.Decoder(_TextElements)
_OBJECTS = msgspec.json.Decoder(_ObjectElements)
_RAW_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_ANY = msgspec.json.Decoder()
_LIST_FIRST = re.compile(rb'\s*\{\s*"data"\s*:\s*\[')
_DATA = re.compile(rb'"(?:d|\\u0064)(?:a|\\u0061)(?:t|\\u0074)(?:a|\\u0061)"')

_WHITE_SPACE = re.compile(r"[ \t\n\r]*")


def read_elements(body: bytes, route: Route, *, rows_max: int) -> Elements:
    """Return the elements of ``body``; raise ``BadRequest`` with every fault of its shape."""
    try:
        return _read_elements(body, route, rows_max)
    except BadRequest:
        short = shortened(body) if route == "multi" and is_too_deep(body) else None
        if short is None or not short.elements:
            raise
    found = _read_elements(short.body, route, rows_max)  # the deep ones are refused later, each on its own
    return Elements(short.restored(found.texts), found.unreadable, are_objects=True)


def _read_elements(body: bytes, route: Route, rows_max: int) -> Elements:
    elements = _read_rows(body, rows_max) if route == "rows" else _read_objects(body, route, rows_max)
    if body.count(b"[") + body.count(b"{") > len(elements.texts) + 2:  # most bodies: the object, the list, its objects
        _check_nesting(body)
    return elements


def refuse_second_data(body: bytes, route: Route) -> None:
    """Raise ``BadRequest`` if a body that ``read_elements`` has read names ``data`` twice: it would take the last one.

    Separate from reading, so that a body which was accepted is always read as it was then. Almost every body
    begins with the list that was read and has no other, which takes microseconds to find.
    """
    if route != "single" and body.count(b"[") == 1 and _LIST_FIRST.match(body):
        return
    if _count_of_data(body) <= 1:
        return
    if route == "multi" and is_too_deep(body):
        body = shortened(body).body
    names = _count_of_data(body)
    if names <= 1 or names - _count_of_data(_last_data(body)) <= 1:
        return
    members = _PAIRS.decode(body.decode())  # those of the outermost object
    if [name for name, _ in members].count("data") > 1:
        _refuse(Code.DATA_TWICE, "the body has the member 'data' twice; send it once", field="data")


def _count_of_data(text: bytes) -> int:
    """Return how often a text may have ``data`` as a name. A letter of it may be written as an escape."""
    return len(_DATA.findall(text)) if b"\\u00" in text else text.count(b'"data"')


def _last_data(body: bytes) -> bytes:
    """Return the text of the list or object that a body has as ``data``, within which the name means nothing."""
    try:
        found = _OBJECTS.decode(body).data
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return b""
    return b"" if found is msgspec.UNSET else bytes(found)


def read_element(body: bytes, route: Route) -> str:
    """Return the one element of ``body`` that takes the place of a row which came by ``route``.

    Raises ``BadRequest`` for what is no such element, and for characters that are no text: a row that holds them would
    be refused for certain.
    """
    document = _parse(body)
    if not isinstance(document, dict):
        _refuse(Code.BODY_NOT_AN_OBJECT, "the body must be a JSON object with the member 'data'")
    if set(document) != {"data"}:
        _refuse(Code.NO_RECORD, "the body has one member, 'data': the row", field="data")
    refuse_second_data(body, "single")
    data, wanted = document["data"], str if route == "rows" else dict
    _check_nesting(body)
    if not isinstance(data, wanted):
        _refuse(Code.ELEMENT_OF_WRONG_TYPE, f"'data' must be {_kind(wanted())}, not {_kind(data)}", field="data")
    if not _is_text(data):
        _refuse(Code.TEXT_NOT_STORABLE, "'data' holds a NUL or half of a surrogate pair", field="data")
    return data if isinstance(data, str) else _object_elements(body, "single")[0]


def _is_text(data: object) -> bool:
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    return is_storable(text)


def _read_rows(body: bytes, rows_max: int) -> Elements:
    unreadable: list[int] = []
    try:
        texts = _ROWS.decode(body).data
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        texts, unreadable = _read_rows_slowly(body)
    _check_count(len(texts), rows_max)
    return Elements(texts, unreadable, are_objects=False)


def _read_rows_slowly(body: bytes) -> tuple[list[str], list[int]]:
    """Find out what is wrong; halves of surrogate pairs alone are the row's fault, not the request's."""
    document = _parse(body)
    if not isinstance(document, dict):
        _refuse(Code.BODY_NOT_AN_OBJECT, "the body must be a JSON object with the member 'data'")
    if "data" not in document:
        _refuse(Code.NO_RECORD, "the member 'data' is missing", field="data")
    data = document["data"]
    if not isinstance(data, list):
        _refuse(Code.DATA_NOT_A_LIST, "'data' must be a list of strings", field="data")
    wrong = [
        _wrong_element(row, "a string", element) for row, element in enumerate(data, 1) if not isinstance(element, str)
    ]
    if wrong:
        raise BadRequest(faults=wrong)
    unreadable = [row for row, element in enumerate(data, 1) if readable(element) != element]
    return [readable(element) for element in data], unreadable


def _read_objects(body: bytes, route: Route, rows_max: int) -> Elements:
    texts = _object_elements(body, route)
    _check_count(len(texts), rows_max)
    if route == "single" and len(texts) > 1:
        message = f"this route takes one record, not {len(texts)}; send many to Json/Multi"
        _refuse(Code.MORE_THAN_ONE_RECORD, message, field="data")
    wrong = [
        _wrong_element(row, "an object", _parse(text)) for row, text in enumerate(texts, 1) if not text.startswith("{")
    ]
    if wrong:
        raise BadRequest(faults=wrong)
    return Elements(texts, [], are_objects=True)


def _object_elements(body: bytes, route: Route) -> list[str]:
    """Return the JSON text of each element, as it was sent."""
    try:
        _ANY.decode(body)  # the raw members below are skipped over, not checked
        return _wrapped_elements(body, route)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _object_elements_slowly(body, route)


def _wrapped_elements(body: bytes, route: Route) -> list[str]:
    try:
        wrapped = _OBJECTS.decode(body)
    except msgspec.ValidationError:
        _refuse(Code.BODY_NOT_AN_OBJECT, "the body must be a JSON object")
    if wrapped.data is msgspec.UNSET:
        return _bare_element(body.decode(), route, empty=not _ANY.decode(body))
    data = bytes(wrapped.data).strip()
    if not data.startswith(b"["):
        return _only_element(data.decode(), route)
    return [bytes(raw).strip().decode() for raw in _RAW_LIST.decode(data)]


def _object_elements_slowly(body: bytes, route: Route) -> list[str]:
    """Find out what is wrong; half a surrogate pair or a number beyond any float is the row's fault alone."""
    document = _parse(body)
    if not isinstance(document, dict):
        _refuse(Code.BODY_NOT_AN_OBJECT, "the body must be a JSON object")
    text = body.decode().strip()
    members = dict(_parts(text))
    if "data" not in members:
        return _bare_element(text, route, empty=not members)
    data = members["data"]
    if not data.startswith("["):
        return _only_element(data, route)
    return [part for _, part in _parts(data)]


def _bare_element(text: str, route: Route, *, empty: bool) -> list[str]:
    """Return the body itself as the one record, where the route takes that."""
    if route != "single":
        _refuse(Code.NO_RECORD, "the member 'data' is missing", field="data")
    if empty:
        _refuse(Code.NO_RECORD, "the body holds no record", field="data")
    return [text.strip()]


def _only_element(data: str, route: Route) -> list[str]:
    """Return ``data``, which is no list, as the one record, where the route takes that."""
    if route != "single" or not data.startswith("{"):
        _refuse(Code.DATA_NOT_A_LIST, "'data' must be a list of objects", field="data")
    if not data[1:-1].strip():
        _refuse(Code.NO_RECORD, "'data' is empty: a request carries at least one record", field="data")
    return [data]


def _parts(text: str) -> list[tuple[str, str]]:
    """Return the JSON text of each member of an object, with its name, or of each element of a list.

    ``text`` is known to be JSON. Nothing is made of the values, so that each part stays as it was sent.
    """
    parts = []
    at = _skip_space(text, 1)
    while text[at] not in "}]":
        name = ""
        if text[0] == "{":
            name, at = _DECODER.raw_decode(text, at)
            at = _skip_space(text, _skip_space(text, at) + len(":"))
        _, end = _DECODER.raw_decode(text, at)
        parts.append((name, text[at:end]))
        at = _skip_space(text, end)
        if text[at] == ",":
            at = _skip_space(text, at + len(","))
    return parts


def _skip_space(text: str, at: int) -> int:
    match = _WHITE_SPACE.match(text, at)
    return match.end() if match else at


def _check_nesting(body: bytes) -> None:
    """Reject a body that no reader should follow."""
    if is_too_deep(body):
        _refuse(Code.BODY_NOT_JSON, f"the body is {TOO_DEEP}")


def _check_count(rows: int, rows_max: int) -> None:
    if rows == 0:
        _refuse(Code.NO_RECORD, "'data' is empty: a request carries at least one record", field="data")
    if rows > rows_max:
        _refuse(Code.TOO_MANY_ROWS, f"'data' has {rows} rows, at most {rows_max} fit one request", field="data")


def _parse(text: bytes | str) -> Any:  # noqa: ANN401 -- any JSON value
    """Return what ``text`` holds, every number as 0; raise ``BadRequest`` if it is not JSON."""
    try:
        return _DECODER.decode(text if isinstance(text, str) else text.decode())
    except (ValueError, RecursionError) as error:
        reason = TOO_DEEP if isinstance(error, RecursionError) else str(error)
        raise BadRequest(f"the body is not JSON: {reason}", code=Code.BODY_NOT_JSON) from error


def _some_number(_digits: str) -> int:
    """Stand for any number: no float holds them all, and none is needed here."""
    return 0


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value")


_PAIRS = json.JSONDecoder(
    parse_float=_some_number, parse_int=_some_number, parse_constant=_no_constant, object_pairs_hook=list
)
_DECODER = json.JSONDecoder(parse_float=_some_number, parse_int=_some_number, parse_constant=_no_constant)


def _refuse(code: int, message: str, *, field: str | None = None) -> NoReturn:
    raise BadRequest(faults=[Fault(code, message, field=field)])


def _wrong_element(row: int, wanted: str, element: object) -> Fault:
    message = f"row {row} must be {wanted}, not {_kind(element)}"
    return Fault(Code.ELEMENT_OF_WRONG_TYPE, message, row=row, field="data")


def _kind(element: object) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(element), "a number")
