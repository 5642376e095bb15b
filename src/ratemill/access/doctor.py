"""Doctor: check an installation and say of each check how it is, and what to do. Reads only, starts and creates nothing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from ratemill.access.key_files import fault_of_key_file
from ratemill.errors import RatemillError
from ratemill.settings import Settings
from ratemill.store import inspection, migrate
from ratemill.store.embedded import embedded
from ratemill.store.inspection import ServerReport
from ratemill.store.server import dsn

Level = Literal["OK", "WARN", "FAIL"]

DISK_BYTES_MIN = 1 << 30  # less free space is a warning
CLOCK_S_MAX = 2.0  # a difference that no slow answer explains
CONNECTIONS_SHARE_MAX = 0.8  # of those that the server allows
OWN_POSTGRESQL = "see docs/how-to/use-your-own-postgresql.md"


@dataclass(frozen=True, slots=True)
class Check:
    """One check: what was looked at, how it is, and what to do if that is not right."""

    name: str
    level: Level
    message: str
    remedy: str = ""


def check(settings: Settings) -> Iterator[Check]:
    """Yield the checks of an installation, one after the other."""
    yield Check("settings", "OK", "all settings are valid")
    yield _disk(settings)
    yield from _tls_key(settings)
    try:
        login = _login(settings)
        if login is None:
            yield _resting(settings)
            return
        report = inspection.inspect(login)
    except RatemillError as error:
        yield Check("database", "FAIL", str(error), f"start the database or correct {dsn.SETTING}")
        return
    yield Check("database", "OK", f"{report.place} answers")
    yield from _server(report, login)
    yield from _schema(report)


def _login(settings: Settings) -> str | None:
    if settings.database_url:
        dsn.check(settings.database_url)
        return settings.database_url
    status = embedded.status(settings)
    return embedded.server_of(settings).dsn() if status.running else None


def _resting(settings: Settings) -> Check:
    """Return the check of an embedded database that is not running, or is not there."""
    where = settings.home.absolute()
    if embedded.status(settings).data is None:
        remedy = "run `ratemill serve`, which creates it, or set RATEMILL_HOME to the folder of yours"
        return Check("database", "FAIL", f"there is no database in {where}", remedy)
    return Check("database", "WARN", f"the embedded database in {where} is not running", "run `ratemill serve`")


def _disk(settings: Settings) -> Check:
    folder = settings.home.absolute()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    message = f"{free / (1 << 30):.1f} GB are free in {folder}"
    if free < DISK_BYTES_MIN:
        return Check("disk", "WARN", message, "free some space: a full disk stops imports until there is room")
    return Check("disk", "OK", message)


def _tls_key(settings: Settings) -> Iterator[Check]:
    if settings.tls_key:
        fault = fault_of_key_file(settings.tls_key)
        remedy = f"run `chmod 600 {settings.tls_key}`" if fault else ""
        message = fault or "the key file of RATEMILL_TLS_KEY can be read by its owner and group only"
        yield Check("tls key", "WARN" if fault else "OK", message, remedy)


def _server(report: ServerReport, login: str) -> Iterator[Check]:
    version = f"PostgreSQL {report.version}"
    if report.version < migrate.VERSION_MIN:
        yield Check("version", "FAIL", version, f"upgrade to PostgreSQL {migrate.VERSION_MIN} or newer")
    else:
        yield Check("version", "OK", version)
    if inspection.is_verified_network(login):
        yield Check("network", "OK", "the connection is local or verifies the server's certificate and name")
    else:
        message = "the connection crosses a network without sslmode=verify-full: another server could pose as this one"
        yield Check("network", "WARN", message, f"add sslmode=verify-full to {dsn.SETTING}; {OWN_POSTGRESQL}")
    if report.unsafe_settings:
        off = ", ".join(report.unsafe_settings)
        yield Check("durability", "FAIL", f"{off}: off; a crash loses accepted records", f"set {off} to on")
    else:
        yield Check("durability", "OK", "fsync, full_page_writes and synchronous_commit are on")
    used = f"{report.connections} of {report.connections_max} connections are in use"
    if report.connections > CONNECTIONS_SHARE_MAX * report.connections_max:
        yield Check("connections", "WARN", used, "raise max_connections or run fewer workers")
    else:
        yield Check("connections", "OK", used)
    apart = abs((datetime.now(UTC) - report.clock).total_seconds())
    clocks = f"the clocks of this machine and the database differ by {apart:.1f} s"
    if apart > CLOCK_S_MAX:
        yield Check("clock", "WARN", clocks, "synchronize both clocks, for example by NTP")
    else:
        yield Check("clock", "OK", clocks)


def _schema(report: ServerReport) -> Iterator[Check]:
    if report.roles_missing:
        names = ", ".join(report.roles_missing)
        yield Check("roles", "FAIL", f"the login cannot act as {names}", f"grant these roles to it; {OWN_POSTGRESQL}")
        return
    yield Check("roles", "OK", "the login can act as the three roles of Ratemill")
    if report.revision != migrate.HEAD:
        has = f"schema {report.revision or 'none'}, this version needs {migrate.HEAD}"
        yield Check("schema", "FAIL", has, "run `ratemill serve`, which migrates it, or install the matching version")
        return
    yield Check("schema", "OK", f"schema {report.revision}")
    if report.unprotected:
        names = ", ".join(report.unprotected)
        yield Check("row security", "FAIL", f"off for {names}", "alter these tables to enable row level security")
    else:
        yield Check("row security", "OK", "on for every table that has an owner")
