"""A file goes in once: after a stop at any place, with its journal or without, and anew only on purpose."""

import gzip
import json
import re
from pathlib import Path

import pytest
from tests.client.pretended import Server, breaks, refuses

from ratemill.client import calls, files
from ratemill.client.errors import ChangedFile, ImportIsLate, ImportIsRunning, Rejection, Unreachable, UnreadableFile
from ratemill.client.run import ImportMonitor
from ratemill.client.usage import importing
from ratemill.client.usage.importing import UsageImportResult, import_file
from ratemill.client.usage.journal import Journal
from ratemill.client.usage.targets import TargetOptions, find_feed, target_of

ROWS = [f"row {number}" for number in range(4_500)]


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(calls, "BACKOFF_S_MIN", 0.0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "usage.csv"
    path.write_text("\n".join(ROWS))
    return path


def run(
    server: Server,
    path: Path,
    *,
    asked: TargetOptions | None = None,
    again: bool = False,
    late: bool = False,
    retry_s: float = 0.0,
) -> UsageImportResult:
    with server.client(retry_s=retry_s) as client, Journal(path.with_suffix(".journal")) as journal:
        target = target_of(find_feed(client, "Guide Feed"), path, asked or TargetOptions())
        outcome = UsageImportResult(path.name, "Guide Feed")
        return import_file(client, target, path, journal, ImportMonitor(outcome), again=again, late=late, in_flight=2)


def rejecting_request(number: int):
    """Fail with the request of that number, whenever it comes."""

    def fail(request):
        return refuses(400, 1400)(request) if f"-{number}-" in request.headers.get("Idempotency-Key", "") else None

    return fail


def test_a_file_goes_in_record_by_record_in_requests_of_a_thousand(path: Path):
    server = Server()
    outcome = run(server, path)
    assert server.records == ROWS
    assert (outcome.records, outcome.requests, len(outcome.tracking_ids)) == (4_500, 5, 5)
    assert [len(each) for each in server.taken.values()] == [1_000] * 4 + [500]


def test_an_import_that_was_stopped_goes_on_where_it_ended(path: Path):
    server = Server(failures=[rejecting_request(3)] * 10)
    with pytest.raises(Rejection):
        run(server, path)
    server.failures, server.calls = [], []
    outcome = run(server, path)
    assert outcome.requests_resumed >= 2
    assert len([call for call in server.calls if call.method == "POST"]) == 5 - outcome.requests_resumed
    assert server.records == ROWS


def test_requests_that_came_through_beside_one_that_failed_are_noted(path: Path):
    server = Server(failures=[rejecting_request(1)] * 10)
    with pytest.raises(Rejection):
        run(server, path)
    with Journal(path.with_suffix(".journal")) as journal:
        assert journal.last
        assert {key.split("-")[1] for key in server.taken} == {str(number) for number in journal.last.answered}


def test_an_answer_that_was_not_noted_is_given_again_and_nothing_is_doubled(path: Path):
    server = Server()
    run(server, path)
    journal = path.with_suffix(".journal")
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:3]) + lines[3][:20])  # two answers, and a line torn by a crash
    outcome = run(server, path)
    assert (outcome.requests_resumed, outcome.requests_replayed, outcome.requests) == (2, 3, 5)
    assert server.records == ROWS


def test_without_its_journal_the_server_answers_every_request_again(path: Path):
    server = Server()
    first = run(server, path)
    path.with_suffix(".journal").unlink()
    second = run(server, path)
    assert second.requests_replayed == 5
    assert second.tracking_ids == first.tracking_ids
    assert server.records == ROWS


def test_the_same_content_is_the_same_import_packed_or_not(path: Path):
    server = Server()
    run(server, path)
    packed = path.with_name("other.csv.gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    assert run(server, packed).requests_replayed == 5


def test_a_file_that_was_imported_is_not_sent_again_but_on_purpose(path: Path):
    server = Server()
    first = run(server, path)
    before = len(server.taken)
    second = run(server, path)
    assert second.already_imported
    assert second.tracking_ids == first.tracking_ids
    assert len(server.taken) == before
    again = run(server, path, again=True)
    assert not again.already_imported
    assert len(server.taken) == 2 * before


def test_again_goes_on_with_an_import_that_is_not_done(path: Path):
    server = Server()
    run(server, path)
    server.failures = [rejecting_request(3)] * 10
    with pytest.raises(Rejection):
        run(server, path, again=True)
    server.failures = []
    run(server, path, again=True)
    assert len(server.taken) == 10


def test_another_content_under_the_same_name_is_another_import_and_the_first_stays_known(path: Path):
    server = Server()
    run(server, path)
    path.write_text("another day\n")
    assert run(server, path).records == 1
    path.write_text("\n".join(ROWS))
    assert run(server, path).already_imported
    assert len(server.taken) == 6


def test_a_file_that_has_grown_is_not_sent_whole_again(path: Path):
    server = Server()
    run(server, path)
    path.write_text("\n".join([*ROWS, "one more"]))
    with pytest.raises(ChangedFile, match="has grown"):
        run(server, path)
    assert len(server.taken) == 5
    run(server, path, again=True)
    assert len(server.taken) == 10


def test_a_file_that_changed_before_its_import_was_done_is_not_sent(path: Path):
    server = Server(failures=[rejecting_request(3)] * 10)
    with pytest.raises(Rejection):
        run(server, path)
    server.failures = []
    path.write_text("\n".join(ROWS[1:]))
    with pytest.raises(ChangedFile, match="not done"):
        run(server, path)


def test_a_journal_of_another_server_is_not_believed(path: Path):
    run(Server(), path)
    server = Server()
    with pytest.raises(ChangedFile, match="another server"):
        run(server, path)
    run(server, path, again=True)
    assert server.records == ROWS


def test_a_file_that_changes_while_it_is_sent_is_noticed(path: Path, monkeypatch: pytest.MonkeyPatch):
    looked = files.survey

    def survey_then_change(*args, **kwargs):
        found = looked(*args, **kwargs)
        path.write_text("another\n")
        return found

    monkeypatch.setattr(importing, "survey", survey_then_change)
    with pytest.raises(ChangedFile, match="while it was imported"):
        run(Server(), path)


def test_nothing_is_sent_of_a_file_that_cannot_be_read(path: Path):
    path.write_bytes(path.read_bytes() + b"\ncaf\xe9\n")
    server = Server()
    with pytest.raises(UnreadableFile) as caught:
        run(server, path)
    assert caught.value.line == 4_501
    assert not server.taken
    path.write_text("\n".join(ROWS))
    assert run(server, path).records == 4_500


def test_a_server_that_goes_away_for_a_while_costs_nothing(path: Path):
    server = Server()
    server.failures = [lambda _: None, breaks, lambda _: None, breaks, refuses(503, 1503)]
    assert run(server, path, retry_s=60).records == 4_500
    assert server.records == ROWS


def test_a_server_that_stays_away_leaves_an_import_to_go_on_with(path: Path):
    server = Server(failures=[lambda _: None, lambda _: None, *[breaks] * 20])
    with pytest.raises(Unreachable):
        run(server, path)
    server.failures = []
    run(server, path)
    assert server.records == ROWS


def test_an_import_that_stopped_long_ago_goes_on_only_when_asked_to(path: Path):
    server = Server(failures=[rejecting_request(3)] * 10)
    with pytest.raises(Rejection):
        run(server, path)
    server.failures = []
    journal = path.with_suffix(".journal")
    journal.write_text(re.sub(r'"at":"[^"]*"', '"at":"2020-01-01T00:00:00.000Z"', journal.read_text()))
    with pytest.raises(ImportIsLate, match="from number 3 on"):
        run(server, path)
    assert run(server, path, late=True).records == 4_500
    assert server.records == ROWS


def test_two_imports_of_one_file_do_not_run_at_once(path: Path):
    with Journal(path.with_suffix(".journal")), pytest.raises(ImportIsRunning):
        run(Server(), path)


@pytest.mark.parametrize("content", ["", "\n \n", "\ufeff"])
def test_a_file_without_a_record_is_imported_without_a_request(path: Path, content: str):
    path.write_text(content)
    server = Server()
    assert (run(server, path).requests, server.taken) == (0, {})
    assert run(server, path).already_imported


@pytest.mark.parametrize(
    ("profile", "name", "route", "data"),
    [
        ("csv", "a.jsonl", "Json/Multi/1", [{"a": 1}]),
        ("json", "a.jsonl", "Usage/1", ['{"a":1}']),
        ("json", "a.txt", "Usage/1", ['{"a":1}']),
        ("columnar", "a.txt", "Usage/1", ['{"a":1}']),
        ("columnar", "a.ndjson", "Json/Multi/1", [{"a": 1}]),
    ],
)
def test_objects_go_where_the_feed_takes_them(tmp_path: Path, profile: str, name: str, route: str, data: list[object]):
    path = tmp_path / name
    path.write_text('{"a":1}\n')
    server = Server()
    server.feed["dataProfileFormat"] = profile
    run(server, path)
    assert server.records == data
    assert server.calls[-1].url.path.endswith(route)


def test_the_journal_is_json_that_a_person_can_read(path: Path):
    run(Server(), path)
    lines = [json.loads(line) for line in path.with_suffix(".journal").read_text().splitlines()]
    assert [next(iter(line)) for line in lines] == ["import", *["request"] * 5, "done"]
    assert [line["line"] for line in lines[1:-1]] == [1, 1_001, 2_001, 3_001, 4_001]
