"""Connections: what a caller gets who waits too long for one."""

import pytest

from ratemill.errors import Unavailable
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
