"""The schema in code is the schema that the migrations build, and row-level security holds on every table with an owner."""

import re
import subprocess
from collections.abc import Callable

import psycopg
import pytest
from psycopg import sql
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from ratemill.errors import StatementDefect
from ratemill.settings import Settings
from ratemill.store import migrate, owners, policies
from ratemill.store.connections import Database, driver
from ratemill.store.embedded import account as embedded_account
from ratemill.store.embedded import embedded
from ratemill.store.embedded.embedded import Server
from ratemill.store.schema.tables import metadata

DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]


def dump(server: Server, name: str) -> str:
    programs = embedded_account.programs_for(embedded_account.owner_of(server.data))
    command = [
        str(programs.folder / "pg_dump"),
        "--schema-only",
        "--exclude-table=alembic_version",
        server.admin_dsn(name),
    ]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return re.sub(r"\\(un)?restrict .*", "", text)


@pytest.fixture
def from_code(server: Server) -> str:
    """Build a database from the schema in code, without the migrations; return its name."""
    with psycopg.connect(server.admin_dsn(), autocommit=True) as connection:
        connection.execute("create database from_code")
    migrate.create_roles(server.admin_dsn("from_code"), login=embedded.ROLE, database="from_code")
    with psycopg.connect(server.admin_dsn("from_code"), autocommit=True) as connection:
        connection.execute(sql.SQL("set role {}").format(sql.Identifier(policies.OWNER_ROLE)))
        for table in metadata.sorted_tables:
            connection.execute(str(CreateTable(table).compile(dialect=DIALECT)))
            for index in sorted(table.indexes, key=lambda index: str(index.name)):
                connection.execute(str(CreateIndex(index).compile(dialect=DIALECT)))
        connection.execute(policies.beyond_tables())
    return "from_code"


def test_the_migrations_build_the_schema_in_code(server: Server, from_code: str, new_database: Callable[[], str]):
    migrated = str(psycopg.conninfo.conninfo_to_dict(new_database())["dbname"])
    assert dump(server, migrated) == dump(server, from_code)


def test_migrating_twice_changes_nothing(server: Server, dsn: str, settings: Settings):
    name = str(psycopg.conninfo.conninfo_to_dict(dsn)["dbname"])
    before = dump(server, name)
    migrate.connect(dsn, settings).close()
    assert dump(server, name) == before


@pytest.fixture(scope="module")
def two_owners(database: Database) -> tuple[int, int]:
    with database.worker() as connection:
        return owners.create(connection, "one"), owners.create(connection, "two")


def test_a_face_connection_is_neither_superuser_nor_beyond_row_security(database: Database):
    with database.face(None) as connection:
        row = (
            driver(connection)
            .execute(
                "select rolname, rolsuper, rolbypassrls from pg_roles where rolname = current_user",
            )
            .fetchone()
        )
    assert row == (policies.FACE_ROLE, False, False)


def test_the_product_never_works_as_superuser(database: Database):
    for opened in (database.worker(), database.schema_owner(), database.face(1)):
        with opened as connection:
            row = (
                driver(connection)
                .execute(
                    "select bool_or(rolsuper) from pg_roles where rolname in (current_user, session_user)",
                )
                .fetchone()
            )
            assert row == (False,)


def test_every_table_with_an_owner_has_row_security_and_a_policy(database: Database):
    with database.worker() as connection:
        rows = (
            driver(connection)
            .execute(
                """
            select c.relname, c.relrowsecurity, count(p.polname)
            from pg_class c
            join pg_attribute a on a.attrelid = c.oid and a.attname = 'owner_id' and not a.attisdropped
            left join pg_policy p on p.polrelid = c.oid
            where c.relkind in ('r', 'p') and c.relnamespace = 'public'::regnamespace
            group by c.relname, c.relrowsecurity
            """,
            )
            .fetchall()
        )
    assert {name for name, _, _ in rows} == set(policies.tables_with_owner())
    assert all(secured and count == 1 for _, secured, count in rows)


def test_an_owner_sees_and_writes_its_own_rows_only(database: Database, two_owners: tuple[int, int]):
    one, two = two_owners
    with database.face(one) as connection:
        seen = driver(connection).execute("select distinct owner_id from usage_units").fetchall()
    assert seen == [(one,)]
    with (
        pytest.raises(StatementDefect, match="row-level security"),
        database.face(one) as connection,
    ):
        driver(connection).execute("insert into usage_class_types (owner_id, name) values (%s, 'x')", (two,))


def test_without_an_owner_no_row_is_visible(database: Database, two_owners: tuple[int, int]):
    with database.face(None) as connection:
        for table in policies.tables_with_owner():
            statement = sql.SQL("select count(*) from {}").format(sql.Identifier(table))
            assert driver(connection).execute(statement).fetchone() == (0,), table


def test_resetting_the_role_leads_nowhere_else(database: Database):
    with database.face(1) as connection:
        driver(connection).execute("reset role")
        assert driver(connection).execute("select current_user").fetchone() == (policies.FACE_ROLE,)
