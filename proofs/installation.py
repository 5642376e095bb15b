"""An installation to break: ``ratemill serve`` on a home of its own, run as a service manager runs it.

Every process is found through the environment and the title that it was started with, so that only processes of this
installation are ever killed.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
from tests.fixtures.processes import environment, free_port

from ratemill.settings import Settings
from ratemill.store.connections import Database
from ratemill.store.embedded import embedded

Figures = Callable[[str], None]

WELL_S = 180.0  # the product promises 10 s on a quiet machine; the figures show what it took
RESTART_S = 0.5  # the pause of the service manager before it starts `serve` again
LOG_TAIL_LINES, LOG_LINE_CHARS = 20, 250


def wait_for(holds: Callable[[], object], what: str, *, seconds: float = WELL_S) -> float:
    """Wait until ``holds`` is true and return how long that took; fail and name ``what`` after ``seconds``."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < seconds, f"after {seconds:.0f} s still not: {what}"
        time.sleep(0.05)  # between two looks, not instead of one
    return time.monotonic() - began


@dataclass(frozen=True)
class Process:
    """A process of the installation: its command line, parent and start."""

    pid: int
    command: list[str]
    parent: int
    started: int


class Installation:
    """``serve`` on a home: started, started again whenever it ended, asked, killed in parts, stopped."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder, self.home, self.port = folder, folder / "home", free_port()
        self.home.mkdir(exist_ok=True)
        self.settings = {"home": str(self.home), "log_level": "WARNING", **settings}
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "serve.log"
        self.serve: subprocess.Popen[bytes] | None = None
        self._ended_at = 0.0
        self._server: embedded.Server | None = None  # its address stays the same when it is started again

    # serve and its commands

    def start(self) -> None:
        """Start ``serve``."""
        with self.log.open("ab") as log:
            log.write(f"--- serve starts, {datetime.now(UTC):%H:%M:%S}\n".encode())
            log.flush()
            command = [sys.executable, "-m", "ratemill", "serve", "--port", str(self.port)]
            self.serve = subprocess.Popen(command, env=environment(**self.settings), stdout=log, stderr=log)

    def keep_serving(self) -> None:
        """Start ``serve`` again if it ended, after the pause that a service manager makes."""
        if self.serve is not None and self.serve.poll() is None:
            return
        if self.serve is not None:
            self.serve, self._ended_at = None, time.monotonic()
        if time.monotonic() - self._ended_at >= RESTART_S:
            self.start()

    def stop(self) -> int:
        """Stop ``serve`` in order; return its exit code."""
        assert self.serve is not None
        self.serve.send_signal(signal.SIGTERM)
        return self.serve.wait(60)

    def run(self, *arguments: str, check: bool = True) -> str:
        """Run a command to its end; return what it printed."""
        command = [sys.executable, "-m", "ratemill", *arguments]
        done = subprocess.run(
            command, env=environment(**self.settings), capture_output=True, text=True, check=False, timeout=120
        )
        assert not check or done.returncode == 0, f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def set_up(self, document: str) -> str:
        """Apply a document; return the secret of a token of every right."""
        path = self.folder / "set-up.yaml"
        path.write_text(document)
        self.run("apply", str(path))
        return self.run("token", "create", "--role", "admin", "--name", "proof").splitlines()[-1]

    def health(self) -> int:
        """Return the status of the health call, 0 while nothing answers within 10 s."""
        try:
            return httpx.get(f"{self.url}/healthz", timeout=10).status_code
        except httpx.TransportError:
            return 0

    @contextmanager
    def database(self) -> Iterator[Database]:
        """Yield the database of the running installation, for the audit and for counts; it is never started here."""
        settings = Settings(home=self.home)
        if self._server is None:
            assert self.postmaster(), "the database does not run"
            self._server = embedded.ensure(settings)
        opened = Database(self._server.dsn(), settings)
        try:
            yield opened
        finally:
            opened.close()

    def log_tail(self) -> str:
        """Return the last lines that ``serve`` and its processes logged."""
        lines = [line[:LOG_LINE_CHARS] for line in self.log.read_text(errors="replace").splitlines()]
        return "\n".join(lines[-LOG_TAIL_LINES:])

    # its processes

    def database_log(self) -> str:
        """Return what the database logged."""
        log = embedded.status(Settings(home=self.home)).log
        return log.read_text(errors="replace") if log else ""

    def postmaster(self) -> int | None:
        """Return the database's first process, None if it does not run."""
        return embedded.status(Settings(home=self.home)).pid

    def database_processes(self, title: str) -> list[int]:
        """Return the database's processes whose title contains a text."""
        postmaster = self.postmaster()
        found = [] if postmaster is None else [each for each in _processes() if each.parent == postmaster]
        return [each.pid for each in found if title in " ".join(each.command)]

    def commands(self, name: str) -> list[Process]:
        """Return the processes of one command of the product, the oldest first."""
        named = [each for each in self._own() if each.command[1:4] == ["-m", "ratemill", name]]
        return sorted(named, key=lambda each: each.started)

    def is_whole(self) -> bool:
        """Whether ``serve`` has all its processes, none of them left behind by an earlier one."""
        if self.serve is None or self.serve.poll() is not None:
            return False
        children = [each for each in self._own() if each.pid != self.serve.pid]
        counts = [sum(each.command[3:4] == [name] for each in children) for name in ("api", "worker", "jobs")]
        jobs = {1, 2}  # with the spare or without
        return (
            all(each.parent == self.serve.pid for each in children)
            and counts[:2] == [1, int(self.settings["workers"])]
            and counts[2] in jobs
        )

    def wait_well(self, *, gone: int = 0, seconds: float = WELL_S) -> float:
        """Wait until ``serve`` is whole without the process ``gone`` and answers that it is well; return how long."""

        def well() -> bool:
            self.keep_serving()
            return not _is_alive(gone) and self.is_whole() and self.health() == 200

        try:
            return wait_for(well, "serve is well", seconds=seconds)
        except AssertionError as error:
            error.add_note(f"health {self.health()}, postmaster {self.postmaster()}")
            error.add_note("\n".join(" ".join(each.command) for each in self._own()))
            error.add_note(self.log_tail())
            raise

    def leftovers(self) -> list[str]:
        """Return every process of this home that still runs."""
        data = embedded.status(Settings(home=self.home)).data
        titled = [each for each in _processes() if data and str(data) in each.command]
        return [" ".join(each.command) for each in [*self._own(), *titled]]

    def end(self) -> None:
        """Kill what still runs and remove the database."""
        for each in self._own():
            with suppress(ProcessLookupError):
                os.kill(each.pid, signal.SIGKILL)
        if self.serve is not None:
            self.serve.wait(60)
        wait_for(lambda: not self._own(), "the killed processes are gone")
        self.run("db", "remove", "--yes", check=False)

    def _own(self) -> list[Process]:
        mark = f"RATEMILL_HOME={self.home}".encode()
        named = [each for each in _processes() if "ratemill" in each.command]
        return [each for each in named if mark in _environment(each.pid)]


@contextmanager
def installation(folder: Path | None = None, **settings: str) -> Iterator[Installation]:
    """Yield an installation in a folder that the database's account can reach, and remove it afterwards."""
    made = folder or Path(tempfile.mkdtemp(prefix="ratemill-proof-"))
    made.chmod(0o755)
    installed = Installation(made, **{"workers": "4", **settings})
    try:
        yield installed
    except BaseException as error:
        error.add_note(installed.log_tail() if installed.log.exists() else "serve logged nothing")
        raise
    finally:
        installed.end()
        if folder is None:
            shutil.rmtree(made)


def _processes() -> list[Process]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError, IndexError, ValueError):
                command = os.fsdecode((entry / "cmdline").read_bytes()).rstrip("\0").split("\0")
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if fields[0] != "Z":
                    found.append(Process(int(entry.name), command, int(fields[1]), int(fields[19])))
    return found


def _environment(pid: int) -> list[bytes]:
    with suppress(OSError):
        return (Path("/proc") / str(pid) / "environ").read_bytes().split(b"\0")
    return []


def _is_alive(pid: int) -> bool:
    return pid != 0 and any(each.pid == pid for each in _processes())
