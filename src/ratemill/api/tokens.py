"""Tokens over HTTP, for an admin and of its own owner alone: listed, created, revoked."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from ratemill.access import tokens
from ratemill.access.tokens import Principal, TokenRequest
from ratemill.api.http import envelope, paging
from ratemill.api.http.auth import needs
from ratemill.api.http.bodies import read_json_body
from ratemill.api.http.envelope import Json
from ratemill.api.http.paths import RESOURCES
from ratemill.errors import BadRequest, Code, Fault
from ratemill.nesting import TOO_DEEP, is_too_deep
from ratemill.periods import read_instant, write_instant
from ratemill.store.tokens import Token
from ratemill.visible import shown

router = APIRouter(prefix=RESOURCES, tags=["Tokens"])

Admin = Annotated[Principal, Depends(needs("admin"))]

_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["name", "role"],
                    "properties": {
                        "name": {"type": "string", "maxLength": 255},
                        "role": {"type": "string", "enum": list(tokens.RIGHTS)},
                        "expires": {"type": "string", "description": "A date or time; by default a year from now."},
                        "never": {"type": "boolean", "description": "It does not expire."},
                        "udrFeedNames": {"type": "array", "items": {"type": "string"}},
                    },
                }
            }
        },
    }
}


def token_instance(token: Token) -> Json:
    """Return a token as the wire shows it; its secret is shown once, when it is created."""
    return {
        "identity": token.token_id,
        "ownerId": token.owner_id,
        "ownerName": token.owner_name,
        "name": token.name,
        "role": token.role,
        "udrFeedNames": token.feed_names,
        "loginOf": token.login_of,
        "state": tokens.state_of(token),
        "createdBy": token.created_by,
        "created": write_instant(token.created_at),
        "lastUsed": _instant(token.used_at),
        "expires": _instant(token.expires_at),
        "revoked": _instant(token.revoked_at),
    }


@router.get("/Token/Paged", openapi_extra=paging.described({}))
def read_tokens(request: Request, principal: Admin) -> Response:
    """Return a page of the owner's tokens and those of their logins, the newest first."""
    asked, _ = paging.read_page(request, {})
    shown = tokens.page_of_tokens(request.app.state.database, principal.owner_id, asked)
    return envelope.reply(envelope.paged(shown, asked, token_instance))


@router.post("/Token", openapi_extra=_BODY)
async def create_token(request: Request, principal: Admin) -> Response:
    """Create a token of the caller's owner; the answer alone has its secret."""
    paging.read_query(request)
    wanted = _read(await read_json_body(request))
    made, secret = await run_in_threadpool(tokens.add_own_token, request.app.state.database, principal, wanted)
    shown = {**token_instance(made), "secret": secret}
    return envelope.reply(envelope.write("create", [_item("created", shown)]))


@router.delete("/Token/{number}")
def revoke_token(number: str, request: Request, principal: Admin) -> Response:
    """Revoke a token of the caller's owner and its logins; it stays in the list."""
    paging.read_query(request)
    token_id = envelope.number_in_path(number)
    database = request.app.state.database
    gone = tokens.revoke_own_token(database, principal.owner_id, token_id, revoked_by=principal.name)
    return envelope.reply(envelope.write("delete", [_item("deleted", token_instance(gone))]))


def _item(action: str, instance: Json) -> Json:
    return {**instance, "action": action, "dtoTypeKey": "token", "instance": instance}


def _instant(instant: datetime | None) -> str | None:
    return None if instant is None else write_instant(instant)


def _read(body: bytes) -> TokenRequest:
    """Return the token that a body describes; raise ``BadRequest`` with every fault."""
    if is_too_deep(body):
        raise BadRequest(f"the body is {TOO_DEEP}", code=Code.BODY_NOT_JSON)
    try:
        members = json.loads(body)
    except ValueError as error:
        raise BadRequest(f"the body is not JSON: {error}", code=Code.BODY_NOT_JSON) from error
    if not isinstance(members, dict):
        raise BadRequest("the body must be a JSON object", code=Code.BODY_NOT_AN_OBJECT)
    known = {"name": str, "role": str, "expires": str, "never": bool, "udrFeedNames": list}
    faults = [
        Fault(Code.MEMBER_UNKNOWN, f"unknown member; this call accepts {', '.join(known)}", field=name)
        for name in members
        if name not in known
    ]
    faults += [
        Fault(Code.VALUE_NOT_VALID, f"{name} must be {_WORDS[kind]}", field=name)
        for name, kind in known.items()
        if members.get(name) is not None and not isinstance(members[name], kind)
    ]
    faults += [
        Fault(Code.MEMBER_REQUIRED, f"{name} is required", field=name)
        for name in ("name", "role")
        if members.get(name) is None
    ]
    feeds = members.get("udrFeedNames")
    if isinstance(feeds, list) and not (feeds and all(isinstance(feed, str) for feed in feeds)):
        faults.append(Fault(Code.VALUE_NOT_VALID, "udrFeedNames must name one feed or more", field="udrFeedNames"))
    if members.get("never") is True and members.get("expires") is not None:
        faults.append(Fault(Code.VALUE_NOT_VALID, "expires and never exclude each other", field="never"))
    expires = members.get("expires")
    expires_at = _read_time(expires, faults) if isinstance(expires, str) else None
    if faults:
        raise BadRequest(faults=faults)
    never = members.get("never") is True
    return TokenRequest(
        members["name"], members["role"], expires_at, never_expires=never, feed_names=tuple(feeds or ())
    )


_WORDS = {str: "a text", bool: "true or false", list: "a list of names"}


def _read_time(text: str, faults: list[Fault]) -> datetime | None:
    try:
        return read_instant(text)
    except (ValueError, OverflowError):
        message = f"expires must be a date or time such as 2027-01-31, got '{shown(text)}'"
        faults.append(Fault(Code.VALUE_NOT_VALID, message, field="expires"))
        return None
