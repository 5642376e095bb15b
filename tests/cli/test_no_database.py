"""A command that only reads creates no database: where there is none it says so and ends with exit code 3."""

from pathlib import Path

import psycopg
import pytest
import structlog
import typer
from psycopg import sql
from tests.fixtures.processes import free_port, wait_until
from typer.testing import CliRunner, Result

from ratemill import logs
from ratemill.cli.app import app
from ratemill.intake.database_keeper import DatabaseKeeper
from ratemill.settings import Settings
from ratemill.store.embedded.embedded import Server
from ratemill.store.server import dsn as dsns

READING = [
    ["audit"],
    ["audit", "--json"],
    ["audit", "--owner", "default"],
    ["status", "1"],
    ["status", "1", "--wait"],
    ["exceptions"],
    ["exceptions", "--import", "--json"],
    ["charges"],
    ["trace", "1"],
    ["reprocess", "--all"],
    ["export"],
    ["lint", "Standard"],
    ["rehearse", "guide_csv", "DOCUMENT"],
    ["rehearse", "guide_csv", "DOCUMENT", "--file", "DOCUMENT"],
    ["apply", "DOCUMENT", "--dry-run"],
    ["prices", "DOCUMENT", "--group", "Main", "--preview"],
    ["prices", "DOCUMENT", "--patterns"],
    ["owner", "list"],
    ["token", "list"],
    ["token", "revoke", "1"],
    ["owner", "rename", "default", "other"],
    ["doctor"],
    ["db", "status"],
    ["db", "stop"],
    ["db", "remove", "--yes"],
]
WITHOUT = {"doctor": 3, "db status": 0, "db stop": 0, "db remove": 0}  # these say what there is: nothing
# The others: they create the database, or speak HTTP, or have an installation of their own.
CREATING = {"serve", "worker", "jobs", "api", "apply", "token create", "owner create", "db start"}
ELSEWHERE = {"import usage", "import userx", "import subscriptions", "watch", "demo", "db upgrade"}


def names(commands: typer.Typer, before: str = "") -> set[str]:
    found = {f"{before}{each.name or getattr(each.callback, '__name__', '')}" for each in commands.registered_commands}
    for group in commands.registered_groups:
        assert group.typer_instance is not None
        found |= names(group.typer_instance, f"{before}{group.name} ")
    return found


def name_of(arguments: list[str]) -> str:
    return " ".join(arguments[:2]) if arguments[0] in {"db", "token", "owner"} else arguments[0]


def run(arguments: list[str], document: Path) -> Result:
    return CliRunner().invoke(app, [str(document) if each == "DOCUMENT" else each for each in arguments])


@pytest.fixture(autouse=True)
def _logs_stay(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(logs, "configure", lambda **_: None)  # the runner's streams are closed after the command


@pytest.fixture
def document(tmp_path: Path) -> Path:
    document = tmp_path / "set-up.yaml"
    document.write_text("ratemill: 1\n")
    return document


def code_of(done: Result) -> int:
    return getattr(done.exception, "exit_code", done.exit_code)


def test_every_command_is_known_to_create_a_database_or_not():
    known = {name_of(each) for each in READING} | CREATING | ELSEWHERE
    assert names(app) <= known


@pytest.mark.parametrize("arguments", READING, ids=" ".join)
def test_a_command_that_reads_makes_nothing_in_a_folder_without_a_database(
    arguments: list[str], document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = tmp_path / "empty"
    folder.mkdir()
    monkeypatch.chdir(folder)
    done = run(arguments, document)
    assert list(folder.iterdir()) == []
    expected = WITHOUT.get(name_of(arguments), 3)
    assert code_of(done) == expected, done.output
    if name_of(arguments) not in WITHOUT:
        assert (
            f"there is no database in {folder}/.ratemill: `ratemill serve` or `ratemill apply FILE` creates it"
            in str(done.exception)
        )
        assert not done.stdout


@pytest.mark.parametrize("arguments", [each for each in READING if name_of(each) not in WITHOUT], ids=" ".join)
def test_a_command_that_reads_migrates_no_database_of_your_own(
    arguments: list[str], document: Path, empty: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("RATEMILL_DATABASE_URL", empty)
    monkeypatch.setenv("RATEMILL_HOME", str(tmp_path / "home"))
    done = run(arguments, document)
    assert code_of(done) == 3, done.output
    assert "does not have the tables of this version of Ratemill" in str(done.exception)
    with psycopg.connect(empty) as connection:
        assert connection.execute("select count(*) from pg_tables where schemaname = 'public'").fetchone() == (0,)


def test_a_command_that_creates_the_tables_in_your_own_database_says_so(
    server: Server, document: Path, monkeypatch: pytest.MonkeyPatch
):
    own = server.admin_dsn(new_empty(server))
    monkeypatch.setenv("RATEMILL_DATABASE_URL", own)
    notice = f"creating the tables of Ratemill in the database {dsns.place(own)}\n"
    first, second = (run(["apply", str(document)], document) for _ in range(2))
    assert (first.exit_code, first.stderr) == (0, notice)
    assert notice not in first.stdout
    assert (second.exit_code, second.stderr) == (0, "")


def test_serve_logs_that_it_creates_the_tables_in_your_own_database(server: Server):
    own = server.admin_dsn(new_empty(server))
    keeper = DatabaseKeeper(Settings(database_url=own))
    with structlog.testing.capture_logs() as logged:
        keeper.start()
        wait_until(keeper.is_open)
        assert keeper.stop(within_s=60)
    assert [each["progress"] for each in logged if each["event"] == "database_starting"] == [
        f"creating the tables of Ratemill in the database {dsns.place(own)}"
    ]


@pytest.fixture(scope="module")
def empty(server: Server) -> str:
    """Return the way into a database that is not migrated."""
    return server.dsn(database=new_empty(server))


def new_empty(server: Server) -> str:
    """Create a database that is not migrated; return its name."""
    name = f"empty_{free_port()}"
    with psycopg.connect(server.admin_dsn(), autocommit=True) as connection:
        connection.execute(sql.SQL("create database {} owner ratemill").format(sql.Identifier(name)))
    return name
