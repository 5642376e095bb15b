"""JSON schemas of the calls under ``/v2/subscriptions``: imports, their errors, the five kinds of object, lists."""

from __future__ import annotations

from typing import Any

from ratemill.subscription_objects import ObjectKind

Schema = dict[str, Any]

_ID: Schema = {"type": "string", "format": "uuid"}
_TIME: Schema = {"type": "string", "format": "date-time"}
_TEXT: Schema = {"type": "string"}
_COUNT: Schema = {"type": "integer", "minimum": 0}


def _object(required: list[str], **properties: Schema) -> Schema:
    return {"type": "object", "required": required, "properties": properties}


def _list(of: Schema) -> Schema:
    return {"type": "array", "items": of}


_COUNTS = _object([kind.wire for kind in ObjectKind], **{kind.wire: _COUNT for kind in ObjectKind})
_TIMES = _object(["created_at", "updated_at"], created_at=_TIME, updated_at=_TIME)

IMPORT = _object(
    ["id", "type", "attributes", "meta"],
    id=_ID,
    type={"const": "subscription_import"},
    attributes=_object(
        ["status"],
        external_ref={"type": "string", "maxLength": 2_048},
        status={"enum": ["pending", "started", "success", "failed"]},
    ),
    meta=_object(
        ["owner", "timestamps", "records"],
        owner={"enum": ["store", "organization"]},
        timestamps=_object(
            ["created_at", "updated_at"], created_at=_TIME, updated_at=_TIME, started_at=_TIME, finished_at=_TIME
        ),
        records=_object(["uploaded", "imported"], uploaded=_COUNTS, imported=_COUNTS),
    ),
)
IMPORT_ERROR = _object(
    ["id", "type", "meta"],
    id=_ID,
    type={"const": "subscription_import_error"},
    meta=_object(
        ["owner", "timestamps", "error", "field", "line_number"],
        owner=_TEXT,
        timestamps=_TIMES,
        error=_TEXT,
        field=_TEXT,
        line_number={"type": "integer", "minimum": 1},
        external_ref=_TEXT,
    ),
)
OBJECT = _object(
    ["id", "type", "attributes", "meta"],
    id=_ID,
    type={"enum": [kind.wire for kind in ObjectKind]},
    attributes={"type": "object"},
    meta=_object(["owner", "timestamps"], owner=_TEXT, timestamps=_TIMES),
)
ERRORS = _object(
    ["errors"],
    errors={
        "type": "array",
        "minItems": 1,
        "items": _object(["title", "status"], title=_TEXT, status=_TEXT, detail=_TEXT, meta={"type": "object"}),
    },
)
_LINK: Schema = {"type": ["string", "null"]}
_LINKS = ("current", "first", "last", "next", "prev")


def answer(path: str, method: str) -> Schema:
    """Return the schema of what a call answers that was carried out."""
    one = OBJECT
    if path.endswith("/errors"):
        one = IMPORT_ERROR
    elif path.startswith("/v2/subscriptions/imports"):
        one = IMPORT
    if method == "get" and not path.endswith("}"):
        links = _object(list(_LINKS), **dict.fromkeys(_LINKS, _LINK))
        return _object(["data", "links"], data=_list(one), links=links)
    return _object(["data"], data=one)


def statuses(path: str, method: str) -> list[int]:
    """Return the statuses of the errors of a call."""
    found = [400, 401, 403, 500]
    if "{" in path:
        found.append(404)
    if method != "get":
        found.append(409)
    return sorted(found)
