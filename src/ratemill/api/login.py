"""The three login routes, which turn a token's name and secret into a short token of the same rights; and the way out."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from ratemill.access.tokens import Session, close_session, open_session
from ratemill.api.characteristics import envelope as result_envelope
from ratemill.api.http.auth import secret_of
from ratemill.api.http.envelope import Json, reply
from ratemill.errors import BadRequest, NotFound, Unauthorized
from ratemill.visible import shown

router = APIRouter(tags=["Login"])

_LAYER = "default"  # the one system layer, and its one application layer


class Credentials(BaseModel):
    """Who logs in: name and secret, under the names that the dialects use."""

    username: str = ""
    userId: str = ""  # noqa: N815 -- as it is written on the wire
    client_id: str = ""
    password: str = ""
    client_secret: str = ""

    @property
    def name(self) -> str:
        """Return the token's name; a client_id beside a username names the program."""
        return self.username or self.userId or self.client_id

    @property
    def secret(self) -> str:
        """Return the token's secret."""
        return self.password or self.client_secret


class GrantCredentials(Credentials):
    """A form of OAuth."""

    grant_type: str = ""


@router.post("/AuthorizationServer/api/v7/Access/Login")
async def login_with_form(request: Request, given: Annotated[GrantCredentials, Form()]) -> Response:
    """Answer a form of username and password, or client_id and client_secret, with a bearer token."""
    if given.grant_type not in {"", "password", "client_credentials"}:
        raise BadRequest("grant_type must be 'password'")
    session = await _session(request, given.name, given.secret)
    issued = datetime.now(UTC)
    return reply(
        {
            **_bearer(session),
            "refresh_token": session.secret,
            "audience": given.client_id or given.name,
            ".issued": _http_date(issued),
            ".expires": _http_date(issued + timedelta(seconds=session.expires_in_s)),
            "actingOwnerId": session.principal.owner_id,
        },
    )


@router.post("/oauth/access_token")
async def login_with_client_credentials(request: Request, given: Annotated[GrantCredentials, Form()]) -> Response:
    """Answer OAuth client credentials with a bearer token."""
    if given.grant_type != "client_credentials":
        raise BadRequest("grant_type must be 'client_credentials'")
    session = await _session(request, given.name, given.secret)
    return reply(
        {
            **_bearer(session),
            "expires": int(datetime.now(UTC).timestamp()) + session.expires_in_s,
            "identifier": "client_credentials",
        },
    )


@router.post(result_envelope.LOGIN)
async def login_with_query_or_basic(request: Request, given: Annotated[Credentials, Query()]) -> Response:
    """Answer userId and password, in the query or by HTTP Basic, with a session."""
    name, secret = (given.name, given.secret) if given.name or given.secret else _basic(request)
    session = await _session(request, name, secret)
    expires = datetime.now(UTC) + timedelta(seconds=session.expires_in_s)
    text = expires.strftime("%Y-%m-%dT%H:%M:%S")
    return result_envelope.result({"token": session.secret, "expires": text, "expiresUtc": text})


@router.post(result_envelope.LOGOUT)
def logout(request: Request) -> Response:
    """End a session; a token that no login gave stays valid."""
    if not close_session(request.app.state.database, secret_of(request)):
        raise Unauthorized("there is no session to end")
    return result_envelope.result("Bye")


@router.get("/api/security/systemLayers")
def read_system_layers() -> Response:
    """Return the layers that a login may name; there is one."""
    return result_envelope.result([{"key": _LAYER, "displayName": _LAYER.capitalize()}])


@router.get("/api/security/systemLayers/{key}/applicationLayers")
def read_application_layers(key: str) -> Response:
    """Return the application layers of a layer; there is one."""
    if key.lower() != _LAYER:
        raise NotFound(f"there is no system layer '{shown(key)}'")
    return result_envelope.result([_LAYER])


async def _session(request: Request, name: str, secret: str) -> Session:
    state = request.app.state
    session = await run_in_threadpool(open_session, state.database, name, secret, state.settings.session_token_s)
    if session is None:
        raise Unauthorized("name and secret do not belong together, or the token is revoked or expired")
    state.token_uses.note(session.principal.token_id, session.principal.owner_id)
    return session


def _bearer(session: Session) -> Json:
    return {"access_token": session.secret, "token_type": "bearer", "expires_in": session.expires_in_s}


def _basic(request: Request) -> tuple[str, str]:
    scheme, _, coded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        name, _, secret = base64.b64decode(coded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return name, secret


def _http_date(instant: datetime) -> str:
    return instant.strftime("%a, %d %b %Y %H:%M:%S GMT")
