"""Health of the usage path: the database answers, workers are alive, waiting records are counted."""

from __future__ import annotations

from ratemill.store.connections import Database
from ratemill.store.usage import workers
from ratemill.store.usage.workers import Health


def look(database: Database) -> Health:
    """Return the health that the database shows; raise ``Unavailable`` soon if it does not answer."""
    with database.health() as connection:
        return workers.health(connection)
