"""On a network: under which hosts the API answers, whom it believes to be whom, and how often a caller may fail."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx import Response
from tests.fixtures.mill import PATH, Mill, mill
from tests.fixtures.processes import answers, environment, free_port, wait_until
from tests.fixtures.served import Caller, served

from ratemill.api.server import create_app
from ratemill.settings import Settings
from ratemill.store.connections import Database, driver

HISTORIES = f"{PATH}/DataImport/History/Paged"
LISTS = "v2/subscriptions/imports"
REMOTE = ("192.0.2.7", 50_000)


@pytest.fixture(scope="module")
def mine(database: Database, settings: Settings) -> Iterator[Mill]:
    with mill(database, settings) as made:
        yield made


def client(mine: Mill, *, peer: tuple[str, int] = REMOTE, host: str = "localhost", **changed: Any) -> TestClient:
    """Return a client that is not on this machine."""
    app = create_app(mine.database, mine.settings.model_copy(update=changed))
    return TestClient(app, f"http://{host}", client=peer)


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


# hosts


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:8080", 200),
        ("localhost.", 200),
        ("127.0.0.1:1", 200),
        ("[::1]:8080", 200),
        ("billing.example.com", 200),
        ("inside.example.com:443", 200),
        ("evil.example.com", 421),
        ("localhost.evil.example.com", 421),
        ("127.0.0.1.evil.example.com", 421),
        ("", 421),
        ("[::1", 200),
        ("10.0.0.1", 421),
    ],
)
def test_only_known_hosts_are_answered(mine, host, status):
    called = client(mine, public_url="https://billing.example.com/usage", hosts="inside.example.com, other")
    answer = called.get(HISTORIES, headers={**bearer(mine.token), "Host": host})
    assert answer.status_code == status, answer.text
    if status == 421:
        (error,) = answer.json()["errors"]
        assert error["code"] == 1421
        assert "RATEMILL_HOSTS" in error["message"]
        assert called.get("/openapi.json", headers={"Host": host}).status_code == 421
        assert called.post("/oauth/access_token", data={}, headers={"Host": host}).status_code == 421


def test_a_request_has_one_host_and_the_address_that_was_called_is_one(mine):
    with served(mine.database, mine.settings) as port:
        with Caller(port) as caller:
            caller.send(f"GET {HISTORIES} HTTP/1.1\r\nAuthorization: Bearer {mine.token}\r\n\r\n")
            assert caller.status() == 400
        with Caller(port) as caller:
            fields = "Host: localhost\r\nHost: localhost"
            caller.send(f"GET {HISTORIES} HTTP/1.1\r\n{fields}\r\nAuthorization: Bearer {mine.token}\r\n\r\n")
            assert caller.status() == 400
        with Caller(port) as caller:  # as the health checks of some load balancers do
            assert caller.send("GET /livez HTTP/1.0\r\n\r\n").status() in {200, 404}
        with Caller(port) as caller:
            caller.send(
                f"GET {HISTORIES} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {mine.token}\r\n\r\n"
            )
            assert caller.status() == 200


def test_links_name_the_public_url_and_never_the_host_that_was_sent(mine):
    options: dict[str, Any] = {"headers": {**bearer(mine.token), "Host": "127.0.0.1:9999"}}
    changes: list[tuple[dict[str, Any], str]] = [
        ({}, "http://localhost/v2/"),
        ({"public_url": "https://billing.example.com/usage/"}, "https://billing.example.com/usage/v2/"),
    ]
    for changed, begin in changes:
        answer = client(mine, **changed).get(f"/{LISTS}", **options)
        assert answer.json()["links"]["current"].startswith(begin), answer.text


# proxies


def local_only(called: TestClient, **headers: str) -> int:
    return int(called.get("/openapi.json", headers=headers).status_code)


def test_the_description_of_the_api_is_for_callers_on_this_machine_and_for_those_with_a_token(mine):
    here, elsewhere = client(mine, peer=("127.0.0.1", 1)), client(mine)
    assert local_only(here) == 200
    assert local_only(client(mine, peer=("::1", 1))) == 200
    assert local_only(elsewhere) == 401
    assert local_only(elsewhere, **bearer("wrong")) == 401
    assert local_only(elsewhere, **bearer(mine.token)) == 200
    # Handed on by a proxy on this machine that nobody trusts: the caller may be anywhere.
    assert local_only(here, **{"X-Forwarded-For": "127.0.0.1"}) == 401
    assert local_only(here, Forwarded="for=127.0.0.1") == 401


def test_forwarded_fields_are_believed_of_trusted_proxies_alone(mine):
    forwarded = {**bearer(mine.token), "X-Forwarded-Proto": "https", "X-Forwarded-For": "127.0.0.1"}

    def link(**options: Any) -> str:
        answer: str = client(mine, **options).get(f"/{LISTS}", headers=forwarded).json()["links"]["current"]
        return answer.split("://", maxsplit=1)[0]

    assert link() == "http"
    assert link(trusted_proxies="192.0.2.0/24") == "https"
    assert link(trusted_proxies="10.0.0.0/8,192.0.2.7") == "https"
    assert link(trusted_proxies="10.0.0.0/8") == "http"
    assert local_only(client(mine), **{"X-Forwarded-For": "127.0.0.1"}) == 401
    assert local_only(client(mine, trusted_proxies="192.0.2.7"), **{"X-Forwarded-For": "127.0.0.1"}) == 401


# failed attempts and rates


def attempt(called: TestClient, secret: str, **headers: str) -> Response:
    answer: Response = called.get(HISTORIES, headers={**bearer(secret), **headers})
    return answer


def test_wrong_secrets_of_one_address_are_answered_429_and_a_valid_token_from_there_is_let_through(mine):
    called = client(mine)
    assert [attempt(called, f"wrong {number}").status_code for number in range(10)] == 10 * [401]
    refused = attempt(called, "wrong 10")
    assert refused.status_code == 429
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert "a valid token is accepted" in refused.json()["errors"][0]["message"]
    assert attempt(called, mine.token).status_code == 200
    body = json.dumps({"data": ["x"]})
    posted = called.post(f"{PATH}/DataImport/Usage/guideFeed", content=body, headers=bearer("wrong 11"))
    assert posted.status_code == 429
    assert (
        called.post(f"{PATH}/DataImport/Usage/guideFeed", content=body, headers=bearer(mine.token)).status_code == 200
    )
    wrong = {"grant_type": "client_credentials", "client_id": "tester", "client_secret": "wrong"}
    login = called.post("/oauth/access_token", data=wrong)
    assert login.status_code == 429
    right = {"grant_type": "client_credentials", "client_id": "tester", "client_secret": mine.token}
    assert called.post("/oauth/access_token", data=right).status_code == 200


def test_addresses_are_counted_apart_and_those_behind_a_trusted_proxy_by_their_own(mine):
    called = client(mine, trusted_proxies="192.0.2.7")
    near, far = {"X-Forwarded-For": "198.51.100.1"}, {"X-Forwarded-For": "198.51.100.2"}
    for number in range(11):
        attempt(called, f"wrong {number}", **near)
    assert attempt(called, "wrong", **near).status_code == 429
    assert attempt(called, "wrong", **far).status_code == 401
    for number in range(11):  # one caller has a whole network of these
        attempt(called, f"wrong {number}", **{"X-Forwarded-For": f"2001:db8::{number}"})
    assert attempt(called, "wrong", **{"X-Forwarded-For": "2001:db8::ffff"}).status_code == 429
    assert attempt(called, "wrong", **{"X-Forwarded-For": "2001:db8:0:1::1"}).status_code == 401


def test_one_wrong_secret_counts_once_and_none_not_at_all(mine):
    called = client(mine)
    assert {attempt(called, "expired").status_code for _ in range(30)} == {401}
    assert {called.get(HISTORIES).status_code for _ in range(30)} == {401}


def test_logins_that_fail_are_counted(mine):
    called = client(mine)
    statuses = [called.post(f"/api/security/login?userId=tester&password={number}").status_code for number in range(12)]
    assert statuses == [*(10 * [401]), 500, 500]  # that dialect has no 429


def test_the_requests_of_a_token_may_be_bounded(mine):
    called = client(mine, token_requests_per_s_max=5)
    answers = [attempt(called, mine.token) for _ in range(40)]
    assert answers[0].status_code == 200
    assert {answer.status_code for answer in answers} == {200, 429}
    assert {answer.headers["retry-after"] for answer in answers if answer.status_code == 429} == {"1"}
    assert attempt(client(mine), mine.token).status_code == 200


# what goes out


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/livez"),
        ("GET", "/healthz"),
        ("GET", "/openapi.json"),
        ("GET", "/nowhere"),
        ("DELETE", "/healthz"),
        ("GET", HISTORIES),
        ("POST", f"{PATH}/DataImport/Usage/guideFeed"),
        ("POST", "/oauth/access_token"),
        ("POST", "/api/security/login"),
    ],
)
def test_no_answer_is_kept_by_a_cache_or_guessed_by_a_browser(mine, method, path):
    answer = client(mine).request(method, path)
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"


def rename(database: Database, function: str, name: str) -> None:
    with database.schema_owner() as connection:
        driver(connection).execute(f"alter function {function} rename to {name}")


def test_a_secret_in_a_query_is_not_logged_and_not_answered(mine, dsn, tmp_path):
    """In the process as it is started, with the log as it is written there."""
    secret, port = "rm_never_to_be_seen", free_port()
    login = f"POST /api/security/login?userId=tester&password={secret}"
    settings = {"database_url": dsn, "home": str(tmp_path), "log_level": "DEBUG"}
    command = [sys.executable, "-m", "ratemill", "api", "--port", str(port)]
    with (tmp_path / "log").open("wb") as written:
        process = subprocess.Popen(command, env=environment(**settings), stdout=written, stderr=written)
        try:
            wait_until(lambda: answers(port))
            seen = [
                ask(port, f"{login} HTTP/1.1\r\n{rest}") for rest in ("\r\n", "Host: localhost\r\n\r\n", "X\r\n\r\n")
            ]
            seen.append(ask(port, f"{login}{40_000 * 'x'} HTTP/1.1\r\n\r\n"))
            rename(mine.database, "authenticate", "gone")
            try:
                seen.append(ask(port, f"{login} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
            finally:
                rename(mine.database, "gone", "authenticate")
        finally:
            process.terminate()
            process.wait(60)
    log = (tmp_path / "log").read_text()
    assert [answer[0] for answer in seen] == [400, 401, 400, 414, 500]
    assert "request_failed" in log
    assert secret not in log + str(seen)


def ask(port: int, request: str) -> tuple[int, dict[str, str], bytes]:
    with Caller(port) as caller:
        return caller.send(request).answer()
