"""The server as the operating system sees it: started, found, interrupted.

A server is known by its command line, not by a number in a file: the postmaster is the process that was started on the
data folder. A pid file that names anything else is stale, however alive the process that has its number now.

Only what root can read of another account's process without the right to trace it is used: a container's root lacks
that right.
"""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from ratemill.errors import Unavailable, UsageFault
from ratemill.store.embedded_account import Account, Programs, digest

# How often a state that will change is looked at, and how often a person hears that it has not.
POLL_S = 0.05
REPORT_S = 2.0

# How long processes of a dead postmaster, once killed, get to leave; one that waits for a disk cannot at once.
ORPHANS_S = 10.0

# At a start, a log longer than this becomes the old one, and that is dropped.
LOG_BYTES_MAX = 16 * 1024 * 1024
LOG_TAIL_LINES = 15

# The shell opens the log as the account, puts the server in the background, says its pid and ends: so the server is
# nobody's child, holds no pipe of ours, and in the session of its own it outlives the terminal.
_LAUNCH = '"$@" </dev/null >>"$0" 2>&1 & echo $!'

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Postmaster:
    """The server's first process, known by its number and the data folder that it was started on."""

    pid: int
    started_on: str

    def runs(self) -> bool:
        """Whether it has not ended; the shell that becomes it has the folder in its command line, too."""
        return any(pair == ("-D", self.started_on) for pair in pairwise(_command(self.pid)))


def log_of(data: Path) -> Path:
    """Return the file with everything that the server says."""
    return data / "server.log"


def launch(account: Account, programs: Programs, data: Path, options: Sequence[str]) -> Postmaster:
    """Start a server; it answers nobody yet."""
    if not account.can_enter(data):
        raise UsageFault(
            f"The account {account.name}, which owns {data}, cannot reach it any more: open the way there."
        )
    clear(data)
    log = log_of(data)
    if log.exists() and log.stat().st_size > LOG_BYTES_MAX:
        log.replace(log.with_suffix(".old.log"))
    said = account.run(["/bin/sh", "-c", _LAUNCH, log, programs.folder / "postgres", "-D", data, *options])
    if said.returncode or not said.stdout:
        raise Unavailable(f"The database server could not be started: {said.stderr.decode(errors='replace').strip()}")
    return Postmaster(int(said.stdout), str(data))


def log_tail(data: Path) -> str:
    """Return the last lines of the server's log."""
    with suppress(OSError):
        return "\n".join(log_of(data).read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:])
    return "(no log)"


def pid_file(data: Path) -> list[str]:
    """Return the lines of the pid file: pid, data folder, start, port, socket folder, …; none without such a file."""
    with suppress(FileNotFoundError):
        return os.fsdecode((data / "postmaster.pid").read_bytes()).splitlines()
    return []


def postmaster(data: Path) -> Postmaster | None:
    """Return the server that runs on a data folder."""
    lines = pid_file(data)
    if len(lines) < 2 or not lines[0].strip().isdigit():  # noqa: PLR2004 - the pid and the data folder
        return None
    named = Postmaster(int(lines[0]), lines[1])
    return named if named.runs() and _owner(named.pid) == data.stat().st_uid else None


def _command(pid: int) -> list[str]:
    """Return the command line of a process, nothing if it is gone or a zombie."""
    try:
        return os.fsdecode((Path("/proc") / str(pid) / "cmdline").read_bytes()).rstrip("\0").split("\0")
    except OSError:
        return []


def interrupt(data: Path, progress: Progress) -> bool:
    """Stop a server the fast way, sessions cut and all written, and wait until it is down; false if none runs."""
    found = postmaster(data)
    if found is None:
        return False
    with suppress(ProcessLookupError):
        os.kill(found.pid, signal.SIGINT)
    wait(lambda: not found.runs(), lambda seconds: progress(f"stopping the database, {seconds} s"))
    return True


def clear(data: Path) -> None:
    """Take away what a server that died left in the data folder and in memory: its pid file and its processes."""
    _end_orphans(data)
    (data / "postmaster.pid").unlink(missing_ok=True)


def _end_orphans(data: Path) -> None:
    """End the processes of a postmaster that was killed: while one lives, its shared memory keeps a new one out.

    They are killed: what they were doing is lost with their postmaster, and recovery counts on nothing of it.
    """
    for pid in _orphans(data):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if not wait(lambda: not _orphans(data), limit_s=ORPHANS_S):
        raise Unavailable(f"Processes of a dead server hold {data}: {_orphans(data)}")


def _orphans(data: Path) -> list[int]:
    """Return the processes that bear the title of a server on this data folder and run under its account."""
    title, owner = f"postgres: {cluster_name(data)}", data.stat().st_uid
    pids = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return [pid for pid in pids if "".join(_command(pid)).startswith(title) and _owner(pid) == owner]


def _owner(pid: int) -> int | None:
    with suppress(OSError):
        found = re.search(r"^Uid:\t\d+\t(\d+)", (Path("/proc") / str(pid) / "status").read_text(), re.MULTILINE)
        return int(found[1]) if found else None
    return None


def cluster_name(data: Path) -> str:
    """Return the name that every process of the server bears in its title."""
    return f"ratemill-{digest(data)}"


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
