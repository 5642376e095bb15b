"""The heartbeat of a process: a counter in memory that its supervisor can read, moved by the loop that does the work.

The supervisor kills a process whose counter stands still for too long. So nothing but the working loop may move it: a
thread of its own would report a stuck loop as alive. It needs neither database nor disk, and moves while both are away.

The same calls end work that takes too long once the process has been told to stop: after ``stop_within``, ``beat``
raises ``Stopping``. That is an ``Unavailable``: the table in hand is rolled back and does not count as an attempt.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Callable
from time import monotonic

from ratemill.errors import Unavailable

COUNTER = struct.Struct("=Q")
AGAIN_S = 2.0  # what cleans up after a table was stopped has this long before it is stopped too


class Stopping(Unavailable):
    """This process must end now; the work in hand is rolled back."""


class Counter:
    """A counter in memory that two processes share; one moves it, the other reads it."""

    def __init__(self, file: int) -> None:
        self._memory = mmap.mmap(file, COUNTER.size)
        self._beats = self.read()

    def move(self) -> None:
        """Count one more; only one process does."""
        self._beats += 1
        COUNTER.pack_into(self._memory, 0, self._beats)

    def read(self) -> int:
        """Return the count."""
        beats: int = COUNTER.unpack_from(self._memory, 0)[0]
        return beats

    def close(self) -> None:
        """Release the memory."""
        self._memory.close()


class _Heart:
    counter: Counter | None = None
    stop_at: float | None = None
    also: Callable[[], None] | None = None


_heart = _Heart()


def new_file() -> int:
    """Return a file in memory for a counter, to be passed to a process that is started."""
    file = os.memfd_create("ratemill-heartbeat")
    os.ftruncate(file, COUNTER.size)
    return file


def share(file: int) -> None:
    """In a started process: move the counter in this file at each ``beat``."""
    _heart.counter = Counter(file)
    os.close(file)


def call_also(at_beat: Callable[[], None] | None) -> None:
    """Let each ``beat`` call this function too: a worker shows in the database that it is alive."""
    _heart.also = at_beat


def stop_within(seconds: float) -> None:
    """Let ``beat`` raise ``Stopping`` once these seconds are over."""
    _heart.stop_at = monotonic() + seconds


def beat() -> None:
    """Show that the working loop has moved on; raise ``Stopping`` if it should have ended by now."""
    if _heart.counter is not None:
        _heart.counter.move()
    if _heart.also is not None:
        _heart.also()
    if _heart.stop_at is not None and monotonic() >= _heart.stop_at:
        _heart.stop_at = monotonic() + AGAIN_S
        raise Stopping("this process is stopping: the work in hand is rolled back")
