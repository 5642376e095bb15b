"""Connections: what a caller gets who waits too long for one."""

from collections.abc import Callable

import pytest
from sqlalchemy import text

from ratemill.errors import Unavailable
from ratemill.heartbeat import Stopping
from ratemill.settings import Settings
from ratemill.store.connections import Database


def test_who_finds_no_free_connection_in_time_is_told_to_try_again(dsn: str):
    narrow = Database(dsn, Settings(lock_timeout_s=1), connections_max=1)
    with (
        narrow.face(1),
        pytest.raises(Unavailable, match="every connection to the database is in use"),
        narrow.face(2),
    ):
        pass
    narrow.close()


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
