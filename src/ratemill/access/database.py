"""The database of this installation: the user's by its DSN, else the embedded one; migrated before it is handed out.

A command that only reads opens a database that is there and migrated, and creates none.
"""

from __future__ import annotations

from pathlib import Path

from ratemill.errors import UsageFault
from ratemill.printing import print_notice
from ratemill.settings import Settings
from ratemill.store import migrate
from ratemill.store.connections import Database
from ratemill.store.embedded import embedded
from ratemill.store.embedded.process import Progress
from ratemill.store.server import dsn as dsns

__all__ = ["Database", "EmbeddedStatus", "open_database", "open_existing_database"]

DEFAULT_OWNER = "default"  # the first migration creates it
NO_DATABASE = 3  # the exit code of a command that needs a database where there is none
_CREATES = "`ratemill serve` or `ratemill apply FILE` creates it"

EmbeddedStatus = embedded.Status


def open_database(settings: Settings, *, connections_max: int = 10, progress: Progress | None = None) -> Database:
    """Return the database, migrated; start the embedded server if it is that and rests."""
    return migrate.connect(_prepare(settings, progress or _say), settings, connections_max=connections_max)


def opened_before(settings: Settings, *, connections_max: int = 10) -> Database:
    """Return the database that ``serve`` opens and migrates; until that is done, its use raises ``DatabaseAway``."""
    own = _own_dsn(settings)
    return Database(
        own or (lambda: _embedded_dsn(settings)),
        settings,
        connections_max=connections_max,
        is_ready=migrate.is_migrated,
    )


def _embedded_dsn(settings: Settings) -> str:
    return embedded.server_of(settings).dsn()


def is_embedded_up(settings: Settings) -> bool:
    """Return whether the embedded server is running, or needs no looking after because the database is another."""
    return bool(settings.database_url) or embedded.is_up(settings)


def keep_embedded_up(settings: Settings, progress: Progress) -> None:
    """Start the embedded server again and return when it answers, however long its recovery takes."""
    embedded.ensure(settings, progress=progress)


def open_existing_database(settings: Settings, *, connections_max: int = 10) -> Database:
    """Return the database without creating, migrating or changing anything; start the embedded server if it rests.

    Raises ``UsageFault`` with exit code 3 if there is no database, or if it has not the tables of this version.
    """
    dsn = _own_dsn(settings)
    if not dsn:
        home = settings.home.absolute()
        if embedded.status(settings).data is None:
            message = (
                f"there is no database in {home}: {_CREATES}. If yours is elsewhere, set RATEMILL_HOME to its folder or "
                "RATEMILL_DATABASE_URL to its DSN"
            )
            raise UsageFault(message, exit_code=NO_DATABASE)
        dsn = embedded.ensure(settings, progress=_say).dsn()
    if not migrate.is_migrated(dsn):
        place = "RATEMILL_DATABASE_URL" if settings.database_url else str(settings.home.absolute())
        message = f"the database of {place} does not have the tables of this version of Ratemill: {_CREATES[:-2]}them"
        raise UsageFault(message, exit_code=NO_DATABASE)
    return Database(dsn, settings, connections_max=connections_max)


def start_embedded(settings: Settings) -> embedded.Status:
    """Start the embedded server, or adopt the one that is running; return where it is."""
    if settings.database_url:
        raise UsageFault(
            "RATEMILL_DATABASE_URL names your own PostgreSQL, which Ratemill does not start: start it yourself, or unset "
            "RATEMILL_DATABASE_URL to use the embedded one."
        )
    embedded.ensure(settings, progress=_say)
    return embedded.status(settings)


def stop_embedded(settings: Settings, progress: Progress | None = None) -> bool:
    """Stop the embedded server, if the database is that; return whether it ran."""
    return not settings.database_url and embedded.stop(settings, progress=progress or _say)


def embedded_status(settings: Settings) -> embedded.Status:
    """Return where the embedded server is and whether it runs."""
    return embedded.status(settings)


def upgrade_embedded(settings: Settings, old_bin: Path | None) -> Path:
    """Bring the data of an older server to the version at hand; return the data folder."""
    return embedded.upgrade(settings, old_bin=old_bin, progress=_say)


def _own_dsn(settings: Settings) -> str:
    """Return the DSN of your own database, checked; empty if the embedded one is used."""
    if settings.database_url:
        dsns.check(settings.database_url)
    return settings.database_url


def _prepare(settings: Settings, progress: Progress) -> str:
    """Make sure of the server and the roles; return the way in as the product's login."""
    own = _own_dsn(settings)
    if own:
        if not migrate.has_tables(own):
            progress(f"creating the tables of Ratemill in the database {dsns.place(own)}")
        migrate.prepare_own(own)
        return own
    server = embedded.ensure(settings, progress=progress)
    dsn = server.dsn()
    if not migrate.is_prepared(dsn):
        migrate.create_roles(server.admin_dsn(embedded.DATABASE), login=embedded.ROLE, database=embedded.DATABASE)
    return dsn


def _say(message: str) -> None:
    print_notice(message)
