"""Supervise: start API, workers and jobs as processes of their own, restart one that dies, and end with all of them.

The processes are started by command line, so this module imports none. Each holds the reading end of a pipe from
here: when this process dies, however it dies, they read its end and stop by themselves.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from time import monotonic
from types import FrameType

from ratemill import logs
from ratemill.settings import Settings
from ratemill.setup import database as databases

STOP_S_MAX = 12.0  # of the 15 s in which `serve` ends; the rest is for the database
RESTART_S_MIN = 1.0  # a process that dies at once is not restarted in a tight loop
CHECK_S = 0.1

log = logs.get(__name__)


@dataclass(slots=True)
class Child:
    """One process: its command and, while it lives, the process."""

    command: list[str]
    process: subprocess.Popen[bytes] | None = None
    started_at: float = field(default=float("-inf"))


def serve(settings: Settings, *, host: str, port: int) -> None:
    """Run API, workers and jobs until SIGTERM or SIGINT; the last ``serve`` of a home stops its embedded database."""
    stopping = Event()
    stop_on_signals(stopping)
    with _one_of_the_serves(settings) as home:
        databases.open_database(settings).close()
        children = [Child(["api", "--host", host, "--port", str(port)])]
        children += [Child(["worker"]) for _ in range(settings.workers)]
        children += [Child(["jobs"])]
        log.info("serving", url=f"http://{host}:{port}", workers=settings.workers, home=str(home))
        while not stopping.is_set():
            for child in children:
                _keep_alive(child)
            stopping.wait(CHECK_S)
        _stop(children)


def stop_with_parent(stopping: Event) -> None:
    """In a child: set ``stopping`` when the process that started it is gone."""

    def wait() -> None:
        with os.fdopen(sys.stdin.fileno(), "rb", closefd=False) as pipe:
            pipe.read()
        stopping.set()

    Thread(target=wait, daemon=True).start()


def stop_on_signals(stopping: Event) -> None:
    """Set ``stopping`` on SIGTERM and on Ctrl-C."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)


@contextmanager
def _one_of_the_serves(settings: Settings) -> Iterator[Path]:
    """Hold a share of the home's lock; whoever can have it alone at the end was the last and stops the database."""
    home = settings.home.absolute()
    home.mkdir(parents=True, exist_ok=True)
    with (home / "serve.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        try:
            yield home
        finally:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                log.info("database_left_running", reason="another serve uses it")
            else:
                databases.stop_embedded(settings)


def _keep_alive(child: Child) -> None:
    if child.process is not None and child.process.poll() is not None:
        log.warning("process_died", command=child.command, exit_code=child.process.returncode)
        child.process = None
    if child.process is None and monotonic() - child.started_at >= RESTART_S_MIN:
        child.started_at = monotonic()
        command = [sys.executable, "-m", "ratemill", *child.command, "--with-parent"]
        child.process = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)


def _stop(children: list[Child]) -> None:
    """Ask every process to end after the table or request in hand, and wait for it."""
    running = [child.process for child in children if child.process is not None and child.process.poll() is None]
    for process in running:
        process.terminate()
    deadline = monotonic() + STOP_S_MAX
    for process in running:
        try:
            process.wait(max(0.0, deadline - monotonic()))
        except subprocess.TimeoutExpired:
            log.warning("process_killed", pid=process.pid)
            process.kill()
            process.wait()
