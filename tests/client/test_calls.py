"""Calls of the server: which are tried again, for how long, and what the caller learns of those that fail."""

from collections.abc import Mapping
from threading import Event

import httpx
import pytest
from tests.client.pretended import Failure, Server, breaks, refusal, refuses

from ratemill.client import calls
from ratemill.client.errors import Rejection, Unreachable
from ratemill.errors import UsageFault


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(calls, "BACKOFF_S_MIN", 0.0)


def answers(content: Mapping[str, object]) -> Failure:
    """Answer with some content."""
    return lambda _: httpx.Response(200, json=content)


def after_taking(server: Server, failure):
    """Take the request, then fail: the answer is lost."""

    def fail(request: httpx.Request):
        server._answer(request)
        return failure(request)

    return fail


@pytest.mark.parametrize(
    "failure",
    [breaks, refuses(500, 1500), refuses(503, 1503), refuses(409, 1453), refuses(429, 1429, {"Retry-After": "0"})],
)
def test_what_may_pass_is_tried_again_under_the_same_key(failure):
    server = Server()
    server.failures = [failure, after_taking(server, failure), failure]
    answer = server.client().post_rows("1", ["a", "b"], "import-1")
    assert answer.replayed
    assert server.records == ["a", "b"]
    assert {call.headers["Idempotency-Key"] for call in server.calls} == {"import-1"}
    assert len({call.content for call in server.calls}) == 1


@pytest.mark.parametrize(
    ("status", "code"), [(400, 1401), (401, 1401), (404, 1451), (409, 1452), (413, 1413), (422, 1422)]
)
def test_what_the_server_refuses_is_not_tried_again_and_says_why(status: int, code: int):
    server = Server(failures=[refuses(status, code)])
    with pytest.raises(Rejection) as caught:
        server.client().post_rows("1", ["a"], "import-1")
    assert (caught.value.status, caught.value.faults[0].code, caught.value.faults[0].row) == (status, code, 3)
    assert len(server.calls) == 1


def test_a_server_that_stays_away_is_given_up_after_the_time_that_was_set():
    server = Server(failures=[breaks] * 10)
    with pytest.raises(Unreachable, match="refused"):
        server.client(retry_s=0.0).post_rows("1", ["a"], "import-1")
    assert len(server.calls) < 10


def test_retry_after_is_honoured_beyond_the_time_that_was_set(monkeypatch: pytest.MonkeyPatch):
    stopping = Event()
    pauses: list[float] = []
    monkeypatch.setattr(stopping, "wait", pauses.append)
    server = Server(failures=[refuses(429, 1429, {"Retry-After": "300"})] * 3)
    server.client(retry_s=1.0, stopping=stopping).post_rows("1", ["a"], "import-1")
    assert pauses == [300.0] * 3


def test_retry_after_may_be_a_date():
    response = httpx.Response(503, headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"})
    assert calls._retry_after(response) == 0.0
    assert calls._retry_after(httpx.Response(503, headers={"Retry-After": "soon"})) is None


def test_once_it_is_told_to_stop_a_client_does_not_try_again():
    stopping = Event()
    stopping.set()
    server = Server(failures=[breaks] * 10)
    with pytest.raises(Unreachable):
        server.client(stopping=stopping).post_rows("1", ["a"], "import-1")
    assert len(server.calls) == 1


def test_a_pause_grows_and_has_a_limit(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(calls, "BACKOFF_S_MIN", 0.2)
    assert 0.1 <= calls.backoff(0) <= 0.2
    assert 0.8 <= calls.backoff(3) <= 1.6
    assert calls.backoff(1_000) <= calls.BACKOFF_S_MAX


def test_an_answer_that_is_not_from_ratemill_is_named_as_such():
    page = httpx.Response(200, text="<html>Welcome</html>", request=httpx.Request("GET", "http://mill/"))
    with pytest.raises(Rejection, match="not from Ratemill"):
        Server(failures=[lambda _: page]).client().feed("Guide Feed")
    with pytest.raises(Rejection, match="Bad gateway"):
        Server(failures=[lambda _: httpx.Response(403, text="Bad gateway")]).client().feed("Guide Feed")


def test_a_list_is_read_page_by_page_to_its_end():
    pages = [["a"] * 2, ["b"] * 2, ["c"]]
    server = Server(failures=[answers({"pagedResults": {"items": page}}) for page in pages])
    listed: list[object] = list(server.client().pages("/Udr/Charge/Paged", {"trackingId": "t"}, page_size=2))
    assert listed == list("aabbc")
    assert [call.url.params["pageNumber"] for call in server.calls] == ["1", "2", "3"]
    assert {call.url.params["trackingId"] for call in server.calls} == {"t"}


def test_a_page_that_ends_at_its_bytes_is_gone_on_with():
    pages = [(["a"], 1), (["b", "c"], None), (["d"], None)]
    replies = [{"pagination": {"next": on} if on else {}, "pagedResults": {"items": items}} for items, on in pages]
    server = Server(failures=[answers(each) for each in replies])
    assert list(map(str, server.client().pages("/Udr/Charge/Paged", {}, page_size=3))) == list("abcd")
    asked = [(call.url.params["pageNumber"], call.url.params.get("pageOffset")) for call in server.calls]
    assert asked == [("1", None), ("1", "1"), ("2", None)]


def test_a_history_is_waited_for_until_it_is_done():
    states = ["Accepted", "Processing", "Done"]
    history = [{"instance": {"dataImportHistoryStatusTypeName": state}} for state in states]
    server = Server(failures=[answers(each) for each in history])
    assert server.client().status("t", wait_s=60)["dataImportHistoryStatusTypeName"] == "Done"
    assert [call.url.params["wait"] for call in server.calls] == ["10"] * 3


def test_a_write_without_a_key_is_never_sent_twice():
    server = Server(failures=[lambda _: refusal(503, 1503)])
    with pytest.raises(Unreachable):
        server.client().post("/UsageRatedExceptionSchedule/Reprocess", {"all": True})
    assert len(server.calls) == 1


def test_an_address_without_a_scheme_is_a_wrong_use():
    with pytest.raises(UsageFault) as caught:
        calls.Client("localhost:8080", "secret")
    assert caught.value.exit_code == 2
