"""A frozen or cut-off database: every wait for it ends in the client, and everything goes on by itself after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from threading import Barrier
from time import monotonic

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from tests.fixtures.frozen import frozen, proxy_to
from tests.store.embedded.homes import ensured, settings_of

from ratemill.errors import DatabaseAway
from ratemill.settings import Settings
from ratemill.store import migrate
from ratemill.store.connections import Connection, Database, driver, pipeline
from ratemill.store.embedded import embedded
from ratemill.store.embedded.embedded import Server
from ratemill.store.server import bounded

SLACK_S = 10.0  # for a busy machine
WORKER_S = 2.0  # of a statement's time-out here; a worker gives up 5 s later

Freeze = Callable[[], AbstractContextManager[None]]


@pytest.fixture(scope="module")
def frozen_server(made: Path) -> Server:
    server = ensured(made)
    migrate.create_roles(server.admin_dsn(embedded.DATABASE), login=embedded.ROLE, database=embedded.DATABASE)
    return server


@pytest.fixture(scope="module", params=["unix socket", "tcp"])
def database_and_freeze(
    request: pytest.FixtureRequest, frozen_server: Server, made: Path
) -> Iterator[tuple[Database, Freeze]]:
    settings = Settings(home=made, statement_timeout_s=int(WORKER_S), lock_timeout_s=2)
    if request.param == "unix socket":
        pid = embedded.status(settings_of(made)).pid
        assert pid is not None
        database = Database(frozen_server.dsn(), settings)
        yield database, lambda: frozen(pid)
    else:
        with proxy_to(frozen_server.socket_file) as proxy:

            @contextmanager
            def swallowing() -> Iterator[None]:
                proxy.swallows.set()
                yield
                proxy.swallows.clear()

            database = Database(make_conninfo(frozen_server.dsn(), host="127.0.0.1", port=proxy.port), settings)
            yield database, swallowing
            database.close()
            return
    database.close()


def statement(connection: psycopg.Connection) -> None:
    connection.execute("select 1")


def commit(connection: psycopg.Connection) -> None:
    connection.commit()


def copy(connection: psycopg.Connection) -> None:
    with connection.cursor().copy("copy (select 1) to stdout") as rows:
        list(rows)


def pipelined(connection: psycopg.Connection) -> None:
    with connection.pipeline():
        connection.execute("select 1")
        connection.execute("select 2")


WAITS = {"statement": statement, "commit": commit, "copy": copy, "pipeline": pipelined}


def test_every_wait_ends_and_everything_goes_on_after(database_and_freeze: tuple[Database, Freeze]):
    database, freeze = database_and_freeze
    ticks: list[float] = []
    database.while_waiting = lambda: ticks.append(monotonic())
    begun = Barrier(len(WAITS) + 2)

    def waits(begin: Callable[[], AbstractContextManager[Connection]], name: str) -> float:
        """Begin a transaction, wait for the freeze, and return how long the next wait for the server took."""
        began: list[float] = []

        def wait() -> None:
            with begin() as connection:
                driver(connection).execute("select 1")
                begun.wait(60)
                begun.wait(60)
                began.append(monotonic())
                WAITS[name](driver(connection))

        with pytest.raises(DatabaseAway, match="has not answered"):
            wait()
        return monotonic() - began[0]

    def refused_after(begin: Callable[[], AbstractContextManager[Connection]]) -> float:
        began = monotonic()
        with pytest.raises(DatabaseAway), begin():
            pytest.fail("a connection was found")
        return monotonic() - began

    until_back(database.health)
    with ThreadPoolExecutor() as pool:
        workers = {name: pool.submit(waits, database.worker, name) for name in WAITS}
        request = pool.submit(waits, lambda: database.face(1), "statement")
        begun.wait(60)
        with freeze():
            begun.wait(60)
            health = pool.submit(until_refused, database.health)
            newcomer = pool.submit(refused_after, database.worker)
            assert health.result() < 4.5 + SLACK_S
            assert refused_after(database.health) < 4.5 + SLACK_S  # its connection is closed: a new one is bounded too
            assert newcomer.result() < bounded.CONNECT_S_MAX + SLACK_S
            assert request.result() < 6.0 + SLACK_S
            assert until_refused(lambda: database.face(1), times=200) < 2 * SLACK_S  # at most one each second waits
            for name, worker in workers.items():
                assert WORKER_S + bounded.GRACE_S - 0.5 < worker.result() < WORKER_S + bounded.GRACE_S + SLACK_S, name
    assert len(ticks) >= len(WAITS) * int(WORKER_S)
    for begin in (database.worker, database.health, lambda: database.face(1)):
        until_back(begin)


def until_refused(begin: Callable[[], AbstractContextManager[Connection]], *, times: int = 1) -> float:
    """Ask the frozen database ``times`` times; return how long that took."""
    began = monotonic()
    for _ in range(times):
        try:
            with begin() as connection:
                driver(connection).execute("select 1")
        except DatabaseAway:
            continue
        pytest.fail("the database answered")
    return monotonic() - began


def until_back(begin: Callable[[], AbstractContextManager[Connection]]) -> None:
    deadline = monotonic() + 60
    while True:
        try:
            with begin() as connection, pipeline(connection):
                assert driver(connection).execute("select 1").fetchone() == (1,)
                return
        except DatabaseAway:
            assert monotonic() < deadline
