"""``ratemill serve`` as a user runs it: on an empty home, stopped, killed, twice at once."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.fixtures.mill import GUIDE, GUIDE_ROW, PATH
from tests.fixtures.processes import environment, free_port, start, started, wait_until


class Home:
    """An installation of its own: a home, a port, and the commands on it."""

    def __init__(self, home: Path) -> None:
        self.settings = {"home": str(home), "log_level": "ERROR"}
        self.port = free_port()

    @property
    def command(self) -> list[str]:
        return ["serve", "--port", str(self.port)]

    def run(self, *arguments: str) -> str:
        """Run a command to its end; return what it printed."""
        command = [sys.executable, "-m", "ratemill", *arguments]
        done = subprocess.run(command, env=environment(**self.settings), capture_output=True, text=True, check=True)
        return done.stdout

    def health(self) -> int:
        """Return the status of the health call, 0 while nobody answers."""
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/healthz").status_code
        except httpx.TransportError:
            return 0

    def health_answer(self) -> dict[str, Any]:
        found: dict[str, Any] = httpx.get(f"http://127.0.0.1:{self.port}/healthz").json()
        return found

    def database(self) -> dict[str, str]:
        found: dict[str, str] = json.loads(self.run("db", "status", "--json"))
        return found

    def children(self, parent: int) -> list[int]:
        listed = Path(f"/proc/{parent}/task/{parent}/children").read_text()
        return [int(pid) for pid in listed.split()]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = Home(tmp_path / "home")
    yield made
    made.run("db", "stop")
    made.run("db", "remove", "--yes")


def test_an_empty_home_becomes_a_service_that_ends_on_sigterm_with_its_database(home: Home, tmp_path: Path):
    with started(*home.command, **home.settings) as serve:
        wait_until(lambda: home.health() == 200)
        document = tmp_path / "guide.yaml"
        document.write_text(GUIDE)
        home.run("apply", str(document))
        secret = home.run("token", "create", "--role", "admin", "--name", "me").splitlines()[-1]
        headers = {"Authorization": f"Bearer {secret}"}
        base = f"http://127.0.0.1:{home.port}{PATH}"
        answer = httpx.post(
            f"{base}/DataImport/Usage/guideFeed", json={"data": [GUIDE_ROW]}, headers=headers, timeout=60
        ).json()
        tracking_id = answer["trackingId"]
        status = json.loads(home.run("status", tracking_id, "--wait", "--json"))
        assert (status["recordCount"], status["ratedCount"]) == (1, 1)
        charges = json.loads(home.run("charges", "--tracking-id", tracking_id, "--json"))
        assert [charge["amount"] for charge in charges] == ["1.1562"]
        assert "The counts tie: 1 of 1 records accounted for" in home.run("audit")
        serve.send_signal(signal.SIGTERM)
        assert serve.wait(15) == 0
    assert home.health() == 0
    assert home.database()["running"] == "False"


def test_after_a_kill_the_next_serve_goes_on_immediately_and_nothing_of_the_killed_one_is_left(home: Home):
    """The processes of the killed one may still hold the port: the next one waits for it."""
    with started(*home.command, **home.settings) as serve:
        wait_until(lambda: home.health() == 200)
        children = home.children(serve.pid)
        serve.kill()
        serve.wait()
    with started(*home.command, **home.settings) as serve:
        wait_until(lambda: not any(Path(f"/proc/{pid}/cmdline").exists() for pid in children))
        wait_until(lambda: home.health() == 200)
        serve.send_signal(signal.SIGTERM)
        assert serve.wait(15) == 0
    assert home.database()["running"] == "False"


def test_a_process_that_dies_is_started_again(home: Home):
    with started(*home.command, **home.settings) as serve:
        wait_until(lambda: home.health() == 200)
        before = home.children(serve.pid)
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: len(set(home.children(serve.pid)) - set(before)) == len(before))
        wait_until(lambda: home.health() == 200)
        serve.send_signal(signal.SIGTERM)
        assert serve.wait(15) == 0


def test_the_database_ends_with_the_last_of_two_serves(home: Home):
    other = Home(Path(home.settings["home"]))
    with started(*home.command, **home.settings) as first:
        wait_until(lambda: home.health() == 200)
        second = start(*other.command, **other.settings)
        wait_until(lambda: other.health() == 200)
        first.send_signal(signal.SIGTERM)
        assert first.wait(15) == 0
        assert other.health() == 200
        second.send_signal(signal.SIGTERM)
        assert second.wait(15) == 0
    assert home.database()["running"] == "False"


def test_it_is_not_healthy_without_a_worker(dsn: str):
    port = free_port()
    with started("api", "--port", str(port), database_url=dsn):
        wait_until(lambda: _status(port) == 503)


def _status(port: int) -> int:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthz").status_code
    except httpx.TransportError:
        return 0


@pytest.mark.parametrize("arguments", [["serve", "--port", "x"], ["nothing"], ["token", "create"]])
def test_wrong_usage_ends_with_2(arguments: list[str], tmp_path: Path):
    command = [sys.executable, "-m", "ratemill", *arguments]
    done = subprocess.run(command, env=environment(home=str(tmp_path)), capture_output=True, check=False)
    assert done.returncode == 2


@pytest.mark.parametrize(("name", "value"), [("workers", "none"), ("log_level", "LOUD")])
def test_a_setting_that_is_no_setting_is_named(name: str, value: str):
    command = [sys.executable, "-m", "ratemill", "audit"]
    done = subprocess.run(command, env=environment(**{name: value}), capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"RATEMILL_{name.upper()}" in done.stderr
