"""Bring a database to the schema of this version: roles first, as its administrator, then the migrations, as owner.

In a database of the user's, both are one transaction: where a right or an extension is missing, nothing is left behind. The
server's version is checked before anything is created.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import errors, sql
from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from ratemill.errors import DatabaseAway, LoginRefusal, UsageFault
from ratemill.settings import Settings
from ratemill.store import policies
from ratemill.store.connections import Database, driver
from ratemill.store.server import bounded, dsn
from ratemill.store.server.bounded import BoundedConnection
from ratemill.store.server.sqlstates import error_from, is_login_refused, message_of

HEAD = "0001"  # the newest migration; a test holds it to the folder
MIGRATION_LOCK = 7_281_001  # any number, the same for all versions: two migrations at once would race
VERSION_MIN = 16  # the oldest major version of PostgreSQL that is supported
CANNOT_RUN = 3  # the exit code

_ROLES = (policies.OWNER_ROLE, policies.WORKER_ROLE, policies.FACE_ROLE)
_MISSING = (errors.InsufficientPrivilege, errors.FeatureNotSupported, errors.UndefinedFile, errors.UndefinedObject)


@contextmanager
def session(login: str) -> Iterator[BoundedConnection]:
    """Yield a connection of a login of its own, outside the pools; raise errors of the driver as errors of ours.

    Raises ``UsageFault`` if the server is too old.
    """
    connection = connected(login, autocommit=True)
    try:
        check_version(connection)
        with connection:
            yield connection
    except psycopg.Error as error:
        raise error_from(error) from error
    finally:
        connection.close()


def connected(login: str, *, autocommit: bool) -> BoundedConnection:
    """Return a connection of a login; raise ``DatabaseAway`` with where it was tried, and without the password."""
    try:
        return bounded.connect(login, autocommit=autocommit, application_name="ratemill")
    except psycopg.Error as error:
        lines = [line for line in str(error).splitlines() if not line.startswith("\t")]  # a tab begins a hint
        reason = dsn.without_passwords(" ".join(lines).removeprefix("connection failed: "), login)
        message = f"cannot connect to the database {dsn.place(login)}: {reason}"
        if is_login_refused(str(error)):
            raise LoginRefusal(f"{message}; correct the login in {dsn.SETTING}, or the server's accounts") from error
        raise DatabaseAway(message) from error


def check_version(connection: psycopg.Connection[object]) -> None:
    """Raise ``UsageFault`` if the server is too old."""
    version = connection.info.server_version // 10_000
    if version < VERSION_MIN:
        raise UsageFault(
            f"the database {dsn.place(connection.info.dsn)} is PostgreSQL {version}; Ratemill needs {VERSION_MIN} or newer. "
            "Nothing was created in it.",
            exit_code=CANNOT_RUN,
        )


def create_roles(admin_dsn: str, *, login: str, database: str) -> None:
    """Create the product's roles and let ``login`` take them on; needs a superuser, and does nothing the second time."""
    with session(admin_dsn) as connection, connection.transaction():
        _create_roles(connection, login=login, database=database)


def _create_roles(connection: psycopg.Connection[object], *, login: str, database: str) -> None:
    connection.execute("select pg_advisory_xact_lock(%s)", (MIGRATION_LOCK,))
    connection.execute(policies.ROLES)
    for role in _ROLES:
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


def is_prepared(login: str) -> bool:
    """Whether the login can take on the product's roles, and these may work in the database."""
    with session(login) as connection:
        counted = connection.execute(
            "select count(*) from pg_roles where rolname = any(%s) and pg_has_role(current_user, oid, 'SET')",
            (list(_ROLES),),
        ).fetchone()
        if not counted or counted[0] < len(_ROLES):  # some role is missing, and of that no right can be asked
            return False
        row = connection.execute(
            "select has_schema_privilege(%s, 'public', 'create')"
            " and exists (select from pg_extension where extname = 'btree_gist')",
            (policies.OWNER_ROLE,),
        ).fetchone()
    return bool(row and row[0])


def is_migrated(login: str) -> bool:
    """Whether the database has the roles and the tables of this version; changes nothing."""
    if not is_prepared(login):
        return False
    with session(login) as connection:
        connection.execute(sql.SQL("set role {}").format(sql.Identifier(policies.OWNER_ROLE)))
        there = connection.execute("select to_regclass('alembic_version') is not null").fetchone()
        if not there or not there[0]:
            return False
        found = connection.execute("select version_num from alembic_version").fetchone()
    return bool(found and found[0] == HEAD)


def has_tables(login: str) -> bool:
    """Whether the database has the tables of any version; changes nothing."""
    with session(login) as connection:
        there = connection.execute("select to_regclass('alembic_version') is not null").fetchone()
    return bool(there and there[0])


def prepare_own(login: str) -> None:
    """Create roles and schema in the user's database, both or neither, unless its login may work in it already.

    Raises ``UsageFault`` if the DSN is not valid, the server is too old, or a right or the extension is missing.
    """
    dsn.check(login)
    if is_prepared(login):
        return
    engine = create_engine(
        "postgresql+psycopg://", creator=lambda: connected(login, autocommit=False), poolclass=NullPool
    )
    try:
        with engine.begin() as connection:
            info = driver(connection).info
            _create_roles(driver(connection), login=info.user, database=info.dbname)
            driver(connection).execute(sql.SQL("set local role {}").format(sql.Identifier(policies.OWNER_ROLE)))
            if _revision(connection) != HEAD:
                _upgrade(connection)
    except _MISSING as error:
        raise _rights_missing(login, error) from error
    except DBAPIError as error:
        if isinstance(error.orig, _MISSING):
            raise _rights_missing(login, error.orig) from error
        raise error_from(error.orig) if isinstance(error.orig, psycopg.Error) else error from error
    except psycopg.Error as error:
        raise error_from(error) from error


def _rights_missing(login: str, error: psycopg.Error) -> UsageFault:
    return UsageFault(
        f"cannot prepare the database {dsn.place(login)}: {message_of(error)}. Nothing was created in it. Start "
        f"`ratemill serve` once with a superuser's DSN in {dsn.SETTING} and stop it, then grant the roles "
        f"{', '.join(_ROLES)} to this login.",
        exit_code=CANNOT_RUN,
    )


def migrate(database: Database) -> None:
    """Run the migrations that this database lacks; two at once: the second waits and finds nothing to do."""
    with database.schema_owner() as connection:
        check_version(driver(connection))
        revision = _revision(connection)
    if revision == HEAD:
        return
    if revision and revision > HEAD:
        raise UsageFault(
            f"the database {dsn.place(database.dsn)} has schema {revision}, and this Ratemill has {HEAD}: install a newer "
            "Ratemill.",
            exit_code=CANNOT_RUN,
        )
    with database.schema_owner() as connection:
        connection.exec_driver_sql("select pg_advisory_xact_lock(%s)", (MIGRATION_LOCK,))
        _upgrade(connection)


def _upgrade(connection: Connection) -> None:
    from alembic import command  # half a second that a command on a migrated database need not wait
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "ratemill.store:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _revision(connection: Connection) -> str | None:
    there = connection.exec_driver_sql("select to_regclass('alembic_version') is not null").scalar_one()
    found = connection.exec_driver_sql("select version_num from alembic_version").scalar() if there else None
    return str(found) if found else None


def connect(login: str, settings: Settings, *, connections_max: int = 10) -> Database:
    """Return the migrated database behind a DSN."""
    database = Database(login, settings, connections_max=connections_max)
    try:
        migrate(database)
    except BaseException:
        database.close()
        raise
    return database
