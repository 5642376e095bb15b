"""The server as the operating system sees it: started, found, interrupted.

A server is found by its command line, not by a number in a file: the postmaster is the process that was started on the
data folder. A pid file that names anything else is stale, even if another process has that number now. Once found, the
postmaster is identified by its number and start time until it ends.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ratemill.errors import Unavailable, UsageFault
from ratemill.store.embedded import process_table
from ratemill.store.embedded.account import Programs, SystemAccount, digest
from ratemill.store.embedded.process_table import ListedProcess

# How often a state that will change is looked at, and how often a person hears that it has not.
POLL_S = 0.05
REPORT_S = 2.0

# How long processes of a dead postmaster, once killed, get to leave; one that waits for a disk cannot at once.
ORPHANS_S = 10.0

# How long a process that is loading its program has no command line: far less, even on a busy machine.
LOADING_S_MAX = 5.0

# What the server's processes are called in the process table, whatever title they show.
SERVER_NAME = "postgres"

# At a start, a log longer than this becomes the old one, and that is dropped.
LOG_BYTES_MAX = 16 * 1024 * 1024
LOG_TAIL_LINES = 15

# The shell opens the log as the account, puts the server in the background, says its pid and ends: so the server is
# nobody's child, holds no pipe of ours, and in the session of its own it outlives the terminal.
_LAUNCH = '"$@" </dev/null >>"$0" 2>&1 & echo $!'

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Postmaster:
    """The server's first process, identified by its number and start time.

    ``log_starts_at`` is the length of the server's log when it was launched.
    """

    pid: int
    started_at: int
    log_starts_at: int = 0

    def runs(self) -> bool:
        """Return whether it has not ended. The shell that becomes the server is the same process."""
        return process_table.is_running(self.pid, self.started_at)


def log_of(data: Path) -> Path:
    """Return the file with everything that the server says."""
    return data / "server.log"


def launch(account: SystemAccount, programs: Programs, data: Path, options: Sequence[str]) -> Postmaster:
    """Start a server; it answers nobody yet."""
    if not account.can_enter(data):
        raise UsageFault(
            f"The account {account.name}, which owns {data}, cannot reach it any more: open the way there."
        )
    clear(data)
    log = log_of(data)
    if log.exists() and log.stat().st_size > LOG_BYTES_MAX:
        log.replace(log.with_suffix(".old.log"))
    log_starts_at = log.stat().st_size if log.exists() else 0
    done = account.run(["/bin/sh", "-c", _LAUNCH, log, programs.folder / "postgres", "-D", data, *options])
    if done.returncode or not done.stdout:
        raise Unavailable(f"The database server could not be started: {done.stderr.decode(errors='replace').strip()}")
    process = process_table.find(int(done.stdout))
    return Postmaster(int(done.stdout), process.started_at if process else -1, log_starts_at)


def log_since(data: Path, postmaster: Postmaster) -> str:
    """Return what the server has logged since it was launched; empty if the log cannot be read."""
    with suppress(OSError), log_of(data).open("rb") as log:
        log.seek(postmaster.log_starts_at)
        return log.read().decode(errors="replace")
    return ""


def log_tail(data: Path) -> str:
    """Return the last lines of the server's log."""
    with suppress(OSError):
        return "\n".join(log_of(data).read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:])
    return "(no log)"


def pid_file(data: Path) -> list[str]:
    """Return the complete lines of the pid file: pid, data folder, start, port, socket folder, …; none without a file.

    The file may be half-written: a line counts only with the newline that ends it.
    """
    with suppress(FileNotFoundError):
        return os.fsdecode((data / "postmaster.pid").read_bytes()).split("\n")[:-1]
    return []


def postmaster(data: Path) -> Postmaster | None:
    """Return the server that runs on a data folder, even one that has not written its pid file yet."""
    uid = data.stat().st_uid
    lines = pid_file(data)
    if len(lines) >= 2 and lines[0].strip().isdigit():  # noqa: PLR2004 - the pid and the data folder
        named = process_table.find(int(lines[0]))
        if named and process_table.owner(named.pid) == uid and _is_started_on(named, lines[1]):
            return Postmaster(named.pid, named.started_at)
    unnamed = _without_pid_file(data, uid)
    return Postmaster(unnamed.pid, unnamed.started_at) if unnamed else None


def _is_started_on(process: ListedProcess, data: str) -> bool:
    """Return whether a process was started on a data folder; wait while it loads its program and has no command line."""
    wait(lambda: not _is_loading(process), limit_s=LOADING_S_MAX)
    return process_table.has_option(process.pid, "-D", data)


def _is_loading(process: ListedProcess) -> bool:
    now = process_table.find(process.pid)
    is_same = now is not None and now.started_at == process.started_at and now.memory_bytes > 0
    return is_same and not any(process_table.command(process.pid))


def _without_pid_file(data: Path, uid: int) -> ListedProcess | None:
    """Return a server that was launched and has not written its pid file: the command that launched it may have been killed.

    The shell that launches it has the same command line, and so has a session until it shows its own title.
    """
    started = [each for each in processes_of_server(uid) if process_table.has_option(each.pid, "-D", str(data))]
    pids = {process.pid for process in started}
    return next((process for process in started if process.parent not in pids), None)


def processes_of_server(uid: int) -> list[ListedProcess]:
    """Return the processes of an account that run PostgreSQL's server."""
    return [process for process in process_table.processes_of(uid) if process.name == SERVER_NAME]


def interrupt(data: Path, progress: Progress) -> bool:
    """Stop a server the fast way, sessions cut and all written, and wait until it is down; false if none runs."""
    server = postmaster(data)
    if server is None:
        return False
    with suppress(ProcessLookupError):
        os.kill(server.pid, signal.SIGINT)
    wait(lambda: not server.runs(), lambda seconds: progress(f"stopping the database, {seconds} s"))
    return True


def clear(data: Path) -> None:
    """Take away what a server that died left in the data folder and in memory: its pid file and its processes."""
    _end_orphans(data)
    (data / "postmaster.pid").unlink(missing_ok=True)


def _end_orphans(data: Path) -> None:
    """End the processes of a postmaster that was killed: while one lives, its shared memory keeps a new server out.

    They are killed: their work is lost with their postmaster, and recovery does not count on it. A process that is
    already ending shows no title, and holds the shared memory until its own memory is released: it is waited for.
    """
    for process in _orphans(data):
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    wait(lambda: not _ending(data.stat().st_uid), limit_s=ORPHANS_S)
    if not wait(lambda: not _orphans(data), limit_s=ORPHANS_S):
        pids = [process.pid for process in _orphans(data)]
        raise Unavailable(f"Processes of a dead server hold {data}: {pids}")


def _orphans(data: Path) -> list[ListedProcess]:
    """Return the processes that show the title of a server on this data folder, or still its command line."""
    title = f"postgres: {cluster_name(data)}"
    return [
        process
        for process in processes_of_server(data.stat().st_uid)
        if "".join(process_table.command(process.pid)).startswith(title)
        or process_table.has_option(process.pid, "-D", str(data))
    ]


def _ending(uid: int) -> list[ListedProcess]:
    """Return the account's server processes that have released their own memory and are about to be gone."""
    return [process for process in processes_of_server(uid) if process.memory_bytes == 0]


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
