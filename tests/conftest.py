"""One real PostgreSQL for the whole run, and a fresh migrated database for each test module."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest
import structlog
from psycopg import sql
from tests.caches import forget_set_up
from tests.mill import Mill
from tests.two_mills import two_mills

from ratemill.settings import Settings
from ratemill.store import migrate
from ratemill.store.connections import Database
from ratemill.store.embedded import embedded
from ratemill.store.embedded.embedded import Server

TEMPLATE = "ratemill_template"
_numbers = count(1)


@pytest.fixture(scope="session", autouse=True)
def _short_tracebacks() -> None:
    """Log tracebacks without the values of variables, as the product does; with them each takes seconds."""
    plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[structlog.contextvars.merge_contextvars, structlog.processors.add_log_level, plain])


@pytest.fixture(scope="session", autouse=True)
def _no_settings_of_the_caller() -> None:
    for name in [name for name in os.environ if name.startswith("RATEMILL_")]:
        del os.environ[name]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Yield the embedded server of this run, with a migrated template to copy databases from."""
    settings = Settings(home=tmp_path_factory.mktemp("home"), database_connections_max=100)
    started = embedded.ensure(settings)
    with psycopg.connect(started.admin_dsn(), autocommit=True) as connection:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(TEMPLATE)))
    migrate.create_roles(started.admin_dsn(TEMPLATE), login=embedded.ROLE, database=TEMPLATE)
    migrate.connect(started.dsn(database=TEMPLATE), settings).close()
    yield started
    embedded.remove(settings)


@pytest.fixture(scope="session")
def new_database(server: Server) -> Callable[[], str]:
    """Return a function that makes a fresh migrated database and returns the way into it as the product's login."""

    def make() -> str:
        name = f"test_{next(_numbers)}"
        with psycopg.connect(server.admin_dsn(), autocommit=True) as connection:
            statement = sql.SQL("create database {} template {}")
            connection.execute(statement.format(sql.Identifier(name), sql.Identifier(TEMPLATE)))
            granted = sql.SQL("grant create, connect, temporary on database {} to {}")
            connection.execute(granted.format(sql.Identifier(name), sql.Identifier("ratemill_owner")))
        return server.dsn(database=name)

    return make


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Return settings of a home of their own."""
    return Settings(home=tmp_path_factory.mktemp("settings"))


@pytest.fixture(scope="module")
def dsn(new_database: Callable[[], str]) -> str:
    """Return the way into the module's fresh database."""
    return new_database()


@pytest.fixture(scope="module")
def database(dsn: str, settings: Settings) -> Iterator[Database]:
    """Yield the module's fresh database."""
    forget_set_up()
    opened = Database(dsn, settings)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def cases() -> Path:
    """Return the folder of the golden cases."""
    return Path(__file__).parent / "cases"


@pytest.fixture(scope="module")
def mills(database: Database, settings: Settings) -> Iterator[tuple[Mill, Mill]]:
    with two_mills(database, settings) as both:
        yield both


@pytest.fixture
def mine(mills: tuple[Mill, Mill]) -> Mill:
    return mills[0]


@pytest.fixture
def others(mills: tuple[Mill, Mill]) -> Mill:
    return mills[1]
