"""The product's processes, started by command line on a test's database."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


def environment(**settings: str) -> dict[str, str]:
    """Return this process's environment with settings of the product, named as in ``Settings``."""
    return {**os.environ, **{f"RATEMILL_{name.upper()}": value for name, value in settings.items()}}


def start(*arguments: str, **settings: str) -> subprocess.Popen[bytes]:
    """Start a command of the product."""
    command = [sys.executable, "-m", "ratemill", *arguments]
    return subprocess.Popen(command, env=environment(**settings), stderr=subprocess.DEVNULL)


@contextmanager
def started(*arguments: str, **settings: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command while the block runs, and kill it at its end."""
    process = start(*arguments, **settings)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def was_killed(process: subprocess.Popen[bytes], *, seconds: float = 60) -> bool:
    """Wait for the end of a process, and say whether it was killed."""
    return process.wait(seconds) == -signal.SIGKILL


def wait_until(holds: Callable[[], object], *, seconds: float = 60) -> None:
    """Wait until ``holds`` is true; fail after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)  # between two looks, not instead of one


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def answers(port: int) -> bool:
    """Say whether somebody listens on a port."""
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) == 0
