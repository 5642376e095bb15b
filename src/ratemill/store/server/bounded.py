"""Connections of the driver in which every wait for the server has a bound.

A frozen server keeps its sockets open and answers nothing; over a Unix socket no setting of TCP notices. So the client
counts: 5 s to connect, login included, and for each statement its own time-out and 5 s more. After that the socket is
closed. No cancel request is sent: it would go to the same server.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from time import monotonic
from typing import Any, TypeVar

import psycopg
from psycopg import errors
from psycopg.abc import PQGen
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.waiting import Ready, Wait

from ratemill.errors import Unavailable

CONNECT_S_MAX = 5
GRACE_S = 5.0  # what the server gets beyond a statement's own time-out to report it
TICK_S = 1.0  # how often `on_wait` is called
STATEMENT_S_MAX = 120.0  # of a connection that sets no time-out of its own

# A host that is gone is noticed by TCP before the statement's time-out, unless the DSN has its own values.
_KEEPALIVES = {
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,  # ms
}

T = TypeVar("T")


class ServerSilent(psycopg.OperationalError):
    """The server did not answer in time; the connection is closed."""


class BoundedConnection(psycopg.Connection[Any]):
    """A connection that is closed when the server was silent for ``silence_s_max`` seconds while it was waited for.

    ``on_wait`` is called each second of a wait, in the waiting thread, with the seconds waited so far. It must not use
    this connection; it may raise ``ServerSilent``, or another ``Unavailable``, to end the wait: that closes the connection.
    """

    silence_s_max: float = STATEMENT_S_MAX + GRACE_S
    on_wait: Callable[[float], None] | None = None

    def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:
        """Wait for the server; every statement, COPY, pipeline, commit and rollback goes through here."""
        if timeout is not None:
            return super().wait(gen, interval, timeout)
        try:
            return super().wait(self._watched(gen), interval)
        except (ServerSilent, Unavailable):
            self.close()
            raise

    def _watched(self, gen: PQGen[T]) -> Generator[Wait, Ready | int, T]:
        """Drive ``gen`` and count how long the server has been silent; anything that arrives begins the count again."""
        try:
            state = next(gen)
            since = ticked = monotonic()
            while True:
                ready = yield state
                if ready:
                    since = monotonic()
                else:
                    ticked = self._tick(since, ticked)
                state = gen.send(ready)
        except StopIteration as done:
            value: T = done.value
            return value

    def _tick(self, since: float, ticked: float) -> float:
        now = monotonic()
        if now - since >= self.silence_s_max:
            raise ServerSilent(f"the server has not answered for {now - since:.0f} s")
        if now - ticked < TICK_S:
            return ticked
        if self.on_wait:
            self.on_wait(now - since)
        return now


def connect(
    dsn: str,
    *,
    autocommit: bool = False,
    connect_s_max: int = CONNECT_S_MAX,
    statement_s_max: float = STATEMENT_S_MAX,
    settings: Mapping[str, object] | None = None,
    **parameters: str,
) -> BoundedConnection:
    """Return a connection with every wait bounded; ``settings`` are the server's for this session."""
    options = {**(settings or {}), "statement_timeout": round(statement_s_max * 1_000)}
    given = conninfo_to_dict(dsn)
    bounds = {name: value for name, value in _KEEPALIVES.items() if name not in given}
    whole = make_conninfo(
        dsn,
        connect_timeout=connect_s_max,
        options=" ".join(f"-c {name}={value}" for name, value in options.items()),
        **bounds,
        **parameters,
    )
    connection = BoundedConnection.connect(whole, autocommit=autocommit)
    connection.silence_s_max = statement_s_max + GRACE_S
    return connection


def was_silent(error: psycopg.Error) -> bool:
    """Whether an error means that the server did not answer at all."""
    return isinstance(error, ServerSilent | errors.ConnectionTimeout)
