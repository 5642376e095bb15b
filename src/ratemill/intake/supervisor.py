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
from contextlib import contextmanager, suppress
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
SPARE_AFTER_S = 5.0  # a spare is loaded when what it stands by for has run for this long: beginning goes first
CHECK_S = 0.1

log = logs.get(__name__)


@dataclass(slots=True)
class Child:
    """One process: its command and, while it lives, the process.

    ``with_spare``: another is kept that has loaded what it needs and waits to be called in. To load takes two seconds of a
    processor, which on a busy machine are ten.
    """

    command: list[str]
    with_spare: bool = False
    process: subprocess.Popen[bytes] | None = None
    spare: subprocess.Popen[bytes] | None = None
    started_at: float = field(default=float("-inf"))


def serve(settings: Settings, *, host: str, port: int) -> None:
    """Run API, workers and jobs until SIGTERM or SIGINT; the last ``serve`` of a home stops its embedded database."""
    stopping = Event()
    stop_on_signals(stopping)
    with _one_of_the_serves(settings) as home:
        databases.open_database(settings).close()
        children = [Child(["api", "--host", host, "--port", str(port)])]
        children += [Child(["worker"]) for _ in range(settings.workers)]
        children += [Child(["jobs"], with_spare=True)]
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


def is_called_in() -> bool:
    """In a spare: wait until it is called in; False if the process that started it is gone."""
    return sys.stdin.buffer.read(1) != b""


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
    if child.spare is not None and child.spare.poll() is not None:
        child.spare = None
    if child.process is None and child.spare is not None:
        _call_in(child)
    ran_for = monotonic() - child.started_at
    if child.process is None and ran_for >= RESTART_S_MIN:
        child.started_at = monotonic()
        child.process = _start(*child.command)
    elif child.with_spare and child.spare is None and ran_for >= SPARE_AFTER_S:
        child.spare = _start(*child.command, "--spare")


def _start(*command: str) -> subprocess.Popen[bytes]:
    arguments = [sys.executable, "-m", "ratemill", *command, "--with-parent"]
    return subprocess.Popen(arguments, stdin=subprocess.PIPE, start_new_session=True)


def _call_in(child: Child) -> None:
    """Let the spare be the process."""
    child.process, child.spare, child.started_at = child.spare, None, monotonic()
    if child.process is not None and child.process.stdin is not None:
        with suppress(BrokenPipeError):  # it died just now, which the next look sees
            child.process.stdin.write(b"\n")
            child.process.stdin.flush()


def _stop(children: list[Child]) -> None:
    """Ask every process to end after the table or request in hand, and wait for it."""
    processes = [process for child in children for process in (child.process, child.spare) if process is not None]
    running = [process for process in processes if process.poll() is None]
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
