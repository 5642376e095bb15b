"""An import of items: every page once, whatever stops it; one batch, submitted once; the faults of all pages together."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import httpx
import pytest

from ratemill.client import calls
from ratemill.client import run as client_run
from ratemill.client.calls import Client
from ratemill.client.characteristics.importing import (
    ItemImportOptions,
    ItemImportResult,
    import_items,
)
from ratemill.client.characteristics.items import look_through
from ratemill.client.characteristics.journal import ItemJournal
from ratemill.client.errors import ChangedFile, Rejection, Unreachable
from ratemill.client.run import ImportMonitor

GUID = "00000000-0000-0000-0000-00000000000{}"
BATCH = re.compile(r"/api/Import/User7s/Batch/(\d+)(/clear)?\Z")


@dataclass
class Batches:
    """A pretended server of batches; ``trouble`` is asked first, with each request."""

    trouble: Any = lambda _: None
    pages: dict[int, dict[int, list[Any]]] = field(default_factory=dict)
    states: dict[int, str] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    dry_run: bool = False
    lock: Lock = field(default_factory=Lock)

    def client(self) -> Client:
        return Client("http://mill", "secret", transport=httpx.MockTransport(self.answer), retry_s=0.0)

    def answer(self, request: httpx.Request) -> httpx.Response:
        with self.lock:
            self.calls.append(f"{request.method} {request.url.path}?{request.url.query.decode()}".rstrip("?"))
            return self.trouble(request) or self._answer(request)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        path, content = request.url.path, json.loads(request.content or b"null")
        if path == "/api/Import/User7s/Batch":
            number = len(self.pages) + 1
            self.pages[number], self.states[number] = {}, "open"
            return done({"batchId": number, "jobQueueGuid": GUID.format(number)}, 201)
        if job := re.match(r"/api/Import/Jobs/.*(\d)\Z", path):
            return self._job(int(job[1]))
        found = BATCH.match(path)
        assert found, path
        number = int(found[1])
        if found[2]:
            self.states[number] = "cleared"
        elif content is not None:
            assert self.states[number] == "open"
            self.pages[number][content["pageNumber"]] = content["items"]
        elif self.states[number] == "open":
            self.dry_run = "dryRun" in request.url.query.decode()
            self.states[number] = "open" if self.dry_run else "completed"
        else:
            return refusal(409, "submitted before", "")
        return done({})

    def _job(self, number: int) -> httpx.Response:
        if number not in self.states:
            return refusal(404, "no such job", "")
        items = sum(map(len, self.pages[number].values()))
        ended = "completed" if self.dry_run else None
        job = {"state": self.states[number], "dryRun": self.dry_run, "dryRunState": ended, "refusedCount": 0}
        return done({**job, "completedCountNumber": items})


def done(result: object, status: int = 200) -> httpx.Response:
    return httpx.Response(status, json={"result": result, "errors": [], "hasErrors": False})


def refusal(status: int, message: str, path: str) -> httpx.Response:
    errors = [{"code": "wrong", "message": message, "property": path}]
    return httpx.Response(status, json={"result": None, "errors": errors, "hasErrors": True})


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(calls, "BACKOFF_S_MIN", 0.0)
    monkeypatch.setattr(client_run, "LOOK_S", 0.0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path / "items.jsonl", 10)


def write(path: Path, count: int) -> Path:
    path.write_text("".join(json.dumps({"id": f"P{number}"}) + "\n" for number in range(count)))
    return path


def run(server: Batches, path: Path, **asked: Any) -> ItemImportResult:
    file, outcome = look_through(path, "jsonl"), ItemImportResult(path.name, 7)
    with server.client() as client, ItemJournal(path.with_suffix(".journal")) as journal:
        wanted = ItemImportOptions(7, path.name, page_size=2, in_flight=2, **asked)
        return import_items(client, file, wanted, journal, ImportMonitor(outcome))


def failing(page: int, answer: httpx.Response | None = None):
    """Fail with one page, by an answer or by a lost connection."""

    def trouble(request: httpx.Request) -> httpx.Response | None:
        if request.method != "PATCH" or not request.content or json.loads(request.content)["pageNumber"] != page:
            return None
        if answer is None:
            raise httpx.ConnectError("lost")
        return answer

    return trouble


def ids(pages: dict[int, list[Any]]) -> list[str]:
    return [item["id"] for number in sorted(pages) for item in pages[number]]


def test_a_file_goes_into_one_batch_that_is_submitted_when_all_of_it_is_there(path: Path):
    server = Batches()
    outcome = run(server, path)
    assert (outcome.is_good, outcome.items, outcome.pages, outcome.pages_resumed) == (True, 10, 5, 0)
    assert ids(server.pages[1]) == [f"P{number}" for number in range(10)]
    assert server.calls[-2] == "PATCH /api/Import/User7s/Batch/1?Submit"


def test_a_dry_run_says_so_when_it_submits_and_leaves_a_batch_that_needs_no_page_again(path: Path):
    server = Batches()
    outcome = run(server, path, dry_run=True)
    assert (outcome.is_good, outcome.dry_run, outcome.submitted) == (True, True, False)
    assert server.calls[-2] == "PATCH /api/Import/User7s/Batch/1?Submit&dryRun"
    run(server, path, dry_run=True)
    server.calls = []
    outcome = run(server, path)
    assert (outcome.batch_id, outcome.pages_resumed, outcome.dry_run, outcome.is_good) == (1, 5, False, True)
    assert [call for call in server.calls if "PATCH" in call] == ["PATCH /api/Import/User7s/Batch/1?Submit"]


def test_a_dry_run_of_what_was_imported_well_says_so(path: Path):
    server = Batches()
    run(server, path)
    outcome = run(server, path, dry_run=True)
    assert (outcome.already_imported, outcome.is_good, outcome.dry_run) == (True, True, False)


def test_a_file_that_was_mended_after_a_dry_run_gets_a_batch_of_its_own(path: Path):
    server = Batches()
    run(server, path, dry_run=True)
    outcome = run(server, write(path, 8))
    assert (outcome.batch_id, outcome.is_good, server.states) == (2, True, {1: "cleared", 2: "completed"})


def test_an_import_that_was_stopped_sends_what_is_missing_only(path: Path):
    server = Batches(failing(2))
    with pytest.raises(Unreachable):
        run(server, path)
    answered = len(server.pages[1])
    server.trouble, server.calls = (lambda _: None), []
    outcome = run(server, path)
    assert outcome.pages_resumed == answered >= 2
    assert sum("PATCH" in call and "Submit" not in call for call in server.calls) == 5 - answered
    assert ids(server.pages[1]) == [f"P{number}" for number in range(10)]
    assert len(server.pages) == 1


def test_a_submit_whose_answer_was_lost_is_found_to_have_been_taken(path: Path):
    def lose_the_submit(request: httpx.Request) -> None:
        if request.url.query == b"Submit":
            server.states[1] = "completed"
            raise httpx.ReadError("lost")

    server = Batches(lose_the_submit)
    with pytest.raises(Unreachable):
        run(server, path)
    server.trouble = lambda _: None
    assert run(server, path).is_good
    assert len(server.pages) == 1


def test_what_was_imported_well_is_not_imported_again_unasked(path: Path):
    server = Batches()
    run(server, path)
    server.calls = []
    assert run(server, path).already_imported
    assert server.calls == []
    assert run(server, path, again=True).batch_id == 2


def test_what_did_not_end_well_is_imported_anew(path: Path):
    """The cause may be mended by now: a parent that was missing, a job that was cancelled."""
    server = Batches()
    run(server, path)
    journal = path.with_suffix(".journal")
    journal.write_text(journal.read_text().replace('"completed"', '"completedWithErrors"'))
    assert run(server, path).batch_id == 2


def test_the_faults_of_all_pages_are_told_at_once_by_their_lines_and_the_batch_is_cleared(path: Path):
    answer = refusal(400, "must be a text", "items[1].id")
    server = Batches(lambda request: failing(1, answer)(request) or failing(4, answer)(request))
    with pytest.raises(Rejection) as raised:
        run(server, path)
    assert [fault.message for fault in raised.value.faults] == [
        "line 4: id: must be a text",
        "line 10: id: must be a text",
    ]
    assert server.states == {1: "cleared"}
    server.trouble = lambda _: None
    assert run(server, path).batch_id == 2


def test_a_file_that_changed_gets_a_batch_of_its_own_and_the_old_one_is_cleared(path: Path):
    server = Batches(failing(3))
    with pytest.raises(Unreachable):
        run(server, path)
    server.trouble = lambda _: None
    assert run(server, write(path, 3)).batch_id == 2
    assert server.states == {1: "cleared", 2: "completed"}
    assert ids(server.pages[2]) == ["P0", "P1", "P2"]


def test_another_server_is_noticed(path: Path):
    with pytest.raises(Unreachable):
        run(Batches(failing(2)), path)
    other = Batches()
    with pytest.raises(ChangedFile, match="another server"):
        run(other, path)
    assert other.pages == {}
    assert run(other, path, again=True).is_good


def test_a_note_that_was_torn_is_cut_off(path: Path):
    server = Batches(failing(3))
    with pytest.raises(Unreachable):
        run(server, path)
    journal = path.with_suffix(".journal")
    journal.write_bytes(journal.read_bytes()[:-5])
    server.trouble = lambda _: None
    assert run(server, path).is_good
    assert ids(server.pages[1]) == [f"P{number}" for number in range(10)]
