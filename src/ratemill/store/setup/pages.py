"""Set-up objects as they are shown: rows with the names of what they point to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from psycopg import sql
from psycopg.rows import dict_row

from ratemill.store.connections import Connection, driver
from ratemill.store.schema.tables import metadata

Row = dict[str, Any]
OWNER_NAME = "owner_name"


@dataclass(frozen=True, slots=True)
class Pointer:
    """A reference of a row: ``column`` holds the identity of a row of ``table``, whose name stands in ``name``.

    ``through`` is another pointer of the row if ``column`` stands in the table that that one points to.
    """

    column: str
    table: str
    identity: str
    name: str | None
    through: Pointer | None = None

    @property
    def alias(self) -> str:
        """Return what the answer calls the name."""
        return f"{self.column}:name"


@dataclass(frozen=True, slots=True)
class PointerList:
    """References of a row that a table of their own keeps in their order: as ``Pointer``, by ``parent`` and ``child``."""

    column: str
    table: str
    identity: str
    name: str
    link: str
    parent: str
    child: str

    @property
    def alias(self) -> str:
        """Return what the answer calls the names."""
        return f"{self.column}:name"


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """What is read of one kind of object: its table, its own columns, and what it points to.

    There is one of each kind: statements are kept by it.
    """

    table: str
    identity: str
    columns: tuple[str, ...]
    pointers: tuple[Pointer, ...] = ()
    lists: tuple[PointerList, ...] = ()


def read(connection: Connection, shape: Shape, identities: Sequence[int]) -> dict[int, Row]:
    """Return the rows of these identities, each with ``revision``, ``owner_id``, ``OWNER_NAME`` and names by alias."""
    is_one = len(identities) == 1
    sought = identities[0] if is_one else list(identities)
    with driver(connection).cursor(row_factory=dict_row) as cursor:
        rows = {row[shape.identity]: row for row in cursor.execute(_reading(shape, is_one=is_one), (sought,))}
    for list_ in shape.lists:
        _add_list(connection, list_, rows)
    return rows


@lru_cache
def _reading(shape: Shape, *, is_one: bool) -> bytes:
    """Return the statement of ``read``.

    To plan the joins takes 40 times as long as to run them for one row. PostgreSQL keeps the plan of an equality, but
    plans a list again for each length.
    """
    statement = sql.SQL("select {} from {} where t.{} = " + ("%s" if is_one else "any(%s)"))
    return statement.format(_selected(shape), joined(shape), sql.Identifier(shape.identity)).as_bytes(None)


def _selected(shape: Shape) -> sql.Composed:
    known = metadata.tables[shape.table].c
    parts: list[sql.Composable] = [
        column_of("t", name) for name in (shape.identity, *shape.columns) if name != "owner_id"
    ]
    parts.append(column_of("t", "revision") if "revision" in known else sql.SQL("1 revision"))
    if "owner_id" in known:
        parts += [column_of("t", "owner_id"), sql.SQL("o.name {}").format(sql.Identifier(OWNER_NAME))]
    else:
        parts.append(sql.SQL("null owner_id, null {}").format(sql.Identifier(OWNER_NAME)))
    for at, pointer in enumerate(shape.pointers):
        if pointer.through is not None:
            parts.append(column_of(alias_of(shape, pointer.through), pointer.column))
        name = column_of(f"p{at}", pointer.name) if pointer.name else sql.SQL("null")
        parts.append(sql.SQL("{} {}").format(name, sql.Identifier(pointer.alias)))
    return sql.SQL(", ").join(parts)


def joined(shape: Shape, table: str | None = None) -> sql.Composed:
    """Return the table ``t`` of a shape, or what has its columns, beside its owner ``o`` and all that it points to."""
    return sql.SQL("{} t {}").format(sql.Identifier(table or shape.table), beside(shape))


def beside(shape: Shape) -> sql.Composed:
    """Return the joins of a shape's table ``t`` with its owner ``o`` and all that it points to."""
    parts: list[sql.Composable] = []
    if "owner_id" in metadata.tables[shape.table].c:
        parts.append(sql.SQL("join owners o on o.owner_id = t.owner_id"))
    # What others are reached through is joined before them.
    for pointer in sorted(shape.pointers, key=lambda pointer: pointer.through is not None):
        origin = "t" if pointer.through is None else alias_of(shape, pointer.through)
        parts.append(
            sql.SQL("left join {} {} on {} = {}").format(
                sql.Identifier(pointer.table),
                sql.Identifier(alias_of(shape, pointer)),
                column_of(alias_of(shape, pointer), pointer.identity),
                column_of(origin, pointer.column),
            )
        )
    return sql.SQL(" ").join(parts)


def alias_of(shape: Shape, pointer: Pointer) -> str:
    """Return what the table that a pointer leads to is called in a statement."""
    return f"p{shape.pointers.index(pointer)}"


def _add_list(connection: Connection, pointer_list: PointerList, rows: dict[int, Row]) -> None:
    statement = sql.SQL(
        "select l.{parent}, array_agg(l.{child} order by l.position), array_agg(c.{name} order by l.position)"
        " from {link} l join {table} c on c.{identity} = l.{child} where l.{parent} = any(%s) group by l.{parent}"
    ).format(
        **{
            name: sql.Identifier(getattr(pointer_list, name))
            for name in ("parent", "child", "name", "link", "table", "identity")
        }
    )
    for row in rows.values():
        row[pointer_list.column], row[pointer_list.alias] = [], []
    for identity, children, names in driver(connection).execute(statement, (list(rows),)):
        rows[identity][pointer_list.column], rows[identity][pointer_list.alias] = children, names


def column_of(alias: str, name: str) -> sql.Identifier:
    """Return a column of a table in a statement."""
    return sql.Identifier(alias, name)
