"""Inspection: what a server says of itself and of the product's schema in it; nothing is created or changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from ratemill.store import migrate, policies
from ratemill.store.server import dsn
from ratemill.store.server.bounded import BoundedConnection
from ratemill.store.server.sqlstates import error_from

SAFE_SETTINGS = ("fsync", "full_page_writes", "synchronous_commit")
_ROLES = (policies.OWNER_ROLE, policies.WORKER_ROLE, policies.FACE_ROLE)


@dataclass(frozen=True, slots=True)
class ServerReport:
    """What a server says: ``revision`` is that of the schema, ``unprotected`` are its tables without row security."""

    place: str
    version: int
    clock: datetime
    connections: int
    connections_max: int
    unsafe_settings: tuple[str, ...]
    roles_missing: tuple[str, ...]
    revision: str | None
    unprotected: tuple[str, ...]


def inspect(login: str) -> ServerReport:
    """Return the report of the server behind a DSN; raise ``DatabaseAway`` if it cannot be reached."""
    try:
        with migrate.connected(login, autocommit=True) as connection:
            return _report(connection)
    except psycopg.Error as error:
        raise error_from(error) from error


def _report(connection: BoundedConnection) -> ServerReport:
    named = dict(connection.execute("select name, setting from pg_settings").fetchall())
    connections = _value(connection, "select count(*) from pg_stat_activity where backend_type = 'client backend'")
    held = connection.execute(
        "select rolname from pg_roles where rolname = any(%s) and pg_has_role(current_user, oid, 'SET')",
        (list(_ROLES),),
    ).fetchall()
    missing = tuple(sorted(set(_ROLES) - {name for (name,) in held}))
    revision, unprotected = (None, ()) if missing else _schema(connection)
    return ServerReport(
        place=dsn.place(connection.info.dsn),
        version=connection.info.server_version // 10_000,
        clock=_value(connection, "select clock_timestamp()"),
        connections=connections,
        connections_max=int(named["max_connections"]),
        unsafe_settings=tuple(name for name in SAFE_SETTINGS if named[name] == "off"),
        roles_missing=missing,
        revision=revision,
        unprotected=unprotected,
    )


def _schema(connection: BoundedConnection) -> tuple[str | None, tuple[str, ...]]:
    connection.execute(sql.SQL("set role {}").format(sql.Identifier(policies.OWNER_ROLE)))
    if not _value(connection, "select to_regclass('public.alembic_version') is not null"):
        return None, ()
    revision = _value(connection, "select max(version_num) from public.alembic_version")
    rows = connection.execute(
        "select relname from pg_class where relnamespace = 'public'::regnamespace and relname = any(%s)"
        " and not relrowsecurity order by 1",
        (list(policies.tables_with_owner()),),
    ).fetchall()
    return revision, tuple(name for (name,) in rows)


def is_verified_network(login: str) -> bool:
    """Whether the connection stays on this machine or the server's certificate and name are verified."""
    parts = conninfo_to_dict(login)
    hosts = str(parts.get("hostaddr") or parts.get("host") or "").split(",")
    local = all(not host or host.startswith(("/", "@", "127.")) or host in {"localhost", "::1"} for host in hosts)
    return local or parts.get("sslmode") == "verify-full"


def _value(connection: BoundedConnection, statement: str) -> Any:  # noqa: ANN401 -- whatever the statement selects
    row = connection.execute(statement).fetchone()
    return row[0] if row else None
