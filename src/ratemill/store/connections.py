"""Connections: one pool a role, a transaction a block, and never as superuser.

A login role of the user's database (or ``ratemill`` of the embedded one) connects and takes on one of the product's roles
as its session default, so that even ``RESET ROLE`` leads nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from time import monotonic
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine.interfaces import IsolationLevel
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.exc import TimeoutError as NoConnectionFree
from sqlalchemy.pool import ConnectionPoolEntry

from ratemill.errors import DatabaseAway, RatemillError, Unavailable
from ratemill.priority import give_way
from ratemill.settings import Settings
from ratemill.store import array_parameters
from ratemill.store.policies import FACE_ROLE, OWNER_ROLE, WORKER_ROLE
from ratemill.store.server import bounded
from ratemill.store.server.bounded import BoundedConnection
from ratemill.store.server.opening import DatabaseOpening
from ratemill.store.server.presence import Presence
from ratemill.store.server.sqlstates import error_from, is_connected

__all__ = ["Connection", "Database", "pipeline", "snapshot"]

_MS_PER_S = 1000
PAUSE_S = 2.0  # a connection that rested for longer is asked whether it lives before it is used
PING_S_MAX = 3.0  # in which it has to answer
TRY_S_MAX = 3  # in which a server has to take a new connection, where another connection waits for it in vain
HEALTH_S_MAX = 2  # of a statement, and of connecting, where the health of the installation is asked for
_HEALTH = "health"
_ASIDE = "aside"
_ROLES = {_HEALTH: FACE_ROLE, _ASIDE: WORKER_ROLE}  # of the connections with short bounds
_FEW = {_HEALTH: 2, _ASIDE: 1}  # connections that are used at the same time


class Database:
    """The product's database under its roles; made once in a process and closed with it.

    ``while_waiting`` is called before each transaction of a worker, and each second in which a statement waits for the
    server, in the waiting thread. Of the database it may use ``aside``. An ``Unavailable`` that it raises ends the wait.

    ``dsn`` may be a function that finds the DSN. With ``is_ready``, every use raises ``DatabaseAway`` until that is true.
    """

    def __init__(
        self,
        dsn: str | Callable[[], str],
        settings: Settings,
        *,
        connections_max: int = 10,
        is_ready: Callable[[str], bool] | None = None,
    ) -> None:
        self._dsn = dsn
        self.while_waiting: Callable[[], None] | None = None
        self._settings = settings
        self._connections_max = connections_max
        self._engines: dict[tuple[str, str], Engine] = {}
        self._presence = Presence(self._try_to_connect)
        self._opening = DatabaseOpening(lambda: is_ready(self.dsn)) if is_ready else None

    @property
    def dsn(self) -> str:
        """Return the DSN of the product's login."""
        return self._dsn() if callable(self._dsn) else self._dsn

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
    def health(self) -> Iterator[Connection]:
        """Yield a connection that sees no owner's rows and raises ``DatabaseAway`` within 5 s if the server is silent."""
        with self._begin(_HEALTH) as connection:
            yield connection

    @contextmanager
    def worker(self) -> Iterator[Connection]:
        """Yield a connection in a transaction that sees and writes the rows of all owners."""
        with self._begin(WORKER_ROLE) as connection:
            yield connection

    @contextmanager
    def aside(self) -> Iterator[Connection]:
        """Yield a worker's connection next to the one that it works on; a silent server is given up after seconds."""
        with self._begin(_ASIDE) as connection:
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
        if self._opening:
            self._require_open(self._opening)
        if role == FACE_ROLE:
            self._presence.refuse_while_away()
        if role == WORKER_ROLE and self.while_waiting:
            self.while_waiting()
        held: psycopg.Connection[Any] | None = None
        try:
            with self._engine(role, isolation_level).begin() as connection:
                held = driver(connection)
                with self._told_apart(connection, held):
                    yield connection
        except NoConnectionFree as error:
            raise Unavailable("every connection to the database is in use") from error
        except DBAPIError as error:
            if not isinstance(error.orig, psycopg.Error):
                raise
            raise self._error_from(error.orig, held) from error
        except psycopg.Error as error:
            raise self._error_from(error, held) from error
        self._presence.answered()

    def _require_open(self, opening: DatabaseOpening) -> None:
        try:
            opening.require()
        except DatabaseAway as error:
            self._presence.failed(DatabaseAway(f"{error}: {opening.reason}"), away=False)
            raise

    @contextmanager
    def _told_apart(self, connection: Connection, held: psycopg.Connection[Any]) -> Iterator[None]:
        """Raise an error of the driver as one of ours before the pool rolls back, which fails on a lost connection."""
        try:
            yield
        except Unavailable:  # what ended a wait has closed the connection
            self._invalidate_if_lost(connection, held)
            raise
        except (DBAPIError, psycopg.Error) as error:
            original = error.orig if isinstance(error, DBAPIError) else error
            if not isinstance(original, psycopg.Error):
                raise
            self._invalidate_if_lost(connection, held)
            raise self._error_from(original, held) from error

    def _invalidate_if_lost(self, connection: Connection, held: psycopg.Connection[Any]) -> None:
        if not is_connected(held) and not connection.invalidated:
            connection.invalidate()

    def _error_from(self, error: psycopg.Error, held: psycopg.Connection[Any] | None) -> RatemillError:
        connected = is_connected(held)
        translated = error_from(error)
        if isinstance(translated, DatabaseAway):
            self._presence.failed(translated, away=not connected)
        else:
            self._presence.answered()
        return translated

    def _engine(self, role: str, isolation_level: IsolationLevel) -> Engine:
        key = role, isolation_level
        if key not in self._engines:
            self._engines[key] = engine = create_engine(
                "postgresql+psycopg://",
                creator=lambda: self._connect(role),
                isolation_level=isolation_level,
                pool_size=_FEW.get(role, self._connections_max),
                max_overflow=0,
                pool_use_lifo=True,  # a connection in use keeps its plans; the others rest
                pool_timeout=HEALTH_S_MAX if role in _ROLES else self._settings.lock_timeout_s,
            )
            event.listen(engine, "checkin", _note_use)
            event.listen(engine, "checkout", _ping_after_a_pause)
        return self._engines[key]

    def _connect(self, role: str) -> BoundedConnection:
        settings = self._settings
        is_short = role in _ROLES
        role = _ROLES.get(role, role)
        connection = bounded.connect(
            self.dsn,
            connect_s_max=HEALTH_S_MAX if is_short else bounded.CONNECT_S_MAX,
            statement_s_max=HEALTH_S_MAX if is_short else settings.statement_timeout_s,
            settings={
                "role": role,
                "timezone": "UTC",
                "cursor_tuple_fraction": 1,  # a page of a cursor is read whole: planned as any statement
                "lock_timeout": settings.lock_timeout_s * _MS_PER_S,
                "idle_in_transaction_session_timeout": settings.idle_in_transaction_timeout_s * _MS_PER_S,
            },
            application_name=f"ratemill {role}",
        )
        if is_short:
            connection.silence_s_max = HEALTH_S_MAX
        else:
            connection.on_wait = self._wait_for_requests if role == FACE_ROLE else self._wait_for_work
        array_parameters.register(connection)
        if role == WORKER_ROLE and not settings.database_url:
            give_way(connection.info.backend_pid)
        return connection

    def _wait_for_work(self, _waited_s: float) -> None:
        """Tell who wants to know that a statement waits; a worker waits as long as the statement may take."""
        if self.while_waiting:
            self.while_waiting()

    def _wait_for_requests(self, waited_s: float) -> None:
        """End the wait if the server is frozen: the sender of the request learns it within seconds, not minutes."""
        self._wait_for_work(waited_s)
        self._presence.doubt(waited_s)

    def _try_to_connect(self) -> None:
        bounded.connect(self.dsn, connect_s_max=TRY_S_MAX, application_name="ratemill").close()


def _note_use(_connection: object, record: ConnectionPoolEntry) -> None:
    record.info["used_at"] = monotonic()


def _ping_after_a_pause(connection: Any, record: ConnectionPoolEntry, _proxy: object) -> None:  # noqa: ANN401
    """Let the pool replace a connection that died while nobody used it; one in steady use is not asked each time."""
    if monotonic() - record.info.get("used_at", monotonic()) < PAUSE_S:
        return
    usual, connection.silence_s_max = connection.silence_s_max, min(PING_S_MAX, connection.silence_s_max)
    try:
        connection.execute("select 1")
        connection.rollback()
    except psycopg.OperationalError as error:
        raise DisconnectionError from error
    connection.silence_s_max = usual


@contextmanager
def snapshot(connection: Connection) -> Iterator[Connection]:
    """Yield a second connection of the same pool that sees one state, that of its first statement, and writes nothing."""
    with connection.engine.begin() as second:
        driver(second).execute("set transaction isolation level repeatable read, read only")
        yield second


@contextmanager
def pipeline(connection: Connection) -> Iterator[None]:
    """Send the statements of the block without waiting for an answer until one is read: fewer turns to and fro."""
    with driver(connection).pipeline():
        yield


def driver(connection: Connection) -> psycopg.Connection[Any]:
    """Return the driver's connection below ``connection``, for COPY and the statements of the hot path."""
    below: psycopg.Connection[Any] = connection.connection.driver_connection  # type: ignore[assignment]
    return below


def clock(connection: Connection) -> datetime:
    """Return the database's time: it alone decides waits, expiry and acceptance."""
    ((now,),) = driver(connection).execute("select clock_timestamp()").fetchall()
    return now  # type: ignore[no-any-return]
