"""No command prints what a terminal would obey or a reader cannot see, whatever set-up, usage, files and arguments hold."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
import structlog
import typer
from tests.fixtures.mill import Mill, guide_row, mill
from tests.fixtures.served import served

from ratemill import logs
from ratemill.cli.app import app
from ratemill.jobs.runner import Runner
from ratemill.settings import Settings
from ratemill.store.connections import Database
from ratemill.visible import visible

# Escape sequence, bell, C1 sequence, link, carriage return, backspace, direction override, zero-width space, line separator,
# variation selector, and what Rich would take for markup.
EVIL = "\x1b[31m\x07\x9b2J\x1b]8;;http://a\x1b\\\r\b\u202e\u200b\u2028\ufe0f[red]"
IN_FILES = EVIL.replace("\r", "").replace("/", "_")
LOGGING = {"serve", "worker", "jobs", "api"}  # they print nothing: what they log is in tests/test_logs.py
SETUP = """ratemill: 1
usageClasses: [{name: NAME, usageBaseUnitName: Data, usageClassTypeName: Data_1}, {name: healthy, usageBaseUnitName: Data}]
usageRateGroups: [{name: NAME, currencyName: USD, start: 2000-01-01}]
usageRatePlans: [{name: NAME, usageRateGroupNames: [NAME]}]
usageRates: [{usageRateGroupName: NAME, usageClassName: NAME, amount: "0.5"}]
accounts: [{name: NAME, currencyName: USD, usageRatePlanName: NAME}]
accountServices: [{accountName: NAME, name: NAME}]
usageIdentifiers: [{udrUsageIdentifier: NAME, accountName: NAME, accountServiceName: NAME}]
dataProfiles: [{name: NAME, format: csv, fields: [{name: date}, {name: udrUsageIdentifier}, {name: value},
                {name: usageClassName}, {name: NAME}]}]
udrFeeds: [{name: NAME, apiName: evil, dataProfileName: NAME}]
"""
APPLIED = SETUP.replace("NAME", json.dumps(EVIL))
TWICE = APPLIED.replace("amount:", "amount: 1}, {usageRateGroupName: x, amount:")
PRICES = f'usageClassName,amount\n"{EVIL}",0.75\n'

Run = Callable[..., str]


def raw(text: str) -> str:
    """Return the characters of a text that must not be printed as they are."""
    return "".join(sorted({character for character in text if character != "\n" and visible(character) != character}))


def leaves(command: Any, name: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield name
    else:
        for each, of in inner.items():
            yield from leaves(of, (*name, each))


COMMANDS = sorted(leaves(typer.main.get_command(app)))


@pytest.fixture(scope="module")
def mine(database: Database, settings: Settings) -> Iterator[Mill]:
    with mill(database, settings) as made:
        made.apply(APPLIED)
        rows = [
            guide_row(1),
            guide_row(2, identifier=f'"{EVIL}"', usage_class=f'"{EVIL}"'),
            guide_row(3, identifier=f'"nobody{EVIL}"'),
            guide_row(4, value=f'"ninety{EVIL}"'),
            guide_row(5, usage_class=f'"no class{EVIL}"'),
        ]
        assert made.post_rows(*rows).status_code == 200
        made.work()
        assert made.value("select count(*) from charges") == 2
        yield made


@pytest.fixture(scope="module")
def port(mine: Mill) -> Iterator[int]:
    stopping = Event()
    jobs = Thread(target=Runner(mine.database, mine.settings, stopping).run)
    jobs.start()
    try:
        with served(mine.database, mine.settings) as port:
            yield port
    finally:
        stopping.set()
        jobs.join()


@pytest.fixture
def run(
    mine: Mill, dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Run]:
    """Return a function that runs a command as the shell does and returns all that it printed."""
    monkeypatch.setenv("RATEMILL_DATABASE_URL", dsn)
    monkeypatch.setenv("RATEMILL_HOME", str(tmp_path / f"home{IN_FILES}"))
    monkeypatch.setenv("RATEMILL_TOKEN", mine.token)
    monkeypatch.setattr(logs, "configure", lambda **_: None)  # the streams are closed after the test
    before = structlog.get_config()
    structlog.configure(processors=logs.processors(as_json=False))
    handlers = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}

    def run(*arguments: object) -> str:
        with pytest.raises(SystemExit):
            app([str(each) for each in arguments], prog_name="ratemill")
        printed = capsys.readouterr()
        text = printed.out + printed.err
        assert raw(text) == "", arguments
        assert "Traceback" not in text
        return text

    yield run
    structlog.configure(**before)
    for each, handler in handlers.items():
        signal.signal(each, handler)


def file_of(folder: Path, text: str, suffix: str) -> Path:
    path = folder / f"file{IN_FILES}{suffix}"
    path.write_text(text, newline="")
    return path


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize(
    "argument",
    [f"--{EVIL}", EVIL, f"--owner={EVIL}", f"--page-size={EVIL}", f"--role={EVIL}"],
    ids=["option", "argument", "owner", "page", "role"],
)
def test_an_argument_that_does_not_fit_is_shown(run: Run, command: tuple[str, ...], argument: str):
    if command[0] not in LOGGING or argument.startswith(f"--{EVIL}"):
        assert run(*command, *([argument] * 3 if argument == EVIL else [argument]))


def test_an_unknown_command_is_shown(run: Run):
    assert "\\x1b[31m" in run(EVIL)


READING: dict[tuple[str, ...], list[list[str]]] = {
    ("status",): [["1"], ["1", "--json"], [EVIL]],
    ("exceptions",): [[], ["--json"], ["--import"], ["--import", "--json"], ["--owner", EVIL]],
    ("charges",): [[], ["--json"], ["--filter", EVIL], ["--filter", f"accountName={EVIL}"]],
    ("trace",): [[EVIL], [EVIL, "--json"], ["1"], ["1", "--json"], [f"none{EVIL}"]],
    ("audit",): [[], ["--json"], ["--owner", EVIL]],
    ("lint",): [[EVIL], [EVIL, "--json"], [f"none{EVIL}"]],
    ("reprocess",): [["--all"], ["--all", "--json"], ["--filter", EVIL], ["--filter", f"{EVIL}=1"]],
    ("export",): [[], ["--owner", EVIL]],
    ("doctor",): [[], ["--json"]],
    ("owner", "create"): [[EVIL], ["fine"], ["fine"]],
    ("owner", "list"): [[], ["--json"]],
    ("owner", "rename"): [["fine", EVIL], [EVIL, "fine"]],
    ("token", "create"): [["--role", EVIL], ["--role", "read", "--name", EVIL], ["--role", "import", "--feed", EVIL]],
    ("token", "list"): [[], ["--json"], ["--owner", EVIL]],
    ("token", "revoke"): [["--name", EVIL], ["--name", "tester", "--owner", EVIL]],
    ("db", "status"): [[], ["--json"]],
    ("db", "start"): [[], ["--json"]],
    ("db", "stop"): [[]],
    ("db", "remove"): [[], ["--yes"]],
    ("db", "upgrade"): [["--old-bin", EVIL]],
    ("demo",): [],  # it prints its own examples; its arguments are tried above
}
WITH_FILES = {("apply",), ("prices",), ("rehearse",)}
OVER_HTTP = {("watch",), ("import", "usage"), ("import", "userx"), ("import", "subscriptions")}


def test_every_command_is_tried():
    assert {*READING, *WITH_FILES, *OVER_HTTP, *((name,) for name in LOGGING)} == set(COMMANDS)


@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_what_is_read_is_shown(run: Run, command: tuple[str, ...]):
    printed = "".join(run(*command, *arguments) for arguments in READING[command])
    neighbours = {"charges": "648-688-4180", "trace": "648-688-4180", "export": "healthy"}
    assert neighbours.get(command[0], "") in printed


def test_markup_and_neighbours_stay_text(run: Run):
    printed = run("charges")
    assert "648-688-4180" in printed
    assert visible(EVIL) in printed
    assert json.loads(run("charges", "--json"))[1]["accountName"] == EVIL


def test_an_export_is_exact(run: Run, mine: Mill, tmp_path: Path):
    document = file_of(tmp_path, run("export"), ".yaml")
    assert "\n0 created, 0 updated, " in f"\n{run('apply', document)}"


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["text", "json"])
def test_documents_and_price_lists_are_shown(run: Run, tmp_path: Path, options: list[str]):
    faulty = (
        f"ratemill: 1\n{json.dumps(EVIL)}: 1\nudrFeeds: [{{name: {json.dumps(EVIL)}, apiName: {json.dumps(EVIL)}}}]\n"
    )
    assert run("apply", file_of(tmp_path, faulty, "1.yaml"), *options)
    assert run("apply", file_of(tmp_path, TWICE, "2.yaml"), *options)
    assert run("apply", file_of(tmp_path, EVIL, "3.yaml"), *options)
    renamed = APPLIED.replace("name: ", "name: more").replace('more"', '"more')
    assert run("apply", "--dry-run", file_of(tmp_path, renamed, "4.yaml"), *options)
    assert run("apply", tmp_path / f"none{IN_FILES}", *options)
    prices = file_of(tmp_path, PRICES, "1.csv")
    assert EVIL[1:5] in run("prices", prices, "--group", EVIL, "--preview", *options)
    assert run("prices", file_of(tmp_path, PRICES.replace("0.75", EVIL), "2.csv"), "--group", EVIL, *options)
    assert run("prices", prices, "--group", f"none{EVIL}", "--effective", EVIL, *options)
    assert run("prices", prices, "--group", EVIL, "--default", EVIL, *options)
    rows = f'{guide_row(1)}\n"{EVIL}",b\n'
    sample = file_of(tmp_path, rows, "3.csv")
    assert "648-688-4180" in run("rehearse", "guide_csv", sample, *options)
    assert run("rehearse", EVIL, sample, *options)
    assert run("rehearse", f"none{EVIL}", sample, *options)
    assert run("rehearse", EVIL, sample, "--with", file_of(tmp_path, faulty, "5.yaml"), *options)


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["text", "json"])
def test_what_a_server_answers_is_shown(run: Run, port: int, tmp_path: Path, options: list[str]):
    server = ["--url", f"http://127.0.0.1:{port}", *options]
    usage = file_of(tmp_path, guide_row(8) + "\n", f"1{len(options)}.csv")
    assert "1" in run("import", "usage", "guideFeed", usage, *server)
    assert run("import", "usage", "guideFeed", usage, *server)
    assert run("import", "usage", EVIL, usage, *server)
    assert run("import", "usage", f"none{EVIL}", usage, *server)
    assert run("import", "usage", "guideFeed", usage, "--format", EVIL, *server)
    assert run("import", "usage", "guideFeed", tmp_path / EVIL.replace("/", "_"), *server)
    assert run("import", "usage", "guideFeed", usage, "--url", f"http://127.0.0.1:{port}/{EVIL}", "--retry-seconds", 0)
    assert run("watch", "guideFeed", tmp_path, "--once", "--settle", 0, *server)
    file_of(tmp_path, guide_row(9), "5.csv")
    assert run("watch", f"none{EVIL}", tmp_path, "--once", "--settle", 0, *server)
    items = [{"id": f"a{EVIL}", "name": EVIL, EVIL: EVIL}, {"id": "healthy", "name": "healthy"}]
    assert run("import", "userx", 1, file_of(tmp_path, json.dumps(items), "2.json"), *server)
    assert run("import", "userx", 1, file_of(tmp_path, EVIL, "3.json"), *server)
    lines = "\n".join(json.dumps({"type": EVIL, "external_ref": EVIL, EVIL: each}) for each in (1, EVIL))
    assert run("import", "subscriptions", file_of(tmp_path, lines, "4.jsonl"), "--retry-seconds", 0, *server)
