"""One embedded server: how to connect to it, what it is started with, and whether it answers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from time import monotonic

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo
from psycopg.pq import PGconn, Ping

from ratemill.errors import Unavailable, invariant
from ratemill.settings import Settings
from ratemill.store.embedded import data as folders
from ratemill.store.embedded import process
from ratemill.store.embedded.account import Programs, SystemAccount
from ratemill.store.embedded.data import ADMIN, PORT, ROLE, StoredHome
from ratemill.store.embedded.process import Postmaster, Progress
from ratemill.store.server import bounded

DATABASE = "ratemill"

SILENT_PINGS_MAX = 2
CONNECT_S_MAX = 5  # a server that is ready answers a connection sooner, even on a busy machine


@dataclass(frozen=True, slots=True)
class Server:
    """A server of a home, and what is needed to connect to it."""

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
        """Return the DSN of a role, with its password, regardless of the PG* variables of this process."""
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
        """Return the superuser's DSN: for bootstrap only, never for the product's work."""
        return self.dsn(user=ADMIN, database=database)


def launch(kept: StoredHome, account: SystemAccount, programs: Programs, settings: Settings) -> Postmaster:
    """Launch a server; it does not answer yet."""
    socket = folders.socket_folder(kept, account)
    for left in (f".s.PGSQL.{PORT}", f".s.PGSQL.{PORT}.lock"):
        (socket / left).unlink(missing_ok=True)
    return process.launch(account, programs, kept.data, startup_options(settings, kept.data, socket))


def wait_until_up(kept: StoredHome, postmaster: Postmaster, progress: Progress) -> Server | None:
    """Wait until the server accepts connections, however long it recovers; return None if it dies instead.

    A recovering server refuses connections. One that is silent is frozen, and is not waited for.
    """
    pings = count(1)

    def is_settled() -> bool:
        if not postmaster.runs() or accepts_connections(kept):
            return True
        if is_ready(kept) and _is_silent(kept) and next(pings) >= SILENT_PINGS_MAX:
            raise Unavailable(f"the database in {kept.home} is running (pid {postmaster.pid}) but does not answer")
        return False

    process.wait(
        is_settled,
        lambda seconds: progress(f"the database starts or recovers, {seconds} s"),
    )
    return find_listening(kept) if postmaster.runs() else None


def accepts_connections(kept: StoredHome) -> bool:
    """Return whether the server is ready and answers a ping; a ping before that would fill its log with refusals."""
    server = find_listening(kept)
    return server is not None and is_ready(kept) and PGconn.ping(os.fsencode(server.admin_dsn())) == Ping.OK


def _is_silent(kept: StoredHome) -> bool:
    """Return whether a server accepts a connection and never answers on it."""
    server = find_listening(kept)
    if server is None:
        return False
    began = monotonic()
    answer = PGconn.ping(os.fsencode(server.admin_dsn()))
    return answer == Ping.NO_RESPONSE and monotonic() - began > CONNECT_S_MAX - 1


def is_ready(kept: StoredHome) -> bool:
    """Return whether the server's pid file shows that it is ready."""
    lines = process.pid_file(kept.data)
    return len(lines) >= 8 and lines[7].strip() == "ready"  # noqa: PLR2004 - the eighth line is the status


def find_listening(kept: StoredHome) -> Server | None:
    """Return the server as its pid file describes it; None before it has a socket."""
    lines = process.pid_file(kept.data)
    # The fourth line is the port, the fifth the socket's folder.
    if len(lines) < 5 or not lines[4] or not lines[3].strip().isdigit():  # noqa: PLR2004 - as above
        return None
    return Server(kept.home, kept.data, Path(lines[4]), int(lines[3]), kept.passwords)


def startup_options(settings: Settings, data: Path, socket: Path) -> list[str]:
    """Return the server's settings as options: a changed setting of Ratemill applies from the next start."""
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
        # What was answered stays: these are the defaults, and no file can override an option.
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


def bootstrap(server: Server) -> None:
    """Wait for the answer to a query, and create the product's role and database unless they exist."""
    try:
        with bounded.connect(server.admin_dsn(), autocommit=True) as connection:
            if not connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [ROLE]).rowcount:
                _make_role(connection, server.passwords[ROLE])
            if not connection.execute("SELECT FROM pg_database WHERE datname = %s", [DATABASE]).rowcount:
                make = sql.SQL("CREATE DATABASE {} OWNER {}")
                connection.execute(make.format(sql.Identifier(DATABASE), sql.Identifier(ROLE)))
    except psycopg.OperationalError as error:
        raise Unavailable(f"The database is running but rejected our login: {str(error).strip()}") from error


def _make_role(connection: psycopg.Connection, password: str) -> None:
    """Create the ordinary role of the product; the server sees its password only as a SCRAM verifier."""
    verifier = connection.pgconn.encrypt_password(password.encode(), ROLE.encode(), b"scram-sha-256").decode()
    make = sql.SQL("CREATE ROLE {} LOGIN NOSUPERUSER PASSWORD {}")
    connection.execute(make.format(sql.Identifier(ROLE), sql.Literal(verifier)))
