"""The embedded database starts again after each kill, however soon: fifty kills, with sessions at work, at many instants."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from tests.store.embedded.homes import ask, ensured, removed_after, settings_of

from ratemill.store.embedded import embedded

CYCLES = 50
SESSIONS = 4


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    with removed_after(tmp_path / "home"):
        yield tmp_path / "home"


@pytest.mark.timeout(900)
def test_the_database_starts_after_each_of_fifty_kills(home: Path, figures: Callable[[str], None]):
    server = ensured(home)
    with psycopg.connect(server.admin_dsn(), autocommit=True) as connection:
        connection.execute("CREATE TABLE kept (n int)")
    seconds = []
    for cycle in range(CYCLES):
        with psycopg.connect(server.admin_dsn(), autocommit=True) as connection:
            connection.execute("INSERT INTO kept VALUES (%s)", (cycle,))
        sessions = [threading.Thread(target=_work, args=(server,)) for _ in range(SESSIONS)]
        for session in sessions:
            session.start()
        pid = embedded.status(settings_of(home)).pid
        assert pid
        os.kill(pid, signal.SIGKILL)
        began = time.monotonic()
        server = ensured(home)
        seconds.append(time.monotonic() - began)
        for session in sessions:
            session.join()
        assert ask(server, "SELECT count(*), max(n) FROM kept", admin=True) == (cycle + 1, cycle)
    figures(f"{CYCLES} kills, {CYCLES} starts, longest {max(seconds):.1f} s")


def _work(server: embedded.Server) -> None:
    with suppress(psycopg.OperationalError), psycopg.connect(server.admin_dsn(), autocommit=True) as connection:
        while True:
            connection.execute("SELECT count(*) FROM generate_series(1, 100000)")
