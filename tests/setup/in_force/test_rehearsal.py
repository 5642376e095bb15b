"""Rehearsal: what sample rows show on their way is what a worker makes of them, and nothing is written by it."""

import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.fixtures.mill import GUIDE, Mill, guide_row, mill
from tests.fixtures.two_mills import EVERY_END, FILTERED, items, post
from typer.testing import CliRunner, Result

from ratemill import logs
from ratemill.cli.app import app
from ratemill.settings import Settings
from ratemill.setup.writing.apply import apply_document
from ratemill.store.connections import Database

Run = Callable[..., Result]

OTHERS = """
ratemill: 1
dataProfiles:
  - name: wide
    format: columnar
    fields: [{name: DateTime, start: 1, length: 10}, {name: UdrUsageIdentifier, start: 11, length: 4},
             {name: Value, start: 15, length: 3}, {name: Class, start: 18, length: 10}]
    mappings: [{target: usageClassName, map: {source: Class, values: {D: data_class}}},
               {target: value, formula: Value * 1024}, {target: zone, source: Class}]
  - name: objects
    format: json
    fields: [{name: DateTime}, {name: UdrUsageIdentifier}, {name: Value}, {name: UsageClassName}]
  - name: with_header
    format: csv
    headerRow: true
    delimiter: ;
    fields: [{name: date}, {name: udrUsageIdentifier}, {name: value, transforms: [{type: trim}]}, {name: usageClassName}]
  - name: by_match
    format: csv
    duplicateKey: []
    fields: [{name: date}, {name: udrUsageIdentifier}, {name: value}, {name: to}]
    mappings: [{target: usageClassName, match: {source: to, list: usageClasses, member: name}}]
"""
CHANGED = """
ratemill: 1
usageClasses: [{name: voice, usageBaseUnitName: Time}]
dataProfiles: [{name: by_match, delimiter: "|"}]
"""


@pytest.fixture(scope="module")
def mine(database: Database, settings: Settings) -> Iterator[Mill]:
    with mill(database, settings) as made:
        made.apply(FILTERED)
        made.apply(OTHERS)
        Mill(database, settings, "other", made.client).apply(
            GUIDE.replace("guide_csv", "theirs").replace("format: csv", "format: csv\n    timeZone: Europe/Rome")
        )
        yield made


@pytest.fixture
def run(mine: Mill, dsn: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs `ratemill rehearse` on the module's database."""
    monkeypatch.setenv("RATEMILL_DATABASE_URL", dsn)
    monkeypatch.setattr(logs, "configure", lambda **_: None)  # the runner's streams are closed after the command
    return lambda *arguments, **options: CliRunner().invoke(app, ["rehearse", *map(str, arguments)], **options)


@pytest.fixture
def file(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes rows to a file, one a line."""

    def write(*rows: str, name: str = "samples.txt") -> Path:
        path = tmp_path / name
        path.write_text("".join(f"{row}\n" for row in rows))
        return path

    return write


def shown(result: Result, *, exit_code: int = 0) -> dict[str, Any]:
    assert result.exit_code == exit_code, (result.output, result.exception)
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def outcomes(rehearsed: dict[str, Any]) -> list[str]:
    return [row["outcome"] for row in rehearsed["rows"]]


def test_every_outcome_is_shown_and_is_what_a_worker_makes_of_the_row(run: Run, file, mine: Mill):
    found = shown(run("guide_csv", file(*EVERY_END), "--json"), exit_code=1)
    assert (found["dataProfileName"], found["dataProfileVersion"]) == ("guide_csv", 2)
    rows = found["rows"]
    assert [row["originatingFileRecordIndex"] for row in rows] == [1, 2, 3, 4, 5, 6, 7]
    assert outcomes(found) == [
        "Mediated",
        "ImportException",
        "Duplicate",
        "Mediated",
        "ImportException",
        "Skipped",
        "Mediated",
    ]
    lives = items(mine, f"/DataImport/History/{post(mine, *EVERY_END)}/Record/Paged")
    for row, life in zip(rows, lives, strict=True):
        assert row["dataSnippet"] == life["dataSnippet"]
        if life["udrMediated"]:
            assert row["udrMediated"].items() <= life["udrMediated"].items()
        if life["dataImportException"]:
            first = {name: life["dataImportException"][name] for name in row["faults"][0]}
            assert row["faults"][0] == first
            messages = [fault["message"] for fault in row["faults"]]
            assert "\n".join(messages) == life["dataImportException"]["messageDetails"]
    assert rows[2]["duplicateOf"] == {"originatingFileRecordIndex": 1}


def test_a_row_is_shown_as_parsed_then_as_mapped_then_as_validated(run: Run, file):
    row = shown(run("wide", file("2022-05-0112342.5D"), "--json"))["rows"][0]
    assert row["parsed"] == {"DateTime": "2022-05-01", "UdrUsageIdentifier": "1234", "Value": "2.5", "Class": "D"}
    assert row["mapped"] == {
        "date": "2022-05-01",
        "udrUsageIdentifier": "1234",
        "value": "2560",
        "usageClassName": "data_class",
        "zone": "D",
    }
    usage = row["udrMediated"]
    assert (usage["date"], usage["value"], usage["extension"]) == ("2022-05-01T00:00:00.000Z", "2560", {"zone": "D"})


def test_a_row_goes_as_far_as_it_comes(run: Run, file):
    rows = shown(run("guide_csv", file("a,b", guide_row(1, originating="test")), "--json"), exit_code=1)["rows"]
    assert [(row["parsed"] != {}, row["mapped"] != {}, row["udrMediated"]) for row in rows] == [
        (False, False, None),
        (True, False, None),
    ]


def test_a_header_row_is_skipped(run: Run, file):
    path = file("date;udrUsageIdentifier;value;usageClassName", "2022-05-01;a; 5 ;data_class")
    found = shown(run("with_header", path, "--json"))
    assert outcomes(found) == ["Skipped", "Mediated"]
    assert found["rows"][1]["parsed"]["value"] == " 5 "
    assert found["rows"][1]["mapped"]["value"] == "5"


def test_a_json_profile_takes_one_object_a_line(run: Run, file):
    good = '{"DateTime": "2022-05-01", "UdrUsageIdentifier": "a", "Value": 94.50, "UsageClassName": "data_class", "x": 1.50}'
    found = shown(run("objects", file(good, "[1]", name="a.jsonl"), "--json"), exit_code=1)
    assert found["rows"][0]["parsed"]["Value"] == "94.50"
    assert found["rows"][0]["udrMediated"]["extension"] == {"x": "1.50"}
    assert found["rows"][1]["faults"][0]["dataImportExceptionErrorTypeName"] == "row_must_be_a_json_object"


def test_objects_go_through_a_profile_of_texts_as_they_do_when_they_are_imported(run: Run, file):
    good = '{"date": "2022-05-01", "udrUsageIdentifier": "a", "value": 5, "to": "data_class"}'
    assert outcomes(shown(run("by_match", file(good, name="a.jsonl"), "--json"))) == ["Mediated"]


def test_a_profile_is_taken_from_a_document_that_is_not_applied(run: Run, file, tmp_path: Path, mine: Mill):
    (tmp_path / "changed.yaml").write_text(CHANGED)
    samples = file("2022-05-01|a|5|voice")
    found = shown(run("by_match", samples, "--file", tmp_path / "changed.yaml", "--json"))
    assert found["dataProfileVersion"] is None
    assert found["rows"][0]["udrMediated"]["usageClassName"] == "voice"
    stored = shown(run("by_match", samples, "--json"), exit_code=1)
    assert stored["rows"][0]["faults"][0]["dataImportExceptionErrorTypeName"] == "row_has_too_few_fields"
    assert mine.value("select count(*) from usage_classes where name = 'voice'") == 0


def test_a_document_of_an_unknown_owner_is_a_fault(run: Run, file, tmp_path: Path, mine: Mill):
    (tmp_path / "new.yaml").write_text(GUIDE.replace("ratemill: 1", "ratemill: 1\nowner: unborn"))
    (error,) = shown(run("guide_csv", file(guide_row(1)), "--file", tmp_path / "new.yaml", "--json"), exit_code=1)[
        "errors"
    ]
    assert (error["path"], "ratemill owner create unborn" in error["message"]) == ("owner", True)
    assert mine.value("select count(*) from owners where name = 'unborn'") == 0


def test_the_faults_of_a_document_are_told_as_apply_tells_them(run: Run, file, tmp_path: Path, mine: Mill):
    bad = tmp_path / "bad.yaml"
    bad.write_text("ratemill: 1\ndataProfiles:\n  - name: p\n    format: csv\n    fields: []\n")
    result = run("p", file("a"), "--file", bad, "--json")
    errors = shown(result, exit_code=1)["errors"]
    assert set(errors[0]) == {"path", "line", "message"}
    assert errors[0]["path"].startswith("dataProfiles[0].fields")
    applied = apply_document(mine.database, bad.read_text(), None, dry_run=True, created_by="tester")
    assert errors == applied.as_json()["errors"]
    assert "nothing is rehearsed" in run("p", file("a"), "--file", bad).stderr


def test_nothing_is_written(run: Run, file, tmp_path: Path, mine: Mill):
    tables = [name for (name,) in mine.rows("select tablename from pg_tables where schemaname = 'public'")]
    (tmp_path / "changed.yaml").write_text(CHANGED)

    def digest() -> list[Any]:
        return [
            mine.value(f"select coalesce(md5(string_agg(t::text, '|' order by t::text)), '') from {t} t")
            for t in tables
        ]

    before = digest()
    run("guide_csv", file(*EVERY_END))
    run("by_match", file("2022-05-01|a|5|voice"), "--file", tmp_path / "changed.yaml")
    assert digest() == before


def test_people_read_each_row_step_by_step_and_the_counts(run: Run, file):
    result = run("guide_csv", file(*EVERY_END))
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines[0] == "data profile guide_csv, version 2"
    assert "row 3: a duplicate of row 1" in lines
    assert "  parsed     DateTime               2022-05-01T01:01:00.01" in lines
    assert "  validated  date                   2022-05-01T01:01:00.010Z" in lines
    assert "  value_must_be_a_date: Row 2, field DateTime: 'soon' is not a date." in lines
    assert lines[-1] == "rows 7 = usage records 3 + skipped 1 + duplicates 1 + refused 2"


def test_what_cannot_be_printed_is_spelled_out(run: Run, file):
    assert "nine\\x1b[1m" in run("guide_csv", file(guide_row(1, value="nine\x1b[1m"))).stdout


def test_rows_come_from_standard_input_or_packed(run: Run, tmp_path: Path):
    text = f"{guide_row(1)}\r\n\n{guide_row(2)}".encode()
    (tmp_path / "samples.csv.gz").write_bytes(gzip.compress(text))
    packed = shown(run("guide_csv", tmp_path / "samples.csv.gz", "--json"))
    assert outcomes(packed) == ["Mediated", "Mediated"]
    assert shown(run("guide_csv", "-", "--json", input=text)) == packed


def test_no_more_rows_than_a_request_has(run: Run, file):
    result = run("guide_csv", file(*(guide_row(number) for number in range(1_002))), "--json")
    assert len(shown(result)["rows"]) == 1_000
    assert "the first 1000 are shown" in result.stderr


def test_each_owner_has_its_own_profiles(run: Run, file):
    rows = file(guide_row(1))
    assert run("theirs", rows).exit_code != 0
    usage = shown(run("theirs", rows, "--owner", "other", "--json"))["rows"][0]["udrMediated"]
    assert usage["date"] == "2022-04-30T23:01:00.010Z"


@pytest.mark.parametrize(
    ("arguments", "exit_code"),
    [
        (("nothing", "{file}"), 1),
        (("guide_csv", "{empty}"), 1),
        (("guide_csv", "{bytes}"), 1),
        (("guide_csv", "{file}", "--owner", "nobody"), 1),
        (("guide_csv", "{file}", "--file", "{changed}"), 1),  # the document has no such profile
        (("guide_csv", "{file}", "--file", "{missing}"), 1),
        (("guide_csv", "{missing}"), 2),
        (("guide_csv", "-", "--file", "-"), 2),
        (("guide_csv", "{file}", "--file", "{changed}", "--owner", "default"), 2),
        (("guide_csv",), 2),
    ],
)
def test_what_is_refused_or_used_wrongly_ends_with_its_code(
    run: Run, file, tmp_path: Path, arguments: tuple[str, ...], exit_code: int
):
    (tmp_path / "bytes").write_bytes(b"\xff\n")
    (tmp_path / "changed").write_text(CHANGED)
    places = {name: tmp_path / name for name in ("bytes", "changed", "missing")}
    places |= {"file": file(guide_row(1)), "empty": file("", " ", name="empty")}
    result = run(*(argument.format(**places) for argument in arguments))
    assert result.stdout == ""
    assert exit_of(result) == exit_code


def exit_of(result: Result) -> int:
    """Return the exit code that the entry point would give."""
    if result.exception is None or isinstance(result.exception, SystemExit):
        return result.exit_code
    return int(getattr(result.exception, "exit_code", 1))
