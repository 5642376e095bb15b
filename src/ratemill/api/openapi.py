"""The description of the whole API for machines: what FastAPI finds, with the envelopes and errors that really come."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ratemill.api.characteristics.envelope import LOGIN, LOGOUT, PREFIX
from ratemill.api.http.paths import RESOURCES
from ratemill.api.setup import schemas as setup_schemas
from ratemill.api.subscriptions import envelope as subscription_envelope
from ratemill.api.subscriptions import schemas as subscription_schemas
from ratemill.api.subscriptions.imports import JSON_LINES

Json = dict[str, Any]

BEARER, SESSION = "bearer", "session"
ABOUT = """Usage in by API, mediated and rated, every record accounted for.

Under `/ResourceServer/api/` the versions v6, v7 and v8 are alike, but that the `Json` routes came with v7; letter case and a
slash at the end make no difference. A path that is not here is 404, a method that is not here is 405 with `Allow`. Before
`/api/` the name of an instance may stand."""

_ERROR: Json = {
    "type": "object",
    "required": ["trackingId", "type", "errors"],
    "properties": {
        "trackingId": setup_schemas.TRACKING_ID,
        "type": {"enum": ["get", "create", "update", "patch", "delete", "sendMessage"]},
        "errors": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["code", "message"],
                "properties": {
                    "code": {"type": "integer"},
                    "message": {"type": "string"},
                    "row": {"type": "integer", "minimum": 1},
                    "field": {"type": "string"},
                },
            },
        },
    },
}
_OBJECT: Json = {"type": "object"}
_TROUBLES: Json = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["code", "message", "property"],
        "properties": {
            "code": {"type": "string"},
            "message": {"type": "string"},
            "property": {"type": "string", "description": "The path of the member at fault; empty: the whole."},
        },
    },
}
_HEALTH: Json = {
    "type": "object",
    "required": ["status"],
    "properties": {
        "status": {"type": "string"},
        "message": {"type": "string"},
        "workers": setup_schemas.COUNT,
        "workerSeenSecondsAgo": {"type": ["number", "null"]},
        "rowsWaiting": setup_schemas.COUNT,
        "rowsCountedSecondsAgo": {"type": "number"},
    },
}

_MEANINGS = {
    400: "The request is wrong: every fault at once.",
    401: "No token, or one that is wrong, revoked or expired.",
    403: "The token lacks the right.",
    404: "There is no such object, or it is another owner's.",
    409: "The state of the thing does not allow it.",
    412: "It has changed since the ETag of If-Match.",
    413: "The body is over the limit.",
    415: "The body is not JSON.",
    422: "The Idempotency-Key came with another request before.",
    500: "We failed, or the database does not answer.",
    429: "Over the backlog bound; Retry-After says when to try again.",
    503: "The database does not answer; Retry-After says when to try again.",
}
_HEALTH_PATHS = ("/livez", "/readyz", "/healthz")
_OPEN = (*_HEALTH_PATHS, "/AuthorizationServer", "/oauth", "/api/security")  # paths that need no token
_IMPORTS = (f"{RESOURCES}/DataImport/Usage/", f"{RESOURCES}/internal/DataImport/Usage/")
_BODIES = ("post", "put", "patch")


def finish(description: Json) -> Json:
    """Add to FastAPI's description what it cannot know; take out the answers that never come."""
    description["info"]["description"] = ABOUT
    components = description.setdefault("components", {})
    components["securitySchemes"] = {
        BEARER: {"type": "http", "scheme": "bearer"},
        SESSION: {"type": "apiKey", "in": "header", "name": "X-AlliantSession"},
    }
    schemas = components.get("schemas", {})
    known = {name: each for name, each in schemas.items() if name not in ("HTTPValidationError", "ValidationError")}
    components["schemas"] = {
        "error": _ERROR,
        "refused": _result_envelope({"type": "null"}),
        "subscription_errors": subscription_schemas.ERRORS,
        **setup_schemas.components(),
        **known,
    }
    description["security"] = [{BEARER: []}]
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            _finish_of(path)(path, method, operation)
    return description


def _finish_of(path: str) -> Callable[[str, str, Json], None]:
    if path.startswith(subscription_envelope.PREFIX):
        return _finish_subscription
    return _finish_result if path.startswith(PREFIX) else _finish


def _finish_subscription(path: str, method: str, operation: Json) -> None:
    """Do the same for a call of subscriptions."""
    answers = operation["responses"]
    answers.pop("422", None)
    if "204" in answers:
        answers["204"] = {"description": "Done."}
    elif path.endswith("/refused"):
        answers["200"] = {"description": "Done.", "content": {JSON_LINES: {"schema": {"type": "string"}}}}
    else:
        schema = subscription_schemas.answer(path, method)
        answers["201" if "201" in answers else "200"] = _answer("Done.", schema)
    for status in subscription_schemas.statuses(path, method):
        answers[str(status)] = _answer(_MEANINGS[status], {"$ref": "#/components/schemas/subscription_errors"})


def _finish_result(path: str, method: str, operation: Json) -> None:
    """Do the same for a call whose answers have the envelope of a result."""
    answers = operation["responses"]
    answers.pop("422", None)
    done = answers["201" if "201" in answers else "200"]
    done["description"] = "Done."
    done["content"] = {"application/json": {"schema": _result_envelope({})}}
    for status in _result_errors(path, method, operation):
        answers[str(status)] = _answer(_MEANINGS[status], {"$ref": "#/components/schemas/refused"})
    is_open = path.startswith(_OPEN) and path != LOGOUT
    operation["security"] = [] if is_open else [{BEARER: []}, {SESSION: []}]


def _result_errors(path: str, method: str, operation: Json) -> list[int]:
    statuses = [400, 500]
    if path == LOGIN:
        statuses.append(401)
    elif not path.startswith(_OPEN) or path == LOGOUT:
        statuses.append(403)
    if "{" in path:
        statuses.append(404)
    if method != "get" and not path.startswith(_OPEN):
        statuses.append(409)
    if "application/json" in operation.get("requestBody", {}).get("content", {}):
        statuses.append(415)
    if "Idempotency-Key" in [each["name"] for each in operation.get("parameters", ())]:
        statuses.append(422)
    return statuses


def _result_envelope(result: Json) -> Json:
    flag = {"type": "boolean"}
    members = {"result": result, "errors": _TROUBLES, "warnings": _TROUBLES, "hasErrors": flag, "hasWarnings": flag}
    return {"type": "object", "required": list(members), "properties": members}


def _finish(path: str, method: str, operation: Json) -> None:
    answers = operation["responses"]
    if "HTTPValidationError" in str(answers.get("422")):
        del answers["422"]
    done = answers["200"]["content"]["application/json"]
    if not done.get("schema"):
        answers["200"]["description"] = "Done."
        done["schema"] = _success(path, method)
    if path in _HEALTH_PATHS:
        answers["503"] = _answer("The database does not answer, or (of `/healthz`) no worker runs.", _HEALTH)
        operation["security"] = []
        return
    for status in _errors(path, method, operation):
        answers.setdefault(str(status), _answer(_MEANINGS[status], {"$ref": "#/components/schemas/error"}))
    if path.startswith(_OPEN):
        operation["security"] = []


def _errors(path: str, method: str, operation: Json) -> list[int]:
    statuses = [400, 401, 503]
    if not path.startswith(_OPEN):
        statuses.append(403)
    if "{" in path or method == "patch":
        statuses.append(404)
    if method in _BODIES and "application/json" in operation.get("requestBody", {}).get("content", {}):
        statuses += [413, 415]
    if path.startswith(_IMPORTS) and method == "post":
        statuses += [409, 422, 429]
    elif method == "post" and path.endswith(("/Resubmit", "/WriteOff")):
        statuses.append(409)
    if "If-Match" in [each["name"] for each in operation.get("parameters", ())]:
        statuses.append(412)
    return sorted(statuses)


def _success(path: str, method: str) -> Json:
    if path in _HEALTH_PATHS:
        return _HEALTH
    if path.startswith(_OPEN):
        return _OBJECT
    if method != "get":
        return setup_schemas.write_envelope(_OBJECT)
    if path.endswith("/Paged"):
        return setup_schemas.page_envelope(_OBJECT)
    if path.endswith(("}", "/Lint")):
        return setup_schemas.one_envelope(_OBJECT)
    return setup_schemas.list_envelope(_OBJECT)


def _answer(about: str, schema: Json) -> Json:
    return {"description": about, "content": {"application/json": {"schema": schema}}}
