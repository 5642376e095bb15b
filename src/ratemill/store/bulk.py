"""Set-up objects of any table: read by keys in bulk, written in bulk, never one statement a row."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from datetime import datetime
from functools import lru_cache
from itertools import islice
from typing import Any

from psycopg import errors, sql
from psycopg.rows import dict_row
from sqlalchemy import Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import JSONB

from ratemill.store.connections import Connection, driver
from ratemill.store.policies import BUILT_IN_OBJECTS
from ratemill.store.schema.tables import metadata

Row = dict[str, Any]


_FEW_MAX = 1_000  # combinations that one plan does for; more are planned for by their number
_INSERTED_ROWS = 10_000  # rows of one statement


class Clash(Exception):
    """What was written meets another row: the last guard behind the rules of set-up."""

    def __init__(self, constraint: str, detail: str) -> None:
        self.constraint, self.detail = constraint, detail
        super().__init__(f"{constraint}: {detail}")


_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]


def read_rows(
    connection: Connection,
    table: str,
    columns: Iterable[str],
    owner_id: int | None,
    by: Mapping[str, Sequence[Any]] | None = None,
    *,
    unset: Sequence[str] = (),
    filled: Sequence[str] = (),
    by_index: bool = False,
) -> list[Row]:
    """Return the rows of one owner (None: of a table without owners) that have one of the combinations in ``by``.

    ``by`` gives parallel lists by column; without it all rows are returned, in no order. Only rows whose columns ``unset``
    are null and whose columns ``filled`` are not. ``by_index`` looks each combination up by itself, for some thousand of
    them in a table of any size; an index must lead there.
    """
    by = by or {}
    lengths = {len(given) for given in by.values()}
    is_one = lengths == {1} and not by_index
    statement = _reading(
        table,
        tuple(columns),
        tuple(by),
        (tuple(unset), tuple(filled)),
        is_owned=owner_id is not None,
        is_one=is_one,
        by_index=by_index,
    )
    values: dict[str, Any] = {"owner_id": owner_id}
    values |= {f"by_{name}": given[0] if is_one else list(given) for name, given in by.items()}
    is_long = any(length > _FEW_MAX for length in lengths)
    planned = looked_up_by_index(connection) if by_index else nullcontext()
    with planned, driver(connection).cursor(row_factory=dict_row) as cursor:
        return cursor.execute(statement, values, prepare=False if is_long else None).fetchall()


@lru_cache(maxsize=1_024)
def _reading(
    table: str,
    columns: tuple[str, ...],
    by: tuple[str, ...],
    unset_and_filled: tuple[tuple[str, ...], tuple[str, ...]],
    *,
    is_owned: bool,
    is_one: bool,
    by_index: bool,
) -> bytes:
    """Return the statement of ``read_rows``; ``is_one`` if it looks for one combination, whose plan PostgreSQL keeps."""
    unset, filled = unset_and_filled
    conditions: list[sql.Composable] = [sql.SQL("t.{} is null").format(sql.Identifier(name)) for name in unset]
    conditions += [sql.SQL("t.{} is not null").format(sql.Identifier(name)) for name in filled]
    if is_owned:
        conditions.append(sql.SQL("t.owner_id = %(owner_id)s"))
    if by_index:
        conditions += [sql.SQL("t.{0} = v.{0}").format(sql.Identifier(name)) for name in by]
    if is_one:
        conditions += [_equals(table, name) for name in by]
    parts = {
        "columns": _list("t", columns),
        "table": sql.Identifier(table),
        "where": sql.SQL(" where {}").format(sql.SQL(" and ").join(conditions)) if conditions else sql.SQL(""),
        "asked": _unnest(table, by, prefix="by_") if by else sql.SQL(""),
        "by": _list(None, by),
    }
    if not by or is_one:
        statement = "select {columns} from {table} t{where}"
    elif by_index:
        statement = "select t.* from {asked} cross join lateral (select {columns} from {table} t{where} offset 0) t"
    else:
        statement = "select {columns} from {table} t join {asked} using ({by}){where}"
    return sql.SQL(statement).format(**parts).as_bytes(None)


def _equals(table: str, name: str) -> sql.Composed:
    return sql.SQL("t.{} = %({})s::{}").format(sql.Identifier(name), sql.SQL("by_" + name), _type(table, name))


@contextmanager
def looked_up_by_index(connection: Connection) -> Iterator[None]:
    """Let the statements of the block take every row that they join by an index, whatever the planner thinks.

    A table that is being filled has no statistics, or old ones; and where it has, the planner may rather read all of a large
    table than look some thousand rows up. What is looked for must come first, as a lateral join with ``offset 0``.
    """
    driver(connection).execute(_set_local("off"))
    yield
    driver(connection).execute(_set_local("on"))


def _set_local(value: str) -> str:
    names = ("enable_seqscan", "enable_hashjoin", "enable_mergejoin")
    return "; ".join(f"set local {name} = {value}" for name in names)


def read_links(
    connection: Connection, table: str, parent: str, child: str, parent_ids: Sequence[int]
) -> dict[int, tuple[int, ...]]:
    """Return the children of each parent in their order."""
    statement = sql.SQL("select {0}, array_agg({1} order by position) from {2} where {0} = any(%s) group by {0}")
    names = (sql.Identifier(each) for each in (parent, child, table))
    found = driver(connection).execute(statement.format(*names), (list(parent_ids),))
    return {parent_id: tuple(children) for parent_id, children in found}


def built_in_rows(table: str) -> list[Row]:
    """Return the rows that a new owner begins with, without identities."""
    return [dict(row) for row in BUILT_IN_OBJECTS.get(table, ())]


def new_identities(connection: Connection, table: str, identity: str, count: int) -> list[int]:
    """Take ``count`` identities from the table's sequence."""
    statement = (
        "with known as materialized (select pg_get_serial_sequence(%s, %s)::regclass sequence) "
        "select nextval(sequence) from known, generate_series(1, %s)"
    )
    return [row[0] for row in driver(connection).execute(statement, (table, identity, count)).fetchall()]


def insert_rows(connection: Connection, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write new rows: by COPY, or where row-level security forbids that, by one statement for each so many rows."""
    with guarded():
        if _is_secured(connection, table):
            _insert_in_parts(connection, table, columns, rows)
        else:
            _copy(connection, table, columns, rows)


def _is_secured(connection: Connection, table: str) -> bool:
    found = driver(connection).execute("select row_security_active(%s)", (table,)).fetchone()
    return bool(found and found[0])


def _insert_in_parts(connection: Connection, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Send each part as one JSON text: the driver takes long over lists of texts, above all of documents."""
    statement = sql.SQL("insert into {0} ({1}) select {1} from json_populate_recordset(null::{0}, %s::json)").format(
        sql.Identifier(table), _list(None, columns)
    )
    rest = iter(rows)
    while part := list(islice(rest, _INSERTED_ROWS)):
        records = [dict(zip(columns, row, strict=True)) for row in part]
        driver(connection).execute(statement, (json.dumps(records, ensure_ascii=False, default=_exact),))


def _exact(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _copy(connection: Connection, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    documents = [index for index, name in enumerate(columns) if _is_document(table, name)]
    statement = sql.SQL("copy {} ({}) from stdin").format(sql.Identifier(table), _list(None, columns))
    with driver(connection).cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(_as_text(row, documents) if documents else row)


def update_rows(connection: Connection, table: str, identity: str, columns: Sequence[str], rows: list[Row]) -> None:
    """Write ``columns`` of changed rows, named by their identity, and count their revision."""
    with guarded():
        driver(connection).execute(
            update_statement(table, identity, columns), values_by_column(table, [identity, *columns], rows)
        )


def update_statement(table: str, identity: str, columns: Sequence[str], *, is_one: bool = False) -> sql.Composed:
    """Return the statement of ``update_rows``: of the table as ``t``, with the values by column as parameters.

    ``is_one``: the parameters are those of one row, not lists.
    """
    names = {"table": sql.Identifier(table), "identity": sql.Identifier(identity), "key": sql.SQL(identity)}
    if is_one:
        written = [sql.SQL("revision = t.revision + 1"), *(_assignment_of_one(table, name) for name in columns)]
        statement = sql.SQL("update {table} t set {written} where t.{identity} = %({key})s::bigint")
        return statement.format(**names, written=sql.SQL(", ").join(written))
    if not columns:
        return sql.SQL("update {table} t set revision = revision + 1 where {identity} = any(%({key})s)").format(**names)
    return sql.SQL(
        "update {table} t set revision = t.revision + 1, {written} from {given} where t.{identity} = v.{identity}"
    ).format(
        **names,
        written=sql.SQL(", ").join(_assignment(table, name) for name in columns),
        given=_unnest(table, [identity, *columns], prefix=""),
    )


def values_by_column(table: str, columns: Sequence[str], rows: list[Row]) -> dict[str, list[Any]]:
    """Return the values of rows as the parameters of ``update_statement``."""
    return {name: [_json(row[name]) if _is_document(table, name) else row[name] for row in rows] for name in columns}


@contextmanager
def guarded() -> Iterator[None]:
    """Turn a refusal by the constraints of a table into ``Clash``."""
    try:
        yield
    except (errors.UniqueViolation, errors.ExclusionViolation, errors.ForeignKeyViolation) as error:
        raise Clash(error.diag.constraint_name or "", error.diag.message_detail or str(error)) from error


def delete_rows(connection: Connection, table: str, column: str, ids: Sequence[int]) -> None:
    """Delete the rows whose ``column`` is one of ``ids``; raise ``Clash`` if another row refers to one."""
    statement = sql.SQL("delete from {} where {} = any(%s)")
    with guarded():
        driver(connection).execute(statement.format(sql.Identifier(table), sql.Identifier(column)), (list(ids),))


def referring_ids(
    connection: Connection, table: str, identity: str, column: str, ids: Sequence[int], *, but: Sequence[int], most: int
) -> list[int]:
    """Return the first ``most`` rows of a table that refer to one of ``ids`` by ``column``, none of ``but`` among them."""
    statement = sql.SQL("select distinct {0} from {1} where {2} = any(%s) and not {0} = any(%s) order by {0} limit %s")
    names = (sql.Identifier(each) for each in (identity, table, column))
    return [row[0] for row in driver(connection).execute(statement.format(*names), (list(ids), list(but), most))]


def replace_links(
    connection: Connection, table: str, parent: str, child: str, *, owner_id: int, links: Mapping[int, Sequence[int]]
) -> None:
    """Write the children of each parent anew, in their order."""
    statement = sql.SQL("delete from {} where {} = any(%s)")
    driver(connection).execute(statement.format(sql.Identifier(table), sql.Identifier(parent)), (list(links),))
    rows = [
        (owner_id, parent_id, position, child_id)
        for parent_id, children in links.items()
        for position, child_id in enumerate(children, 1)
    ]
    insert_rows(connection, table, ("owner_id", parent, "position", child), rows)


def _table(name: str) -> Table:
    return metadata.tables[name]


def _is_document(table: str, column: str) -> bool:
    return isinstance(_table(table).c[column].type, JSONB)


def _as_text(row: Sequence[Any], documents: list[int]) -> list[Any]:
    written = list(row)
    for index in documents:
        written[index] = _json(written[index])
    return written


def _json(value: object) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False)


def _type(table: str, column: str) -> sql.SQL:
    """Return the type of the column's values; documents travel as text."""
    kind = _table(table).c[column].type
    return sql.SQL("text" if isinstance(kind, JSONB) else kind.compile(dialect=_DIALECT))


def _list(alias: str | None, columns: Iterable[str]) -> sql.Composed:
    names = [sql.Identifier(alias, name) if alias else sql.Identifier(name) for name in columns]
    return sql.SQL(", ").join(names)


def _unnest(table: str, columns: Sequence[str], *, prefix: str) -> sql.Composed:
    arrays = [sql.SQL("%({})s::{}[]").format(sql.SQL(prefix + name), _type(table, name)) for name in columns]
    return sql.SQL("unnest({}) v ({})").format(sql.SQL(", ").join(arrays), _list(None, columns))


def _assignment(table: str, name: str) -> sql.Composed:
    return sql.SQL("{} = v.{}{}").format(sql.Identifier(name), sql.Identifier(name), _cast(table, name))


def _assignment_of_one(table: str, name: str) -> sql.Composed:
    parts = (sql.Identifier(name), sql.SQL(name), _type(table, name), _cast(table, name))
    return sql.SQL("{} = %({})s::{}{}").format(*parts)


def _cast(table: str, name: str) -> sql.SQL:
    return sql.SQL("::jsonb") if _is_document(table, name) else sql.SQL("")
