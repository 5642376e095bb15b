"""What became of a file of subscription data: how far its import has come, what was wrong with which line, those lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from uuid import UUID

from ratemill.errors import BadRequest, Code, NotFound
from ratemill.store import comparisons
from ratemill.store.comparisons import Asked
from ratemill.store.connections import Connection, Database
from ratemill.store.subscriptions import imports
from ratemill.store.subscriptions.imports import LineError, SubscriptionImport
from ratemill.visible import shown

__all__ = ["Asked", "LineError", "SubscriptionImport", "errors", "find", "page", "refused_lines"]


def page(
    database: Database, owner_id: int, asked: Sequence[Asked], *, offset: int, limit: int
) -> tuple[list[SubscriptionImport], int]:
    """Return a page of imports, the newest first, and how many there are; raise ``BadRequest``."""
    check(asked, imports.IMPORT_FIELDS)
    with database.reader(owner_id) as connection:
        return imports.page(connection, owner_id, asked, offset=offset, limit=limit)


def find(database: Database, owner_id: int, import_id: str) -> SubscriptionImport:
    """Return an import; raise ``NotFound``, also for one of another owner."""
    with database.reader(owner_id) as connection:
        return _found(connection, import_id)


def errors(
    database: Database, owner_id: int, import_id: str, asked: Sequence[Asked], *, offset: int, limit: int
) -> tuple[list[LineError], int]:
    """Return a page of what was wrong with lines, by line number, and how many faults there are; raise ``NotFound``."""
    check(asked, imports.ERROR_FIELDS)
    with database.reader(owner_id) as connection:
        number = _found(connection, import_id).import_number
        return imports.errors_page(connection, number, asked, offset=offset, limit=limit)


def refused_lines(database: Database, owner_id: int, import_id: str) -> Iterator[bytes]:
    """Return the lines that were refused as they came, each with a line feed, in pieces; raise ``NotFound`` at once."""
    number = find(database, owner_id, import_id).import_number
    return _pieces(database, owner_id, number)


def check(asked: Sequence[Asked], fields: dict[str, comparisons.Field]) -> None:
    """Raise ``BadRequest`` for a comparison that a list does not know."""
    try:
        comparisons.check(asked, fields)
    except ValueError as error:
        raise BadRequest(str(error), code=Code.FILTER_NOT_VALID) from error


def _pieces(database: Database, owner_id: int, number: int) -> Iterator[bytes]:
    after = 0
    while True:
        with database.reader(owner_id) as connection:  # none is held while the reader is slow
            lines = imports.refused_lines(connection, number, after=after)
        if not lines:
            return
        after = lines[-1][0]
        yield b"".join(line + b"\n" for _, line in lines)


def _found(connection: Connection, import_id: str) -> SubscriptionImport:
    try:
        found = imports.find(connection, UUID(import_id))
    except ValueError:
        found = None
    if found is None:
        raise NotFound(f"there is no import '{shown(import_id)}'")
    return found
