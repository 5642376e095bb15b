"""The commands of set-up: what they print, and how they end."""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner

from ratemill.access.tokens import authenticate
from ratemill.cli import setup, token
from ratemill.cli.app import app
from ratemill.store.connections import Database

EXAMPLE = Path(__file__).parents[1] / "setup" / "example.yaml"
run = CliRunner()


@pytest.fixture(autouse=True)
def _this_database(database: Database, monkeypatch):
    @contextmanager
    def opened():
        yield database

    for module in (setup, token):
        monkeypatch.setattr(module, "opened_database", opened)
    monkeypatch.setattr(setup, "existing_database", opened)
    with structlog.testing.capture_logs():
        yield


def test_apply_says_what_it_did():
    assert run.invoke(app, ["apply", str(EXAMPLE), "--dry-run"]).stdout.endswith(
        "dry run: 10 created, 0 updated, 0 unchanged\n"
    )
    assert "created udrFeeds: Guide Feed\n" in run.invoke(app, ["apply", str(EXAMPLE)]).stdout


def test_a_fault_is_exit_code_1_with_its_place(tmp_path: Path):
    (tmp_path / "bad.yaml").write_text("ratemill: 1\nusageUnits: [{name: x}]\n")
    done = run.invoke(app, ["apply", str(tmp_path / "bad.yaml")])
    assert (done.exit_code, done.stdout) == (1, "")
    assert "usageUnits[0].usageBaseUnitName, line 2: is required\n" in done.stderr
    as_json = run.invoke(app, ["apply", str(tmp_path / "bad.yaml"), "--json"])
    errors = json.loads(as_json.stdout)["errors"]
    assert (as_json.exit_code, errors[-1]["path"], errors[-1]["line"]) == (1, "usageUnits[0].usageBaseUnitName", 2)


def test_export_writes_the_document(tmp_path: Path):
    run.invoke(app, ["apply", str(EXAMPLE)])
    document = run.invoke(app, ["export"]).stdout
    (tmp_path / "again.yaml").write_text(document)
    assert run.invoke(app, ["apply", str(tmp_path / "again.yaml")]).stdout == "0 created, 0 updated, 10 unchanged\n"


def test_a_token_is_the_last_line(database: Database):
    done = run.invoke(app, ["token", "create", "--role", "import", "--name", "sender", "--owner", "default"])
    who = authenticate(database, done.stdout.splitlines()[-1])
    assert who is not None
    assert (who.name, who.role) == ("sender", "import")
