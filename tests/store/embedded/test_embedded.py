"""The embedded server, started for real: fresh, again, at once with another; stopped, removed."""

import os
import stat
from pathlib import Path

import psycopg
import pytest
from tests.store.embedded.homes import ask, ensured, run, settings_of, silent

from ratemill.store.embedded import embedded


def test_a_fresh_home_gets_a_server_that_answers_the_ordinary_role(made: Path):
    server = ensured(made)
    assert ask(server, "SELECT current_user, current_database()") == ("ratemill", "ratemill")
    assert ask(server, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user") is False
    assert ask(server, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user", admin=True) is True


def test_the_database_is_utf_8_by_the_builtin_provider_with_checksums(made: Path):
    server = ensured(made)
    how = "SELECT pg_encoding_to_char(encoding), datlocprovider, datlocale FROM pg_database WHERE datname = 'ratemill'"
    assert ask(server, how) == ("UTF8", "b", "C.UTF-8")
    assert ask(server, "SHOW data_checksums") == "on"


def test_a_second_ensure_adopts_and_stop_stops_once(made: Path):
    ensured(made)
    first = embedded.status(settings_of(made))
    ensured(made)
    assert embedded.status(settings_of(made)) == first
    assert first.running
    assert embedded.stop(settings_of(made), progress=silent) is True
    assert embedded.stop(settings_of(made), progress=silent) is False
    assert not embedded.status(settings_of(made)).running


def test_what_was_committed_is_there_after_a_stop(made: Path):
    with psycopg.connect(ensured(made).dsn(), autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
    embedded.stop(settings_of(made), progress=silent)
    assert ask(ensured(made), "SELECT number FROM kept") == 7


def test_a_removed_database_leaves_no_trace_and_the_next_one_is_empty(home: Path):
    data = ensured(home).data
    with psycopg.connect(ensured(home).dsn(), autocommit=True) as connection:
        connection.execute("CREATE TABLE gone AS SELECT 7 AS number")
    assert embedded.remove(settings_of(home), progress=silent) is True
    assert embedded.remove(settings_of(home), progress=silent) is False
    assert not data.exists()
    assert {path.name for path in home.iterdir()} == {"database.lock", "commands.lock"}
    assert ask(ensured(home), "SELECT to_regclass('gone')") is None


def test_status_and_stop_of_a_home_without_a_database_make_nothing(home: Path):
    assert embedded.status(settings_of(home)) == embedded.Status(home=home)
    assert embedded.stop(settings_of(home)) is False
    assert not home.exists()


def test_locale_time_zone_and_postgresql_variables_of_the_caller_do_not_matter(home: Path):
    environment = {
        **os.environ,
        "LANG": "de_DE.UTF-8",
        "LC_ALL": "xx_XX.nonsense",
        "TZ": "America/St_Johns",
        "PGHOSTADDR": "192.0.2.1",
        "PGOPTIONS": "-c nonsense=1",
        "PGDATA": "/nonexistent",
        "PGUSER": "somebody",
    }
    command = run(home, env=environment)
    assert command.communicate()[0].strip(), "no server"
    server = ensured(home)
    assert ask(server, "SELECT setting FROM pg_settings WHERE name = 'log_timezone'") == "UTC"
    assert ask(server, "SELECT datlocale FROM pg_database WHERE datname = 'ratemill'") == "C.UTF-8"
    assert ask(server, "SELECT upper('ä') || to_char(timestamptz '2026-01-01 00:00Z', 'TMMonth')") == "ÄJanuary"


def test_nobody_is_trusted_and_no_network_is_listened_on(made: Path):
    server = ensured(made)
    rules = [line.split() for line in (server.data / "pg_hba.conf").read_text().splitlines()]
    assert {rule[-1] for rule in rules if rule and not rule[0].startswith("#")} == {"scram-sha-256"}
    assert ask(server, "SHOW listen_addresses") == ""
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(host=str(server.socket), port=server.port, user="ratemill", dbname="ratemill", password="guess")
    assert stat.S_IMODE(server.socket.stat().st_mode) == 0o700
    assert stat.S_IMODE((made / "database.json").stat().st_mode) == 0o600


def test_two_commands_at_once_get_one_server(home: Path):
    commands = [run(home), run(home)]
    said = [command.communicate() for command in commands]
    pids = {out.strip() for out, _ in said}
    assert [command.returncode for command in commands] == [0, 0], said
    assert pids == {str(embedded.status(settings_of(home)).pid)}


def test_the_server_outlives_a_killed_starter_and_is_adopted(home: Path):
    command = run(home)
    assert command.stdout
    pid = int(command.stdout.readline())
    command.kill()
    rest = command.communicate()  # ends at once: the server holds neither pipe
    assert rest == ("", "")
    ensured(home)
    assert embedded.status(settings_of(home)).pid == pid
    assert os.getsid(pid) != os.getsid(0)


def test_a_server_whose_socket_is_gone_is_started_again(made: Path):
    server = ensured(made)
    server.socket_file.unlink()
    assert ask(ensured(made), "SELECT 1") == 1
