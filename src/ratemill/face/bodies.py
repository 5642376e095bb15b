"""Request bodies: read as bytes, never more than the limit, and only of the dialect's media type."""

from __future__ import annotations

import zlib

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from ratemill.errors import BadRequest, BodyTooLarge, WrongMediaType


async def read_json_body(request: Request) -> bytes:
    """Return the body of a JSON call; raise ``WrongMediaType`` or, as soon as it is known, ``BodyTooLarge``."""
    return await _read(request, "application/json")


async def read_csv_body(request: Request) -> str:
    """Return the text of a CSV call, unpacked if it came as gzip; raise as ``read_json_body`` does, or ``BadRequest``."""
    body = await _read(request, "text/csv")
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding == "gzip":
        body = await run_in_threadpool(_unpack, body, request.app.state.settings.body_bytes_max)
    elif encoding != "identity":
        raise WrongMediaType(f"the Content-Encoding may be gzip, not {encoding}")
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadRequest(f"the list is not UTF-8: {error.reason} at byte {error.start}") from error


def _unpack(body: bytes, limit: int) -> bytes:
    unpacking = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        unpacked = unpacking.decompress(body, limit + 1)
    except zlib.error as error:
        raise BadRequest(f"the body is not gzip: {error}") from error
    if len(unpacked) > limit:
        _refuse(len(unpacked), limit)
    if not unpacking.eof:
        raise BadRequest("the body ends before its gzip does")
    return unpacked


async def _read(request: Request, wanted: str) -> bytes:
    media_type = request.headers.get("content-type")
    if media_type is not None and media_type.split(";")[0].strip().lower() != wanted:
        raise WrongMediaType(f"the body must be {wanted}, not {media_type}")
    limit: int = request.app.state.settings.body_bytes_max
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        _refuse(int(declared), limit)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            _refuse(len(body), limit)
    return bytes(body)


def _refuse(size: int, limit: int) -> None:
    raise BodyTooLarge(f"the body has {size} bytes or more, at most {limit} are taken")
