"""The command line says what HTTP says: the same objects as JSON, tables otherwise, and exit codes."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.fixtures.mill import Mill, guide_row
from tests.fixtures.two_mills import EVERY_END, STATES, instance, items, post, two_mills
from typer.testing import CliRunner, Result

from ratemill import logs
from ratemill.cli.app import app
from ratemill.settings import Settings
from ratemill.store.connections import Database

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def mills(database: Database, settings: Settings) -> Iterator[tuple[Mill, Mill]]:
    with two_mills(database, settings) as made:
        yield made


@pytest.fixture(scope="module")
def mine(mills: tuple[Mill, Mill]) -> Mill:
    return mills[0]


@pytest.fixture(scope="module")
def request_id(mills: tuple[Mill, Mill]) -> str:
    mine, others = mills
    post(others, *EVERY_END, guide_row(99, identifier="theirs"))
    return post(mine, *EVERY_END)


@pytest.fixture
def run(dsn: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs a command of `ratemill` on the module's database."""
    monkeypatch.setenv("RATEMILL_DATABASE_URL", dsn)
    monkeypatch.setattr(logs, "configure", lambda **_: None)  # the runner's streams are closed after the command
    return lambda *arguments: CliRunner().invoke(app, [str(each) for each in arguments])


def as_json(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def traced(run: Run, text: object) -> list[dict[str, Any]]:
    """Return the matches of a trace, without what the trace alone has of a record."""
    matches: list[dict[str, Any]] = as_json(run("trace", text, "--json"))["matches"]
    for match in matches:
        for record in match["records"]:
            del record["remade"]
    return matches


def test_status_is_the_instance_of_http(run: Run, mine: Mill, request_id: str):
    history = instance(mine, f"/DataImport/History/{request_id}")
    assert as_json(run("status", request_id, "--json")) == history
    assert as_json(run("status", history["identity"], "--wait", "--json")) == history
    table = run("status", request_id)
    assert table.exit_code == 0
    assert "recordCount" in table.stdout


def test_status_shows_an_import_of_subscription_data(run: Run, mine: Mill):
    line = {"data": {"type": "subscription_product", "attributes": {"external_ref": "a", "name": "A"}}}
    sent = mine.request("POST", "v2/subscriptions/imports", files={"import_file": json.dumps(line)})
    import_id = sent.json()["data"]["id"]
    history = instance(mine, f"/DataImport/History/{import_id}")
    assert (
        as_json(run("status", import_id, "--json")) == as_json(run("status", history["identity"], "--json")) == history
    )
    told = dict(
        each.split(maxsplit=1) for each in run("status", import_id).stdout.splitlines() if len(each.split()) > 1
    )
    assert told["importBatchTypeName"].strip() == "Subscriptions By API"
    assert told["subscriptionImport.records.uploaded.subscription_product"].strip() == "1"


def test_status_waits_no_longer_than_it_is_told(run: Run, mine: Mill, request_id: str):
    sent_id = mine.post_rows(guide_row(50)).json()["trackingId"]
    waited = run("status", sent_id, "--wait", "--wait-s-max", 1, "--json")
    mine.work()
    assert waited.exit_code == 1
    assert json.loads(waited.stdout)["importWaitingCount"] == 1


def test_exceptions_and_charges_are_the_items_of_http(run: Run, mine: Mill, request_id: str):
    asked = ("--tracking-id", request_id, "--json")
    refused = items(mine, "/DataImport/History/Exception/Paged", trackingId=request_id)
    assert as_json(run("exceptions", "--import", *asked)) == refused
    assert as_json(run("exceptions", *asked)) == items(mine, "/Udr/Usage/Exception/Paged", trackingId=request_id)
    assert as_json(run("charges", *asked)) == items(mine, "/Udr/Charge/Paged", trackingId=request_id)
    assert as_json(run("charges", *asked, "--page-size", 1, "--page-number", 2)) == items(
        mine, "/Udr/Charge/Paged", trackingId=request_id, pageSize=1, pageNumber=2
    )


def test_tables_show_what_is_asked_for(run: Run, request_id: str):
    assert "Row 2, field DateTime: 'soon' is not a date." in run("exceptions", "--import").stdout
    assert "No service has the identifier 'nobody-1'." in run("exceptions").stdout
    assert "1.1562" in run("charges", "--tracking-id", request_id).stdout
    assert "repeats row 1" in run("trace", request_id).stdout


def test_a_trace_leads_from_request_batch_identifier_and_account_to_the_records(run: Run, mine: Mill, request_id: str):
    history = instance(mine, f"/DataImport/History/{request_id}")
    lives = items(mine, f"/DataImport/History/{request_id}/Record/Paged")
    assert [life["recordStateName"] for life in lives] == STATES
    by_request = traced(run, request_id)
    assert [(match["dataImportHistory"], match["records"]) for match in by_request] == [(history, lives)]
    batch_id = history["importBatchIds"][0]
    (by_batch,) = [match for match in traced(run, batch_id) if match["importBatch"]]
    assert by_batch["records"] == lives
    (by_identifier,) = traced(run, "648-688-4180")
    assert by_identifier["usageIdentifiers"][0]["accountServiceName"] == "Line"
    assert [life for life in by_identifier["records"] if life in lives] == [lives[0], lives[6]]
    (by_nobody,) = traced(run, "nobody-1")
    assert (by_nobody["usageIdentifiers"], by_nobody["records"]) == ([], [lives[3]])
    (by_account,) = traced(run, "Acme")
    assert by_account["account"]["accountServiceNames"] == ["Line"]
    assert [life for life in by_account["records"] if life in lives] == [lives[0], lives[6]]


def test_a_trace_says_whether_each_record_is_remade_equal(run: Run, mine: Mill, request_id: str):
    (match,) = as_json(run("trace", request_id, "--json"))["matches"]
    remade = [record["remade"] for record in match["records"]]
    assert [each["equal"] for each in remade] == [True, None, None, True, None, None, True]
    assert remade[0] == {"equal": True, "differences": [], "message": None}
    assert remade[2] == {"equal": None, "differences": [], "message": "the record is a duplicate"}
    table = run("trace", request_id).stdout
    assert "remade equal" in table
    assert "nothing to remake: the row was refused" in table


def test_a_trace_shows_what_is_not_stored_as_it_is_remade(run: Run, mine: Mill, request_id: str):
    sent_id = post(mine, guide_row(60, value="60.5"))
    where = "where uniqueness_identifier = 'u60'"
    mine.change(f"update charges set quantity = 61, usage_at = usage_at + interval '1 microsecond' {where}")
    (match,) = as_json(run("trace", sent_id, "--json"))["matches"]
    assert match["records"][0]["remade"] == {
        "equal": False,
        "differences": [
            {"fieldName": "date", "stored": "2022-05-01T01:01:00.010001+00:00", "remade": "2022-05-01T01:01:00.010Z"},
            {"fieldName": "value", "stored": "61", "remade": "60.5"},
        ],
        "message": None,
    }
    assert "no: date: stored" in run("trace", sent_id).stdout
    assert "value: stored 61, remade 60.5" in run("trace", sent_id).stdout
    mine.change(f"update charges set quantity = 60.5, usage_at = usage_at - interval '1 microsecond' {where}")


def test_a_trace_says_when_there_is_more(run: Run, request_id: str):
    result = run("trace", request_id, "--records-max", 2, "--json")
    (match,) = as_json(result)["matches"]
    assert (len(match["records"]), match["hasMoreRecords"]) == (2, True)


def test_each_owner_has_its_own(run: Run, request_id: str, mills: tuple[Mill, Mill]):
    theirs = items(mills[1], "/DataImport/History/Paged")[0]
    assert run("status", theirs["identity"]).exit_code == 1
    assert run("trace", "theirs").exit_code == 1
    assert as_json(run("charges", "--tracking-id", theirs["requestTrackingId"], "--json")) == []
    assert as_json(run("status", theirs["identity"], "--owner", "other", "--json")) == theirs
    assert as_json(run("trace", "theirs", "--owner", "other", "--json"))["matches"][0]["records"]


@pytest.mark.parametrize(
    ("arguments", "exit_code"),
    [
        (("status", "999999"), 1),
        (("trace", "nothing"), 1),
        (("charges", "--owner", "nobody"), 1),
        (("charges", "--tracking-id", "x"), 2),
        (("charges", "--page-size", "0"), 2),
        (("status",), 2),
    ],
)
def test_what_is_refused_or_used_wrongly_ends_with_its_code(run: Run, arguments: tuple[str, ...], exit_code: int):
    assert exit_of(run(*arguments)) == exit_code


def exit_of(result: Result) -> int:
    """Return the exit code that the entry point would give."""
    return 1 if result.exception and not isinstance(result.exception, SystemExit) else result.exit_code
