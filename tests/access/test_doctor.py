"""`ratemill doctor`: each check names what is wrong and what to do, and none changes anything."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from ratemill.access import doctor
from ratemill.settings import Settings
from ratemill.store import inspection, migrate
from ratemill.store.embedded.embedded import Server


def levels(settings: Settings) -> dict[str, str]:
    return {check.name: check.level for check in doctor.check(settings)}


def test_a_sound_installation_passes_every_check(dsn: str):
    found = levels(Settings(database_url=dsn))
    assert set(found) == {
        "settings", "disk", "database", "version", "network", "durability", "connections", "clock", "roles", "schema",
        "row security",
    }  # fmt: skip
    assert set(found.values()) == {"OK"}


def test_a_folder_without_a_database_gets_none(tmp_path: Path):
    home = tmp_path / "home"
    (database,) = [check for check in doctor.check(Settings(home=home)) if check.name == "database"]
    assert (database.level, database.message) == ("FAIL", f"there is no database in {home}")
    assert "ratemill serve" in database.remedy
    assert not home.exists()


@pytest.mark.parametrize(
    ("mode", "level"), [(0o600, "OK"), (0o640, "OK"), (0o644, "WARN"), (0o602, "WARN"), (None, "WARN")]
)
def test_a_key_that_every_account_can_read_is_a_warning(tmp_path: Path, mode: int | None, level: str):
    key = tmp_path / "key.pem"
    if mode is not None:
        key.write_text("a key")
        key.chmod(mode)
    found = [check for check in doctor.check(Settings(home=tmp_path, tls_key=str(key))) if check.name == "tls key"]
    assert [check.level for check in found] == [level]
    assert ("chmod 600" in found[0].remedy) == (level == "WARN")


def test_a_database_that_is_away_fails_without_its_password(dsn: str):
    login = make_conninfo(dsn, host="127.0.0.1", port="1", password="s3cret-Word")
    database = [check for check in doctor.check(Settings(database_url=login)) if check.name == "database"]
    assert database[0].level == "FAIL"
    assert "s3cret-Word" not in database[0].message


def test_an_empty_database_lacks_the_schema_and_stays_empty(server: Server):
    name = "doctor_empty"
    with psycopg.connect(server.admin_dsn(), autocommit=True) as connection:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    found = levels(Settings(database_url=server.admin_dsn(name)))
    assert found["schema"] == "FAIL"
    with psycopg.connect(server.admin_dsn(name)) as connection:
        tables = connection.execute(
            "select count(*) from pg_class where relnamespace = 'public'::regnamespace"
        ).fetchone()
    assert tables == (0,)


def test_a_table_without_row_security_fails(dsn: str, server: Server):
    name = str(conninfo_to_dict(dsn)["dbname"])
    with psycopg.connect(server.admin_dsn(name), autocommit=True) as connection:
        connection.execute("alter table feeds disable row level security")
        try:
            assert levels(Settings(database_url=dsn))["row security"] == "FAIL"
        finally:
            connection.execute("alter table feeds enable row level security")


def test_a_server_that_loses_commits_or_is_too_old_fails(dsn: str, server: Server, monkeypatch: pytest.MonkeyPatch):
    name = str(conninfo_to_dict(dsn)["dbname"])
    monkeypatch.setattr(migrate, "VERSION_MIN", 99)
    with psycopg.connect(server.admin_dsn(), autocommit=True) as connection:
        change = sql.SQL("alter database {} {} synchronous_commit")
        connection.execute(change.format(sql.Identifier(name), sql.SQL("set")) + sql.SQL(" = off"))
        try:
            found = levels(Settings(database_url=dsn))
        finally:
            connection.execute(change.format(sql.Identifier(name), sql.SQL("reset")))
    assert (found["version"], found["durability"]) == ("FAIL", "FAIL")


@pytest.mark.parametrize(
    ("login", "verified"),
    [
        ("host=/run/postgresql", True),
        ("host=localhost", True),
        ("host=127.0.0.1", True),
        ("host=db.example.com", False),
        ("host=db.example.com sslmode=require", False),
        ("host=db.example.com sslmode=verify-ca", False),
        ("host=db.example.com sslmode=verify-full", True),
        ("host=localhost,db.example.com", False),
    ],
)
def test_a_network_is_verified_by_verify_full_alone(login: str, verified: bool):
    assert inspection.is_verified_network(login) is verified
