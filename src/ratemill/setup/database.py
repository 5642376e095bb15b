"""The database of this installation: the user's by its DSN, else the embedded one; migrated before it is handed out."""

from __future__ import annotations

import sys
from pathlib import Path

from ratemill.errors import UsageFault
from ratemill.settings import Settings
from ratemill.store import embedded, migrate
from ratemill.store.connections import Database

__all__ = ["Database", "EmbeddedStatus", "open_database"]

DEFAULT_OWNER = "default"  # the first migration creates it

EmbeddedStatus = embedded.Status


def open_database(settings: Settings, *, connections_max: int = 10) -> Database:
    """Return the database, migrated; start the embedded server if it is that and rests."""
    return migrate.connect(_prepare(settings), settings, connections_max=connections_max)


def start_embedded(settings: Settings) -> embedded.Status:
    """Start the embedded server, or adopt the one that is running; return where it is."""
    if settings.database_url:
        raise UsageFault(
            "RATEMILL_DATABASE_URL names your own PostgreSQL, which Ratemill does not start: start it yourself, or unset "
            "RATEMILL_DATABASE_URL to use the embedded one."
        )
    embedded.ensure(settings, progress=_say)
    return embedded.status(settings)


def stop_embedded(settings: Settings) -> bool:
    """Stop the embedded server, if the database is that; return whether it ran."""
    return not settings.database_url and embedded.stop(settings)


def remove_embedded(settings: Settings) -> bool:
    """Stop the embedded server and delete its data, wherever they lie; return whether there were any."""
    return embedded.remove(settings)


def embedded_status(settings: Settings) -> embedded.Status:
    """Return where the embedded server is and whether it runs."""
    return embedded.status(settings)


def upgrade_embedded(settings: Settings, old_bin: Path | None) -> Path:
    """Bring the data of an older server to the version at hand; return the data folder."""
    return embedded.upgrade(settings, old_bin=old_bin, progress=_say)


def _prepare(settings: Settings) -> str:
    """Make sure of the server and the roles; return the way in as the product's login."""
    if settings.database_url:
        migrate.ensure_roles(settings.database_url)
        return settings.database_url
    server = embedded.ensure(settings, progress=_say)
    dsn = server.dsn()
    if not migrate.roles_are_there(dsn):
        migrate.create_roles(server.admin_dsn(embedded.DATABASE), login=embedded.ROLE, database=embedded.DATABASE)
    return dsn


def _say(message: str) -> None:
    sys.stderr.write(f"{message}\n")
    sys.stderr.flush()
