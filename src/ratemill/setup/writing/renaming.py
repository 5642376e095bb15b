"""Rename an owner, and log the change."""

from __future__ import annotations

from ratemill.access.database import DEFAULT_OWNER
from ratemill.access.owners import check_new, require
from ratemill.errors import UsageFault
from ratemill.setup.objects.registry import OWNERS
from ratemill.setup.writing.changes import Author, Log
from ratemill.store import owners
from ratemill.store.connections import Database


def rename_owner(database: Database, name: str, new_name: str, *, renamed_by: str) -> int:
    """Give an owner another name, and log it; return its number. Raise ``UsageFault`` if the name cannot be taken."""
    if name == DEFAULT_OWNER:
        raise UsageFault(
            f"cannot rename owner '{DEFAULT_OWNER}': commands and documents that name no owner mean this one"
        )
    with database.worker() as connection:
        owner_id = require(connection, name)
        owners.lock_names(connection)
        owners.lock_price_book(connection, owner_id)
        check_new(connection, new_name, besides=name)
        log = Log(connection, Author(renamed_by, "command"))
        before = log.seen(OWNERS, [owner_id])
        owners.rename(connection, owner_id, new_name)
        log.note(OWNERS, [owner_id], before)
        owners.raise_version(connection, owner_id)
    return owner_id
