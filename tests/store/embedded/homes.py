"""Homes with a server of their own, and commands and accounts that use them."""

import os
import pickle
import pwd
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

from ratemill.settings import Settings
from ratemill.store.embedded import account, embedded

WAIT_S_MAX = 120

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="changes its user, which only root may")
checkout_is_open = pytest.mark.skipif(
    os.geteuid() == 0 and not account.account_of(65534).can_enter(Path(psycopg.__file__).parent),
    reason="other accounts cannot read this checkout, so they cannot run the product from it",
)

# A command of the product, in a process of its own: it prints the server's pid and waits to be told to end.
COMMAND = """
import sys
from pathlib import Path
from ratemill.settings import Settings
from ratemill.store.embedded import embedded
settings = Settings(home=Path(sys.argv[1]), shared_buffers_mb=32)
embedded.ensure(settings, progress=lambda message: None)
print(embedded.status(settings).pid, flush=True)
sys.stdin.read()
"""


def settings_of(home: Path, **more: Any) -> Settings:
    return Settings(home=home, shared_buffers_mb=32, **more)


def silent(message: str) -> None:
    """Progress that nobody reads."""


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S_MAX
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


@contextmanager
def removed_after(home: Path) -> Iterator[None]:
    """Stop the home's server at the end, see that none of its processes is left, and remove what lies elsewhere."""
    yield
    if not home.is_dir():
        return
    data = embedded.status(settings_of(home)).data
    if data is not None and data.exists():
        embedded.remove(settings_of(home), progress=silent)
        assert not data.exists()
        assert [pid for pid in Path("/proc").iterdir() if pid.name.isdigit() and str(data) in command_of(pid)] == []


def command_of(process: Path) -> str:
    with suppress(OSError):
        return (process / "cmdline").read_text(errors="replace")
    return ""


@contextmanager
def altered(file: Path, text: str) -> Iterator[None]:
    """Give a file another text for a while."""
    before = file.read_text()
    file.write_text(text)
    try:
        yield
    finally:
        file.write_text(before)


def run(home: Path, **more: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, str(home)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **more,
    )


def ask(server: embedded.Server, question: str, *, admin: bool = False) -> Any:
    with psycopg.connect(server.admin_dsn() if admin else server.dsn(), autocommit=True) as connection:
        row = connection.execute(question).fetchone()
    return row[0] if row and len(row) == 1 else row


def ensured(home: Path, **more: Any) -> embedded.Server:
    return embedded.ensure(settings_of(home, **more), progress=silent)


def as_account(name: str, action: Callable[[], Any]) -> Any:
    """Do something as another account, in a forked process: the interpreter itself may lie where it cannot go."""
    entry = pwd.getpwnam(name)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)
        try:
            answer = (True, action())
        except BaseException as error:  # noqa: BLE001 - the parent raises it
            answer = (False, error)
        os.write(writing, pickle.dumps(answer))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        done, value = pickle.load(pipe)
    os.waitpid(child, 0)
    if not done:
        raise value
    return value
