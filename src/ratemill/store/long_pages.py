"""Rows of a page whose texts may be long: fetched a few at once, and no further than the page has room for.

Ten thousand rows of a megabyte would be ten gigabytes before the first was written. The server keeps a cursor, and is asked
for more rows only while there is room.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any, TypeVar

from psycopg.rows import class_row

from ratemill.pages import Paging
from ratemill.store.connections import Connection, driver

ROWS_AT_ONCE_MIN = 20  # at first, when nothing is known of their length: the usual page, which needs no cursor
ROWS_AT_ONCE_MAX = 160  # whatever the rows before were like: a record has at most 1 M characters
_SMALL_PART = 16  # of the page: if the last rows took less, twice as many are fetched at once

Row = TypeVar("Row")


def fetch(  # noqa: PLR0917 -- a statement, what it is given, and the page
    connection: Connection,
    kind: type[Row],
    statement: str,
    known: dict[str, Any],
    paging: Paging,
    texts: tuple[str, ...],
) -> tuple[list[Row], bool]:
    """Return the rows of a statement for which a page has room, and whether there are further ones.

    ``texts`` are the members of a row that may be long: their characters are counted. The first row always has room. The
    statement itself is limited to the rows of the page.
    """
    if paging.rows_max <= ROWS_AT_ONCE_MIN:
        rows = driver(connection).cursor(row_factory=class_row(kind)).execute(statement, known).fetchall()
        return _cut(rows, paging.bytes_max, _length(texts))
    length, rows, room, at_once = _length(texts), [], paging.bytes_max, ROWS_AT_ONCE_MIN
    with driver(connection).cursor("page", row_factory=class_row(kind)) as cursor:
        cursor.execute(statement, known)
        while more := cursor.fetchmany(at_once):
            some, is_cut = _cut(more, room, length) if room > 0 else ([], True)
            rows += some
            if is_cut:
                return rows, True
            taken = sum(map(length, some))
            room -= taken
            if taken < paging.bytes_max // _SMALL_PART:
                at_once = min(2 * at_once, ROWS_AT_ONCE_MAX)
            if len(rows) >= paging.rows_max:
                break
    return rows, False


def _length(texts: tuple[str, ...]) -> Callable[[Any], int]:
    read = attrgetter(*texts)
    return lambda row: sum([len(text) for text in read(row) if text])


def _cut(rows: list[Row], room: int, length: Callable[[Row], int]) -> tuple[list[Row], bool]:
    """Return the rows up to and with the one that takes the last of the room, and whether there are others."""
    for at, row in enumerate(rows, 1):
        room -= length(row)
        if room <= 0:
            return rows[:at], at < len(rows)
    return rows, False
