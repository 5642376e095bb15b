"""Exceptions: refused rows and usage records that could not be rated, each with a message that names its cause."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ratemill.errors import Code, NotFound
from ratemill.ledger.carried_items import with_items
from ratemill.ledger.reading import NUMBER_MAX
from ratemill.pages import Page, Paging
from ratemill.reasons import RATING_KINDS, message_of, row_message
from ratemill.store.charges import import_exceptions, rating_exceptions
from ratemill.store.charges.import_exceptions import ImportException, ImportExceptionFilters
from ratemill.store.charges.rating_exceptions import RatingException, RatingExceptionFilters
from ratemill.store.connections import Connection, Database


@dataclass(frozen=True, slots=True)
class ExceptionKind:
    """One kind of rating exceptions, and how many of it are open."""

    kind: int
    name: str
    rows_open: int


def import_page(
    database: Database, owner_id: int, filters: ImportExceptionFilters, paging: Paging
) -> Page[ImportException]:
    """Return a page of import exceptions, by request, then row."""
    with database.reader(owner_id) as connection:
        return import_exceptions.page(connection, filters, paging)


def find_import(database: Database, owner_id: int, import_exception_id: int) -> ImportException:
    """Return the import exception of that number; raise ``NotFound``."""
    with database.reader(owner_id) as connection:
        return require_import(connection, import_exception_id)


def require_import(connection: Connection, import_exception_id: int) -> ImportException:
    """Return the import exception of that number; raise ``NotFound`` if the owner has none."""
    found = import_exceptions.find(connection, min(import_exception_id, NUMBER_MAX))
    if found is None:
        raise NotFound(f"there is no import exception {import_exception_id}", code=Code.EXCEPTION_NOT_FOUND)
    return found


def require_rating(connection: Connection, rating_exception_id: int) -> RatingException:
    """Return the rating exception of that number; raise ``NotFound`` if the owner has none."""
    found = rating_exceptions.find(connection, min(rating_exception_id, NUMBER_MAX))
    if found is None:
        raise NotFound(f"there is no rating exception {rating_exception_id}", code=Code.EXCEPTION_NOT_FOUND)
    return with_items(connection, [found])[0]


def rating_page(
    database: Database, owner_id: int, filters: RatingExceptionFilters, paging: Paging
) -> Page[RatingException]:
    """Return a page of rating exceptions, by request, then row."""
    with database.reader(owner_id) as connection:
        found = rating_exceptions.page(connection, filters, paging)
        return replace(found, rows=with_items(connection, found.rows))


def kinds(database: Database, owner_id: int) -> list[ExceptionKind]:
    """Return every kind of rating exceptions in its order, with the count of open ones."""
    with database.reader(owner_id) as connection:
        counted = rating_exceptions.open_by_kind(connection)
    return [ExceptionKind(kind, name, counted.get(kind, 0)) for kind, name in RATING_KINDS.items()]


def find_kind(database: Database, owner_id: int, number: int) -> ExceptionKind:
    """Return one kind of rating exceptions; raise ``NotFound``."""
    found = next((kind for kind in kinds(database, owner_id) if kind.kind == number), None)
    if found is None:
        raise NotFound(f"there is no kind {number} of rating exceptions", code=Code.EXCEPTION_NOT_FOUND)
    return found


def kinds_page(database: Database, owner_id: int, paging: Paging) -> Page[ExceptionKind]:
    """Return a page of the kinds of rating exceptions, in their order."""
    every = kinds(database, owner_id)
    shown = every[paging.offset : paging.offset + paging.rows_max]
    return Page(shown, len(every) if paging.with_total else None)


def import_message(refused: ImportException) -> str:
    """Return the message of the first rule that a row broke, with row, field and value."""
    return row_message(refused.row_index, refused.reason_id, refused.field, refused.value)


def import_messages(refused: ImportException) -> list[str]:
    """Return the message of every rule that a row broke."""
    faults = refused.faults or [{"reason": refused.reason_id, "field": refused.field, "value": refused.value}]
    return [row_message(refused.row_index, fault["reason"], fault.get("field"), fault.get("value")) for fault in faults]


def rating_message(excepted: RatingException) -> str:
    """Return what kept a usage record from being rated."""
    return message_of(excepted.reason_id, None, excepted.value)
