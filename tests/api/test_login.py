"""The three login routes: each takes a token's name and secret under any of the names that the dialects use."""

from base64 import b64encode
from collections.abc import Iterator

import pytest
from httpx import Response
from tests.fixtures.mill import Mill, mill

from ratemill.access.tokens import create_token
from ratemill.settings import Settings
from ratemill.store.connections import Database

ACCESS, OAUTH, SECURITY = "AuthorizationServer/api/v7/Access/Login", "oauth/access_token", "api/security/login"
RESULT = ["result", "errors", "warnings", "hasErrors", "hasWarnings"]
NAMES = [
    ("client_id", "client_secret"),
    ("username", "password"),
    ("userId", "password"),
    ("username", "client_secret"),
]


@pytest.fixture(scope="module")
def guide(database: Database, settings: Settings) -> Iterator[Mill]:
    many = settings.model_copy(update={"failed_attempts_per_min_max": 1_000})  # more than are made here
    with mill(database, many) as made:
        yield made


@pytest.fixture(scope="module")
def secret(guide: Mill) -> str:
    return create_token(guide.database, owner_name="default", role="read", name="reader")


def login(guide: Mill, path: str, given: dict[str, str], **options: object) -> Response:
    grant = {"grant_type": "client_credentials"} if path == OAUTH else {}
    sent = {"params": given} if path == SECURITY else {"data": {**grant, **given}}
    answer: Response = guide.client.post(f"/{path}", **sent, **options)
    return answer


@pytest.mark.parametrize("path", [ACCESS, OAUTH, SECURITY])
@pytest.mark.parametrize(("name", "word"), NAMES)
def test_name_and_secret_may_have_any_of_their_names(guide: Mill, secret: str, path: str, name: str, word: str):
    answer = login(guide, path, {name: "reader", word: secret})
    assert answer.status_code == 200
    short = answer.json()["result"]["token"] if path == SECURITY else answer.json()["access_token"]
    headers = {"Authorization": f"Bearer {short}"}
    assert guide.request("GET", "/DataImport/History/Paged", headers=headers).status_code == 200
    assert guide.post_rows("x", headers=headers).status_code == 403


def test_the_form_is_answered_with_all_its_members(guide: Mill, secret: str):
    given = {"grant_type": "password", "username": "reader", "password": secret, "client_id": "program"}
    answer = login(guide, ACCESS, given).json()
    words = ["access_token", "token_type", "expires_in", "refresh_token", "audience", ".issued", ".expires"]
    assert list(answer) == [*words, "actingOwnerId"]
    assert (answer["token_type"], answer["expires_in"], answer["audience"]) == ("bearer", 1_800, "program")


def test_http_basic_opens_a_session(guide: Mill, secret: str):
    coded = b64encode(f"reader:{secret}".encode()).decode()
    assert login(guide, SECURITY, {}, headers={"Authorization": f"Basic {coded}"}).status_code == 200
    for wrong in ("Basic", "Basic !!", f"Basic {b64encode(b'reader').decode()}"):
        assert login(guide, SECURITY, {}, headers={"Authorization": wrong}).status_code == 401


@pytest.mark.parametrize("path", [ACCESS, OAUTH, SECURITY])
def test_what_does_not_belong_together_is_401_in_the_envelope(guide: Mill, secret: str, path: str):
    pairs = [("reader", "wrong"), ("another", secret), ("reader", "\0"), ("", secret), ("", "")]
    for name, word in pairs:
        answer = login(guide, path, {"client_id": name, "client_secret": word})
        assert answer.status_code == 401
        assert answer.json()["errors"]
        assert set(answer.json()) == ({*RESULT} if path == SECURITY else {"trackingId", "type", "errors"})


@pytest.mark.parametrize("path", [ACCESS, OAUTH])
def test_another_grant_is_400(guide: Mill, secret: str, path: str):
    given = {"grant_type": "refresh_token", "client_id": "reader", "client_secret": secret}
    assert login(guide, path, given).status_code == 400
