"""What became of a file of subscription data: how far its import has come, what was wrong with which line, those lines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from uuid import UUID

from ratemill.comparisons import Comparison
from ratemill.errors import NotFound
from ratemill.reference.subscriptions.filters import check
from ratemill.store.comparisons import types
from ratemill.store.connections import Connection, Database
from ratemill.store.subscriptions import imports
from ratemill.store.subscriptions.imports import LineError, SubscriptionImport
from ratemill.visible import shown


def page(
    database: Database, owner_id: int, comparisons: Sequence[Comparison[str]], *, offset: int, limit: int
) -> tuple[list[SubscriptionImport], int]:
    """Return a page of imports, the newest first, and how many there are; raise ``BadRequest``."""
    checked = check(comparisons, types(imports.IMPORT_FIELDS))
    with database.reader(owner_id) as connection:
        return imports.page(connection, owner_id, checked, offset=offset, limit=limit)


def find(database: Database, owner_id: int, import_id: str) -> SubscriptionImport:
    """Return an import; raise ``NotFound``, also for one of another owner."""
    with database.reader(owner_id) as connection:
        return _found(connection, import_id)


def errors(
    database: Database,
    owner_id: int,
    import_id: str,
    comparisons: Sequence[Comparison[str]],
    *,
    offset: int,
    limit: int,
) -> tuple[list[LineError], int]:
    """Return a page of what was wrong with lines, by line number, and how many faults there are; raise ``NotFound``."""
    checked = check(comparisons, types(imports.ERROR_FIELDS))
    with database.reader(owner_id) as connection:
        number = _found(connection, import_id).import_number
        return imports.errors_page(connection, number, checked, offset=offset, limit=limit)


def refused_lines(database: Database, owner_id: int, import_id: str) -> Iterator[bytes]:
    """Return the lines that were refused as they came, each with a line feed, in pieces; raise ``NotFound`` at once."""
    number = find(database, owner_id, import_id).import_number
    return _pieces(database, owner_id, number)


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
