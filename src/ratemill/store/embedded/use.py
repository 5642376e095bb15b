"""Who uses a home: each command that opens its database shares a lock until it ends, and what deletes it has it alone.

A ``serve`` has a lock of its own besides: it tells by that whether it is the last one on the home.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ratemill.errors import UsageFault

SERVE_LOCK = "serve.lock"
COMMANDS_LOCK = "commands.lock"

_shared: dict[Path, int] = {}  # the open lock files of this process, by home: the end of the process lets them go


def share(home: Path) -> None:
    """Note until the end of this process that it uses the database of ``home``."""
    home = home.resolve()
    if home in _shared:
        return
    lock = _opened(home / COMMANDS_LOCK)
    if not _locked(lock, fcntl.LOCK_SH):
        os.close(lock)
        raise UsageFault(
            f"another command is deleting or upgrading the database in {home}: try again when it has ended"
        )
    _shared[home] = lock


@contextmanager
def alone(home: Path, what: str) -> Iterator[None]:
    """Hold a home while the block runs, so that no command can open its database.

    Raises ``UsageFault`` if one uses it: ``what`` says what is refused then, such as ``delete the database``.
    """
    home = home.resolve()
    was_shared = home in _shared
    lock = _shared[home] if was_shared else _opened(home / COMMANDS_LOCK)
    _shared[home] = lock  # this process may open the database meanwhile
    try:
        with _serve_lock(home / SERVE_LOCK) as no_serve:
            if not no_serve:
                raise UsageFault(f"cannot {what} in {home}: `ratemill serve` is running on it; stop it first")
            if not _locked(lock, fcntl.LOCK_EX):
                raise UsageFault(
                    f"cannot {what} in {home}: another ratemill command is using it; wait for it or stop it"
                )
            yield
    finally:
        if was_shared:
            _locked(lock, fcntl.LOCK_SH)
        else:
            os.close(_shared.pop(home))


@contextmanager
def _serve_lock(path: Path) -> Iterator[bool]:
    """Hold the lock of the serves if there ever was one: made here, it might belong to another account."""
    if not path.exists():
        yield True
        return
    lock = _opened(path)
    try:
        yield _locked(lock, fcntl.LOCK_EX)
    finally:
        os.close(lock)


def _opened(path: Path) -> int:
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    if os.geteuid() == 0:  # the account of the home must be able to open what root makes there
        home = path.parent.stat()
        os.fchown(lock, home.st_uid, home.st_gid)
    return lock


def _locked(lock: int, how: int) -> bool:
    try:
        fcntl.flock(lock, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
