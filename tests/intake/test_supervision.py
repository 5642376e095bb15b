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
from psycopg.conninfo import make_conninfo
from tests.fixtures.mill import GUIDE, GUIDE_ROW, PATH, guide_row
from tests.fixtures.processes import environment, free_port, wait_until
from tests.intake.test_serve import Home
from tests.store.embedded.homes import altered

from ratemill.settings import Settings
from ratemill.store.embedded import embedded

SILENT_S_MAX = "5"
HANG_AT = "after-claim"
STOP_S_MAX = "60"  # on a busy machine a process is given time to end in order
LOAD_REQUESTS = 20


class Service:
    """A running ``serve`` on a home of its own, its log as JSON lines."""

    def __init__(self, folder: Path) -> None:
        self.home = Home(folder / "home")
        self.settings = {
            "home": self.home.settings["home"],
            "log_json": "true",
            "heartbeat_s_max": SILENT_S_MAX,
            "hang_at": HANG_AT,
            "stop_s_max": STOP_S_MAX,
        }
        self._log_file = folder / "log"
        self.process = self.start()
        self.token = ""

    def start(self) -> subprocess.Popen[bytes]:
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

    def post(self, rows: list[str]) -> dict[str, Any]:
        """Send rows to the guide's feed, which the first call sets up; return the answer."""
        if not self.token:
            document = Path(self.settings["home"]).with_name("guide.yaml")
            document.write_text(GUIDE)
            self.home.run("apply", str(document))
            self.token = self.home.run("token", "create", "--role", "admin", "--name", "me").splitlines()[-1]
        url = f"http://127.0.0.1:{self.home.port}{PATH}/DataImport/Usage/guideFeed"
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = httpx.post(url, json={"data": rows}, headers=headers, timeout=60)
        accepted: dict[str, Any] = answer.raise_for_status().json()
        return accepted

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


def test_the_rows_of_a_worker_that_hangs_are_taken_over(service: Service):
    answer = service.post([GUIDE_ROW])
    status = json.loads(service.home.run("status", answer["trackingId"], "--wait", "--json"))
    assert (status["recordCount"], status["ratedCount"]) == (1, 1)
    assert (Path(service.settings["home"]) / f"hung-{HANG_AT}").exists()


def test_a_connection_made_while_the_api_is_started_again_waits_for_its_answer(service: Service):
    os.kill(service.child("api"), signal.SIGKILL)
    with socket.create_connection(("127.0.0.1", service.home.port)) as caller:
        caller.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        caller.settimeout(60)
        assert caller.recv(12).startswith(b"HTTP/1.1 ")


def test_a_database_that_cannot_start_is_tried_until_it_can_and_logged_once(service: Service):
    before, restarts = service.database(), len(service.log("database_restarted"))
    home = Path(service.settings["home"])
    data = embedded.status(Settings(home=home)).data
    assert before
    assert data
    with altered(data / "postgresql.conf", "no_such_setting = 1\n"):
        os.kill(before, signal.SIGKILL)
        wait_until(lambda: service.log("database_not_started"))
        wait_until(lambda: (data / "server.log").read_text().count("no_such_setting") > 2)
    wait_until(lambda: len(service.log("database_restarted")) == restarts + 1)
    assert len(service.log("database_not_started")) == 1
    wait_until(service.is_healthy)


def test_it_ends_in_order_under_load_with_a_slow_upload_and_an_idle_connection_open(service: Service):
    with (
        socket.create_connection(("127.0.0.1", service.home.port)) as idle,
        socket.create_connection(("127.0.0.1", service.home.port)) as slow,
    ):
        idle.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        idle.recv(12)
        slow.sendall(b"POST /oauth/token HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
        for request in range(LOAD_REQUESTS):
            service.post([guide_row(1_000 * request + row) for row in range(1_000)])
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(120) == 0
    assert service.log("process_killed") == []
    assert service.database() is None
    service.process = service.start()
    wait_until(service.is_healthy, seconds=120)
    wait_until(lambda: service.home.health_answer()["rowsWaiting"] == 0)
    assert f"{1_000 * LOAD_REQUESTS + 1} of {1_000 * LOAD_REQUESTS + 1} records" in service.home.run("audit")
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(120) == 0
    assert service.log("process_killed") == []


def test_a_database_of_your_own_that_is_away_is_waited_for(tmp_path: Path):
    settings = {"home": str(tmp_path), "log_json": "true", "database_url": "postgresql://127.0.0.1:1/none"}
    command = [sys.executable, "-m", "ratemill", "serve", "--port", str(free_port())]
    with subprocess.Popen(command, env=environment(**settings), stderr=subprocess.PIPE, text=True) as serve:
        assert serve.stderr
        assert json.loads(serve.stderr.readline())["event"] == "database_unavailable"
        serve.send_signal(signal.SIGTERM)
        rest = [json.loads(line)["event"] for line in serve.stderr]
    assert rest == ["stopping"]
    assert serve.returncode == 0


@pytest.mark.parametrize("wrong", [{"password": "s3cret-Word"}, {"dbname": "missing"}, {"user": "nobody_here"}])
def test_a_database_of_your_own_that_refuses_the_login_ends_serve_with_one_sentence(
    dsn: str, wrong: dict[str, str], tmp_path: Path
):
    settings = {"home": str(tmp_path), "database_url": make_conninfo(dsn, **wrong)}
    command = [sys.executable, "-m", "ratemill", "serve", "--port", str(free_port())]
    done = subprocess.run(
        command, env=environment(**settings), capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 3, done.stderr
    (sentence,) = [line for line in done.stderr.splitlines() if line.startswith("ratemill: ")]
    assert "correct the login in RATEMILL_DATABASE_URL" in sentence
    assert "s3cret-Word" not in done.stderr
    assert "database_unavailable" not in done.stderr


def test_the_api_answers_from_the_start_while_a_database_of_your_own_is_away(tmp_path: Path):
    settings = {"home": str(tmp_path), "database_url": "postgresql://me:s3cret@127.0.0.1:1/none"}
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    import_url = f"{url}{PATH}/DataImport/Usage/guideFeed"

    def status(path: str) -> int:
        try:
            return httpx.get(f"{url}{path}", timeout=60).status_code
        except httpx.TransportError:
            return 0

    command = [sys.executable, "-m", "ratemill", "serve", "--port", str(port)]
    with subprocess.Popen(command, env=environment(**settings)) as serve:
        try:
            wait_until(lambda: status("/livez") == 200)
            answers = [httpx.get(f"{url}/{name}", timeout=60) for name in ("readyz", "healthz")]
            headers = {"Authorization": "Bearer rm_x"}
            answers.append(httpx.post(import_url, json={"data": [GUIDE_ROW]}, headers=headers, timeout=60))
        finally:
            serve.send_signal(signal.SIGTERM)
    assert [answer.status_code for answer in answers] == [503] * 3
    assert all(int(answer.headers["Retry-After"]) > 0 for answer in answers)
    assert not any("127.0.0.1:1" in answer.text or "s3cret" in answer.text for answer in answers)
    assert serve.returncode == 0
