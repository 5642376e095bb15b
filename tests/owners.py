"""Owners for tests: created where a test names one, as an operator would have created them before."""

from __future__ import annotations

from ratemill.access.owners import ensure
from ratemill.access.tokens import create_token
from ratemill.store.connections import Database


def owned(database: Database, name: str) -> str:
    """Return the name of an owner that exists from here on."""
    with database.worker() as connection:
        ensure(connection, name)
    return name


def token_of(database: Database, owner: str, role: str = "admin", name: str = "") -> str:
    """Return a new token of an owner that exists from here on."""
    return create_token(database, owner_name=owned(database, owner), role=role, name=name or role)
