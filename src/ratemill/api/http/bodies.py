"""Request bodies: read as bytes, never more than the limit, and only of the dialect's media type."""

from __future__ import annotations

import json
import zlib
from typing import Any, NoReturn

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from ratemill.errors import BadRequest, Code, ContentTooLarge, UnsupportedMediaType
from ratemill.nesting import TOO_DEEP, is_too_deep
from ratemill.visible import shown


async def read_json_body(request: Request) -> bytes:
    """Return the body of a JSON call; raise ``UnsupportedMediaType`` or, as soon as it is known, ``ContentTooLarge``."""
    _check_encoding(request)
    return await _read(request, "application/json")


async def read_json_body_if_any(request: Request) -> bytes:
    """Return the body of a JSON call that may have none, blanks being none, whatever its media type then is."""
    _check_encoding(request)
    body = await _collect(request)
    if not body.strip():
        return b""
    _check_type(request, "application/json")
    return body


async def read_csv_body(request: Request) -> str:
    """Return the text of a CSV call, unpacked if it came as gzip; raise as ``read_json_body`` does, or ``BadRequest``."""
    body = await _read(request, "text/csv")
    encoding = _encoding(request)
    if encoding == "gzip":
        body = await run_in_threadpool(_unpack, body, request.app.state.settings.body_bytes_max)
    elif encoding != "identity":
        raise UnsupportedMediaType(f"the Content-Encoding may be gzip, not '{shown(encoding)}'")
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadRequest(f"the list is not UTF-8: {error.reason} at byte {error.start}") from error


def object_of(body: bytes) -> dict[str, Any]:
    """Return the members of a JSON object, numbers as the texts of their digits.

    Raises ``BadRequest`` for anything else, and for an object that names a member twice.
    """
    if is_too_deep(body):
        raise BadRequest(f"the body is {TOO_DEEP}", code=Code.BODY_NOT_JSON)
    try:
        asked = json.loads(
            body, parse_float=str, parse_int=str, parse_constant=_no_number, object_pairs_hook=_without_duplicates
        )
    except ValueError as error:
        raise BadRequest(f"the body is not JSON: {error}", code=Code.BODY_NOT_JSON) from error
    if not isinstance(asked, dict):
        raise BadRequest("the body must be a JSON object", code=Code.BODY_NOT_AN_OBJECT)
    return asked


def compared(value: object) -> str | list[str] | None:
    """Return what a comparison in a body of ``object_of`` compares with; raise ``ValueError``."""
    if isinstance(value, list):
        return [_scalar(each) for each in value]
    return None if value is None else _scalar(value)


def _scalar(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        raise ValueError("a value is a text, a number, true or false, or a list of these")  # noqa: TRY004 - of the sender
    return value


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        duplicate = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"duplicate key '{shown(duplicate)}'")
    return members


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


def _unpack(body: bytes, limit: int) -> bytes:
    """Return the content of one gzip member or of several, one after the other."""
    unpacked, packed = bytearray(), body
    while packed or not body:
        unpacking = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        try:
            unpacked += unpacking.decompress(packed, limit + 1 - len(unpacked))
        except zlib.error as error:
            at = len(body) - len(packed)
            what = f"the bytes from {at + 1} on are" if at else "the body is"
            raise BadRequest(f"{what} not gzip: {error}") from error
        if len(unpacked) > limit:
            _refuse(len(unpacked), limit)
        if not unpacking.eof:
            raise BadRequest("the body ends before its gzip does")
        packed = unpacking.unused_data
    return bytes(unpacked)


async def _read(request: Request, wanted: str) -> bytes:
    _check_type(request, wanted)
    return await _collect(request)


def _encoding(request: Request) -> str:
    return request.headers.get("content-encoding", "identity").strip().lower()


def _check_encoding(request: Request) -> None:
    encoding = _encoding(request)
    if encoding != "identity":
        raise UnsupportedMediaType(
            f"Content-Encoding '{shown(encoding)}' is not supported here: send the JSON uncompressed"
        )


def _check_type(request: Request, wanted: str) -> None:
    media_type = request.headers.get("content-type")
    if media_type is not None and media_type.split(";")[0].strip().lower() != wanted:
        raise UnsupportedMediaType(f"the body must be {wanted}, not {media_type}")


async def _collect(request: Request) -> bytes:
    limit: int = request.app.state.settings.body_bytes_max
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        _refuse(int(declared), limit)
    bodies, body = request.app.state.bodies, bytearray()
    held = int(declared) if declared.isdigit() else 0
    bodies.hold(request.scope, held)
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            _refuse(len(body), limit)
        if len(body) > held:
            bodies.hold(request.scope, len(body) - held)
            held = len(body)
    return bytes(body)


def _refuse(size: int, limit: int) -> None:
    raise ContentTooLarge(f"the body has {size} bytes or more, at most {limit} are taken")
