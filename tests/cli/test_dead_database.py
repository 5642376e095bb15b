"""Commands whose database is away, refuses them or does not fit: one sentence, exit code 3, no traceback, nothing left."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from ratemill.access.database import open_database
from ratemill.errors import DatabaseAway, UsageFault
from ratemill.settings import Settings
from ratemill.store import migrate
from ratemill.store.embedded.embedded import ROLE, Server

SECRET = "s3cret-Word"
# These send over HTTP, or report the database among other things.
WITHOUT_DATABASE = {"import usage", "import userx", "import subscriptions", "watch", "doctor"}

# Runs every command of the application but `demo`, which has a home of its own, and `serve`, which waits for its database,
# in a fork of its own and prints what became of it.
WALK = """
import json, os, sys
from pathlib import Path
import typer
from ratemill.cli.app import app

folder = Path(sys.argv[1])
(folder / "file").write_text("ratemill: 1")

def leaves(command, path=()):
    for name, child in command.commands.items():
        if getattr(child, "commands", None):
            yield from leaves(child, (*path, name))
        else:
            yield (*path, name), child

def words(command):
    for parameter in command.params:
        if parameter.required:
            is_path = "Path" in str(parameter.type_descriptor.annotation)
            value = str(folder / "file") if is_path else {"role": "read"}.get(parameter.name, "x")
            yield from [value] if parameter.param_type_name == "argument" else [parameter.opts[0], value]
    names = {opt for parameter in command.params for opt in parameter.opts}
    given = {"--yes": [], "--all": [], "--patterns": [], "--retry-seconds": ["0"], "--port": ["1"], "--name": ["x"]}
    for name, values in given.items():
        if name in names:
            yield from [name, *values]

def ended(path, command):
    output = folder / "-".join(path)
    pid = os.fork()
    if pid == 0:
        with output.open("w") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        try:
            app([*path, *words(command)])
            code = 0
        except SystemExit as end:
            code = end.code or 0
        except BaseException as error:
            sys.excepthook(type(error), error, error.__traceback__)
            code = 99
        sys.stderr.flush()
        os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), output.read_text()

leaves = [(path, command) for path, command in leaves(typer.main.get_command(app)) if path not in {("demo",), ("serve",)}]
print(json.dumps({" ".join(path): ended(path, command) for path, command in leaves}))
"""


@pytest.fixture(scope="module")
def closed_port() -> Iterator[int]:
    """Yield a port that is taken and on which no one listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory, closed_port: int) -> dict[str, tuple[int, str]]:
    folder = tmp_path_factory.mktemp("walk")
    surroundings = os.environ | {
        "RATEMILL_HOME": str(folder / "home"),
        "RATEMILL_DATABASE_URL": f"postgresql://me:{SECRET}@127.0.0.1:{closed_port}/mine",
        "RATEMILL_URL": f"http://127.0.0.1:{closed_port}",
        "RATEMILL_TOKEN": SECRET,
        "RATEMILL_LOG_JSON": "true",
    }
    done = subprocess.run(
        [sys.executable, "-c", WALK, str(folder)],
        env=surroundings,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert not (folder / "home").exists() or not list((folder / "home").glob("*/PG_VERSION"))
    ends: dict[str, tuple[int, str]] = json.loads(done.stdout)
    assert len(ends) > 25
    return ends


def test_no_command_prints_a_traceback_or_a_secret(walked: dict[str, tuple[int, str]]):
    for command, (_, output) in walked.items():
        assert "Traceback" not in output, command
        assert SECRET not in output, command


def test_a_command_that_needs_the_database_says_so_in_one_sentence_and_exits_with_3(walked: dict[str, tuple[int, str]]):
    for command, (code, output) in walked.items():
        if command in WITHOUT_DATABASE or command.startswith("db "):
            continue
        assert code == 3, f"{command}: {code}, {output}"
        assert output.startswith("ratemill: cannot connect to the database 127.0.0.1:"), f"{command}: {output}"
        assert "refused" in output, command
        assert len(output.splitlines()) == 1, f"{command}: {output}"


def other(dsn: str, **parts: str) -> Settings:
    return Settings(database_url=make_conninfo(dsn, **parts))


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"host": "no-such-host.invalid"}, "no-such-host.invalid"),
        ({"password": SECRET}, "password authentication failed"),
        ({"dbname": "missing"}, 'database "missing" does not exist'),
        ({"host": "/nowhere"}, "/nowhere"),
        ({"sslmode": "verify-full", "host": "127.0.0.1", "port": "1"}, "127.0.0.1"),
    ],
)
def test_a_database_that_cannot_be_reached_is_away(dsn: str, parts: dict[str, str], message: str):
    with pytest.raises(DatabaseAway, match=message) as caught:
        open_database(other(dsn, **parts))
    assert SECRET not in str(caught.value)
    assert str(conninfo_to_dict(dsn)["password"]) not in str(caught.value)


@pytest.mark.parametrize(
    "broken",
    [
        f"postgresql//me:{SECRET}@host/mine",
        f"postgresql://me:{SECRET}/x@host/mine",
        f"postgresql://me:{SECRET}@{SECRET}@host/mine",
        f"postgresql://me:{SECRET}%zz@host/mine",
        f"host=h port={SECRET}",
        f"host=h pasword={SECRET}",
        f"postgresql://h:99999/mine?password={SECRET}",
    ],
)
def test_a_dsn_that_is_not_valid_is_said_without_its_values(broken: str):
    with pytest.raises(UsageFault, match="RATEMILL_DATABASE_URL is not a valid DSN") as caught:
        open_database(Settings(database_url=broken))
    assert SECRET not in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.fixture
def empty(server: Server) -> Iterator[Callable[..., str]]:
    """Yield a function that creates an empty database whose owner is a new login, with or without rights."""
    made: list[str] = []

    def make(rights: str) -> str:
        name = f"own_{os.getpid()}_{len(made)}"
        made.append(name)
        with psycopg.connect(server.admin_dsn(), autocommit=True) as connection:
            connection.execute(f"create role {name} login password '{SECRET}' {rights}")
            connection.execute(f"create database {name} owner {name}")
        return make_conninfo(server.dsn(), user=name, password=SECRET, dbname=name)

    yield make
    with psycopg.connect(server.admin_dsn(), autocommit=True) as connection:
        for name in made:
            connection.execute(f"drop database {name}")
            connection.execute(f"drop role {name}")


def contents(server: Server, login: str) -> list[tuple[str]]:
    """Return what there is in a database, and the roles that its owner may take on."""
    name = str(conninfo_to_dict(login)["dbname"])
    with psycopg.connect(server.admin_dsn(name), autocommit=True) as connection:
        return connection.execute(
            "select relname from pg_class where relnamespace = 'public'::regnamespace"
            " union all select extname from pg_extension where extname <> 'plpgsql'"
            " union all select roleid::regrole::text from pg_auth_members where member = %s::regrole"
            " union all select a::text from pg_database d, unnest(d.datacl) a where d.datname = current_database()"
            " and a::text like 'ratemill%%'",
            (name,),
        ).fetchall()


def test_a_login_without_the_rights_leaves_nothing_behind(server: Server, empty: Callable[..., str]):
    login = empty("")
    with pytest.raises(UsageFault, match=r"permission denied.*Nothing.*Start `ratemill serve` once") as caught:
        open_database(Settings(database_url=login))
    assert caught.value.exit_code == 3
    assert contents(server, login) == []


def test_a_migration_that_fails_takes_the_roles_rights_back_too(server: Server, empty: Callable[..., str]):
    login = empty("superuser")
    with psycopg.connect(login, autocommit=True) as connection:
        connection.execute("create table tokens (mine text)")  # the name is taken
    before = contents(server, login)
    with pytest.raises(Exception, match="already exists"):
        open_database(Settings(database_url=login))
    assert contents(server, login) == before


def test_a_server_that_is_too_old_is_left_alone(
    server: Server, empty: Callable[..., str], monkeypatch: pytest.MonkeyPatch
):
    login = empty("superuser")
    monkeypatch.setattr(migrate, "VERSION_MIN", 99)
    with pytest.raises(UsageFault, match=r"PostgreSQL \d+; Ratemill needs 99 or newer. Nothing was created") as caught:
        open_database(Settings(database_url=login))
    assert caught.value.exit_code == 3
    assert contents(server, login) == []


def test_a_database_of_the_users_own_is_prepared_once(server: Server, empty: Callable[..., str]):
    login = empty("superuser")
    for _ in range(2):
        open_database(Settings(database_url=login)).close()
    assert ("tokens",) in contents(server, login)
    with psycopg.connect(server.admin_dsn(str(conninfo_to_dict(login)["dbname"])), autocommit=True) as connection:
        connection.execute(sql.SQL("drop owned by {}").format(sql.Identifier("ratemill_owner")))
    assert conninfo_to_dict(login)["user"] != ROLE
