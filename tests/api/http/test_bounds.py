"""What one caller may send, and how long it may take: by bytes on a socket, each bound next to a request within it."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from tests.fixtures.mill import GUIDE_ROW, PATH, Mill, mill
from tests.fixtures.processes import wait_until
from tests.fixtures.served import Caller, served

from ratemill.api.http.protocol import FRAMING_BYTES
from ratemill.settings import Settings
from ratemill.store.connections import Database

ROWS = f"POST {PATH}/DataImport/Usage/guideFeed"
BODY = json.dumps({"data": [GUIDE_ROW]}).encode()
CHUNKED = "Transfer-Encoding: chunked"


@pytest.fixture(scope="module")
def served_mill(database: Database, settings: Settings) -> Iterator[tuple[Mill, int]]:
    with mill(database, settings) as made, served(database, settings) as port:
        yield made, port


@pytest.fixture(scope="module")
def port(served_mill: tuple[Mill, int]) -> int:
    return served_mill[1]


@pytest.fixture(scope="module")
def bearer(served_mill: tuple[Mill, int]) -> str:
    return f"Authorization: Bearer {served_mill[0].token}"


@pytest.fixture
def caller(port: int) -> Iterator[Caller]:
    with Caller(port) as connected:
        yield connected


def post_rows(caller: Caller, bearer: str) -> int:
    return caller.head(ROWS, bearer, f"Content-Length: {len(BODY)}").send(BODY).status()


def chunk(data: bytes, extension: bytes = b"") -> bytes:
    return b"%x%s\r\n%s\r\n" % (len(data), extension, data)


def assert_closed_with(caller: Caller, status: int) -> str:
    answered, fields, body = caller.answer()
    assert (answered, fields["connection"]) == (status, "close")
    assert (fields["cache-control"], fields["x-content-type-options"]) == ("no-store", "nosniff")
    assert caller.is_closed()
    return body.decode()


# the head


def test_a_head_up_to_its_bounds_is_read(caller, bearer):
    fields = [f"X-{number}: 1" for number in range(97)]
    assert post_rows(caller, bearer) == 200
    assert caller.head("GET /livez", bearer, "X: " + 65_000 * "x").status() < 500
    assert caller.head("GET /livez", bearer, *fields).status() < 500
    assert caller.head("GET /livez?" + 30_000 * "x").status() < 500


@pytest.mark.parametrize(
    ("data", "status"),
    [
        ("GET / HTTP/1.1\r\nHost: localhost\r\nX: " + 66_000 * "x" + "\r\n\r\n", 431),
        ("GET / HTTP/1.1\r\nHost: localhost\r\nX: " + 120_000 * "x", 431),  # without an end
        ("GET / HTTP/1.1\r\n" + "".join(f"X-{number}: 1\r\n" for number in range(101)) + "\r\n", 431),
        ("GET /" + 33_000 * "x" + " HTTP/1.1\r\n\r\n", 414),
        ("GET /" + 33_000 * "x", 414),
        ("GET / HTTP/3.1\r\n\r\n", 400),
        ("G\x00T / HTTP/1.1\r\n\r\n", 400),
        ("CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (f"{ROWS} HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (f"{ROWS} HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", 400),
        (f"{ROWS} HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc", 400),
        (f"{ROWS} HTTP/1.1\r\nContent-Length: +3\r\n\r\nabc", 400),
        (f"{ROWS} HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\nabc", 400),
        (f"{ROWS} HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
        (f"{ROWS} HTTP/1.1\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400),
        (f"{ROWS} HTTP/1.1\r\nUpgrade: h2c\r\nConnection: upgrade\r\nContent-Length: 3\r\n\r\nabc", 400),
    ],
)
def test_a_head_beyond_a_bound_or_with_two_readings_is_refused_and_the_connection_closed(
    caller, port, bearer, data, status
):
    message = assert_closed_with(caller.send(data), status)
    assert message.endswith(".")
    with Caller(port) as healthy:
        assert post_rows(healthy, bearer) == 200


def test_a_head_that_does_not_arrive_in_time_is_answered_with_408_and_one_that_does_not_begin_is_closed(
    database, settings
):
    bounded = settings.model_copy(update={"head_s_max": 0.5})
    with served(database, bounded) as port, Caller(port) as slow, Caller(port) as silent:
        slow.send("GET /livez HTTP/1.1\r\nHost: ")
        assert "0.5 seconds" in assert_closed_with(slow, 408)
        assert silent.is_closed()


def test_an_idle_connection_is_closed_and_one_in_use_is_not(database, settings):
    with served(database, settings.model_copy(update={"keep_alive_s": 1})) as port, Caller(port) as caller:
        for _ in range(3):
            assert caller.head("GET /livez").status() < 500
        assert caller.is_closed()


def test_one_connection_too_many_gets_503_and_there_is_room_again_once_another_ends(database, settings):
    with served(database, settings.model_copy(update={"connections_max": 3})) as port, ExitStack() as stack:
        used = [stack.enter_context(Caller(port)) for _ in range(3)]
        assert [caller.head("GET /livez").status() < 500 for caller in used] == 3 * [True]
        with Caller(port) as one_too_many:
            assert "3 connections" in assert_closed_with(one_too_many, 503)
        used[0].socket.close()

        def is_served() -> bool:
            with Caller(port) as another:
                return another.head("GET /openapi.json").status() != 503

        wait_until(is_served)


# the body


def test_a_body_of_tiny_chunks_with_extensions_and_trailers_is_read_within_its_bounds(caller, bearer):
    parts = b"".join(chunk(BODY[at : at + 1], b";name=value") for at in range(len(BODY)))
    assert caller.head(ROWS, bearer, CHUNKED).send(parts + b"0\r\nX-Trailer: 1\r\n\r\n").status() == 200
    assert post_rows(caller, bearer) == 200


@pytest.mark.parametrize(
    "data",
    [
        40_000 * chunk(b" "),
        chunk(b" ", b";" + 3 * FRAMING_BYTES * b"x"),
        b"1;" + 6 * FRAMING_BYTES * b"x",
        b"0\r\n" + b"".join(b"X-%d: 1\r\n" % number for number in range(101)) + b"\r\n",
        b"x\r\n",
        b"-1\r\n",
        b"ffffffffffffffffff\r\n",
    ],
)
def test_a_body_that_is_mostly_framing_or_is_framed_wrongly_is_refused(caller, port, bearer, data):
    caller.head(ROWS, bearer, CHUNKED)
    for at in range(0, len(data), 16_384):
        caller.send(data[at : at + 16_384])
    status = caller.status()
    assert status in {400, 431}
    with Caller(port) as healthy:
        assert post_rows(healthy, bearer) == 200


def test_a_trailer_is_never_taken_for_a_header_field(caller, bearer):
    caller.head(ROWS, CHUNKED).send(chunk(BODY) + f"0\r\n{bearer}\r\n\r\n".encode())
    assert caller.status() == 401


def test_a_body_that_pauses_for_too_long_is_given_up_and_one_that_trickles_is_not(
    database, settings, served_mill, bearer
):
    bounded = settings.model_copy(update={"body_pause_s_max": 3.0})
    with served(database, bounded) as port, Caller(port) as paused, Caller(port) as trickling:
        paused.head(ROWS, bearer, f"Content-Length: {len(BODY)}").send(BODY[:10])
        trickling.head(ROWS, bearer, f"Content-Length: {len(BODY)}")
        begun, sent = time.monotonic(), 0
        while time.monotonic() < begun + 4.0:  # longer than the pause that ends the other one
            trickling.send(BODY[sent : sent + 1])
            sent += 1
            assert trickling.hears_nothing(0.1)
        assert trickling.send(BODY[sent:]).status() == 200
        assert "3 seconds" in assert_closed_with(paused, 408)


def test_a_caller_who_expects_to_be_told_so_is_told_to_go_on(caller, bearer):
    caller.head(ROWS, bearer, f"Content-Length: {len(BODY)}", "Expect: 100-continue")
    assert caller.status() == 100
    assert caller.send(BODY).status() == 200


def test_an_answer_that_is_not_read_is_given_up(database, settings, served_mill, bearer):
    """The caller asks for more than the systems on the way keep, and reads none of it."""
    bounded = settings.model_copy(update={"answer_pause_s_max": 1.0})
    asked = f"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n{bearer}\r\n\r\n".encode()
    with served(database, bounded) as port, Caller(port) as caller:

        def is_given_up() -> bool:
            try:
                caller.socket.send(asked, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return False
            except (ConnectionResetError, BrokenPipeError):
                return True
            return False

        wait_until(is_given_up)


def test_requests_sent_ahead_are_answered_in_order_up_to_a_bound(database, settings, served_mill, bearer):
    request = f"GET {PATH}/DataImport/History/Paged HTTP/1.1\r\nHost: localhost\r\n{bearer}\r\n\r\n"
    with served(database, settings.model_copy(update={"pipelined_requests_max": 4})) as port:
        with Caller(port) as caller:
            caller.send(5 * request)
            assert [caller.status() for _ in range(5)] == 5 * [200]
            assert caller.head("GET /livez").status() < 500
        with Caller(port) as caller:
            caller.send(50 * request)
            assert [caller.status() for _ in range(5)] == 5 * [200]
            assert caller.is_closed()


def test_a_request_that_cannot_be_read_ends_the_connection_after_the_answers_before_it(caller, bearer):
    good = f"GET {PATH}/DataImport/History/Paged HTTP/1.1\r\nHost: localhost\r\n{bearer}\r\n\r\n"
    caller.send(good + "NONSENSE\r\n\r\n" + good)
    assert caller.status() == 200
    assert caller.is_closed()
