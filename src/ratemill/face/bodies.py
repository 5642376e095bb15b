"""Request bodies: read as bytes, never more than the limit, and only of the dialect's media type."""

from __future__ import annotations

from starlette.requests import Request

from ratemill.errors import BodyTooLarge, WrongMediaType


async def read_json_body(request: Request) -> bytes:
    """Return the body of a JSON call; raise ``WrongMediaType`` or, as soon as it is known, ``BodyTooLarge``."""
    media_type = request.headers.get("content-type")
    if media_type is not None and media_type.split(";")[0].strip().lower() != "application/json":
        raise WrongMediaType(f"the body must be application/json, not {media_type}")
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
