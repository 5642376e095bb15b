"""Health of the usage path: workers that live."""

from __future__ import annotations

from ratemill.store import workers
from ratemill.store.connections import Database


def workers_alive(database: Database) -> int:
    """Return how many workers live; raise ``Unavailable`` soon if the database does not answer."""
    with database.health() as connection:
        return workers.alive(connection)
