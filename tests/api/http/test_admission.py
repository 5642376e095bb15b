"""No byte of a body is read before its token is known, on any route; an owner's bodies are bounded in number and memory."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from starlette.routing import Route
from tests.fixtures.mill import GUIDE_ROW, PATH, Mill, mill
from tests.fixtures.processes import wait_until
from tests.fixtures.served import Caller, served

from ratemill.access.owners import ensure
from ratemill.access.tokens import create_token
from ratemill.api.http.auth import PUBLIC
from ratemill.api.server import create_app
from ratemill.settings import Settings
from ratemill.store.connections import Database, driver

ROWS = f"POST {PATH}/DataImport/Usage/guideFeed"
BODY = json.dumps({"data": [GUIDE_ROW]}).encode()
LARGE = "Content-Length: 16000000"


@pytest.fixture(scope="module")
def served_mill(database: Database, settings: Settings) -> Iterator[tuple[Mill, int]]:
    with mill(database, settings) as made, served(database, settings) as port:
        yield made, port


@pytest.fixture(scope="module")
def mine(served_mill: tuple[Mill, int]) -> Mill:
    return served_mill[0]


@pytest.fixture(scope="module")
def port(served_mill: tuple[Mill, int]) -> int:
    return served_mill[1]


@pytest.fixture(scope="module")
def bearer(mine: Mill) -> str:
    return f"Authorization: Bearer {mine.token}"


@pytest.fixture
def caller(port: int) -> Iterator[Caller]:
    with Caller(port) as connected:
        yield connected


def filled(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "1", path.replace("{named:characteristics}", "User1s"))


def requests() -> list[tuple[str, str]]:
    routes = [route for route in create_app(None, Settings()).routes if isinstance(route, Route)]  # type: ignore[arg-type]
    return [(method, filled(route.path)) for route in routes for method in sorted(route.methods or ())]


def test_every_route_answers_a_large_body_without_a_token_before_any_of_it_is_sent(port):
    """Those that need no token refuse it for its size, with the status of their dialect. GET may have one too."""
    public = {path.lower() for path in PUBLIC}
    for method, path in requests():
        with Caller(port) as caller:
            caller.head(f"{method} {path}", LARGE)
            head = caller.read_head()
        allowed = {400, 413} if path.lower() in public else {401, 403}
        assert (method, path, head[0]) == (method, path, head[0] if head[0] in allowed else allowed)
        assert head[1]["connection"] == "close"


@pytest.mark.parametrize("token", ["", "Authorization: Bearer wrong", "Authorization: Basic wrong"])
@pytest.mark.parametrize("framing", [LARGE, "Transfer-Encoding: chunked"])
def test_a_caller_who_goes_on_sending_reads_the_refusal(caller, port, bearer, token, framing):
    caller.head(ROWS, framing, *filter(None, [token]))
    for _ in range(100):
        caller.send(b"10000\r\n" + 65_536 * b" " + b"\r\n")
    status, fields, _ = caller.answer()
    assert (status, fields["connection"]) == (401, "close")
    with Caller(port) as healthy:
        assert healthy.head(ROWS, bearer, f"Content-Length: {len(BODY)}").send(BODY).status() == 200


def test_a_token_that_is_revoked_is_refused_by_the_next_request(caller, mine, database):
    secret = create_token(database, owner_name=mine.owner, role="admin", name="soon revoked")
    fields = [f"Authorization: Bearer {secret}", f"Content-Length: {len(BODY)}"]
    assert caller.head(ROWS, *fields).send(BODY).status() == 200
    with database.worker() as connection:
        driver(connection).execute("update tokens set revoked_at = clock_timestamp() where name = 'soon revoked'")
    assert caller.head(ROWS, *fields).send(BODY).status() == 401


def test_the_body_of_a_login_is_small(caller, mine):
    path = "POST /oauth/access_token"
    form = f"grant_type=client_credentials&client_id=tester&client_secret={mine.token}".encode()
    kind = "Content-Type: application/x-www-form-urlencoded"
    assert caller.head(path, kind, f"Content-Length: {len(form)}").send(form).status() == 200
    caller.head(path, kind, "Transfer-Encoding: chunked").send(b"2001\r\n" + 8_193 * b"x" + b"\r\n")
    assert caller.status() == 413


def test_an_owner_has_a_share_of_the_bodies_that_arrive_and_the_others_are_not_held_up(port, mine, bearer, database):
    with database.worker() as connection:
        ensure(connection, "another")
    other = create_token(database, owner_name="another", role="import", name="other")
    with ExitStack() as stack:
        arriving = [stack.enter_context(Caller(port)) for _ in range(16)]
        for caller in arriving:
            caller.head(ROWS, bearer, f"Content-Length: {len(BODY)}", "Expect: 100-continue")
            assert caller.status() == 100  # it is being read
        with Caller(port) as one_more:
            one_more.head(ROWS, bearer, f"Content-Length: {len(BODY)}").send(BODY[:10])
            status, fields, _ = one_more.answer()
            assert (status, fields["retry-after"], fields["connection"]) == (429, "1", "close")
        with Caller(port) as of_another:
            fields_of_another = (f"Authorization: Bearer {other}", f"Content-Length: {len(BODY)}")
            assert of_another.head(ROWS, *fields_of_another).send(BODY).status() == 404  # they have no such feed
        for caller in arriving:
            assert caller.send(BODY).status() == 200
        with Caller(port) as later:
            later.head(ROWS, bearer, f"Content-Length: {len(BODY)}", "Expect: 100-continue")
            assert later.status() == 100
            assert later.send(BODY).status() == 200


def test_all_bodies_in_memory_are_bounded_and_a_caller_who_goes_away_makes_room(database, settings, mine, bearer):
    bounded = settings.model_copy(update={"bodies_bytes_max": 1_000_000})
    with served(database, bounded) as port, Caller(port) as another:
        with Caller(port) as first:
            first.head(ROWS, bearer, "Content-Length: 900000", "Expect: 100-continue")
            assert first.status() == 100
            status, fields, _ = another.head(ROWS, bearer, "Content-Length: 200000").answer()
            assert (status, fields["retry-after"]) == (503, "5")

        def is_taken() -> bool:
            with Caller(port) as later:
                return later.head(ROWS, bearer, f"Content-Length: {len(BODY)}").send(BODY).status() == 200

        wait_until(is_taken)


def test_an_owner_has_a_share_of_the_memory_and_the_others_are_not_held_up(database, settings, mine, bearer):
    with database.worker() as connection:
        ensure(connection, "neighbour")
    other = create_token(database, owner_name="neighbour", role="import", name="neighbour")
    bounded = settings.model_copy(update={"bodies_bytes_max": 1_000_000})
    with served(database, bounded) as port, Caller(port) as first, Caller(port) as second, Caller(port) as of_another:
        first.head(ROWS, bearer, "Content-Length: 450000", "Expect: 100-continue")
        assert first.status() == 100
        status, fields, body = second.head(ROWS, bearer, "Content-Length: 100000").answer()
        assert (status, fields["retry-after"]) == (429, "1")
        assert b"500000 bytes" in body
        fields_of_another = (f"Authorization: Bearer {other}", f"Content-Length: {len(BODY)}")
        assert of_another.head(ROWS, *fields_of_another).send(BODY).status() == 404  # they have no such feed


@pytest.mark.parametrize("path", [ROWS, "POST /oauth/access_token"], ids=["usage", "login"])
def test_a_caller_who_goes_away_in_the_middle_of_a_body_leaves_one_debug_line(port, bearer, capsys, path):
    before = capsys.readouterr()
    assert before is not None
    with Caller(port) as caller:
        caller.head(path, bearer, "Content-Length: 1000", "Expect: 100-continue")
        assert caller.status() == 100
        caller.send(BODY[:10])
    heard: list[str] = []

    def is_noted() -> bool:
        printed = capsys.readouterr()
        heard.extend((printed.out + printed.err).splitlines())
        return any("caller_gone" in line for line in heard)

    wait_until(is_noted)
    assert len(heard) == 1
    assert "debug" in heard[0]
