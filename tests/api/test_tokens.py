"""Tokens over HTTP and by command: listed, created with an expiry and feeds, revoked with their logins."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

import pytest
from fastapi.testclient import TestClient
from tests.fixtures.mill import PATH, Mill, guide_row, mill
from tests.fixtures.owners import token_of
from typer.testing import CliRunner, Result

from ratemill import logs
from ratemill.access.tokens import TokenRequest, add_token, authenticate, open_session
from ratemill.api import server
from ratemill.cli.app import app
from ratemill.periods import read_instant
from ratemill.settings import Settings
from ratemill.store.connections import Database

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def guide(database: Database, settings: Settings) -> Iterator[Mill]:
    with mill(database, settings) as made:
        made.apply("ratemill: 1\nudrFeeds: [{name: Other Feed, apiName: otherFeed, dataProfileName: guide_csv}]\n")
        yield made


@pytest.fixture
def run(guide: Mill, dsn: str, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("RATEMILL_DATABASE_URL", dsn)
    monkeypatch.setattr(logs, "configure", lambda **_: None)  # the runner's streams are closed after the command
    return lambda *arguments: CliRunner().invoke(app, [str(each) for each in arguments])


def listed(guide: Mill, **options: Any) -> dict[int, dict[str, Any]]:
    """Return the tokens that the API lists, by id."""
    answer = guide.request("GET", "/Token/Paged", params={"pageSize": 1000}, **options)
    assert answer.status_code == 200, answer.text
    return {each["identity"]: each for each in answer.json()["pagedResults"]["items"]}


def post(guide: Mill, token: str = "", **members: Any) -> Any:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return guide.request("POST", "/Token/", content=json.dumps(members), headers=headers)


def bearer(secret: str) -> dict[str, Any]:
    return {"headers": {"Authorization": f"Bearer {secret}"}}


def test_an_admin_creates_lists_and_revokes_tokens_of_its_owner(guide: Mill):
    answer = post(guide, name="reader", role="read")
    assert answer.status_code == 200, answer.text
    made = answer.json()["results"]["items"][0]
    assert (made["action"], made["dtoTypeKey"], made["createdBy"]) == ("created", "token", "tester")
    assert guide.request("GET", "/Account/", **bearer(made["secret"])).status_code == 200
    shown = listed(guide)[made["identity"]]
    assert "secret" not in json.dumps(shown)
    assert made["secret"] not in json.dumps(listed(guide))
    assert (shown["state"], shown["role"], shown["name"]) == ("valid", "read", "reader")
    days = (read_instant(shown["expires"]) - datetime.now(UTC)).days
    assert 363 <= days <= 365
    session = open_session(guide.database, "reader", made["secret"], 600)
    assert session is not None
    gone = guide.request("DELETE", f"/Token/{made['identity']}")
    assert (gone.status_code, gone.json()["results"]["items"][0]["state"]) == (200, "revoked")
    for secret in (made["secret"], session.secret):
        assert guide.request("GET", "/Account/", **bearer(secret)).status_code == 401
    assert {each["state"] for each in listed(guide).values() if each["name"] == "reader"} == {"revoked"}


def test_an_admin_neither_sees_nor_revokes_tokens_of_another_owner(guide: Mill):
    theirs = token_of(guide.database, "other", "read", "theirs")
    who = authenticate(guide.database, theirs)
    assert who is not None
    assert who.token_id not in listed(guide)
    unknown = guide.request("DELETE", "/Token/999999")
    refused = guide.request("DELETE", f"/Token/{who.token_id}")
    assert refused.status_code == unknown.status_code == 404
    message = unknown.json()["errors"][0]["message"].replace("999999", str(who.token_id))
    assert refused.json()["errors"][0]["message"] == message
    assert authenticate(guide.database, theirs) is not None
    assert post(guide, name="x", role="read", ownerName="other").status_code == 400


def test_a_created_token_does_not_outlive_its_creator(guide: Mill):
    soon = datetime.now(UTC) + timedelta(days=2)
    _, brief = add_token(guide.database, "default", TokenRequest("brief", "admin", soon), created_by="")
    session = open_session(guide.database, "brief", brief, 600)
    assert session is not None
    for secret in (brief, session.secret):
        made = post(guide, secret, name="child", role="read").json()["results"]["items"][0]
        assert abs((read_instant(made["expires"]) - soon).total_seconds()) < 1
        for longer in ({"never": True}, {"expires": "2999-01-01"}):
            answer = post(guide, secret, name="child", role="read", **longer)
            assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "expires")


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({"name": "x"}, "role"),
        ({"role": "read"}, "name"),
        ({"name": "x", "role": "king"}, "role"),
        ({"name": "a\u200b", "role": "read"}, "name"),
        ({"name": 7, "role": "read"}, "name"),
        ({"name": "x", "role": "read", "expires": "soon"}, "expires"),
        ({"name": "x", "role": "read", "expires": "2001-01-01"}, "expires"),
        ({"name": "x", "role": "read", "expires": "2999-01-01", "never": True}, "never"),
        ({"name": "x", "role": "read", "udrFeedNames": ["Guide Feed"]}, "udrFeedNames"),
        ({"name": "x", "role": "import", "udrFeedNames": ["nothing"]}, "udrFeedNames"),
        ({"name": "x", "role": "import", "udrFeedNames": []}, "udrFeedNames"),
        ({"name": "x", "role": "read", "colour": "red"}, "colour"),
    ],
)
def test_a_body_that_breaks_a_rule_creates_no_token(guide: Mill, members: dict[str, Any], field: str):
    before = guide.value("select count(*) from tokens")
    answer = post(guide, **members)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, field)
    assert guide.value("select count(*) from tokens") == before


def test_a_token_of_feeds_imports_there_and_reads_what_it_sent(guide: Mill):
    bound = post(guide, name="bound", role="import", udrFeedNames=["guideFeed"]).json()["results"]["items"][0]
    assert bound["udrFeedNames"] == ["Guide Feed"]
    caller = bearer(bound["secret"])
    sent = guide.post_rows(guide_row(1), **caller)
    assert sent.status_code == 200
    own = guide.request("GET", f"/DataImport/History/{sent.json()['trackingId']}", **caller)
    assert own.status_code == 200
    assert guide.request("GET", "/DataImport/Usage/Feed/Guide%20Feed", **caller).status_code == 200
    page = guide.request("GET", "/DataImport/History/Paged", params={"udrFeedName": "Guide Feed"}, **caller)
    assert {each["udrFeedName"] for each in page.json()["pagedResults"]["items"]} == {"Guide Feed"}

    others = guide.post_rows(guide_row(2), feed="otherFeed").json()["trackingId"]
    refused = [guide.post_rows(guide_row(3), feed=feed, **caller) for feed in ("otherFeed", "noFeed")]
    assert [each.status_code for each in refused] == [403, 403]
    texts = [each.json()["errors"][0]["message"] for each in refused]
    assert texts[0].replace("otherFeed", "noFeed") == texts[1]
    for path in ("/DataImport/Usage/Feed/otherFeed", "/DataImport/Usage/Feed/noFeed", "/DataImport/History/Paged"):
        assert guide.request("GET", path, **caller).status_code == 403
    elsewhere = guide.request("GET", "/DataImport/History/Paged", params={"udrFeedName": "Other Feed"}, **caller)
    assert elsewhere.status_code == 403
    hidden = guide.request("GET", f"/DataImport/History/{others}", **caller)
    assert hidden.status_code == 404
    assert guide.request("POST", "api/Import/UserXs/Batch", content="{}", **caller).status_code == 403
    assert guide.request("GET", "v2/subscriptions/imports", **caller).status_code == 403
    session = open_session(guide.database, "bound", bound["secret"], 600)
    assert session is not None
    assert guide.post_rows(guide_row(4), feed="otherFeed", **bearer(session.secret)).status_code == 403
    guide.work()


def test_a_use_is_listed_soon_without_a_request_that_writes_it(guide: Mill, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(server, "TOKEN_USES_S", 0.01)
    made = post(guide, name="used", role="read").json()["results"]["items"][0]
    assert listed(guide)[made["identity"]]["lastUsed"] is None
    with TestClient(server.create_app(guide.database, guide.settings)) as client:
        assert client.get(f"{PATH}/Account", **bearer(made["secret"])).status_code == 200
        until = monotonic() + 60
        while listed(guide)[made["identity"]]["lastUsed"] is None and monotonic() < until:
            pass
        assert listed(guide)[made["identity"]]["lastUsed"] is not None


def test_the_secret_of_a_created_token_is_the_last_line_and_its_id_is_on_standard_error(run: Run, guide: Mill):
    done = run("token", "create", "--role", "import", "--name", "sender", "--expires", "90d", "--feed", "Guide Feed")
    who = authenticate(guide.database, done.stdout.splitlines()[-1])
    assert who is not None
    assert f"token {who.token_id}: role import, owner 'default', expires " in done.stderr
    (shown,) = [each for each in json.loads(last_json(run("token", "list", "--json"))) if each["name"] == "sender"]
    assert (shown["identity"], shown["udrFeedNames"], shown["state"]) == (who.token_id, ["Guide Feed"], "valid")
    assert 88 <= (read_instant(shown["expires"]) - datetime.now(UTC)).days <= 90
    never = run("token", "create", "--role", "read", "--never")
    assert "never expires" in never.stderr


def last_json(result: Result) -> str:
    """Return what a command printed as JSON; in a test the log goes to standard output too."""
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    return "\n".join(lines[next(at for at, line in enumerate(lines) if line in ("[", "{")) :])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--expires", "soon"), "--expires must be a span such as 90d"),
        (("--expires", "2001-01-01"), "expires must be in the future"),
        (("--expires", "1d", "--never"), "exclude each other"),
        (("--feed", "Guide Feed"), "only a token of the role import"),
        (("--name", "a\x1bb"), "U+001B"),
    ],
)
def test_a_token_that_cannot_be_is_refused_by_the_command(run: Run, guide: Mill, options: tuple[str, ...], words: str):
    before = guide.value("select count(*) from tokens")
    done = run("token", "create", "--role", "read", *options)
    assert done.exit_code != 0
    assert words in str(done.exception)
    assert guide.value("select count(*) from tokens") == before


def test_the_list_shows_all_owners_and_the_logins_of_each_token(run: Run, guide: Mill):
    secret = token_of(guide.database, "third", "read", "desk")
    open_session(guide.database, "desk", secret, 600)
    text = run("token", "list").stdout
    (first, login) = [line for line in text.splitlines() if " third " in line]
    assert "desk" in first
    assert f"login of {first.split()[0]}" in login
    assert "default" in text
    assert secret not in text
    mine = json.loads(last_json(run("token", "list", "--owner", "third", "--json")))
    assert {each["ownerName"] for each in mine} == {"third"}


def test_tokens_are_revoked_by_id_or_by_a_name_that_is_unambiguous(run: Run, guide: Mill):
    secrets = [token_of(guide.database, owner, "read", "twin") for owner in ("third", "third", "fourth")]
    sessions = [open_session(guide.database, "twin", secret, 600) for secret in secrets]
    ids = [who.token_id for secret in secrets if (who := authenticate(guide.database, secret))]
    ambiguous = run("token", "revoke", "--name", "twin")
    assert "3 tokens have the name 'twin'" in str(ambiguous.exception)
    assert all(str(each) in ambiguous.stderr for each in ids)
    assert run("token", "revoke", "--name", "twin", "--owner", "fourth").exit_code == 0
    assert authenticate(guide.database, secrets[2]) is None
    done = run("token", "revoke", ids[0])
    assert f"revoked token {ids[0]}: 'twin' of owner 'third'\n" in done.stdout
    assert f"revoked login of token {ids[0]}" in done.stdout
    assert [authenticate(guide.database, each) is None for each in secrets] == [True, False, True]
    assert run("token", "revoke", "--name", "twin", "--all").exit_code == 0
    alive = [each for each in sessions if each and authenticate(guide.database, each.secret)]
    assert alive == []
    for wrong in (("999999",), ("--name", "twin"), (), ("1", "--name", "x")):
        assert run("token", "revoke", *wrong).exit_code != 0
