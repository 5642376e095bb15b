"""The process table in ``/proc``: which processes are running, since when, and with which command line.

A process is identified by its number and its start time, because the kernel reuses numbers. An empty command line proves
nothing: it is empty for a moment while a program is loaded, and again while a process releases its memory.

Only files that root can read of another account's process without the right to trace it are used: root in a container
does not have that right.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

PROC = Path("/proc")

# States of a process that has ended: a zombie, which only waits for its parent, and one about to disappear.
_ENDED = {"Z", "X", "x"}


@dataclass(frozen=True, slots=True)
class ListedProcess:
    """A running process; ``started_at`` is in clock ticks since the machine started."""

    pid: int
    started_at: int
    parent: int
    name: str
    memory_bytes: int


def find(pid: int) -> ListedProcess | None:
    """Return the process with this number; nothing if it is gone or a zombie."""
    try:
        text = os.fsdecode((PROC / str(pid) / "stat").read_bytes())
    except OSError:
        return None
    head, _, tail = text.rpartition(")")  # the name may itself contain spaces and brackets
    fields = tail.split()
    if not fields or fields[0] in _ENDED:
        return None
    return ListedProcess(
        pid=pid,
        parent=int(fields[1]),
        started_at=int(fields[19]),
        memory_bytes=int(fields[20]),
        name=head.partition("(")[2],
    )


def is_running(pid: int, started_at: int) -> bool:
    """Return whether the process with this number and start time is still running."""
    process = find(pid)
    return process is not None and process.started_at == started_at


def processes_of(uid: int) -> Iterator[ListedProcess]:
    """Return the running processes of an account."""
    for entry in PROC.iterdir():
        if entry.name.isdigit() and owner(int(entry.name)) == uid:
            process = find(int(entry.name))
            if process is not None:
                yield process


def command(pid: int) -> list[str]:
    """Return the command line of a process; empty if it is gone, starting or ending."""
    try:
        text = os.fsdecode((PROC / str(pid) / "cmdline").read_bytes())
    except OSError:
        return []
    return text.rstrip("\0").split("\0")


def has_option(pid: int, option: str, value: str) -> bool:
    """Return whether an option with this value is on the command line of a process."""
    return (option, value) in pairwise(command(pid))


def owner(pid: int) -> int | None:
    """Return the number of the account that a process runs under; nothing if it is gone."""
    with suppress(OSError):
        text = (PROC / str(pid) / "status").read_text(errors="replace")
        uids = re.search(r"^Uid:\t\d+\t(\d+)", text, re.MULTILINE)
        return int(uids[1]) if uids else None
    return None
