"""A database that is frozen for a minute under `serve`: callers hear of it within seconds, and all goes on after it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from tests.fixtures.frozen import frozen
from tests.fixtures.mill import GUIDE, GUIDE_ROW, PATH
from tests.fixtures.processes import environment, free_port, wait_until

FREEZE_S = 60.0
ANSWER_S_MAX = 15.0  # of a request: the freeze is noticed after about 6 s, the rest is for a busy machine
HEALTH_S_MAX = 5.0


class Served:
    """An installation of its own, with `serve` running on it and its log in a file."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.log = folder / "serve.log"
        self._settings = {"home": str(folder / "home"), "log_json": "true", "workers": "2"}
        with self.log.open("w") as log:
            command = [sys.executable, "-m", "ratemill", "serve", "--port", str(self.port)]
            self.process = subprocess.Popen(command, env=environment(**self._settings), stderr=log)

    def run(self, *arguments: str) -> str:
        command = [sys.executable, "-m", "ratemill", *arguments]
        done = subprocess.run(command, env=environment(**self._settings), capture_output=True, text=True, check=True)
        return done.stdout

    def health(self) -> int:
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/healthz", timeout=30).status_code
        except httpx.TransportError:
            return 0


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    made = Served(tmp_path)
    yield made
    made.process.send_signal(signal.SIGTERM)
    try:
        made.process.wait(60)
    finally:
        made.process.kill()
        made.process.wait()
        with suppress(subprocess.CalledProcessError):
            made.run("db", "remove", "--yes")


@pytest.mark.timeout(600)
def test_a_database_frozen_for_a_minute(served: Served, tmp_path: Path, figures: Callable[[str], None]):
    wait_until(lambda: served.health() == 200, seconds=120)
    document = tmp_path / "guide.yaml"
    document.write_text(GUIDE)
    served.run("apply", str(document))
    secret = served.run("token", "create", "--role", "admin", "--name", "me").splitlines()[-1]
    caller = httpx.Client(
        base_url=f"http://127.0.0.1:{served.port}{PATH}", headers={"Authorization": f"Bearer {secret}"}, timeout=60
    )
    postmaster = int(json.loads(served.run("db", "status", "--json"))["pid"])
    sent = 0

    def send() -> httpx.Response:
        nonlocal sent
        sent += 1
        return caller.post(
            "/DataImport/Usage/guideFeed", json={"data": [GUIDE_ROW]}, headers={"Idempotency-Key": f"k{sent}"}
        )

    assert send().status_code == 200
    lines_before = len(served.log.read_text().splitlines())
    slowest = {"health": 0.0, "request": 0.0}
    answers: Counter[int] = Counter()
    with frozen(postmaster):
        thaw_at = time.monotonic() + FREEZE_S
        while time.monotonic() < thaw_at:
            began = time.monotonic()
            assert served.health() == 503
            slowest["health"] = max(slowest["health"], time.monotonic() - began)
            began = time.monotonic()
            answer = send()
            slowest["request"] = max(slowest["request"], time.monotonic() - began)
            answers[answer.status_code] += 1
            assert "Retry-After" in answer.headers
    assert set(answers) == {503}
    thawed_at = time.monotonic()
    wait_until(lambda: served.health() == 200, seconds=60)
    wait_until(lambda: send().status_code == 200, seconds=60)
    back_s = time.monotonic() - thawed_at
    lines = [json.loads(line) for line in served.log.read_text().splitlines()[lines_before:]]  # each is JSON
    events = Counter(line["event"] for line in lines)
    figures(
        f"health at most {slowest['health']:.1f} s, request at most {slowest['request']:.1f} s,"
        f" {answers[503]} requests got 503,"
        f" back after {back_s:.1f} s, log {dict(events)}"
    )
    assert slowest["health"] < HEALTH_S_MAX
    assert slowest["request"] < ANSWER_S_MAX
    assert events["database_unavailable"] <= 2 * 5  # API, two workers, jobs and serve, each once a minute
    assert "The counts tie" in served.run("audit")
    caller.close()
