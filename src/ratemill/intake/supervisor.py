"""Supervise: start API, workers and jobs as processes of their own, keep them and the database up, end with all of them.

The processes are started by command line, so this module imports none. The loop never waits for the database
(``database_keeper.py``) nor for a process (``children.py``): signals are served at any time.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from time import monotonic
from types import FrameType

from ratemill import heartbeat, logs
from ratemill.access import database as databases
from ratemill.errors import Unavailable
from ratemill.intake import listening
from ratemill.intake.children import Child, stop_all
from ratemill.intake.database_keeper import DatabaseKeeper
from ratemill.settings import Settings
from ratemill.store.embedded.use import SERVE_LOCK

# At the end of `serve` a process finishes the table in hand or rolls it back after 2 s. It is killed when only these
# seconds are left of `stop_s_max`, which the database needs to be stopped.
ROLL_BACK_AFTER_S = 2.0
KEEPER_STOP_S_MAX = 3.0
DATABASE_STOP_S_MAX = 30.0  # a server that is frozen, or whose disk is, never stops
CHECK_S = 0.1
ABSENT_S = 2.0  # a loop that took longer was itself stopped or starved: silence in that time proves nothing

log = logs.get(__name__)


def serve(settings: Settings, *, host: str, port: int) -> None:
    """Run API, workers and jobs until SIGTERM or SIGINT; the last ``serve`` of a home stops its embedded database."""
    stopping = Event()
    stop_on_signals(stopping)
    home = settings.home.absolute()
    sockets = listening.open_sockets(host, port, is_held_by_earlier=lambda: is_served(home))
    try:
        with _one_of_the_serves(settings) as lock:
            scheme = "https" if settings.tls_certificate else "http"
            _supervise(settings, stopping, sockets, lock, url=f"{scheme}://{host}:{port}")
    finally:
        listening.close(sockets)


def _supervise(settings: Settings, stopping: Event, sockets: list[socket.socket], lock: int, *, url: str) -> None:
    api, *others = _children(settings, sockets, lock)
    children = [api, *others]
    keeper = DatabaseKeeper(settings)
    keeper.start()
    serving = False
    looked_at = monotonic()
    try:
        while not stopping.wait(CHECK_S):
            is_open = keeper.is_open()
            if is_open and not serving:
                log.info("serving", url=url, workers=settings.workers, home=str(settings.home.absolute()))
                serving = True
            if monotonic() - looked_at > ABSENT_S:
                for child in children:
                    child.excuse()
            looked_at = monotonic()
            for child in children if is_open else [api]:  # until then the API answers 503
                child.keep_running(silent_s_max=settings.heartbeat_s_max)
    finally:
        log.info("stopping")
        listening.close(sockets)
        stop_all(children, within_s=settings.stop_s_max - KEEPER_STOP_S_MAX)
        keeper.stop(within_s=KEEPER_STOP_S_MAX)


def _children(settings: Settings, sockets: list[socket.socket], lock: int) -> list[Child]:
    """Return the processes to keep running, the API first.

    Each holds the home's lock: a killed ``serve`` holds it until they end.
    """
    files = [listener.fileno() for listener in sockets]
    options = [text for file in files for text in ("--listener", str(file))]
    return [
        Child(["api", *options], [*files, lock]),
        *(Child(["worker"], [lock]) for _ in range(settings.workers)),
        Child(["jobs"], [lock], with_spare=True),
    ]


def stop_with_parent(stopping: Event) -> None:
    """In a child: set ``stopping`` when the process that started it is gone."""

    def wait() -> None:
        with os.fdopen(sys.stdin.fileno(), "rb", closefd=False) as pipe:
            pipe.read()
        heartbeat.stop_within(ROLL_BACK_AFTER_S)
        stopping.set()

    Thread(target=wait, daemon=True).start()


def is_called_in() -> bool:
    """In a spare: wait until it is called in; False if the process that started it is gone."""
    return sys.stdin.buffer.read(1) != b""


def stop_on_signals(stopping: Event) -> None:
    """Set ``stopping`` on SIGTERM and on Ctrl-C, and bound the work in hand."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        if not stopping.is_set():
            heartbeat.stop_within(ROLL_BACK_AFTER_S)
        stopping.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)


@contextmanager
def _one_of_the_serves(settings: Settings) -> Iterator[int]:
    """Hold a share of the home's lock; a ``serve`` that can have it alone at the end was the last: it stops the database."""
    home = settings.home.absolute()
    home.mkdir(parents=True, exist_ok=True)
    with _lock_file(home).open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        try:
            yield lock.fileno()
        finally:
            if _has_alone(lock.fileno()):
                _stop_database(settings)
            else:
                log.info("database_left_running", reason="another serve uses it")


def _stop_database(settings: Settings) -> None:
    """Stop the embedded database; one that cannot be stopped in time is left to end or to be adopted."""
    deadline = monotonic() + DATABASE_STOP_S_MAX

    def progress(message: str) -> None:
        if monotonic() > deadline:
            raise Unavailable("the database does not stop")
        log.info("database_stopping", progress=message)

    try:
        databases.stop_embedded(settings, progress)
    except Unavailable as error:
        log.warning("database_left_running", reason=str(error))


def is_served(home: Path) -> bool:
    """Return whether a ``serve``, or a process that a killed one started, still holds the home."""
    if not _lock_file(home).exists():
        return False
    with _lock_file(home).open("a") as lock:
        return not _has_alone(lock.fileno())


def _lock_file(home: Path) -> Path:
    return home / SERVE_LOCK


def _has_alone(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
