"""Presence: one line a minute while the database is away, and one when it is back."""

import psycopg
import pytest
from structlog.testing import capture_logs

from ratemill.errors import DatabaseAway
from ratemill.store.server import presence
from ratemill.store.server.presence import Presence


def unreachable() -> None:
    raise psycopg.OperationalError("connection refused")


def reachable() -> None:
    """Connect."""


def test_many_failures_are_one_line_and_the_return_another():
    seen = Presence(unreachable)
    with capture_logs() as lines:
        for _ in range(500):
            seen.failed(DatabaseAway("connection refused"), away=True)
        seen.answered()
        seen.answered()
    assert [line["event"] for line in lines] == ["database_unavailable", "database_back"]
    assert lines[1]["failures"] == 499


def test_a_minute_later_there_is_another_line_with_the_count(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(presence, "LOG_S", 0.0)
    seen = Presence(unreachable)
    with capture_logs() as lines:
        for _ in range(3):
            seen.failed(DatabaseAway("connection refused"), away=True)
    assert [line["event"] for line in lines] == ["database_unavailable"] * 3


def test_a_database_that_comes_and_goes_is_logged_no_more_often():
    seen = Presence(unreachable)
    with capture_logs() as lines:
        for _ in range(100):
            seen.failed(DatabaseAway("connection refused"), away=True)
            seen.answered()
    assert [line["event"] for line in lines] == ["database_unavailable", "database_back"]


def test_a_full_disk_refuses_no_other_request():
    seen = Presence(unreachable)
    seen.failed(DatabaseAway("the disk is full"), away=False)
    seen.refuse_while_away()


def test_requests_are_refused_until_a_connection_succeeds(monkeypatch: pytest.MonkeyPatch):
    answers = [unreachable, reachable]

    def try_to_connect() -> None:
        answers.pop(0)()

    seen = Presence(try_to_connect)
    seen.failed(DatabaseAway("connection refused"), away=True)
    with pytest.raises(DatabaseAway, match="connection refused"):
        seen.refuse_while_away()  # within a second of the last try nothing is tried
    assert len(answers) == 2
    monkeypatch.setattr(presence, "TRY_S", 0.0)
    with pytest.raises(DatabaseAway):
        seen.refuse_while_away()
    seen.refuse_while_away()
    assert answers == []
