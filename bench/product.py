"""The product under test: a fresh home, started by its own command line, spoken to over sockets."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from time import monotonic, sleep
from typing import Any

RATEMILL = [sys.executable, "-m", "ratemill"]
PATH = "/ResourceServer/api/v7"
LOOK_S = 0.25  # between two looks at memory


@dataclass(frozen=True, slots=True)
class Product:
    """A running product: its home, port, token and the process of its supervisor."""

    home: Path
    port: int
    token: str
    pid: int

    def connect(self) -> http.client.HTTPConnection:
        """Return a connection that is kept open."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)

    def post(self, connection: http.client.HTTPConnection, feed: str, body: bytes) -> dict[str, Any]:
        """Send one request of usage; return the answer."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        connection.request("POST", f"{PATH}/DataImport/Usage/{feed}", body, headers)
        return _answer(connection)

    def get(self, connection: http.client.HTTPConnection, path: str) -> dict[str, Any]:
        """Read one thing."""
        connection.request("GET", PATH + path, headers={"Authorization": f"Bearer {self.token}"})
        return _answer(connection)

    def command(self, *arguments: str) -> str:
        """Run a command of the product on this home; return what it printed."""
        done = subprocess.run(
            [*RATEMILL, *arguments], env=environment(self.home), capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"ratemill {' '.join(arguments)}: {done.stdout[-2_000:]}{done.stderr[-2_000:]}")
        return done.stdout

    def roots(self) -> list[int]:
        """Return the supervisor and the database server, whose children are all other processes of the product."""
        status = json.loads(self.command("db", "status", "--json"))
        return [self.pid, int(status["pid"])]


@contextmanager
def running(set_up: Path) -> Iterator[Product]:
    """Start the product on a fresh home with a set-up document applied; stop it at the end."""
    with tempfile.TemporaryDirectory(prefix="ratemill-bench-") as folder:
        home = Path(folder) / "home"
        Path(folder).chmod(0o755)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        log = (Path(folder) / "serve.log").open("wb")
        command = [*RATEMILL, "serve", "--port", str(port)]
        process = subprocess.Popen(command, env=environment(home), stdout=log, stderr=log)
        try:
            product = Product(home, port, "", process.pid)
            wait_until(lambda: _is_healthy(product), "the product is not healthy", seconds=120)
            product.command("apply", str(set_up))
            token = product.command("token", "create", "--role", "admin", "--name", "bench").strip().splitlines()[-1]
            yield Product(home, port, token, process.pid)
        except BaseException:
            sys.stderr.write((Path(folder) / "serve.log").read_text()[-4_000:])
            raise
        finally:
            process.terminate()
            process.wait(30)


def environment(home: Path) -> dict[str, str]:
    """Return the environment of the product: default settings but for the home."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RATEMILL_")}
    return {**kept, "RATEMILL_HOME": str(home), "RATEMILL_LOG_LEVEL": "WARNING"}


def wait_until(holds: Any, message: str, *, seconds: float) -> None:  # noqa: ANN401 -- any function without arguments
    """Wait until ``holds`` says so; raise ``TimeoutError`` after ``seconds``."""
    deadline = monotonic() + seconds
    while not holds():
        if monotonic() > deadline:
            raise TimeoutError(message)
        sleep(0.02)


def _answer(connection: http.client.HTTPConnection) -> dict[str, Any]:
    response = connection.getresponse()
    body = response.read()
    if response.status != 200:
        raise RuntimeError(f"{response.status}: {body[:500]!r}")
    answer: dict[str, Any] = json.loads(body)
    return answer


def _is_healthy(product: Product) -> bool:
    connection = product.connect()
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def pss_mb(roots: list[int]) -> float:
    """Return the memory of some processes and all their children, each page counted once."""
    return sum(_pss_kb(pid) for root in roots for pid in tree(root)) / 1024


@contextmanager
def memory_watched(product: Product) -> Iterator[list[float]]:
    """Yield the memory of the product's processes in MB, PostgreSQL's included, looked at while the block runs."""
    roots, over = product.roots(), Event()
    memory = [pss_mb(roots)]

    def watch() -> None:
        while not over.wait(LOOK_S):
            memory.append(pss_mb(roots))

    thread = Thread(target=watch)
    thread.start()
    try:
        yield memory
    finally:
        over.set()
        thread.join()


def tree(root: int) -> list[int]:
    """Return the process and all that it started, and these."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
    found = [root]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def _pss_kb(pid: int) -> int:
    try:
        lines = (Path("/proc") / str(pid) / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
