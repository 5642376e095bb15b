"""Tokens: opaque random secrets, each of one owner and one role; a login gives a short one of the same rights.

A token is listed and revoked on the machine, where all owners' tokens are, or over HTTP by an admin of its own owner.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Literal, get_args

from ratemill import logs
from ratemill.access.names import name_fault
from ratemill.access.owners import ensure, require
from ratemill.errors import BadRequest, Code, Fault, Forbidden, NotFound, Unauthorized
from ratemill.pages import Page, Paging
from ratemill.periods import write_instant
from ratemill.store import owners, tokens
from ratemill.store.connections import Connection, Database, clock
from ratemill.store.setup import feeds
from ratemill.store.tokens import Token
from ratemill.visible import shown

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
EXPIRY_DAYS = 365  # unless another is given: a forgotten token ends one day
TOKEN_REQUIRED = "a valid token is required: Authorization: Bearer SECRET"  # noqa: S105 -- a message

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls: the token's owner, its name and its role; ``feed_ids`` are the feeds it is bound to, if it is."""

    token_id: int
    owner_id: int
    name: str
    role: str
    feed_ids: tuple[int, ...] | None = None

    @property
    def rights(self) -> frozenset[Right]:
        """What the caller may do."""
        return RIGHTS.get(self.role, frozenset())

    def may_use(self, feed_id: int | None) -> bool:
        """Return whether the caller may use a feed; None is an unknown feed."""
        return self.feed_ids is None or feed_id in self.feed_ids


@dataclass(frozen=True, slots=True)
class Session:
    """What a login gives."""

    secret: str
    expires_in_s: int
    principal: Principal


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A token to create: without ``expires_at`` it ends after a year, unless it ``never_expires``."""

    name: str
    role: str
    expires_at: datetime | None = None
    never_expires: bool = False
    feed_names: tuple[str, ...] = field(default=())


def create_token(database: Database, *, owner_name: str, role: str, name: str, expires_in_s: int | None = None) -> str:
    """Create a token, by default one that never expires, and return its secret. Raise as ``add_token`` does."""
    expires_at = None if expires_in_s is None else datetime.now(UTC) + timedelta(seconds=expires_in_s)
    wanted = TokenRequest(name, role, expires_at, never_expires=expires_at is None)
    return add_token(database, owner_name, wanted, created_by="")[1]


def add_token(
    database: Database, owner_name: str, wanted: TokenRequest, *, created_by: str, create_owner: bool = False
) -> tuple[Token, str]:
    """Create a token of an owner; return it, and its secret, which is not stored. Raise ``UnknownOwner``, ``BadRequest``."""
    _check(wanted)
    with database.worker() as connection:
        owner_id = ensure(connection, owner_name) if create_owner else require(connection, owner_name)
        return _add(connection, owner_id, wanted, created_by=created_by, latest=None)


def add_own_token(database: Database, creator: Principal, wanted: TokenRequest) -> tuple[Token, str]:
    """Create a token of the caller's owner, which does not outlive the caller's. Raise ``BadRequest``."""
    _check(wanted)
    with database.face(creator.owner_id) as connection:
        latest = tokens.first_expiry(connection, creator.token_id)
        return _add(connection, creator.owner_id, wanted, created_by=creator.name, latest=latest)


def list_tokens(database: Database, owner_name: str | None = None) -> list[Token]:
    """Return the tokens of all owners, or of one; each is followed by those of its logins."""
    with database.worker() as connection:
        return tokens.listed(connection, None if owner_name is None else require(connection, owner_name))


def page_of_tokens(database: Database, owner_id: int, paging: Paging) -> Page[Token]:
    """Return a page of the tokens of an owner, the newest first."""
    with database.reader(owner_id) as connection:
        return tokens.page(connection, owner_id, paging)


def revoke_tokens(database: Database, token_ids: list[int], *, revoked_by: str) -> int:
    """Revoke tokens of any owner and their logins, which end immediately; return how many were valid."""
    with database.worker() as connection:
        count = tokens.revoke(connection, token_ids)
    log.info("tokens_revoked", tokens=token_ids, by=revoked_by)
    return count


def revoke_own_token(database: Database, owner_id: int, token_id: int, *, revoked_by: str) -> Token:
    """Revoke a token of an owner and its logins; return it as it is now. Raise ``NotFound``."""
    with database.face(owner_id) as connection:
        found = tokens.find(connection, token_id)
        if found is not None:
            tokens.revoke(connection, [token_id])
            found = tokens.find(connection, token_id)
    if found is None:
        raise NotFound(f"no token with id {token_id}", code=Code.OBJECT_NOT_FOUND)
    log.info("tokens_revoked", tokens=[token_id], by=revoked_by)
    return found


def state_of(token: Token) -> str:
    """Return whether a token is valid, revoked or expired."""
    if token.revoked_at is not None:
        return "revoked"
    return "expired" if token.is_expired else "valid"


def _check(wanted: TokenRequest) -> None:
    faults = []
    if wanted.role not in RIGHTS:
        faults.append(_fault("role", f"role must be one of {', '.join(RIGHTS)}, got '{shown(wanted.role)}'"))
    elif wanted.feed_names and wanted.role != "import":
        faults.append(
            _fault("udrFeedNames", f"only a token of the role import may be bound to feeds, got '{shown(wanted.role)}'")
        )
    fault = name_fault(wanted.name)
    if fault is not None:
        faults.append(_fault("name", f"the name of a token {fault}"))
    if faults:
        raise BadRequest(faults=faults)


def _fault(member: str, message: str) -> Fault:
    return Fault(Code.VALUE_NOT_VALID, message, field=member)


def _add(
    connection: Connection, owner_id: int, wanted: TokenRequest, *, created_by: str, latest: datetime | None
) -> tuple[Token, str]:
    secret = _new_secret()
    token_id = tokens.insert(
        connection,
        owner_id=owner_id,
        name=wanted.name,
        role=wanted.role,
        digest=digest(secret),
        expires_at=_expiry(connection, wanted, latest),
        feed_ids=_feed_ids(connection, owner_id, wanted.feed_names) if wanted.feed_names else None,
        created_by=created_by,
    )
    found = tokens.find(connection, token_id)
    if found is None:
        raise LookupError(f"the new token {token_id} cannot be read")
    log.info("token_created", token=token_id, owner=found.owner_name, role=found.role, by=created_by)
    return found, secret


def _expiry(connection: Connection, wanted: TokenRequest, latest: datetime | None) -> datetime | None:
    """Return when a new token expires; ``latest`` is when the creator's does, if it does."""
    now = clock(connection)
    if wanted.expires_at is None and not wanted.never_expires:
        year = now + timedelta(days=EXPIRY_DAYS)
        return year if latest is None else min(year, latest)
    if wanted.expires_at is not None and wanted.expires_at <= now:
        raise BadRequest(
            faults=[_fault("expires", f"expires must be in the future, got {write_instant(wanted.expires_at)}")]
        )
    if latest is not None and (wanted.expires_at is None or wanted.expires_at > latest):
        ends = "never" if wanted.expires_at is None else write_instant(wanted.expires_at)
        message = f"expires must not be after {write_instant(latest)}, when your own token expires, got {ends}"
        raise BadRequest(faults=[_fault("expires", message)])
    return wanted.expires_at


def _feed_ids(connection: Connection, owner_id: int, names: tuple[str, ...]) -> list[int]:
    owners.enter(connection, owner_id)
    found = {name: feeds.find(connection, name)() for name in names}
    unknown = [name for name, feed in found.items() if feed is None]
    if unknown:
        raise BadRequest(faults=[_fault("udrFeedNames", f"unknown usage feed '{shown(name)}'") for name in unknown])
    return sorted({feed.feed_id for feed in found.values() if feed is not None})


def authenticate(database: Database, secret: str) -> Principal | None:
    """Return who bears the secret, or None if it is unknown, revoked or expired."""
    if not secret:
        return None
    with database.stranger() as connection:
        found = tokens.authenticate(connection, digest(secret))
    return Principal(*found) if found else None


def enter(connection: Connection, secret: str) -> Callable[[], Principal | None]:
    """Let the transaction see the rows of the owner of the secret; what is returned tells who that is."""
    answer = tokens.enter(connection, digest(secret))

    def principal() -> Principal | None:
        found = answer()
        return Principal(*found) if found else None

    return principal


def admit(principal: Principal | None, right: Right) -> Principal:
    """Return who calls; raise ``Unauthorized`` if the caller is unknown, ``Forbidden`` if they lack the right."""
    if principal is None:
        raise Unauthorized(TOKEN_REQUIRED)
    if right not in principal.rights:
        message = (
            f"the token '{shown(principal.name)}' ({principal.role}) may not do this: it needs the right '{right}'"
        )
        raise Forbidden(message)
    return principal


def admit_to_feed(principal: Principal, feed_id: int | None, name: str) -> None:
    """Raise ``Forbidden`` if the token is bound to other feeds; the answer is the same for a feed that is unknown."""
    if not principal.may_use(feed_id):
        raise Forbidden(f"the token '{shown(principal.name)}' is bound to other feeds than '{shown(name)}'")


def open_session(database: Database, name: str, secret: str, expires_in_s: int) -> Session | None:
    """Return a new short token for the one with that name and secret, or None if they do not belong together."""
    principal = authenticate(database, secret)
    if principal is None or not secrets.compare_digest(principal.name.encode(), _bytes(name)):
        return None
    short = _new_secret()
    with database.face(principal.owner_id) as connection:
        tokens.remove_expired_sessions(connection, principal.owner_id)
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
