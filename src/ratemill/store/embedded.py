"""The embedded PostgreSQL: found or made, started or adopted, stopped, upgraded.

One home has one server. It runs on its own until it is stopped: any command may start it, every later one adopts it. It
listens on a unix socket only, in a folder that nobody but its account can enter, and asks everybody for a password.
A server counts as up only when it has answered a query.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo
from psycopg.pq import PGconn, Ping

from ratemill import logs
from ratemill.errors import Unavailable, UsageFault
from ratemill.settings import Settings
from ratemill.store import embedded_account as accounts
from ratemill.store import embedded_process as process
from ratemill.store.embedded_account import Account
from ratemill.store.embedded_process import Progress

ADMIN = "ratemill_bootstrap"
ROLE = "ratemill"
DATABASE = "ratemill"

# Only names the socket's file: the server listens on no network.
PORT = 5432

# The address of a unix socket holds 108 bytes with the NUL that ends it.
SOCKET_PATH_BYTES_MAX = 107
# libpq and the server read lists of folders, with quotes and commas: a socket's folder has none of these.
SOCKET_PATH = re.compile(r"[A-Za-z0-9_./+-]+")
# Not the runtime folder of a login session: that goes when the session ends, and the server goes on.
SHORT_FOLDER = Path("/tmp")  # noqa: S108 - what is made there is made exclusively, 0700, and looked at before it is used

_log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class Server:
    """A server and the way to it."""

    home: Path
    data: Path
    socket: Path
    port: int
    passwords: Mapping[str, str] = field(repr=False)

    def dsn(self, *, user: str = ROLE, database: str = DATABASE) -> str:
        """Return the way in for a role, password included, whatever PG* variables this process was given."""
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


@dataclass(frozen=True, slots=True)
class _Kept:
    """What the home remembers: where the data are, and the passwords."""

    home: Path
    data: Path
    passwords: Mapping[str, str] = field(repr=False)

    @property
    def new_data(self) -> Path:
        """Where a data folder is made before it takes its place."""
        return self.data.with_name("data.new")


def _say(message: str) -> None:
    _log.info(message)


def ensure(settings: Settings, *, progress: Progress = _say) -> Server:
    """Start the server of a home, or adopt the one that runs; return when it has answered a query.

    Waits for a recovery as long as it takes. Raises ``Unavailable`` if the server dies instead, and ``UsageFault`` if
    the home is somebody else's or its data are of another major version.
    """
    home = _checked(settings.home)
    with _explained(home):
        home.mkdir(parents=True, exist_ok=True)
        with _locked(home, progress):
            kept = _read(home) or _make(home, progress)
            _settle(kept)
            account = accounts.owner_of(kept.data)
            programs = accounts.programs_for(account)
            _refuse_other_major(kept.data, accounts.major_of(programs, account))
            server = _adopted(kept, progress) or _started(kept, account, programs, settings, progress)
            _bootstrap(server)
            return server


def stop(settings: Settings, *, progress: Progress = _say) -> bool:
    """Stop the server of a home and wait until it is down; true if one was running."""
    home = _checked(settings.home)
    with _explained(home):
        if not _kept_file(home).exists():
            return False
        with _locked(home, progress):
            kept = _read(home)
            pid = process.postmaster(kept.data) if kept and kept.data.exists() else None
            if not kept or not pid:
                return False
            process.interrupt(pid, kept.data, progress)
            return True


def status(settings: Settings) -> Status:
    """Return what there is on a home, changing nothing."""
    home = _checked(settings.home)
    with _explained(home):
        kept = _read(home) if _kept_file(home).exists() else None
        if kept is None:
            return Status(home=home)
        if not kept.data.exists():
            return Status(home=home, data=kept.data)
        pid = process.postmaster(kept.data)
        server = _listening(kept) if pid else None
        return Status(
            home=home,
            running=pid is not None,
            pid=pid,
            data=kept.data,
            socket=server.socket if server else None,
            version=_major(kept.data),
            account=accounts.account_of(kept.data.stat().st_uid).name,
            log=process.log_of(kept.data),
        )


def upgrade(settings: Settings, *, old_bin: Path | None = None, progress: Progress = _say) -> Path:
    """Bring the data of an older major version to this one; return the folder in which the old data stay.

    Needs the programs of the old version: ``old_bin``, else where Linux distributions put them. The data are copied, so
    the disk must hold them twice; the old ones stay as they were, beside the new ones.
    """
    home = _checked(settings.home)
    with _explained(home):
        kept = _read(home) if _kept_file(home).exists() else None
        if kept is None:
            raise UsageFault(f"There is no database in {home} to upgrade.")
        with _locked(home, progress):
            _settle(kept)
            return _upgraded(kept, old_bin, progress)


def _checked(home: Path) -> Path:
    if home.exists() and not home.is_dir():
        raise UsageFault(f"RATEMILL_HOME must be a folder: {home} is none.")
    return home.absolute()


@contextmanager
def _explained(home: Path) -> Iterator[None]:
    """Turn a lack of permission into one sentence on what to do."""
    try:
        yield
    except PermissionError as error:
        path = Path(os.fsdecode(error.filename)) if error.filename else home
        raise UsageFault(
            f"No permission for {path}{_owned_by(path)}. Run this as the account that made the database in {home}, "
            "or as root, or set RATEMILL_HOME to a folder of your own.",
        ) from error


def _owned_by(path: Path) -> str:
    with suppress(OSError):
        return f", which belongs to {accounts.account_of(path.stat().st_uid).name}"
    return ""


@contextmanager
def _locked(home: Path, progress: Progress) -> Iterator[None]:
    """Hold the home against other commands that start, stop or upgrade its server."""
    handle = os.open(home / "database.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        process.wait(
            lambda: _lock(handle),
            lambda seconds: progress(f"waiting for another command on this home, {seconds} s"),
        )
        yield
    finally:
        os.close(handle)


def _lock(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


# --- what the home remembers -----------------------------------------------------------------------------------------


def _kept_file(home: Path) -> Path:
    return home / "database.json"


def _read(home: Path) -> _Kept | None:
    path = _kept_file(home)
    try:
        found = json.loads(path.read_text())
        return _Kept(home, home / found["data"], found["passwords"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise UsageFault(f"{path} is damaged: bring it back from a backup of the home.") from error


def _write(kept: _Kept) -> None:
    """Write what the home remembers; a home that is moved takes a data folder inside it along."""
    inside = kept.data.is_relative_to(kept.home)
    data = kept.data.relative_to(kept.home) if inside else kept.data
    new = kept.home / "database.json.new"
    new.unlink(missing_ok=True)
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        json.dump({"data": str(data), "passwords": dict(kept.passwords)}, file)
        file.flush()
        os.fsync(file.fileno())
    new.replace(_kept_file(kept.home))


# --- the data folder -------------------------------------------------------------------------------------------------


def _make(home: Path, progress: Progress) -> _Kept:
    """Make a data folder, to be settled in its place, and write what the home remembers."""
    if (home / "data").exists():
        raise UsageFault(f"{home / 'data'} is there but {_kept_file(home)} is not: bring it back from a backup.")
    account = accounts.choose()
    place = accounts.place_for(home, account)
    if place != home:
        progress(f"the account {account.name} cannot work in {home}: the data go to {place}")
    kept = _Kept(home, place / "data", {name: secrets.token_urlsafe(32) for name in (ADMIN, ROLE)})
    progress(f"making a database in {kept.data}")
    _init(kept, account, accounts.programs_for(account))
    _write(kept)
    return kept


def _init(kept: _Kept, account: Account, programs: Path, *, checksums: bool = True) -> None:
    """Make an empty data folder beside the place where it will be."""
    if kept.new_data.exists():
        shutil.rmtree(kept.new_data)  # half made when its command was killed
    account.make_folder(kept.new_data)
    with _password_file(kept, account) as password_file:
        made = account.run(
            [
                programs / "initdb",
                f"--pgdata={kept.new_data}",
                f"--username={ADMIN}",
                f"--pwfile={password_file}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--data-checksums" if checksums else "--no-data-checksums",
                "--set=listen_addresses=",
            ],
        )
    if made.returncode:
        raise Unavailable(f"The database could not be made: {made.stderr.decode(errors='replace').strip()}")


@contextmanager
def _password_file(kept: _Kept, account: Account) -> Iterator[Path]:
    """Hand the superuser's password to initdb in a file that only the account can read."""
    path = kept.data.with_name("data.password")
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(kept.passwords[ADMIN])
        if account.is_other:
            os.fchown(file.fileno(), account.uid, account.gid)
    try:
        yield path
    finally:
        path.unlink()


def _settle(kept: _Kept) -> None:
    """Put a data folder that was made in its place, also if the command that made it was killed before."""
    if kept.data.exists():
        return
    if not kept.new_data.exists():
        raise UsageFault(
            f"The data folder {kept.data} is gone. Bring it back, or remove {_kept_file(kept.home)} to begin anew.",
        )
    kept.new_data.rename(kept.data)


def _major(data: Path) -> str:
    with suppress(OSError):
        return (data / "PG_VERSION").read_text().strip()
    return ""


def _refuse_other_major(data: Path, ours: str) -> None:
    theirs = _major(data)
    if theirs == ours:
        return
    if not theirs:
        raise UsageFault(f"{data} is no data folder of PostgreSQL: it has no PG_VERSION.")
    if int(theirs.split(".")[0]) > int(ours):
        raise UsageFault(
            f"The data in {data} are of PostgreSQL {theirs}, this Ratemill has {ours}: install a newer one."
        )
    raise UsageFault(
        f"The data in {data} are of PostgreSQL {theirs}, this Ratemill has {ours}. Run `ratemill db upgrade`, which "
        f"needs the programs of PostgreSQL {theirs} (`--old-bin DIR`).",
    )


# --- the server ------------------------------------------------------------------------------------------------------


def _adopted(kept: _Kept, progress: Progress) -> Server | None:
    """Return the server that runs already, once it answers; none if there is none or it dies first."""
    pid = process.postmaster(kept.data)
    if pid is None:
        return None
    return _answering(kept, pid, progress)


def _started(kept: _Kept, account: Account, programs: Path, settings: Settings, progress: Progress) -> Server:
    """Start a server and return it once it answers."""
    socket = _socket_folder(kept, account)
    pid = process.launch(account, programs, kept.data, _options(settings, socket))
    server = _answering(kept, pid, progress)
    if server is None:
        raise Unavailable(
            f"The database server ended while it started. The end of {process.log_of(kept.data)}:\n"
            f"{process.log_tail(kept.data)}",
        )
    return server


def _answering(kept: _Kept, pid: int, progress: Progress) -> Server | None:
    """Wait until the server takes connections, however long it recovers; none if it dies instead."""
    process.wait(
        lambda: not process.lives(pid) or _takes_connections(kept),
        lambda seconds: progress(f"the database starts or recovers, {seconds} s"),
    )
    return _listening(kept) if process.lives(pid) else None


def _takes_connections(kept: _Kept) -> bool:
    """Whether the server says in its pid file that it is ready and then proves it."""
    lines = process.pid_file(kept.data)
    server = _listening(kept) if lines and lines[-1].strip() == "ready" else None
    return server is not None and PGconn.ping(server.admin_dsn().encode()) == Ping.OK


def _listening(kept: _Kept) -> Server | None:
    """Return the server as its pid file tells the way to it; none before it has a socket."""
    lines = process.pid_file(kept.data)
    if len(lines) < 5 or not lines[4]:  # noqa: PLR2004 - the fourth line is the port, the fifth the socket's folder
        return None
    return Server(kept.home, kept.data, Path(lines[4]), int(lines[3]), kept.passwords)


def _socket_folder(kept: _Kept, account: Account) -> Path:
    """Return a folder for the socket that nobody but the account can enter, on a path short enough for a socket."""
    near = kept.data.with_name("socket")
    candidates = [near] if _fits_a_socket(near) else []
    stem = f"ratemill-{account.uid}-{accounts.digest(kept.home)}"
    for folder in [*candidates, *(SHORT_FOLDER / name for name in accounts.names(stem))]:
        with suppress(FileExistsError):
            account.make_folder(folder)
        if account.owns_alone(folder):
            return folder
    raise UsageFault(f"Every name for a folder of the database's socket in {SHORT_FOLDER} is taken by others.")


def _fits_a_socket(folder: Path) -> bool:
    path = str(folder / f".s.PGSQL.{PORT}")
    return SOCKET_PATH.fullmatch(path) is not None and len(path) <= SOCKET_PATH_BYTES_MAX


def _options(settings: Settings, socket: Path) -> list[str]:
    """Return the server's settings as options: those of Ratemill's settings hold from the next start."""
    options = {
        "unix_socket_directories": str(socket),
        "unix_socket_permissions": "0700",
        "listen_addresses": "",
        "port": str(PORT),
        "cluster_name": "ratemill",
        "password_encryption": "scram-sha-256",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_line_prefix": "%m [%p] %q%u@%d ",
        # What was answered stays: these are the defaults, said here so that no file can say otherwise.
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "max_connections": str(settings.database_connections_max),
        "shared_buffers": f"{settings.shared_buffers_mb}MB",
        # A container's /dev/shm has 64 MB: parallel queries share memory set aside at the start, and files beyond that.
        "dynamic_shared_memory_type": "mmap",
        "min_dynamic_shared_memory": f"{settings.parallel_memory_mb}MB",
        "huge_pages": "off",
        # A load writes much log: few checkpoints keep full pages out of it, buffers of one segment take a burst.
        "max_wal_size": f"{settings.wal_size_max_mb}MB",
        "checkpoint_timeout": f"{settings.checkpoint_interval_min}min",
        "wal_buffers": "16MB",
        # Statements here are short or are moved by I/O: compiling them costs more than it saves.
        "jit": "off",
    }
    return [f"--{name}={value}" for name, value in options.items()]


def _bootstrap(server: Server) -> None:
    """Get a query answered, and make the role and the database that the product logs into if they are not there yet."""
    try:
        with psycopg.connect(server.admin_dsn(), autocommit=True) as connection:
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


# --- upgrade ---------------------------------------------------------------------------------------------------------


def _upgraded(kept: _Kept, old_bin: Path | None, progress: Progress) -> Path:
    account = accounts.owner_of(kept.data)
    programs = accounts.programs_for(account)
    theirs, ours = _major(kept.data), accounts.major_of(programs, account)
    if theirs == ours:
        raise UsageFault(f"The data in {kept.data} are of PostgreSQL {ours} already.")
    old_programs = _old_programs(theirs, old_bin, account)
    kept_old = kept.data.with_name(f"data-{theirs}")
    if kept_old.exists():
        raise UsageFault(f"{kept_old} is in the way: it holds the data before an earlier upgrade. Move it away first.")
    pid = process.postmaster(kept.data)
    if pid:
        process.interrupt(pid, kept.data, progress)
    process.clear(kept.data)
    progress(f"recovering the data of PostgreSQL {theirs}")
    _run(account, [old_programs / "postgres", "--single", "-D", kept.data, "postgres"])
    progress(f"copying the data from PostgreSQL {theirs} to {ours}")
    _init(kept, account, programs, checksums=_has_checksums(kept.data, old_programs, account))
    _run(
        account,
        [
            programs / "pg_upgrade",
            f"--old-bindir={old_programs}",
            f"--new-bindir={programs}",
            f"--old-datadir={kept.data}",
            f"--new-datadir={kept.new_data}",
            f"--username={ADMIN}",
            f"--socketdir={_socket_folder(kept, account)}",
        ],
        folder=_socket_folder(kept, account),
        password=kept.passwords[ADMIN],
    )
    kept.data.rename(kept_old)
    _settle(kept)
    return kept_old


def _old_programs(major: str, given: Path | None, account: Account) -> Path:
    """Return the folder with the programs of the old version, or say what is needed."""
    places = [given] if given else [Path(f"/usr/lib/postgresql/{major}/bin"), Path(f"/usr/pgsql-{major}/bin")]
    for place in places:
        if accounts.major_of(place, account) == major:
            return place.absolute()
    raise UsageFault(
        f"Upgrading needs the programs of PostgreSQL {major} and {' and '.join(map(str, places))} has none that "
        f"{account.name} can run. Install them (on Debian: postgresql-{major}) and say `--old-bin DIR`.",
    )


def _has_checksums(data: Path, programs: Path, account: Account) -> bool:
    said = _run(account, [programs / "pg_controldata", data])
    return re.search(r"page checksum version: +[1-9]", said) is not None


def _run(account: Account, command: list[str | Path], *, folder: Path = Path("/"), password: str = "") -> str:
    """Run a program that must succeed; the password goes by its environment, which only the account can read."""
    done = account.run(command, folder=folder, extra={"PGPASSWORD": password} if password else {})
    said = (done.stdout + done.stderr).decode(errors="replace").strip()
    if done.returncode:
        raise Unavailable(f"{Path(command[0]).name} failed:\n{said}")
    return said
