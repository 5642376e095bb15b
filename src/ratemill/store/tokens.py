"""Tokens: only the digest of a secret is kept."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from ratemill.store.connections import Connection, driver
from ratemill.store.owners import ACCEPTS


def authenticate(connection: Connection, digest: bytes) -> tuple[int, int, str, str] | None:
    """Return token_id, owner_id, name and role of the token with this digest, if it is valid now."""
    found: tuple[Any, ...] | None = driver(connection).execute("select * from authenticate(%s)", (digest,)).fetchone()
    return (found[0], found[1], found[2], found[3]) if found else None


def enter(connection: Connection, digest: bytes) -> Callable[[], tuple[int, int, str, str] | None]:
    """Like ``authenticate``; from here on the transaction sees the rows of the token's owner, and no feed of theirs goes.

    What is returned reads the answer, so that in a pipeline the next statement goes off before it is there.
    """
    statement = """
        select token_id, owner_id, name, role, set_config('ratemill.owner_id', owner_id::text, true),
            pg_advisory_xact_lock_shared(%s + owner_id)
        from authenticate(%s)"""
    cursor = driver(connection).execute(statement, (ACCEPTS, digest))

    def answer() -> tuple[int, int, str, str] | None:
        found: tuple[Any, ...] | None = cursor.fetchone()
        return (found[0], found[1], found[2], found[3]) if found else None

    return answer


def insert(
    connection: Connection, *, owner_id: int, name: str, role: str, digest: bytes, expires_in_s: int | None
) -> datetime | None:
    """Keep a new token; return when it expires."""
    statement = """
        insert into tokens (owner_id, name, role, secret_sha256, expires_at)
        values (%s, %s, %s, %s, clock_timestamp() + make_interval(secs => %s)) returning expires_at"""
    row = driver(connection).execute(statement, (owner_id, name, role, digest, expires_in_s)).fetchone()
    return row[0] if row else None


def insert_session(connection: Connection, *, token_id: int, digest: bytes, expires_in_s: int) -> int | None:
    """Keep a token of the same owner, name and role for a time, never beyond the first one; return its seconds."""
    statement = """
        insert into tokens (owner_id, name, role, secret_sha256, of_login, expires_at)
        select owner_id, name, role, %s, true,
            least(expires_at, date_trunc('milliseconds', clock_timestamp()) + make_interval(secs => %s))
        from tokens where token_id = %s
        returning greatest(0, ceil(extract(epoch from expires_at - clock_timestamp())))::integer"""
    row = driver(connection).execute(statement, (digest, expires_in_s, token_id)).fetchone()
    return row[0] if row else None


def remove_session(connection: Connection, token_id: int) -> None:
    """Forget a token, if a login gave it."""
    driver(connection).execute("delete from tokens where token_id = %s and of_login", (token_id,))


def remove_expired(connection: Connection, owner_id: int) -> None:
    """Forget the tokens of an owner that expired over a day ago: most are those of logins."""
    statement = "delete from tokens where owner_id = %s and expires_at < clock_timestamp() - interval '1 day'"
    driver(connection).execute(statement, (owner_id,))
