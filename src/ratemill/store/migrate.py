"""Bring a database to the schema of this version: roles first, as its administrator, then the migrations, as owner."""

from __future__ import annotations

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from ratemill.errors import UsageFault
from ratemill.settings import Settings
from ratemill.store import policies
from ratemill.store.connections import Database

HEAD = "0001"  # the newest migration; a test holds it to the folder
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


def roles_are_there(dsn: str) -> bool:
    """Whether the login of ``dsn`` can take on the product's roles."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        row = connection.execute(
            "select count(*) from pg_roles where rolname = any(%s) and pg_has_role(current_user, oid, 'SET')",
            ([policies.OWNER_ROLE, policies.WORKER_ROLE, policies.FACE_ROLE],),
        ).fetchone()
    return bool(row and row[0] == 3)  # noqa: PLR2004 -- the three roles above


def is_migrated(dsn: str) -> bool:
    """Whether the database has the roles and the tables of this version; changes nothing."""
    if not roles_are_there(dsn):
        return False
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("set role {}").format(sql.Identifier(policies.OWNER_ROLE)))
        there = connection.execute("select to_regclass('alembic_version') is not null").fetchone()
        if not there or not there[0]:
            return False
        found = connection.execute("select version_num from alembic_version").fetchone()
    return bool(found and found[0] == HEAD)


def ensure_roles(dsn: str) -> None:
    """Make sure of the roles in the user's database; raise ``UsageFault`` if its login may neither use nor make them."""
    if roles_are_there(dsn):
        return
    login = conninfo_to_dict(dsn)
    try:
        with psycopg.connect(dsn, autocommit=True) as connection:
            create_roles(dsn, login=connection.info.user, database=connection.info.dbname)
    except psycopg.errors.InsufficientPrivilege as error:
        raise UsageFault(
            f"the login of RATEMILL_DATABASE_URL ({login.get('user', 'the default user')}) cannot make the roles that "
            "Ratemill works under. Run any ratemill command once with a superuser's DSN, then grant the three roles "
            f"{policies.OWNER_ROLE}, {policies.WORKER_ROLE} and {policies.FACE_ROLE} to this login.",
        ) from error


def migrate(database: Database) -> None:
    """Run the migrations that this database lacks; two at once: the second waits and finds nothing to do."""
    if _revision(database) == HEAD:
        return
    from alembic import command  # half a second that a command on a migrated database need not wait
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "ratemill.store:migrations")
    with database.schema_owner() as connection:
        connection.exec_driver_sql("select pg_advisory_xact_lock(%s)", (MIGRATION_LOCK,))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _revision(database: Database) -> str | None:
    with database.schema_owner() as connection:
        there = connection.exec_driver_sql("select to_regclass('alembic_version') is not null").scalar_one()
        found = connection.exec_driver_sql("select version_num from alembic_version").scalar() if there else None
    return str(found) if found else None


def connect(dsn: str, settings: Settings, *, connections_max: int = 10) -> Database:
    """Return the migrated database behind ``dsn``."""
    database = Database(dsn, settings, connections_max=connections_max)
    migrate(database)
    return database
