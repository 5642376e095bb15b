"""A face connection that forgets the WHERE sees only its owner, in every table with an owner that the catalogue knows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.types.json import Jsonb
from sqlalchemy import Boolean, Column, Date, DateTime, LargeBinary, Numeric, Text, Uuid
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from tests.fixtures.seeded import new_id

from ratemill.store import owners
from ratemill.store.connections import Connection, Database, driver
from ratemill.store.embedded.embedded import Server
from ratemill.store.schema.tables import metadata

WITH_OWNER = """
select c.relname from pg_class c
join pg_attribute a on a.attrelid = c.oid and a.attname = 'owner_id' and not a.attisdropped
where c.relkind in ('r', 'p') and c.relnamespace = 'public'::regnamespace order by 1
"""


@pytest.fixture(scope="module")
def two_owners(server: Server, database: Database, dsn: str) -> tuple[int, int]:
    """Two owners, each with a row in every table; no key between tables is held to while they are written."""
    with database.worker() as connection:
        made = owners.create(connection, "one"), owners.create(connection, "two")
    name = str(psycopg.conninfo.conninfo_to_dict(dsn)["dbname"])
    with psycopg.connect(server.admin_dsn(name)) as connection:
        connection.execute("set session_replication_role = replica")
        for table in metadata.sorted_tables:
            if "owner_id" in table.c and table.name not in ("owners", "price_books"):
                for owner_id in made:
                    values = {column.name: value_of(column, owner_id) for column in table.columns if is_needed(column)}
                    statement = sql.SQL("insert into {} ({}) values ({})").format(
                        sql.Identifier(table.name),
                        sql.SQL(", ").join(map(sql.Identifier, values)),
                        sql.SQL(", ").join(map(sql.Placeholder, values)),
                    )
                    connection.execute(statement, values)
    return made


def is_needed(column: Column[Any]) -> bool:
    return not column.nullable and column.identity is None and column.server_default is None


def value_of(column: Column[Any], owner_id: int) -> object:
    """A value of the column's type; the owner's number wherever a number stands."""
    values: dict[type, object] = {
        ARRAY: [owner_id],
        JSONB: Jsonb({}),
        Text: f"of {owner_id}",
        LargeBinary: str(owner_id).encode(),
        Uuid: new_id(),
        DateTime: datetime.now(UTC),
        Date: datetime.now(UTC).date(),
        Boolean: False,
        Numeric: owner_id,
    }
    return next((value for kind, value in values.items() if isinstance(column.type, kind)), owner_id)


@pytest.fixture
def face(database: Database, two_owners: tuple[int, int]) -> Iterator[Connection]:
    """A face connection of the first owner, of a role that row security holds for."""
    with database.face(two_owners[0]) as connection:
        roles = "select bool_or(rolsuper or rolbypassrls) from pg_roles where rolname in (current_user, session_user)"
        session = driver(connection).execute("select current_user, session_user").fetchone()
        assert driver(connection).execute(roles).fetchone() == (False,), session
        yield connection


def tables(connection: Connection) -> list[str]:
    found = [row[0] for row in driver(connection).execute(WITH_OWNER)]
    assert found
    return found


def test_every_table_shows_an_owner_its_own_rows_only(face: Connection, two_owners: tuple[int, int]):
    for table in tables(face):
        statement = sql.SQL("select distinct owner_id from {}").format(sql.Identifier(table))
        assert driver(face).execute(statement).fetchall() == [(two_owners[0],)], table


def test_no_table_lets_an_owner_change_or_remove_another_ones_rows(
    database: Database, face: Connection, two_owners: tuple[int, int]
):
    for table in tables(face):
        for change in ("update {} set owner_id = owner_id", "delete from {}"):
            cursor = driver(face)
            cursor.execute("savepoint before")
            try:
                seen = cursor.execute(sql.SQL("select 1 from {}").format(sql.Identifier(table))).rowcount
                assert cursor.execute(sql.SQL(change).format(sql.Identifier(table))).rowcount == seen, table
            except (psycopg.errors.InsufficientPrivilege, psycopg.errors.ForeignKeyViolation):
                pass  # it may not do so at all, or not to a row that is used
            cursor.execute("rollback to savepoint before")
    with database.worker() as connection:
        for table in tables(face):
            statement = sql.SQL("select count(*) from {} where owner_id = %s").format(sql.Identifier(table))
            assert driver(connection).execute(statement, (two_owners[1],)).fetchone() != (0,), table


def test_without_an_owner_no_table_shows_a_row(database: Database, two_owners: tuple[int, int]):
    with database.face(None) as connection:
        for table in tables(connection):
            statement = sql.SQL("select count(*) from {}").format(sql.Identifier(table))
            assert driver(connection).execute(statement).fetchone() == (0,), table
