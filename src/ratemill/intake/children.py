"""The processes that ``serve`` starts: each is restarted when it dies, and killed when its heartbeat stands still.

Each holds the reading end of a pipe from the supervisor: when that dies, however it dies, they read its end and stop.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic

from ratemill import heartbeat, logs
from ratemill.periods import growing_pause
from ratemill.priority import give_way_no_longer

RESTART_S_MIN = 1.0  # a process that dies soon is not restarted in a tight loop
RESTART_S_MAX = 30.0  # one that dies again and again before its loop begins waits twice as long each time, up to this
BEGIN_S_MAX = 60.0  # to load a process takes two seconds of a processor, on a very busy machine half a minute
SPARE_AFTER_S = 5.0  # a spare is loaded when the process it stands by for has run for this long

log = logs.get(__name__)


class ChildProcess:
    """A started process, the pipe that ends it, and the counter of its heartbeat."""

    def __init__(self, command: Sequence[str], files: Sequence[int]) -> None:
        file = heartbeat.new_file()
        arguments = [sys.executable, "-m", "ratemill", *command, "--with-parent", "--heartbeat", str(file)]
        try:
            self._process = subprocess.Popen(  # noqa: S603 -- the product's own command
                arguments, stdin=subprocess.PIPE, start_new_session=True, pass_fds=[file, *files]
            )
            self._counter = heartbeat.Counter(file)
        finally:
            os.close(file)
        self.pid = self._process.pid
        self.is_killed = False
        self._beats = 0
        self._moved_at = monotonic()

    @property
    def has_begun(self) -> bool:
        """Return whether its loop has begun."""
        return self._counter.read() > 0

    def exit_code(self) -> int | None:
        """Return its exit code, nothing while it runs."""
        return self._process.poll()

    def silent_s(self) -> float:
        """Return for how long its heartbeat has stood still."""
        beats = self._counter.read()
        if beats != self._beats:
            self._beats, self._moved_at = beats, monotonic()
        return monotonic() - self._moved_at

    def excuse(self) -> None:
        """Count its silence from now: the supervisor itself was not running, or it has only now been called in."""
        self._moved_at = monotonic()

    def call_in(self) -> None:
        """Let a spare begin."""
        self.excuse()
        if self._process.stdin is not None:
            with suppress(BrokenPipeError):  # it died just now, which the next look sees
                self._process.stdin.write(b"\n")
                self._process.stdin.flush()

    def terminate(self) -> None:
        """Ask it to end after the table or request in hand; a busy machine must not keep it from ending."""
        give_way_no_longer(self.pid)
        self._process.terminate()

    def kill(self) -> None:
        """End it; the database rolls back what it was doing."""
        self.is_killed = True
        self._process.kill()

    def wait(self, seconds: float) -> bool:
        """Wait for its end; return whether it has ended within the time."""
        try:
            self._process.wait(max(0.0, seconds))
        except subprocess.TimeoutExpired:
            return False
        return True

    def close(self) -> None:
        """Release what belonged to a process that has ended."""
        self._counter.close()
        if self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.close()


@dataclass(slots=True)
class Child:
    """A process that is kept running: its command, the files it inherits and, while it lives, the process.

    ``with_spare``: another is kept that has loaded what it needs and waits to be called in. To load takes two seconds of a
    processor, which on a busy machine are ten.
    """

    command: list[str]
    files: Sequence[int] = ()
    with_spare: bool = False
    process: ChildProcess | None = None
    spare: ChildProcess | None = None
    started_at: float = float("-inf")
    start_at: float = float("-inf")  # not before this
    failures: int = 0  # deaths in a row before its loop began

    def keep_running(self, *, silent_s_max: float) -> None:
        """Kill the process if it is stuck, restart it if it has died."""
        if self.process is not None:
            self._kill_if_stuck(self.process, silent_s_max)
            self._note_death(self.process)
        if self.spare is not None and self.spare.exit_code() is not None:
            self.spare.close()
            self.spare = None
        if self.process is None and self.spare is not None:
            self.process, self.spare, self.started_at = self.spare, None, monotonic()
            self.process.call_in()
        ran_for = monotonic() - self.started_at
        if self.process is None and monotonic() >= self.start_at:
            self.started_at = monotonic()
            self.process = self._start(self.command)
        elif (
            self.with_spare
            and self.spare is None
            and self.process is not None
            and ran_for >= SPARE_AFTER_S
            and monotonic() >= self.start_at
        ):
            self.spare = self._start([*self.command, "--spare"])

    def _start(self, command: list[str]) -> ChildProcess | None:
        """Return a new process, or None if the system cannot start one: no memory, no file or no number is free."""
        try:
            return ChildProcess(command, self.files)
        except OSError as error:
            self.failures += 1
            self.start_at = monotonic() + self.pause_s
            log.warning(
                "process_not_started", command=self.command[0], error=str(error), restart_s=round(self.pause_s, 1)
            )
            return None

    @property
    def pause_s(self) -> float:
        """Return the time from a death to the next start, longer after each start that failed."""
        if not self.failures:
            return max(0.0, RESTART_S_MIN - (monotonic() - self.started_at))
        return growing_pause(RESTART_S_MIN, RESTART_S_MAX, self.failures)

    def processes(self) -> list[ChildProcess]:
        """Return the processes that are running."""
        return [each for each in (self.process, self.spare) if each is not None and each.exit_code() is None]

    def excuse(self) -> None:
        """Count the silence of the process from now."""
        if self.process is not None:
            self.process.excuse()

    def _kill_if_stuck(self, process: ChildProcess, silent_s_max: float) -> None:
        s_max = silent_s_max if process.has_begun else max(silent_s_max, BEGIN_S_MAX)
        if process.exit_code() is None and not process.is_killed and process.silent_s() > s_max:
            log.error(
                "process_stuck",
                command=self.command[0],
                pid=process.pid,
                silent_s=round(process.silent_s(), 1),
                action="killed, to be restarted",
            )
            process.kill()

    def _note_death(self, process: ChildProcess) -> None:
        exit_code = process.exit_code()
        if exit_code is None:
            return
        self.failures = 0 if process.has_begun else self.failures + 1
        log.warning(
            "process_died",
            command=self.command[0],
            pid=process.pid,
            exit_code=exit_code,
            restart_s=round(self.pause_s, 1),
        )
        process.close()
        self.process, self.start_at = None, monotonic() + self.pause_s


def stop_all(children: list[Child], *, within_s: float) -> None:
    """Ask every process to end after the table or request in hand, and wait for it; kill those that do not."""
    running = [(child.command[0], process) for child in children for process in child.processes()]
    for _, process in running:
        process.terminate()
    deadline = monotonic() + within_s
    for command, process in running:
        if not process.wait(deadline - monotonic()):
            log.warning("process_killed", command=command, pid=process.pid)
            process.kill()
            process.wait(RESTART_S_MAX)
