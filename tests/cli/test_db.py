"""``ratemill db start``, ``status`` and ``stop``, as an operator types them."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fixtures.processes import wait_until
from tests.store.embedded.homes import removed_after
from typer.testing import CliRunner, Result

from ratemill import logs
from ratemill.cli.app import app


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    home = tmp_path / "home"
    monkeypatch.setenv("RATEMILL_HOME", str(home))
    monkeypatch.setenv("RATEMILL_SHARED_BUFFERS_MB", "32")
    monkeypatch.setattr(logs, "configure", lambda **_: None)  # the runner's streams are closed after the command
    with removed_after(home):
        yield home


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def test_start_starts_a_stopped_or_killed_database_once_and_shows_where_it_is(home: Path):
    first = json.loads(run("db", "start", "--json").stdout)
    assert first["running"] == "True"
    assert first["home"] == str(home)
    assert json.loads(run("db", "start", "--json").stdout) == first
    os.kill(int(first["pid"]), signal.SIGKILL)
    wait_until(lambda: json.loads(run("db", "status", "--json").stdout)["running"] == "False")
    again = run("db", "start")
    assert again.exit_code == 0
    assert f"data: {first['data']}" in again.stdout
    assert run("db", "stop").stdout == "stopped\n"
    assert json.loads(run("db", "start", "--json").stdout)["pid"] != first["pid"]


def test_start_does_not_start_a_database_of_your_own(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RATEMILL_DATABASE_URL", "postgresql://nowhere/ratemill")
    done = run("db", "start")
    assert done.exit_code != 0
    assert not home.exists()
