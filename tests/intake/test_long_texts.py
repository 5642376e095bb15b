"""Texts as long as a field may be: usage that has them is charged or refused for its own reason, and stops no neighbour."""

import json
from collections.abc import Iterator
from threading import Event

import pytest
from tests.fixtures.long_texts import LENGTHS, long_text
from tests.fixtures.mill import Mill, guide_row, mill
from typer.testing import CliRunner

from ratemill import logs
from ratemill.cli.app import app
from ratemill.jobs.runner import Runner
from ratemill.reasons import BY_ID
from ratemill.settings import Settings
from ratemill.store.connections import Database

CHARACTERISTICS = """
ratemill: 1
dataProfiles:
  - name: sales
    format: json
    duplicateKey: []
    fields: [{name: date}, {name: udrUsageIdentifier}, {name: value}, {name: usageClassName}, {name: product}, {name: note}]
    mappings: [{target: characteristic1, source: product}, {target: extension.note, source: note}]
udrFeeds: [{name: Sales, apiName: sales, dataProfileName: sales, batchWaitSeconds: 0}]
"""


@pytest.fixture(scope="module")
def guide(database: Database, settings: Settings) -> Iterator[Mill]:
    with mill(database, settings) as made:
        made.apply(CHARACTERISTICS)
        yield made


def outcomes(guide: Mill, submission_id: int) -> dict[int, str]:
    """Return the outcome of each row of a submission: ``charged``, or the name of its reason."""
    ends = "select row_index, null from charges where submission_id = %s"
    for table in ("rating_exceptions", "import_exceptions"):
        ends += f" union all select row_index, reason_id from {table} where submission_id = %s"
    rows = guide.rows(ends, *[submission_id] * 3)
    return {row: BY_ID[reason].name if reason else "charged" for row, reason in rows}


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize(
    ("field", "outcome"),
    [
        ("identifier", "identifier_not_found"),
        ("originating", "charged"),
        ("terminating", "charged"),
        ("unique", "charged"),
        ("type", "identifier_not_found"),
        ("usage_class", "usage_class_not_found"),
        ("class_type", "charged"),
        ("date", "value_must_be_a_date"),
        ("value", "value_must_be_a_number"),
        ("inbound", "value_must_be_true_or_false"),
    ],
)
def test_a_long_field_of_a_row_has_its_own_reason_and_its_neighbour_is_charged(
    guide: Mill, field: str, outcome: str, length: int
):
    answer = guide.post_rows(
        guide_row(unique=f"{field} {length} 1"),
        guide_row(2, **{"unique": f"{field} {length} 2", field: long_text(length, field)}),
        guide_row(unique=f"{field} {length} 3"),
    )
    assert answer.status_code == 200, answer.text
    guide.work()
    submission = guide.value("select max(submission_id) from submissions")
    assert outcomes(guide, submission) == {1: "charged", 2: outcome, 3: "charged"}


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("field", ["product", "note"])
def test_a_long_characteristic_or_other_field_is_charged_with_its_record(guide: Mill, field: str, length: int):
    sale = {"date": "2022-05-01", "udrUsageIdentifier": "648-688-4180", "value": "1", "usageClassName": "data_class"}
    sales = [{**sale, field: "short"}, {**sale, field: long_text(length, field)}]
    answer = guide.request("POST", "/DataImport/Usage/Json/Multi/sales", content=json.dumps({"data": sales}))
    assert answer.status_code == 200, answer.text
    guide.work()
    submission = guide.value("select max(submission_id) from submissions")
    assert outcomes(guide, submission) == {1: "charged", 2: "charged"}


@pytest.mark.parametrize("length", LENGTHS)
def test_an_exception_is_found_by_its_long_identifier(
    guide: Mill, dsn: str, monkeypatch: pytest.MonkeyPatch, length: int
):
    text = long_text(length, "found", first=0x30, last=0x7E)
    others = text[:-1] + chr(ord(text[-1]) ^ 1)
    guide.post_rows(guide_row(unique=f"found {length} 1", identifier=text))
    guide.post_rows(guide_row(unique=f"found {length} 2", identifier=others))
    guide.work()
    if length == LENGTHS[0]:  # a longer one is no part of an address
        answer = guide.request("GET", "/Udr/Usage/Exception/Paged", params={"udrUsageIdentifier": text})
        assert [item["udrUsageIdentifier"] for item in answer.json()["pagedResults"]["items"]] == [text]

    monkeypatch.setenv("RATEMILL_DATABASE_URL", dsn)
    monkeypatch.setattr(logs, "configure", lambda **_: None)  # the runner's streams are closed after the command
    traced = CliRunner().invoke(app, ["trace", "--json", "--", text])
    assert traced.exit_code == 0, traced.output
    (match,) = json.loads(traced.stdout)["matches"]
    assert [record["udrUsageException"]["udrUsageIdentifier"] for record in match["records"]] == [text]


def test_exceptions_of_long_identifiers_are_reprocessed_by_them(guide: Mill):
    texts = [long_text(65_536, each) for each in ("eq", "in")]
    guide.post_rows(*[guide_row(unique=f"again {text[:9]}", identifier=text) for text in texts])
    guide.work()
    for operator, value in (("eq", texts[0]), ("in", texts)):
        term = {"name": "udrUsageIdentifier", "operator": operator, "value": value}
        body = {"filterCriteria": {"search": [term]}}
        answer = guide.request("POST", "/UsageRatedExceptionSchedule/Reprocess", json=body)
        assert answer.status_code == 200, answer.text
    runner = Runner(guide.database, guide.settings, Event())
    while runner.step():
        pass
    # The second leaves alone what the first has tried since.
    assert guide.rows("select rows_matched, rows_failed from reprocesses order by reprocess_id") == [(1, 1), (2, 1)]
