"""Tokens: only the digest of a secret is kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.rows import class_row

from ratemill.pages import Page, Paging
from ratemill.store.connections import Connection, driver
from ratemill.store.owners import ACCEPTS

Caller = tuple[int, int, str, str, tuple[int, ...] | None]  # token_id, owner_id, name, role, feed_ids


@dataclass(frozen=True, slots=True)
class Token:
    """A token as it is listed; a login's has the number of the token that logged in."""

    token_id: int
    owner_id: int
    owner_name: str
    name: str
    role: str
    login_of: int | None
    feed_names: list[str] | None
    created_by: str
    created_at: datetime
    used_at: datetime | None
    expires_at: datetime | None
    revoked_at: datetime | None
    is_expired: bool


_LISTED = """
    select t.token_id, t.owner_id, o.name as owner_name, t.name, t.role, t.login_of, t.created_by, t.created_at,
        t.used_at, t.expires_at, t.revoked_at, coalesce(t.expires_at <= clock_timestamp(), false) as is_expired,
        case when t.feed_ids is not null then array(
            select f.name from feeds f where f.owner_id = t.owner_id and f.feed_id = any(t.feed_ids) order by f.name
        ) end as feed_names
    from tokens t join owners o using (owner_id)"""


def authenticate(connection: Connection, digest: bytes) -> Caller | None:
    """Return who has the token with this digest, if it is valid now."""
    return _caller(driver(connection).execute("select * from authenticate(%s)", (digest,)).fetchone())


def enter(connection: Connection, digest: bytes) -> Callable[[], Caller | None]:
    """Like ``authenticate``; from here on the transaction sees the rows of the token's owner, and no feed of theirs goes.

    What is returned reads the answer, so that in a pipeline the next statement goes off before it is there.
    """
    statement = """
        select token_id, owner_id, name, role, feed_ids, set_config('ratemill.owner_id', owner_id::text, true),
            pg_advisory_xact_lock_shared(%s + owner_id)
        from authenticate(%s)"""
    cursor = driver(connection).execute(statement, (ACCEPTS, digest))
    return lambda: _caller(cursor.fetchone())


def _caller(row: Sequence[Any] | None) -> Caller | None:
    return None if row is None else (row[0], row[1], row[2], row[3], None if row[4] is None else tuple(row[4]))


def insert(
    connection: Connection,
    *,
    owner_id: int,
    name: str,
    role: str,
    digest: bytes,
    expires_at: datetime | None,
    feed_ids: Sequence[int] | None,
    created_by: str,
) -> int:
    """Write a new token; return its number."""
    statement = """
        insert into tokens (owner_id, name, role, secret_sha256, expires_at, feed_ids, created_by)
        values (%s, %s, %s, %s, %s, %s, %s) returning token_id"""
    feeds = None if feed_ids is None else list(feed_ids)
    values = (owner_id, name, role, digest, expires_at, feeds, created_by)
    row = driver(connection).execute(statement, values).fetchone()
    return int(row[0]) if row else 0


def insert_session(connection: Connection, *, token_id: int, digest: bytes, expires_in_s: int) -> int | None:
    """Write a token of the same owner, name, role and feeds, which never outlives the first one; return its seconds.

    The first one is locked: a token that is being revoked gives no login that its revocation would miss.
    """
    statement = """
        with first as (
            select t.owner_id, t.name, t.role, t.feed_ids, t.expires_at, f.token_id
            from tokens t join tokens f on f.token_id = coalesce(t.login_of, t.token_id)
            where t.token_id = %s and t.revoked_at is null and f.revoked_at is null
            for share
        )
        insert into tokens (owner_id, name, role, feed_ids, created_by, secret_sha256, login_of, expires_at)
        select owner_id, name, role, feed_ids, 'login', %s, token_id,
            least(expires_at, date_trunc('milliseconds', clock_timestamp()) + make_interval(secs => %s))
        from first
        returning greatest(0, ceil(extract(epoch from expires_at - clock_timestamp())))::integer"""
    row = driver(connection).execute(statement, (token_id, digest, expires_in_s)).fetchone()
    return row[0] if row else None


def remove_session(connection: Connection, token_id: int) -> None:
    """Delete a token, if a login gave it."""
    driver(connection).execute("delete from tokens where token_id = %s and login_of is not null", (token_id,))


def remove_expired_sessions(connection: Connection, owner_id: int) -> None:
    """Delete the tokens that logins of an owner gave, if they expired over a day ago."""
    statement = """
        delete from tokens
        where owner_id = %s and login_of is not null and expires_at < clock_timestamp() - interval '1 day'"""
    driver(connection).execute(statement, (owner_id,))


def listed(connection: Connection, owner_id: int | None = None) -> list[Token]:
    """Return all tokens, of one owner if given: by owner and number, each followed by those of its logins."""
    statement = f"""{_LISTED} where %(owner)s::integer is null or t.owner_id = %(owner)s
        order by o.name, coalesce(t.login_of, t.token_id), t.token_id"""
    with driver(connection).cursor(row_factory=class_row(Token)) as cursor:
        return cursor.execute(statement, {"owner": owner_id}).fetchall()


def page(connection: Connection, owner_id: int, paging: Paging) -> Page[Token]:
    """Return a page of the tokens of an owner, the newest first."""
    total = None
    if paging.with_total:
        row = driver(connection).execute("select count(*) from tokens where owner_id = %s", (owner_id,)).fetchone()
        total = int(row[0]) if row else 0
    statement = f"{_LISTED} where t.owner_id = %s order by t.token_id desc limit %s offset %s"
    with driver(connection).cursor(row_factory=class_row(Token)) as cursor:
        return Page(cursor.execute(statement, (owner_id, paging.rows_max, paging.offset)).fetchall(), total)


def find(connection: Connection, token_id: int) -> Token | None:
    """Return one token."""
    with driver(connection).cursor(row_factory=class_row(Token)) as cursor:
        return cursor.execute(f"{_LISTED} where t.token_id = %s", (token_id,)).fetchone()


def first_expiry(connection: Connection, token_id: int) -> datetime | None:
    """Return when a token, or the one that logged in for it, expires."""
    statement = """
        select f.expires_at from tokens t join tokens f on f.token_id = coalesce(t.login_of, t.token_id)
        where t.token_id = %s"""
    row = driver(connection).execute(statement, (token_id,)).fetchone()
    return row[0] if row else None


def revoke(connection: Connection, token_ids: Sequence[int]) -> int:
    """Revoke tokens and those of their logins, which end immediately; return how many were valid."""
    # The first statement waits for logins under way, so that the second one sees what they gave.
    statements = (
        "update tokens set revoked_at = clock_timestamp() where token_id = any(%s) and revoked_at is null",
        "update tokens set revoked_at = clock_timestamp() where login_of = any(%s) and revoked_at is null",
    )
    return sum(driver(connection).execute(statement, (list(token_ids),)).rowcount for statement in statements)


def note_uses(connection: Connection, uses: Mapping[int, float]) -> None:
    """Write when tokens were last used, each so many seconds ago; a login's use is one of the token that logged in."""
    statement = """
        with noted as (
            select coalesce(t.login_of, t.token_id) as first_id, t.token_id,
                clock_timestamp() - make_interval(secs => u.ago_s) as at
            from unnest(%s::bigint[], %s::float8[]) as u (token_id, ago_s) join tokens t using (token_id)
        ), latest as (
            select token_id, max(at) as at
            from (select token_id, at from noted union all select first_id, at from noted) each group by token_id
        ), locked as (
            select token_id, l.at from tokens join latest l using (token_id)
            order by token_id for no key update of tokens skip locked
        )
        update tokens t set used_at = greatest(t.used_at, locked.at) from locked where t.token_id = locked.token_id"""
    driver(connection).execute(statement, (list(uses), list(uses.values())))
