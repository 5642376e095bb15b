"""The server as the operating system sees it: started, found, interrupted.

A server is known by what it does, not by a number in a file: a postmaster is a process named ``postgres`` that works in
the data folder. A pid file that names anything else is stale, however alive the process that has its number now.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from ratemill.errors import Unavailable
from ratemill.store.embedded_account import Account

# How often a state that will change is looked at, and how often a person hears that it has not.
POLL_S = 0.05
REPORT_S = 2.0

# How long processes that a dead postmaster left behind get to leave by themselves.
ORPHANS_S = 10.0

# At a start, a log longer than this becomes the old one, and that is dropped.
LOG_BYTES_MAX = 16 * 1024 * 1024
LOG_TAIL_LINES = 15

# The shell opens the log as the account, puts the server in the background, says its pid and ends: so the server is
# nobody's child, holds no pipe of ours, and in the session of its own it outlives the terminal.
_LAUNCH = '"$@" </dev/null >>"$0" 2>&1 & echo $!'

Progress = Callable[[str], None]


def log_of(data: Path) -> Path:
    """Return the file with everything that the server says."""
    return data / "server.log"


def launch(account: Account, programs: Path, data: Path, options: Sequence[str]) -> int:
    """Start a server and return its pid; it answers nobody yet."""
    clear(data)
    log = log_of(data)
    if log.exists() and log.stat().st_size > LOG_BYTES_MAX:
        log.replace(log.with_suffix(".old.log"))
    said = account.run(["/bin/sh", "-c", _LAUNCH, log, programs / "postgres", "-D", data, *options])
    if said.returncode or not said.stdout:
        raise Unavailable(f"The database server could not be started: {said.stderr.decode(errors='replace').strip()}")
    return int(said.stdout)


def log_tail(data: Path) -> str:
    """Return the last lines of the server's log."""
    with suppress(OSError):
        return "\n".join(log_of(data).read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:])
    return "(no log)"


def pid_file(data: Path) -> list[str]:
    """Return the lines of the pid file: pid, data folder, start, port, socket folder, …; none without such a file."""
    with suppress(FileNotFoundError):
        return (data / "postmaster.pid").read_text().splitlines()
    return []


def postmaster(data: Path) -> int | None:
    """Return the pid of the server that runs on a data folder."""
    lines = pid_file(data)
    pid = int(lines[0]) if lines and lines[0].strip().isdigit() else 0
    return pid if pid and works_in(pid, data) else None


def works_in(pid: int, data: Path) -> bool:
    """Whether that process is a PostgreSQL that works in the data folder; a zombie works nowhere."""
    process = Path("/proc") / str(pid)
    try:
        named = (process / "comm").read_text().strip()
        return named in {"postgres", "postmaster"} and (process / "cwd").stat().st_ino == data.stat().st_ino
    except OSError:
        return False


def lives(pid: int) -> bool:
    """Whether there is such a process and it is no zombie."""
    try:
        stat = (Path("/proc") / str(pid) / "stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def interrupt(pid: int, data: Path, progress: Progress) -> None:
    """Stop a server the fast way, sessions cut and everything written, and wait until it is down."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGINT)
    wait(lambda: not works_in(pid, data), lambda seconds: progress(f"stopping the database, {seconds} s"))


def clear(data: Path) -> None:
    """Take away what a server that died left: its processes, its pid file, its socket's lock."""
    _end_orphans(data)
    lines = pid_file(data)
    (data / "postmaster.pid").unlink(missing_ok=True)
    if len(lines) > 4 and lines[4]:  # noqa: PLR2004 - the fifth line is the socket's folder
        socket = Path(lines[4]) / f".s.PGSQL.{lines[3]}"
        socket.unlink(missing_ok=True)
        Path(f"{socket}.lock").unlink(missing_ok=True)


def _end_orphans(data: Path) -> None:
    """End the processes of a postmaster that was killed: while one lives, its shared memory keeps a new one out."""
    for number in (signal.SIGQUIT, signal.SIGKILL):
        for pid in _orphans(data):
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        if wait(lambda: not _orphans(data), limit_s=ORPHANS_S):
            return
    raise Unavailable(f"Processes of a dead server hold {data}: {_orphans(data)}")


def _orphans(data: Path) -> list[int]:
    pids = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return [pid for pid in pids if works_in(pid, data)]


def wait(
    done: Callable[[], bool],
    report: Callable[[int], None] = lambda _: None,
    *,
    limit_s: float | None = None,
) -> bool:
    """Wait until ``done``, reporting every couple of seconds for how long; false if ``limit_s`` was over first."""
    began = reported = time.monotonic()
    while not done():
        now = time.monotonic()
        if limit_s is not None and now - began > limit_s:
            return False
        if now - reported >= REPORT_S:
            reported = now
            report(round(now - began))
        time.sleep(POLL_S)
    return True
