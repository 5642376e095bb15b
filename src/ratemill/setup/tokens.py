"""Tokens: opaque random secrets, each of one owner and one role; a login gives a short one of the same rights."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

from ratemill.errors import BadRequest, NotAuthenticated, NotPermitted
from ratemill.names import name_fault
from ratemill.setup.owners import ensure, require
from ratemill.store import tokens
from ratemill.store.connections import Connection, Database

Right = Literal["read", "history", "import", "correct", "setup", "metrics", "admin"]
Role = Literal["read", "import", "correct", "setup", "metrics", "admin"]

# The rights of each role. An importer may follow the histories of its imports and read nothing else.
RIGHTS: dict[str, frozenset[Right]] = {
    "read": frozenset({"read", "history"}),
    "import": frozenset({"import", "history"}),
    "correct": frozenset({"read", "history", "correct"}),
    "setup": frozenset({"read", "history", "setup"}),
    "metrics": frozenset({"metrics"}),
    "admin": frozenset(get_args(Right)),
}
SECRET_BYTES = 32  # of randomness in a secret
SECRET_PREFIX = "rm_"  # noqa: S105 - no secret, but what says what a found one is for
TOKEN_REQUIRED = "a valid token is required: Authorization: Bearer SECRET"  # noqa: S105 -- a message


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls: the token's owner, its name and its role."""

    token_id: int
    owner_id: int
    name: str
    role: str

    @property
    def rights(self) -> frozenset[Right]:
        """What the caller may do."""
        return RIGHTS.get(self.role, frozenset())


@dataclass(frozen=True, slots=True)
class Session:
    """What a login gives."""

    secret: str
    expires_in_s: int
    principal: Principal


def create_token(
    database: Database,
    *,
    owner_name: str,
    role: str,
    name: str,
    expires_in_s: int | None = None,
    create_owner: bool = False,
) -> str:
    """Create a token and return its secret, which is not stored. Raise ``UnknownOwner``, or ``BadRequest``."""
    if role not in RIGHTS:
        raise BadRequest(f"unknown role '{role}'; known: {', '.join(RIGHTS)}")
    fault = name_fault(name)
    if fault is not None:
        raise BadRequest(f"the name of a token {fault}")
    secret = _new_secret()
    with database.worker() as connection:
        owner_id = ensure(connection, owner_name) if create_owner else require(connection, owner_name)
        tokens.insert(
            connection, owner_id=owner_id, name=name, role=role, digest=digest(secret), expires_in_s=expires_in_s
        )
    return secret


def authenticate(database: Database, secret: str) -> Principal | None:
    """Return who bears the secret, or None if it is unknown, revoked or expired."""
    if not secret:
        return None
    with database.stranger() as connection:
        found = tokens.authenticate(connection, digest(secret))
    return Principal(*found) if found else None


def enter(connection: Connection, secret: str) -> Callable[[], Principal | None]:
    """Let the transaction see the rows of the owner of whoever bears the secret; what is returned tells who that is."""
    answer = tokens.enter(connection, digest(secret))

    def principal() -> Principal | None:
        found = answer()
        return Principal(*found) if found else None

    return principal


def admit(principal: Principal | None, right: Right) -> Principal:
    """Return who calls; raise ``NotAuthenticated`` if that is nobody, ``NotPermitted`` if they lack the right."""
    if principal is None:
        raise NotAuthenticated(TOKEN_REQUIRED)
    if right not in principal.rights:
        message = f"the token '{principal.name}' ({principal.role}) may not do this: it needs the right '{right}'"
        raise NotPermitted(message)
    return principal


def open_session(database: Database, name: str, secret: str, expires_in_s: int) -> Session | None:
    """Return a new short token for the one with that name and secret, or None if they do not belong together."""
    principal = authenticate(database, secret)
    if principal is None or not secrets.compare_digest(principal.name.encode(), _bytes(name)):
        return None
    short = _new_secret()
    with database.face(principal.owner_id) as connection:
        tokens.remove_expired(connection, principal.owner_id)
        seconds = tokens.insert_session(
            connection, token_id=principal.token_id, digest=digest(short), expires_in_s=expires_in_s
        )
    return None if seconds is None else Session(short, seconds, principal)


def close_session(database: Database, secret: str) -> bool:
    """End the session of that secret; return False if it is nobody's. A token that no login gave stays as it is."""
    principal = authenticate(database, secret)
    if principal is None:
        return False
    with database.face(principal.owner_id) as connection:
        tokens.remove_session(connection, principal.token_id)
    return True


def digest(secret: str) -> bytes:
    """Return what is kept of a secret; one round is enough for 256 random bits."""
    return hashlib.sha256(_bytes(secret)).digest()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _new_secret() -> str:
    return SECRET_PREFIX + secrets.token_urlsafe(SECRET_BYTES)
