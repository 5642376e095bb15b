"""A database that `serve` has not opened yet is away for its users, and is used from the moment it is ready."""

from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from ratemill.access.database import opened_before
from ratemill.errors import DatabaseAway
from ratemill.settings import Settings
from ratemill.store import migrate
from ratemill.store.connections import driver
from ratemill.store.embedded.embedded import ROLE, Server
from ratemill.store.server import opening


@pytest.fixture(autouse=True)
def _look_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "LOOK_EVERY_S", 0)


def test_it_is_away_until_it_has_the_tables_and_is_used_from_then_on(server: Server, tmp_path: Path):
    dsn = server.dsn(database="not_migrated")
    settings = Settings(home=tmp_path, database_url=dsn)
    database = opened_before(settings)
    with pytest.raises(DatabaseAway, match="not open yet"), database.face(None):
        pass
    with psycopg.connect(server.admin_dsn(), autocommit=True) as connection:
        connection.execute(sql.SQL("create database not_migrated"))
    with pytest.raises(DatabaseAway, match="not open yet"), database.health():
        pass
    migrate.create_roles(server.admin_dsn("not_migrated"), login=ROLE, database="not_migrated")
    migrate.connect(dsn, settings).close()
    with database.face(None) as connection:
        assert driver(connection).execute("select 1").fetchone() == (1,)
    database.close()


def test_a_home_without_a_database_is_away_too(tmp_path: Path):
    database = opened_before(Settings(home=tmp_path / "home"))
    with pytest.raises(DatabaseAway, match="not open yet"), database.worker():
        pass
    assert not (tmp_path / "home").exists()


def test_one_caller_a_second_looks(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(opening, "LOOK_EVERY_S", 3_600)
    looks: list[bool] = []

    def look() -> bool:
        looks.append(True)
        return False

    found = opening.DatabaseOpening(look)
    for _ in range(3):
        with pytest.raises(DatabaseAway):
            found.require()
    assert len(looks) == 1
