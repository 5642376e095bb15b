"""Priority of processes: senders of usage are answered first; work on what was accepted can wait a moment."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

BACKGROUND_NICE = 10  # about a tenth of the share of a process that has none


def give_way(pid: int) -> None:
    """Let the other processes go before process ``pid``, as far as this account may.

    Where the kernel shares the processors among sessions (autogroups), the nice value of a process counts
    within its session alone; so the session is given the same value.
    """
    _set_nice(pid, BACKGROUND_NICE)


def give_way_no_longer(pid: int) -> None:
    """Give process ``pid`` its full share again, as far as this account may: it is to end soon."""
    _set_nice(pid, 0)


def _set_nice(pid: int, nice: int) -> None:
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, nice)
    with suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text(str(nice), encoding="ascii")
