"""The embedded PostgreSQL: found or made, started or adopted, stopped, upgraded.

One home has one server. It runs on its own until it is stopped: any command may start it, every later one adopts it. It
listens on a unix socket only, in a folder that nobody but its account can enter, and asks everybody for a password.
A server counts as up only when it has answered a query.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from time import monotonic, sleep

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo
from psycopg.pq import PGconn, Ping

from ratemill import logs
from ratemill.errors import Unavailable, UsageFault, invariant
from ratemill.settings import Settings
from ratemill.store import bounded, embedded_upgrade, embedded_use
from ratemill.store import embedded_account as accounts
from ratemill.store import embedded_data as folders
from ratemill.store import embedded_process as process
from ratemill.store.embedded_account import Account, Programs
from ratemill.store.embedded_data import ADMIN, PORT, ROLE, Kept
from ratemill.store.embedded_process import Postmaster, Progress

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

DATABASE = "ratemill"

SILENT_PINGS_MAX = 2
CONNECT_S_MAX = 5  # a server that is ready answers a connection sooner, even on a busy machine

# How long a server is started again because what an earlier one left keeps it out, and the log lines that show this.
KEPT_OUT_S_MAX = 20.0
KEPT_OUT = re.compile(r'pre-existing shared memory block|lock file ".+" (already exists|is empty)')

_log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class Server:
    """A server and the way to it."""

    home: Path
    data: Path
    socket: Path
    port: int
    passwords: Mapping[str, str] = field(repr=False)

    @property
    def socket_file(self) -> Path:
        """The socket itself."""
        return self.socket / f".s.PGSQL.{self.port}"

    def dsn(self, *, user: str = ROLE, database: str = DATABASE) -> str:
        """Return the way in for a role, password included, whatever PG* variables this process was given."""
        invariant(user in self.passwords, f"there is no password for {user}")
        return make_conninfo(
            host=str(self.socket),
            hostaddr="",
            port=self.port,
            user=user,
            password=self.passwords[user],
            dbname=database,
            options="",
            sslmode="disable",
            gssencmode="disable",
            client_encoding="UTF8",
            connect_timeout=CONNECT_S_MAX,
        )

    def admin_dsn(self, database: str = "postgres") -> str:
        """Return the way in for the superuser: for bootstrap only, never for the product's work."""
        return self.dsn(user=ADMIN, database=database)


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
        embedded_use.share(home)
        with _locked(home, progress) as lock:
            kept = folders.read(home) or folders.make(home, lock, progress)
            folders.settle(kept)
            account = accounts.owner_of(kept.data)
            programs = accounts.programs_for(account)
            _refuse_other_major(kept.data, programs.major)
            server = _started_or_adopted(kept, account, programs, settings, progress)
            _bootstrap(server)
            return server


def server_of(settings: Settings) -> Server:
    """Return how to reach the server of a home, whether it is running or not; nothing is started."""
    with _home(settings) as home:
        kept = folders.read(home)
        if kept is None:
            raise UsageFault(f"There is no database in {home}: `ratemill serve` and `ratemill db start` create one.")
        listening = _listening(kept)
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
        server = _listening(kept)
        return server is None or not _is_ready(kept) or server.socket_file.exists()


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
        server = _listening(kept) if postmaster else None
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
    kept: Kept, account: Account, programs: Programs, settings: Settings, progress: Progress
) -> Server:
    """Return the server once it answers; try again while processes of an earlier server keep the new one out."""
    deadline = monotonic() + KEPT_OUT_S_MAX
    while True:
        server = _adopted(kept, progress)
        if server:
            return server
        postmaster = _launched(kept, account, programs, settings)
        server = _answering(kept, postmaster, progress)
        if server:
            return server
        if not KEPT_OUT.search(process.log_since(kept.data, postmaster)) or monotonic() > deadline:
            raise Unavailable(
                f"The database server ended while it started. The end of {process.log_of(kept.data)}:\n"
                f"{process.log_tail(kept.data)}",
            )
        progress("an earlier server has not ended yet: the database is started again")
        sleep(process.POLL_S)


def _adopted(kept: Kept, progress: Progress) -> Server | None:
    """Return the server that runs already, once it answers; none if there is none, it dies first or has to go."""
    postmaster = process.postmaster(kept.data)
    if postmaster is None:
        return None
    server = _listening(kept)
    if server and _is_ready(kept) and not server.socket_file.exists():
        progress("the server's socket is gone: the server is started again")
        process.interrupt(kept.data, progress)
        return None
    return _answering(kept, postmaster, progress)


def _launched(kept: Kept, account: Account, programs: Programs, settings: Settings) -> Postmaster:
    """Launch a server; it does not answer yet."""
    socket = folders.socket_folder(kept, account)
    for left in (f".s.PGSQL.{PORT}", f".s.PGSQL.{PORT}.lock"):
        (socket / left).unlink(missing_ok=True)
    return process.launch(account, programs, kept.data, _options(settings, kept.data, socket))


def _answering(kept: Kept, postmaster: Postmaster, progress: Progress) -> Server | None:
    """Wait until the server takes connections, however long it recovers; none if it dies instead.

    A recovering server refuses connections. One that is silent is frozen, and is not waited for.
    """
    pings = count(1)

    def is_settled() -> bool:
        if not postmaster.runs() or _takes_connections(kept):
            return True
        if _is_ready(kept) and _is_silent(kept) and next(pings) >= SILENT_PINGS_MAX:
            raise Unavailable(f"the database in {kept.home} is running (pid {postmaster.pid}) but does not answer")
        return False

    process.wait(
        is_settled,
        lambda seconds: progress(f"the database starts or recovers, {seconds} s"),
    )
    return _listening(kept) if postmaster.runs() else None


def _takes_connections(kept: Kept) -> bool:
    """Whether the server says that it is ready and proves it; asked sooner, it would fill its log with refusals."""
    server = _listening(kept)
    return server is not None and _is_ready(kept) and PGconn.ping(os.fsencode(server.admin_dsn())) == Ping.OK


def _is_silent(kept: Kept) -> bool:
    """Whether a server takes a connection and says nothing: not even that it cannot serve it now."""
    server = _listening(kept)
    if server is None:
        return False
    began = monotonic()
    answer = PGconn.ping(os.fsencode(server.admin_dsn()))
    return answer == Ping.NO_RESPONSE and monotonic() - began > CONNECT_S_MAX - 1


def _is_ready(kept: Kept) -> bool:
    lines = process.pid_file(kept.data)
    return len(lines) >= 8 and lines[7].strip() == "ready"  # noqa: PLR2004 - the eighth line is the status


def _listening(kept: Kept) -> Server | None:
    """Return the server as its pid file tells the way to it; none before it has a socket."""
    lines = process.pid_file(kept.data)
    # The fourth line is the port, the fifth the socket's folder.
    if len(lines) < 5 or not lines[4] or not lines[3].strip().isdigit():  # noqa: PLR2004 - as above
        return None
    return Server(kept.home, kept.data, Path(lines[4]), int(lines[3]), kept.passwords)


def _options(settings: Settings, data: Path, socket: Path) -> list[str]:
    """Return the server's settings as options: those of Ratemill's settings hold from the next start."""
    options = {
        "unix_socket_directories": str(socket),
        "unix_socket_permissions": "0700",
        "listen_addresses": "",
        "port": str(PORT),
        "cluster_name": process.cluster_name(data),
        "password_encryption": "scram-sha-256",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_line_prefix": "%m [%p] %q%u@%d ",
        # What was answered stays: these are the defaults, said here so that no file can say otherwise.
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "max_connections": str(settings.server_connections),
        "shared_buffers": f"{settings.shared_buffers_mb}MB",
        # A container's /dev/shm has 64 MB: parallel queries share memory set aside at the start, and files beyond that.
        "dynamic_shared_memory_type": "mmap",
        "min_dynamic_shared_memory": f"{settings.parallel_memory_mb}MB",
        "huge_pages": "off",
        # A load writes much log: few checkpoints keep full pages out of it, buffers of one segment take a burst.
        "max_wal_size": f"{settings.wal_size_max_mb}MB",
        "checkpoint_timeout": f"{settings.checkpoint_interval_s}s",
        "wal_buffers": "16MB",
        # Statements here are short or are moved by I/O: compiling them costs more than it saves.
        "jit": "off",
    }
    return [f"--{name}={value}" for name, value in options.items()]


def _bootstrap(server: Server) -> None:
    """Get a query answered, and make the role and the database that the product logs into if they are not there yet."""
    try:
        with bounded.connect(server.admin_dsn(), autocommit=True) as connection:
            if not connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [ROLE]).rowcount:
                _make_role(connection, server.passwords[ROLE])
            if not connection.execute("SELECT FROM pg_database WHERE datname = %s", [DATABASE]).rowcount:
                make = sql.SQL("CREATE DATABASE {} OWNER {}")
                connection.execute(make.format(sql.Identifier(DATABASE), sql.Identifier(ROLE)))
    except psycopg.OperationalError as error:
        raise Unavailable(f"The database runs and does not let us in: {str(error).strip()}") from error


def _make_role(connection: psycopg.Connection, password: str) -> None:
    """Make the ordinary role of the product; the server gets to see its password only as a SCRAM verifier."""
    verifier = connection.pgconn.encrypt_password(password.encode(), ROLE.encode(), b"scram-sha-256").decode()
    make = sql.SQL("CREATE ROLE {} LOGIN NOSUPERUSER PASSWORD {}")
    connection.execute(make.format(sql.Identifier(ROLE), sql.Literal(verifier)))
