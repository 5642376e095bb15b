"""Connections: one pool a role, a transaction a block, and never as superuser.

A login role of the user's database (or ``ratemill`` of the embedded one) connects and takes on one of the product's roles
as its session default, so that even ``RESET ROLE`` leads nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from time import monotonic
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine.interfaces import IsolationLevel
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.exc import TimeoutError as NoConnectionFree
from sqlalchemy.pool import ConnectionPoolEntry

from ratemill.errors import DatabaseAway
from ratemill.priority import give_way
from ratemill.settings import Settings
from ratemill.store import array_parameters
from ratemill.store.policies import FACE_ROLE, OWNER_ROLE, WORKER_ROLE
from ratemill.store.sqlstates import error_from, is_connected

__all__ = ["Connection", "Database", "pipeline"]

_MS_PER_S = 1000
PAUSE_S = 2.0  # a connection that rested for longer is asked whether it lives before it is used


class Database:
    """The product's database under its roles; made once in a process and closed with it."""

    def __init__(self, dsn: str, settings: Settings, *, connections_max: int = 10) -> None:
        self.dsn = dsn
        self._settings = settings
        self._connections_max = connections_max
        self._engines: dict[tuple[str, str], Engine] = {}

    @contextmanager
    def face(self, owner_id: int | None) -> Iterator[Connection]:
        """Yield a connection in a transaction that sees the rows of one owner only; without one, none."""
        with self._begin(FACE_ROLE) as connection:
            if owner_id is not None:
                setting = "select set_config('ratemill.owner_id', %s, true)"
                driver(connection).execute(setting, (str(owner_id),))
            yield connection

    @contextmanager
    def reader(self, owner_id: int) -> Iterator[Connection]:
        """Yield a connection that sees one owner's rows as they were at one instant, and may change none."""
        with self._begin(FACE_ROLE) as connection:
            cursor = driver(connection)
            cursor.execute("set transaction isolation level repeatable read, read only")
            cursor.execute("select set_config('ratemill.owner_id', %s, true)", (str(owner_id),))
            yield connection

    @contextmanager
    def stranger(self) -> Iterator[Connection]:
        """Yield a connection for one statement of a caller who is nobody yet: no transaction, no owner, no row visible."""
        with self._begin(FACE_ROLE, "AUTOCOMMIT") as connection:
            yield connection

    @contextmanager
    def worker(self) -> Iterator[Connection]:
        """Yield a connection in a transaction that sees and writes the rows of all owners."""
        with self._begin(WORKER_ROLE) as connection:
            yield connection

    @contextmanager
    def schema_owner(self) -> Iterator[Connection]:
        """Yield a connection in a transaction that may change the schema."""
        with self._begin(OWNER_ROLE) as connection:
            yield connection

    def close(self) -> None:
        """Close every connection."""
        for engine in self._engines.values():
            engine.dispose()
        self._engines.clear()

    @contextmanager
    def _begin(self, role: str, isolation_level: IsolationLevel = "READ COMMITTED") -> Iterator[Connection]:
        held: psycopg.Connection[Any] | None = None
        try:
            with self._engine(role, isolation_level).begin() as connection:
                held = driver(connection)
                yield connection
        except NoConnectionFree as error:
            raise DatabaseAway("every connection to the database is in use") from error
        except DBAPIError as error:
            if not isinstance(error.orig, psycopg.Error):
                raise
            raise error_from(error.orig, connected=is_connected(held)) from error
        except psycopg.Error as error:
            raise error_from(error, connected=is_connected(held)) from error

    def _engine(self, role: str, isolation_level: IsolationLevel) -> Engine:
        key = role, isolation_level
        if key not in self._engines:
            self._engines[key] = engine = create_engine(
                "postgresql+psycopg://",
                creator=lambda: self._connect(role),
                isolation_level=isolation_level,
                pool_size=self._connections_max,
                max_overflow=0,
                pool_timeout=self._settings.lock_timeout_s,
            )
            event.listen(engine, "checkin", _note_use)
            event.listen(engine, "checkout", _ping_after_a_pause)
        return self._engines[key]

    def _connect(self, role: str) -> psycopg.Connection[Any]:
        settings = self._settings
        options = {
            "role": role,
            "timezone": "UTC",
            "lock_timeout": settings.lock_timeout_s * _MS_PER_S,
            "statement_timeout": settings.statement_timeout_s * _MS_PER_S,
            "idle_in_transaction_session_timeout": settings.idle_in_transaction_timeout_s * _MS_PER_S,
        }
        connection = psycopg.connect(
            self.dsn,
            options=" ".join(f"-c {name}={value}" for name, value in options.items()),
            application_name=f"ratemill {role}",
        )
        array_parameters.register(connection)
        if role == WORKER_ROLE and not self._settings.database_url:
            give_way(connection.info.backend_pid)
        return connection


def _note_use(_connection: object, record: ConnectionPoolEntry) -> None:
    record.info["used_at"] = monotonic()


def _ping_after_a_pause(connection: Any, record: ConnectionPoolEntry, _proxy: object) -> None:  # noqa: ANN401
    """Let the pool replace a connection that died while nobody used it; one in steady use is not asked each time."""
    if monotonic() - record.info.get("used_at", monotonic()) < PAUSE_S:
        return
    try:
        connection.execute("select 1")
        connection.rollback()
    except psycopg.OperationalError as error:
        raise DisconnectionError from error


@contextmanager
def pipeline(connection: Connection) -> Iterator[None]:
    """Send the statements of the block without waiting for an answer until one is read: fewer turns to and fro."""
    with driver(connection).pipeline():
        yield


def driver(connection: Connection) -> psycopg.Connection[Any]:
    """Return the driver's connection below ``connection``, for COPY and the statements of the hot path."""
    below: psycopg.Connection[Any] = connection.connection.driver_connection  # type: ignore[assignment]
    return below


def database_name(connection: Connection) -> str:
    """Return where the connection leads, without asking the server: its host, port and database."""
    info = driver(connection).info
    return f"{info.host}:{info.port}/{info.dbname}"


def clock(connection: Connection) -> datetime:
    """Return the database's time: it alone decides waits, expiry and acceptance."""
    now: datetime = connection.execute(text("select clock_timestamp()")).scalar_one()
    return now
