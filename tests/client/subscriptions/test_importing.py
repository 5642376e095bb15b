"""A file of subscription objects is sent once: against a pretended server that loses answers and refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from ratemill.client import calls
from ratemill.client.calls import Client
from ratemill.client.errors import ChangedFile, Rejection, Unreachable
from ratemill.client.run import ImportMonitor
from ratemill.client.subscriptions import importing
from ratemill.client.subscriptions.importing import (
    SubscriptionImportOptions,
    SubscriptionImportResult,
    import_subscriptions,
)
from ratemill.client.subscriptions.journal import SubscriptionJournal

CONTENT = b'{"data":{"type":"subscription_product","attributes":{"name":"First"}}}\n'


class Pretended:
    """A server that takes files; ``trouble`` is what happens to each sending: lost, its answer lost, or a status."""

    def __init__(self, *trouble: str | int) -> None:
        self.trouble = list(trouble)
        self.taken: list[tuple[str, bytes]] = []
        self.sendings = 0

    def client(self, **options: Any) -> Client:
        return Client("http://mill", "secret", transport=httpx.MockTransport(self.answer), **options)

    def answer(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return self._take(request)
        if request.url.path.endswith("/imports"):
            ref = request.url.params["filter"].removeprefix('eq(external_ref,"').removesuffix('")')
            known = [number for number, (each, _) in enumerate(self.taken) if each == ref]
            return httpx.Response(200, json={"data": [shown(number) for number in known[-1:]]})
        number = int(request.url.path.rsplit("/", 1)[1])
        if number >= len(self.taken):
            return refusal(404, "Not Found")
        return httpx.Response(200, json={"data": shown(number)})

    def _take(self, request: httpx.Request) -> httpx.Response:
        self.sendings += 1
        trouble = self.trouble.pop(0) if self.trouble else ""
        if trouble == "lost":
            raise httpx.ConnectError("refused")
        if isinstance(trouble, int):
            return refusal(trouble, "No")
        body = request.read()
        ref = body.split(b'name="external_ref"\r\n\r\n')[1].split(b"\r\n")[0].decode()
        self.taken.append((ref, body.split(b"\r\n\r\n")[2].rsplit(b"\r\n", 2)[0]))
        if trouble == "answer lost":
            raise httpx.ReadError("reset")
        return httpx.Response(201, json={"data": shown(len(self.taken) - 1)})


def shown(number: int) -> dict[str, Any]:
    lines = {"total": 1, "imported": 1, "refused": 0, "errors": 0}
    return {"id": str(number), "attributes": {"status": "success"}, "meta": {"lines": lines}}


def refusal(status: int, title: str) -> httpx.Response:
    return httpx.Response(status, json={"errors": [{"title": title, "status": str(status), "detail": "why"}]})


@pytest.fixture(autouse=True)
def _in_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (calls, importing):
        monkeypatch.setattr(module, "backoff", lambda _: 0.0)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "data.jsonl"
    path.write_bytes(CONTENT)
    return path


def run(
    server: Pretended, file: Path, *, journal: str = "journal", retry_s: float = 60, **asked: Any
) -> SubscriptionImportResult:
    watched = ImportMonitor(SubscriptionImportResult(str(file)))
    with SubscriptionJournal(file.with_name(journal)) as held, server.client(retry_s=retry_s) as client:
        return import_subscriptions(
            client, file, SubscriptionImportOptions(file.name, retry_s=retry_s, **asked), held, watched
        )


@pytest.mark.parametrize("trouble", [[], ["lost"], ["lost", 500, 503, 429], ["answer lost"], [500, "answer lost"]])
def test_a_file_arrives_once_whatever_is_lost(file: Path, trouble: list[str | int]):
    server = Pretended(*trouble)
    outcome = run(server, file)
    assert outcome.is_good
    assert [content for _, content in server.taken] == [CONTENT]
    assert run(server, file).already_imported
    assert len(server.taken) == 1


def test_a_reference_of_the_caller_that_was_used_before_does_not_pass_for_an_arrival(file: Path):
    server = Pretended("lost", "answer lost")
    server.taken.append(("mine", b"an older file"))
    run(server, file, external_ref="mine")
    assert [content for _, content in server.taken] == [b"an older file", CONTENT]


def test_a_stop_before_the_answer_is_mended_by_the_same_command(file: Path):
    server = Pretended("answer lost")
    with pytest.raises(Unreachable):
        run(Lost(server), file, retry_s=0)  # type: ignore[arg-type]
    assert len(server.taken) == 1
    assert run(server, file).is_good
    assert len(server.taken) == 1


class Lost:
    """A server whose every answer is lost."""

    def __init__(self, server: Pretended) -> None:
        self._server = server

    def client(self, **options: Any) -> Client:
        return Client("http://mill", "secret", transport=httpx.MockTransport(self._answer), **options)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return self._server.answer(request)
        raise httpx.ConnectError("gone")


def test_what_the_server_refuses_is_not_sent_again(file: Path):
    server = Pretended(400)
    with pytest.raises(Rejection) as caught:
        run(server, file)
    assert [fault.message for fault in caught.value.faults] == ["No: why"]
    assert server.sendings == 1


def test_a_conflict_after_a_lost_sending_is_looked_into_and_one_at_once_is_not(file: Path):
    assert run(Pretended("lost", 409), file).is_good
    server = Pretended(409)
    with pytest.raises(Rejection):
        run(server, file, journal="another")
    assert server.sendings == 1


def test_another_content_another_switch_or_again_is_another_import(file: Path):
    server = Pretended()
    for upsert, again in ((False, False), (True, False), (True, True)):
        assert not run(server, file, upsert=upsert, again=again).already_imported
    file.write_bytes(CONTENT * 2)
    assert not run(server, file, upsert=True).already_imported
    assert len(server.taken) == 4


def test_a_server_that_does_not_know_the_import_is_noticed(file: Path):
    run(Pretended(), file)
    journal = file.with_name("journal")
    journal.write_text("".join(journal.read_text().splitlines(keepends=True)[:2]))
    other = Pretended()
    with pytest.raises(ChangedFile):
        run(other, file)
    assert other.sendings == 0
    assert run(other, file, again=True).is_good
