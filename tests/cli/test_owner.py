"""Owners are created, listed and renamed by command; any command that names an unknown one says how to create it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from tests.fixtures.mill import Mill, guide_row, mill
from typer.testing import CliRunner, Result

from ratemill import logs
from ratemill.access.tokens import authenticate
from ratemill.cli.app import app
from ratemill.settings import Settings
from ratemill.store.connections import Database

Run = Callable[..., Result]
COMMANDS: tuple[tuple[str, ...], ...] = (
    ("audit",),
    ("charges",),
    ("exceptions",),
    ("export",),
    ("lint", "Standard"),
    ("prices", "{csv}", "--group", "Main USD"),
    ("rehearse", "guide_csv", "{rows}"),
    ("reprocess", "--all"),
    ("status", "1"),
    ("token create", "--role", "read"),
    ("token list",),
    ("token revoke", "1"),
    ("trace", "1"),
)


@pytest.fixture(scope="module")
def guide(database: Database, settings: Settings) -> Iterator[Mill]:
    with mill(database, settings) as made:
        yield made


@pytest.fixture
def run(guide: Mill, dsn: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return what runs a command on the module's database."""
    monkeypatch.setenv("RATEMILL_DATABASE_URL", dsn)
    monkeypatch.setattr(logs, "configure", lambda **_: None)  # the runner's streams are closed after the command
    return lambda *arguments: CliRunner().invoke(app, [str(each) for each in arguments])


def names(run: Run) -> list[str]:
    return [each["name"] for each in json.loads(run("owner", "list", "--json").stdout)]


def message(result: Result) -> str:
    """Return what a command that failed says."""
    assert result.exit_code != 0
    return str(result.exception) + result.stderr


def errors_of(result: Result) -> list[dict[str, Any]]:
    """Return the errors of a document; in a test the log goes to standard output too."""
    found: list[dict[str, Any]] = json.loads(result.stdout[result.stdout.index("{\n") :])["errors"]
    return found


def test_default_exists_from_the_start(run: Run):
    assert "default" in names(run)


def test_an_owner_is_created_once_with_what_is_built_in(run: Run, guide: Mill):
    assert run("owner", "create", "Acme").stdout == "created owner 'Acme'\n"
    assert names(run) == ["Acme", "default"]
    counts = guide.rows(
        "select count(*) from usage_units u join owners o using (owner_id) group by o.name order by o.name"
    )
    assert counts[0] == counts[1]
    assert message(run("owner", "create", "Acme")).startswith("owner 'Acme' already exists")
    assert "owner 'Acme' already exists, which looks like 'ACME'" in message(run("owner", "create", "ACME"))


@pytest.mark.parametrize("name", ["", " ", "a\x1bb", "acme\u200b", "n" * 256])
def test_a_name_that_misleads_creates_nothing(run: Run, name: str):
    before = names(run)
    assert "the name of an owner" in message(run("owner", "create", name))
    assert names(run) == before


def test_a_renamed_owner_keeps_its_tokens_and_the_change_is_logged(run: Run, guide: Mill):
    run("owner", "create", "before")
    secret = run("token", "create", "--role", "read", "--owner", "before").stdout.splitlines()[-1]
    assert run("owner", "rename", "before", "after").stdout == "renamed owner 'before' to 'after'\n"
    headers = {"Authorization": f"Bearer {secret}"}
    (shown,) = guide.request("GET", "/Owner/", headers=headers).json()["items"]
    assert shown["name"] == "after"
    (change,) = guide.request("GET", "/Setup/Change/Paged", headers=headers).json()["pagedResults"]["items"]
    assert (change["via"], change["before"]["name"], change["after"]["name"]) == ("command", "before", "after")
    assert "after" in names(run)
    assert "before" not in names(run)


def test_a_rename_takes_no_name_in_use_and_never_that_of_default(run: Run):
    run("owner", "create", "one")
    run("owner", "create", "two")
    assert "owner 'two' already exists" in message(run("owner", "rename", "one", "two"))
    assert "owner 'two' already exists" in message(run("owner", "rename", "one", "TWO"))
    assert run("owner", "rename", "one", "One").exit_code == 0
    assert "cannot rename owner 'default'" in message(run("owner", "rename", "default", "mine"))
    assert "unknown owner 'nobody'" in message(run("owner", "rename", "nobody", "somebody"))


@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda arguments: arguments[0])
def test_a_command_for_an_unknown_owner_names_the_nearest_and_the_command(
    run: Run, guide: Mill, tmp_path: Path, arguments: tuple[str, ...]
):
    (tmp_path / "list.csv").write_text("usageClassName,amount\ndata_class,1\n")
    (tmp_path / "rows.csv").write_text(guide_row(1) + "\n")
    places = {"csv": tmp_path / "list.csv", "rows": tmp_path / "rows.csv"}
    owners = guide.value("select count(*) from owners")
    given = [each.format(**places) for each in arguments[1:]]
    said = message(run(*arguments[0].split(), *given, "--owner", "defualt"))
    assert "unknown owner 'defualt' (did you mean 'default'?); to create it, run: ratemill owner create defualt" in said
    assert guide.value("select count(*) from owners") == owners


def test_every_command_with_an_owner_is_among_them():
    assert set(with_owner(typer.main.get_command(app), "")) == {each[0] for each in COMMANDS}


def with_owner(command: Any, path: str) -> Iterator[str]:
    """Return the commands below one that take ``--owner``."""
    for name, child in getattr(command, "commands", {}).items():
        if any("--owner" in parameter.opts for parameter in child.params):
            yield f"{path}{name}"
        yield from with_owner(child, f"{path}{name} ")


def test_a_document_of_an_unknown_owner_applies_nothing_and_says_so_with_its_other_faults(
    run: Run, guide: Mill, tmp_path: Path
):
    document = tmp_path / "new.yaml"
    document.write_text("ratemill: 1\nowner: newcomer\naccounts: [{name: A, currencyName: XXQ}]\n")
    for options in ((), ("--dry-run",)):
        errors = errors_of(run("apply", document, "--json", *options))
        assert [each["path"] for each in errors] == ["owner", "accounts[0].currencyName"]
        assert errors[0]["line"] == 2
        assert "ratemill owner create newcomer" in errors[0]["message"]
    assert guide.value("select count(*) from owners where name = 'newcomer'") == 0


def test_create_owner_creates_it_with_the_document_or_the_token(run: Run, guide: Mill, tmp_path: Path):
    document = tmp_path / "new.yaml"
    document.write_text("ratemill: 1\nowner: by document\naccounts: [{name: A, currencyName: USD}]\n")
    assert run("apply", document, "--create-owner", "--dry-run").exit_code == 0
    assert "by document" not in names(run)
    assert run("apply", document, "--create-owner").exit_code == 0
    assert run("apply", document, "--create-owner").stdout.endswith("\n0 created, 0 updated, 1 unchanged\n")
    done = run("token", "create", "--role", "read", "--owner", "by token", "--create-owner")
    assert authenticate(guide.database, done.stdout.splitlines()[-1]) is not None
    assert {"by document", "by token"} <= set(names(run))
    document.write_text('ratemill: 1\nowner: "by\\ttab"\n')
    assert "U+0009" in run("apply", document, "--create-owner").stderr
