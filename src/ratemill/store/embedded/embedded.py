"""The embedded PostgreSQL: found or made, started or adopted, stopped, upgraded.

One home has one server. It runs on its own until it is stopped: any command may start it, every later one adopts it. It
listens on a unix socket only, in a folder that only its account can enter, and every login needs a password.
A server counts as up only when it has answered a query.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

from ratemill import logs
from ratemill.errors import Unavailable, UsageFault
from ratemill.settings import Settings
from ratemill.store.embedded import account as accounts
from ratemill.store.embedded import data as folders
from ratemill.store.embedded import process, use
from ratemill.store.embedded import server as servers
from ratemill.store.embedded import upgrade as embedded_upgrade
from ratemill.store.embedded.account import Programs, SystemAccount
from ratemill.store.embedded.data import ADMIN, PORT, ROLE, StoredHome
from ratemill.store.embedded.process import Progress
from ratemill.store.embedded.server import DATABASE, Server

__all__ = [
    "ADMIN",
    "DATABASE",
    "PORT",
    "ROLE",
    "Server",
    "Status",
    "ensure",
    "is_up",
    "remove",
    "server_of",
    "status",
    "stop",
    "upgrade",
]

# How long a server is started again because what an earlier one left keeps it out, and the log lines that show this.
KEPT_OUT_S_MAX = 20.0
KEPT_OUT = re.compile(r'pre-existing shared memory block|lock file ".+" (already exists|is empty)')

_log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class Status:
    """What there is and whether it runs; empty where there is nothing yet."""

    home: Path
    running: bool = False
    pid: int | None = None
    data: Path | None = None
    socket: Path | None = None
    version: str = ""
    account: str = ""
    log: Path | None = None


def _say(message: str) -> None:
    _log.info(message)


def ensure(settings: Settings, *, progress: Progress = _say) -> Server:
    """Start the server of a home, or adopt the one that runs; return when it has answered a query.

    Waits for a recovery as long as it takes, or until ``progress``, which is called every two seconds, raises. Raises
    ``Unavailable`` if the server dies instead, and ``UsageFault`` if the home belongs to another account or its data are
    of another major version.
    """
    with _home(settings) as home:
        home.mkdir(parents=True, exist_ok=True)
        use.share(home)
        with _locked(home, progress) as lock:
            kept = folders.read(home) or folders.make(home, lock, progress)
            folders.settle(kept)
            account = accounts.owner_of(kept.data)
            programs = accounts.programs_for(account)
            _refuse_other_major(kept.data, programs.major)
            server = _started_or_adopted(kept, account, programs, settings, progress)
            servers.bootstrap(server)
            return server


def server_of(settings: Settings) -> Server:
    """Return how to reach the server of a home, whether it is running or not; nothing is started."""
    with _home(settings) as home:
        kept = folders.read(home)
        if kept is None:
            raise UsageFault(f"There is no database in {home}: `ratemill serve` and `ratemill db start` create one.")
        listening = servers.find_listening(kept)
        if listening:
            return listening
        account = accounts.account_of(kept.data.stat().st_uid)
        return Server(home, kept.data, folders.socket_folder(kept, account), PORT, kept.passwords)


def is_up(settings: Settings) -> bool:
    """Return whether the server of a home is running and has its socket; it may be starting, or busy with recovery."""
    with _home(settings) as home:
        kept = folders.read(home)
        if kept is None or not kept.data.exists() or process.postmaster(kept.data) is None:
            return False
        server = servers.find_listening(kept)
        return server is None or not servers.is_ready(kept) or server.socket_file.exists()


def stop(settings: Settings, *, progress: Progress = _say) -> bool:
    """Stop the server of a home and wait until it is down; true if one was running."""
    with _home(settings) as home:
        kept = folders.read(home)
        if kept is None:
            return False
        with _locked(home, progress):
            return process.interrupt(kept.data, progress)


def remove(settings: Settings, *, progress: Progress = _say) -> bool:
    """Stop the server of a home and remove its data and what the home remembers of it; true if there was anything."""
    with _home(settings) as home:
        kept = folders.read(home)
        if kept is None:
            return False
        with _locked(home, progress):
            process.interrupt(kept.data, progress)
            folders.remove(kept)
            return True


def status(settings: Settings) -> Status:
    """Return what there is on a home, changing nothing."""
    with _home(settings) as home:
        kept = folders.read(home)
        if kept is None:
            return Status(home=home)
        if not kept.data.exists():
            return Status(home=home, data=kept.data)
        postmaster = process.postmaster(kept.data)
        server = servers.find_listening(kept) if postmaster else None
        return Status(
            home=home,
            running=postmaster is not None,
            pid=postmaster.pid if postmaster else None,
            data=kept.data,
            socket=server.socket if server else None,
            version=folders.major_of_data(kept.data),
            account=accounts.account_of(kept.data.stat().st_uid).name,
            log=process.log_of(kept.data),
        )


def upgrade(settings: Settings, *, old_bin: Path | None = None, progress: Progress = _say) -> Path:
    """Bring the data of an older major version to this one; return the folder in which the old data stay.

    Needs the programs of the old version: ``old_bin``, else where Linux distributions put them. The data are copied, so
    the disk must hold them twice; the old ones stay as they were, beside the new ones.
    """
    with _home(settings) as home:
        kept = folders.read(home)
        if kept is None:
            raise UsageFault(f"There is no database in {home} to upgrade.")
        with _locked(home, progress) as lock:
            folders.settle(kept)
            return embedded_upgrade.upgrade(kept, old_bin, lock, progress)


@contextmanager
def _home(settings: Settings) -> Iterator[Path]:
    """Yield the home; turn what the operating system refuses there into one sentence on what to do."""
    home = settings.home.absolute()
    try:
        if home.exists() and not home.is_dir():
            raise UsageFault(f"RATEMILL_HOME must be a folder: {home} is none.")
        yield home
    except PermissionError as error:
        path = Path(os.fsdecode(error.filename)) if error.filename else home
        raise UsageFault(
            f"No permission for {path}{_owned_by(path)}. Run this as the account that made the database in {home}, "
            "or as root, or set RATEMILL_HOME to a folder of your own.",
        ) from error
    except OSError as error:
        raise Unavailable(f"The database in {home} cannot be reached: {error}") from error


def _owned_by(path: Path) -> str:
    with suppress(OSError):
        return f", which belongs to {accounts.account_of(path.stat().st_uid).name}"
    return ""


@contextmanager
def _locked(home: Path, progress: Progress) -> Iterator[int]:
    """Hold the home against other commands that start, stop or upgrade its server."""
    lock = os.open(home / "database.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        process.wait(
            lambda: _lock(lock),
            lambda seconds: progress(f"waiting for another command on this home, {seconds} s"),
        )
        yield lock
    finally:
        os.close(lock)


def _lock(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _refuse_other_major(data: Path, ours: str) -> None:
    theirs = folders.major_of_data(data)
    if theirs == ours:
        return
    if not theirs:
        raise UsageFault(f"{data} is no data folder of PostgreSQL: it has no PG_VERSION.")
    has = f"The data in {data} are of PostgreSQL {theirs}, this Ratemill has {ours}"
    if theirs.isdigit() and int(theirs) > int(ours):
        raise UsageFault(f"{has}: install a newer Ratemill.")
    raise UsageFault(
        f"{has}. Run `ratemill db upgrade`; it needs the programs of PostgreSQL {theirs} (`--old-bin DIR`)."
    )


def _started_or_adopted(
    kept: StoredHome, account: SystemAccount, programs: Programs, settings: Settings, progress: Progress
) -> Server:
    """Return the server once it answers; try again while processes of an earlier server keep the new one out."""
    deadline = monotonic() + KEPT_OUT_S_MAX
    while True:
        server = _adopted(kept, progress)
        if server:
            return server
        postmaster = servers.launch(kept, account, programs, settings)
        server = servers.wait_until_up(kept, postmaster, progress)
        if server:
            return server
        if not KEPT_OUT.search(process.log_since(kept.data, postmaster)) or monotonic() > deadline:
            raise Unavailable(
                f"The database server ended while it started. The end of {process.log_of(kept.data)}:\n"
                f"{process.log_tail(kept.data)}",
            )
        progress("an earlier server has not ended yet: the database is started again")
        sleep(process.POLL_S)


def _adopted(kept: StoredHome, progress: Progress) -> Server | None:
    """Return the server that runs already, once it answers; none if there is none, it dies first or has to go."""
    postmaster = process.postmaster(kept.data)
    if postmaster is None:
        return None
    server = servers.find_listening(kept)
    if server and servers.is_ready(kept) and not server.socket_file.exists():
        progress("the server's socket is gone: the server is started again")
        process.interrupt(kept.data, progress)
        return None
    return servers.wait_until_up(kept, postmaster, progress)
