"""Connections: what a caller gets who waits too long for one."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from ratemill.errors import Unavailable
from ratemill.heartbeat import Stopping
from ratemill.settings import WORKER_CONNECTIONS, Settings
from ratemill.store.connections import Database, driver
from ratemill.store.embedded import server as embedded_server


def test_who_finds_no_free_connection_in_time_is_told_to_try_again(dsn: str):
    narrow = Database(dsn, Settings(lock_timeout_s=1), connections_max=1)
    with (
        narrow.face(1),
        pytest.raises(Unavailable, match="every connection to the database is in use"),
        narrow.face(2),
    ):
        pass
    narrow.close()


def test_the_embedded_server_allows_the_connections_of_every_worker():
    assert Settings(workers=2).server_connections == Settings().database_connections_max
    assert Settings(workers=8).server_connections == Settings().server_connections + 6 * WORKER_CONNECTIONS
    assert Settings(workers=8, database_connections_max=200).server_connections == 200
    options = embedded_server.startup_options(Settings(workers=8), Path("data"), Path("socket"))
    assert f"--max_connections={Settings(workers=8).server_connections}" in options


def test_a_sign_of_life_has_one_connection_however_many_a_worker_may_have(dsn: str):
    database = Database(dsn, Settings(lock_timeout_s=1), connections_max=WORKER_CONNECTIONS - 1)
    with database.aside() as connection:
        assert driver(connection).execute("select 1").fetchone() == (1,)
        with pytest.raises(Unavailable, match="every connection to the database is in use"), database.aside():
            pass
    database.close()


def test_a_process_that_must_end_does_not_wait_for_its_statement(database: Database):
    def stop() -> None:
        raise Stopping("the process is stopping")

    with pytest.raises(Stopping):
        _sleep_long(database, stop)
    database.while_waiting = None
    with database.worker() as connection:
        assert connection.execute(text("select 1")).scalar_one() == 1


def _sleep_long(database: Database, while_waiting: Callable[[], None]) -> None:
    with database.worker() as connection:
        database.while_waiting = while_waiting
        connection.execute(text("select pg_sleep(60)"))
