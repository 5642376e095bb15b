"""Bring a database to the schema of this version: roles first, as its administrator, then the migrations, as owner."""

from __future__ import annotations

import psycopg
from alembic import command
from alembic.config import Config
from psycopg import sql

from ratemill.settings import Settings
from ratemill.store import policies
from ratemill.store.connections import Database

MIGRATION_LOCK = 7_281_001  # any number, the same for all versions: two migrations at once would race


def create_roles(admin_dsn: str, *, login: str, database: str) -> None:
    """Create the product's roles and let ``login`` take them on; needs a superuser, and does nothing the second time."""
    with psycopg.connect(admin_dsn, autocommit=True) as connection:
        connection.execute("select pg_advisory_lock(%s)", (MIGRATION_LOCK,))
        connection.execute(policies.ROLES)
        for role in (policies.OWNER_ROLE, policies.WORKER_ROLE, policies.FACE_ROLE):
            connection.execute(
                sql.SQL("grant {} to {} with inherit false").format(sql.Identifier(role), sql.Identifier(login)),
            )
        connection.execute("create extension if not exists btree_gist")
        connection.execute(
            sql.SQL("grant create, connect on database {} to {}").format(
                sql.Identifier(database),
                sql.Identifier(policies.OWNER_ROLE),
            ),
        )
        connection.execute(sql.SQL("grant create on schema public to {}").format(sql.Identifier(policies.OWNER_ROLE)))


def migrate(database: Database) -> None:
    """Run the migrations that this database lacks; two at once: the second waits and finds nothing to do."""
    config = Config()
    config.set_main_option("script_location", "ratemill.store:migrations")
    with database.schema_owner() as connection:
        connection.exec_driver_sql("select pg_advisory_xact_lock(%s)", (MIGRATION_LOCK,))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def connect(dsn: str, settings: Settings, *, connections_max: int = 10) -> Database:
    """Return the migrated database behind ``dsn``."""
    database = Database(dsn, settings, connections_max=connections_max)
    migrate(database)
    return database
