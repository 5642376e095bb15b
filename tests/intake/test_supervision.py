"""``ratemill serve`` keeps its database and processes up, whatever is killed, stopped or frozen."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.intake.test_serve import Home
from tests.mill import GUIDE, GUIDE_ROW, PATH
from tests.processes import environment, wait_until

from ratemill.settings import Settings
from ratemill.store import embedded

SILENT_S_MAX = "5"
HANG_AT = "after-claim"


class Service:
    """A running ``serve`` on a home of its own, its log as JSON lines."""

    def __init__(self, folder: Path) -> None:
        self.home = Home(folder / "home")
        self.settings = {
            "home": self.home.settings["home"],
            "log_json": "true",
            "heartbeat_s_max": SILENT_S_MAX,
            "hang_at": HANG_AT,
        }
        self._log_file = folder / "log"
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "ratemill", *self.home.command]
        with self._log_file.open("ab") as log:
            return subprocess.Popen(command, env=environment(**self.settings), stdout=log, stderr=log)

    def log(self, event: str) -> list[dict[str, Any]]:
        """Return the lines of the log about an event; every line must be in the log's format."""
        lines = [json.loads(line) for line in self._log_file.read_text().splitlines()]
        return [line for line in lines if line["event"] == event]

    def database(self) -> int | None:
        return embedded.status(Settings(home=Path(self.settings["home"]))).pid

    def child(self, name: str) -> int:
        """Return the only process of ``serve`` that runs a command and is no spare."""
        for pid in self.home.children(self.process.pid):
            words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
            if name in words and "--spare" not in words:
                return pid
        return 0

    def is_healthy(self) -> bool:
        return self.home.health() == 200


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    running = Service(tmp_path_factory.mktemp("supervision"))
    wait_until(running.is_healthy, seconds=120)
    yield running
    running.process.kill()
    running.process.wait()
    running.home.run("db", "stop")
    running.home.run("db", "remove", "--yes")


def restarted(now: Callable[[], int | None], before: int | None) -> Callable[[], bool]:
    return lambda: bool(now()) and now() != before


def test_a_killed_database_is_started_again_and_both_are_logged_once(service: Service):
    before = service.database()
    assert before
    os.kill(before, signal.SIGKILL)
    wait_until(restarted(service.database, before))
    wait_until(lambda: len(service.log("database_restarted")) == 1)
    assert len(service.log("database_down")) == 1
    wait_until(service.is_healthy)


def test_a_database_that_an_operator_stopped_is_started_again(service: Service):
    before = service.database()
    service.home.run("db", "stop")
    wait_until(restarted(service.database, before))
    wait_until(service.is_healthy)


@pytest.mark.parametrize("name", ["api", "worker", "jobs"])
def test_a_process_whose_loop_stands_still_is_killed_and_started_again(service: Service, name: str):
    before = service.child(name)
    os.kill(before, signal.SIGSTOP)
    wait_until(lambda: before not in service.home.children(service.process.pid))
    assert before in [line["pid"] for line in service.log("process_stuck") if line["command"] == name]
    wait_until(service.is_healthy)


def test_the_rows_of_a_worker_that_hangs_are_taken_over(service: Service, tmp_path: Path):
    document = tmp_path / "guide.yaml"
    document.write_text(GUIDE)
    service.home.run("apply", str(document))
    token = service.home.run("token", "create", "--role", "admin", "--name", "me").splitlines()[-1]
    url = f"http://127.0.0.1:{service.home.port}{PATH}/DataImport/Usage/guideFeed"
    answer = httpx.post(
        url, json={"data": [GUIDE_ROW]}, headers={"Authorization": f"Bearer {token}"}, timeout=60
    ).json()
    status = json.loads(service.home.run("status", answer["trackingId"], "--wait", "--json"))
    assert (status["recordCount"], status["ratedCount"]) == (1, 1)
    assert (Path(service.settings["home"]) / f"hung-{HANG_AT}").exists()


def test_a_connection_made_while_the_api_is_started_again_waits_for_its_answer(service: Service):
    os.kill(service.child("api"), signal.SIGKILL)
    with socket.create_connection(("127.0.0.1", service.home.port)) as caller:
        caller.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        caller.settimeout(60)
        assert caller.recv(12).startswith(b"HTTP/1.1 ")


def test_it_ends_in_order_with_a_slow_upload_and_an_idle_connection_open(service: Service):
    with (
        socket.create_connection(("127.0.0.1", service.home.port)) as idle,
        socket.create_connection(("127.0.0.1", service.home.port)) as slow,
    ):
        idle.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        idle.recv(12)
        slow.sendall(b"POST /oauth/token HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(60) == 0
    assert service.log("process_killed") == []
    assert service.database() is None
