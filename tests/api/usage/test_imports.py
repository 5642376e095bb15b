"""The four import routes: the documents' own requests, every status, and that a refused request leaves nothing."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.fixtures.mill import GUIDE, GUIDE_ROW, Mill, guide_row, mill

from ratemill.access.tokens import create_token
from ratemill.settings import Settings
from ratemill.store.connections import Database

ROWS, OBJECTS, OBJECT = "/DataImport/Usage", "/DataImport/Usage/Json/Multi", "/DataImport/Usage/Json"


@pytest.fixture(scope="module")
def guide(database: Database, settings: Settings) -> Iterator[Mill]:
    with mill(database, settings) as made:
        made.apply("ratemill: 1\nudrFeeds: [{name: Closed, dataProfileName: guide_csv, enabled: false}]")
        yield made


@pytest.fixture(scope="module")
def other(guide: Mill) -> Mill:
    """A second owner with the same names, and a feed that the first does not have."""
    made = Mill(guide.database, guide.settings, "other", guide.client)
    made.apply(GUIDE)
    made.apply("ratemill: 1\nudrFeeds: [{name: Theirs, apiName: theirs, dataProfileName: guide_csv}]")
    return made


def shape(value: Any) -> Any:
    """Return the keys of a JSON value, with the kind of each leaf and the words that the dialect prints."""
    if isinstance(value, dict):
        return {
            key: member if key in {"type", "action", "dtoTypeKey"} else shape(member) for key, member in value.items()
        }
    if isinstance(value, list):
        return [shape(member) for member in value]
    return type(value)


@pytest.mark.parametrize(
    ("case", "path"),
    [
        ("guide", "/internal/DataImport/Usage/Guide%20Feed"),
        ("guide", "/internal/DataImport/Usage/guideFeed"),
        ("rows", "/DataImport/Usage/Guide%20Feed"),
        ("objects", "/DataImport/Usage/Json/Multi/guideFeed"),
        ("objects", "/DataImport/Usage/Json/guideFeed"),
    ],
)
def test_the_documents_own_requests_are_answered_key_by_key(guide: Mill, cases: Path, case: str, path: str):
    folder = cases / "usage_import"
    answer = guide.request("POST", path, json=json.loads((folder / f"{case}_request.json").read_text()))
    expected = json.loads((folder / f"{case}_reply.json").read_text())
    assert answer.status_code == 200
    assert shape(answer.json()) == shape(expected)
    assert answer.json()["results"]["totalCount"] == expected["results"]["totalCount"]


def test_the_guides_reply_bears_two_tracking_ids_and_the_feeds_number(guide: Mill):
    answer = guide.request("POST", "/internal/DataImport/Usage/Guide Feed", json={"data": [GUIDE_ROW]}).json()
    inner = {item["instance"]["trackingId"] for item in answer["results"]["items"]}
    assert len(inner) == 1
    assert answer["trackingId"] not in inner
    feed_id = guide.value("select feed_id from feeds where name = 'Guide Feed' and owner_id = 1")
    assert {item["instance"]["udrFeedId"] for item in answer["results"]["items"]} == {feed_id}


@pytest.mark.parametrize("feed", ["guideFeed", "GUIDEFEED", "Guide%20Feed", "guide%20feed", "{id}"])
@pytest.mark.parametrize("prefix", ["/ResourceServer/api/v6", "/resourceserver/API/V7", "/ResourceServer/api/v8"])
def test_a_feed_is_found_by_name_api_name_or_number_in_any_case(guide: Mill, feed: str, prefix: str):
    number = guide.value("select feed_id from feeds where name = 'Guide Feed' and owner_id = 1")
    path = f"{prefix}/DataImport/Usage/{feed.format(id=number)}/"
    headers = {"Authorization": f"Bearer {guide.token}"}
    assert guide.client.post(path, json={"data": [GUIDE_ROW]}, headers=headers).status_code == 200


BAD_BODIES = [
    (ROWS, "{", 400),
    (ROWS, "{}", 400),
    (ROWS, '{"data":[]}', 400),
    (ROWS, '{"data":"x"}', 400),
    (ROWS, '{"data":["x",1]}', 400),
    (ROWS, json.dumps({"data": ["x"] * 1_001}), 400),
    (OBJECTS, "{}", 400),
    (OBJECTS, '{"data":["x"]}', 400),
    (OBJECTS, json.dumps({"data": [{"Value": 1}] * 1_001}), 400),
    (OBJECT, "{}", 400),
    (OBJECT, '{"data":[{"Value":1},{"Value":2}]}', 400),
]


@pytest.mark.parametrize("internal", ["", "/internal"])
@pytest.mark.parametrize(("route", "body", "status"), BAD_BODIES)
def test_a_body_of_the_wrong_shape_leaves_nothing(guide: Mill, internal: str, route: str, body: str, status: int):
    before = guide.value("select count(*) from submissions")
    headers = {"Idempotency-Key": f"bad-{internal}-{route}-{body[:20]}", "Content-Type": "application/json"}
    answer = guide.request("POST", f"{internal}{route}/guideFeed", content=body, headers=headers)
    assert answer.status_code == status
    assert answer.json()["type"] == ("sendMessage" if route == ROWS and not internal else "create")
    assert all(set(error) >= {"code", "message"} for error in answer.json()["errors"])
    assert guide.value("select count(*) from submissions") == before
    assert guide.value("select count(*) from submission_bodies") == before


def test_every_element_of_the_wrong_type_is_named_by_row(guide: Mill):
    errors = guide.request("POST", "/DataImport/Usage/guideFeed", json={"data": ["x", 1, "y", None]}).json()["errors"]
    assert [error["row"] for error in errors] == [2, 4]


def test_too_many_rows_are_refused_with_limit_and_count(guide: Mill):
    answer = guide.post_rows(*["x"] * 1_001)
    assert "1001" in answer.json()["errors"][0]["message"]
    assert "1000" in answer.json()["errors"][0]["message"]


def test_two_records_on_the_route_of_one_are_pointed_to_multi(guide: Mill):
    answer = guide.request("POST", "/DataImport/Usage/Json/guideFeed", json={"data": [{"a": 1}, {"a": 2}]})
    assert "Multi" in answer.json()["errors"][0]["message"]


def test_a_body_over_the_limit_is_413_whether_or_not_its_length_was_told(guide: Mill):
    big = b'{"data":["' + b"x" * guide.settings.body_bytes_max + b'"]}'
    assert guide.request("POST", "/DataImport/Usage/guideFeed", content=big).status_code == 413
    pieces = (big[at : at + 1_000_000] for at in range(0, len(big), 1_000_000))
    assert guide.request("POST", "/DataImport/Usage/guideFeed", content=pieces).status_code == 413


@pytest.mark.parametrize("media_type", ["text/plain", "application/xml", "application/x-www-form-urlencoded"])
def test_another_media_type_is_415(guide: Mill, media_type: str):
    body = json.dumps({"data": [GUIDE_ROW]})
    answer = guide.request("POST", "/DataImport/Usage/guideFeed", content=body, headers={"Content-Type": media_type})
    assert answer.status_code == 415


def test_a_missing_media_type_and_one_with_a_charset_are_taken(guide: Mill):
    body = json.dumps({"data": [GUIDE_ROW]}).encode()
    assert guide.request("POST", "/DataImport/Usage/guideFeed", content=body).status_code == 200
    headers = {"Content-Type": "application/json; charset=utf-8"}
    assert guide.request("POST", "/DataImport/Usage/guideFeed", content=body, headers=headers).status_code == 200


@pytest.mark.parametrize("authorization", ["", "Bearer ", "Bearer nobody", "Basic eDp5", "bearer\tx"])
def test_without_a_valid_token_it_is_401(guide: Mill, authorization: str):
    answer = guide.post_rows(GUIDE_ROW, headers={"Authorization": authorization})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert set(answer.json()) == {"trackingId", "type", "errors"}


def test_an_expired_token_is_401(guide: Mill):
    secret = create_token(guide.database, owner_name="default", role="import", name="old", expires_in_s=60)
    assert guide.post_rows(GUIDE_ROW, headers={"Authorization": f"Bearer {secret}"}).status_code == 200
    guide.change("update tokens set expires_at = now() - interval '1 second' where name = 'old'")
    assert guide.post_rows(GUIDE_ROW, headers={"Authorization": f"Bearer {secret}"}).status_code == 401


@pytest.mark.parametrize(
    ("role", "status"),
    [("read", 403), ("import", 200), ("correct", 403), ("setup", 403), ("admin", 200)],
)
def test_only_roles_with_the_right_may_import(guide: Mill, role: str, status: int):
    secret = create_token(guide.database, owner_name="default", role=role, name=f"{role} only")
    assert guide.post_rows(GUIDE_ROW, headers={"Authorization": f"Bearer {secret}"}).status_code == status


@pytest.mark.parametrize("feed", ["nowhere", "0", "999999999", "99999999999999999999999", "%00", "theirs"])
def test_an_unknown_feed_or_one_of_another_owner_is_404(guide: Mill, other: Mill, feed: str):
    assert guide.post_rows(GUIDE_ROW, feed=feed).status_code == 404


def test_another_owners_feed_is_404_by_number_too(guide: Mill, other: Mill):
    number = guide.value("select feed_id from feeds where name = 'Theirs'")
    assert guide.post_rows(GUIDE_ROW, feed=str(number)).status_code == 404
    assert other.post_rows(GUIDE_ROW, feed=str(number)).status_code == 200


def test_a_disabled_feed_is_409(guide: Mill):
    assert guide.post_rows(GUIDE_ROW, feed="Closed").status_code == 409


@pytest.mark.parametrize(
    "path",
    [
        "ResourceServer/api/v5/DataImport/Usage/guideFeed",
        "ResourceServer/api/v6/DataImport/Usage/Json/guideFeed",
        "nowhere",
    ],
)
def test_an_unknown_version_or_path_is_404_in_the_envelope(guide: Mill, path: str):
    answer = guide.request("POST", path, json={"data": [GUIDE_ROW]})
    assert answer.status_code == 404
    assert set(answer.json()) == {"trackingId", "type", "errors"}
    assert answer.json()["type"] == ("sendMessage" if path.endswith("Usage/guideFeed") else "create")


def test_another_method_is_405_and_names_those_allowed(guide: Mill):
    answer = guide.request("DELETE", "/DataImport/Usage/guideFeed")
    assert answer.status_code == 405
    assert "POST" in answer.headers["Allow"]
    assert answer.json()["type"] == "delete"


def test_over_the_backlog_bound_it_is_429_and_nothing_is_taken(guide: Mill):
    before = guide.value("select count(*) from submissions")
    owner_id = guide.value("select owner_id from owners where name = 'default'")
    guide.change("update backlog set rows_waiting = 20000000, counted_at = clock_timestamp()")
    guide.change("delete from owner_backlogs where owner_id = %s", owner_id)
    guide.change("insert into owner_backlogs values (%s, 20000000)", owner_id)
    answer = guide.post_rows(GUIDE_ROW)
    guide.change("update backlog set rows_waiting = 0")
    guide.change("delete from owner_backlogs")
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0
    assert guide.value("select count(*) from submissions") == before


class TestIdempotencyKey:
    """A key makes a repeat harmless, and only a repeat."""

    def test_a_repeat_gets_the_first_answer_byte_for_byte(self, guide: Mill):
        first = guide.post_rows(guide_row(1), headers={"Idempotency-Key": "k1"})
        second = guide.post_rows(guide_row(1), headers={"Idempotency-Key": "k1"})
        assert first.status_code == second.status_code == 200
        assert first.content == second.content
        assert "Idempotent-Replayed" not in first.headers
        assert second.headers["Idempotent-Replayed"] == "true"
        assert guide.value("select count(*) from submissions where idempotency_key = 'k1'") == 1

    def test_another_body_or_path_under_the_key_is_422(self, guide: Mill):
        guide.post_rows(guide_row(2), headers={"Idempotency-Key": "k2"})
        assert guide.post_rows(guide_row(3), headers={"Idempotency-Key": "k2"}).status_code == 422
        path = "/internal/DataImport/Usage/guideFeed"
        answer = guide.request("POST", path, json={"data": [guide_row(2)]}, headers={"Idempotency-Key": "k2"})
        assert answer.status_code == 422

    @pytest.mark.parametrize("key", ["", "x" * 256])
    def test_an_empty_or_too_long_key_is_400(self, guide: Mill, key: str):
        assert guide.post_rows(GUIDE_ROW, headers={"Idempotency-Key": key}).status_code == 400

    def test_a_refused_request_leaves_no_key_behind(self, guide: Mill):
        assert guide.request("POST", "/DataImport/Usage/guideFeed", json={}, headers={"Idempotency-Key": "k3"}).is_error
        assert guide.post_rows(guide_row(4), headers={"Idempotency-Key": "k3"}).status_code == 200

    def test_two_owners_may_use_the_same_key(self, guide: Mill, other: Mill):
        first = guide.post_rows(guide_row(5), headers={"Idempotency-Key": "k4"}).json()
        second = other.post_rows(guide_row(5), headers={"Idempotency-Key": "k4"}).json()
        assert first["trackingId"] != second["trackingId"]

    def test_a_key_past_its_time_is_free_again(self, guide: Mill):
        first = guide.post_rows(guide_row(6), headers={"Idempotency-Key": "k5"}).json()
        guide.change(
            "update submissions set accepted_at = accepted_at - interval '49 hours' where idempotency_key = 'k5'"
        )
        second = guide.post_rows(guide_row(6), headers={"Idempotency-Key": "k5"}).json()
        assert first["trackingId"] != second["trackingId"]

    def test_a_request_still_being_taken_under_the_key_is_409(self, guide: Mill):
        from ratemill.store.usage import submissions

        with guide.database.face(1) as connection:
            assert submissions.lock_key(connection, 1, "k6")
            assert guide.post_rows(guide_row(7), headers={"Idempotency-Key": "k6"}).status_code == 409
        assert guide.post_rows(guide_row(7), headers={"Idempotency-Key": "k6"}).status_code == 200
