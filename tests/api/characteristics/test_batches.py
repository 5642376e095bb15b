"""Batches of items over HTTP: the documented calls as printed, paths, who calls, what opens a batch, our faults."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from tests.fixtures.item_batches import BATCH, ENVELOPE, OPENING, call, codes, opened, page, small_mill, state, warned
from tests.fixtures.mill import Mill
from tests.fixtures.owners import token_of

from ratemill.access.tokens import create_token
from ratemill.settings import Settings
from ratemill.store.connections import Database


@pytest.fixture(scope="module")
def mine(database: Database, settings: Settings) -> Iterator[Mill]:
    with small_mill(database, settings) as made:
        yield made


# The documented calls


def case(cases: Path, name: str) -> Any:
    return json.loads((cases / "characteristic_batches" / f"{name}.json").read_text())


def test_the_documented_calls_are_answered_as_printed(mine: Mill, cases: Path):
    created = call(mine, "POST", BATCH, case(cases, "create_request"))
    assert created.status_code == 201
    told, printed = created.json(), case(cases, "create_reply")
    assert list(told["result"]) == list(printed["result"])
    assert isinstance(told["result"]["batchId"], int)
    assert UUID(told["result"]["jobQueueGuid"]).version == 4
    assert {**told, "result": None} == {**printed, "result": None}

    path = f"{BATCH}/{told['result']['batchId']}"
    sent = case(cases, "page_request")
    assert call(mine, "PATCH", path, sent).json() == case(cases, "page_reply")

    read = call(mine, "GET", path)
    known, printed = read.json()["result"], case(cases, "read_reply")["result"]
    assert read.status_code == 200
    assert list(known) == list(printed)
    assert known["items"] == printed["items"] == sent["items"]
    assert json.dumps(known["items"]) == json.dumps(printed["items"])
    assert {
        each: known[each] for each in ("description", "fileDownloadNumber", "pageSize", "totalItems", "pageNumber")
    } == {each: printed[each] for each in ("description", "fileDownloadNumber", "pageSize", "totalItems", "pageNumber")}
    assert (known["importFileName"], known["receivedItems"]) == ("APIUserXs", 1)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}", known["createdDateTime"])


def test_one_page_is_created_and_submitted_in_one_call(mine: Mill):
    body = {**OPENING, "totalItems": 2, **page(0, "a", "b")}
    batch_id = call(mine, "POST", f"{BATCH}?Submit", body).json()["result"]["batchId"]
    assert state(mine, batch_id) == "submitted"
    assert mine.rows("select characteristic, dry_run from characteristic_batches where batch_id = %s", batch_id) == [
        (1, False)
    ]


def test_several_pages_are_sent_and_the_last_submits(mine: Mill):
    batch_id = opened(mine)
    assert call(mine, "PATCH", f"{BATCH}/{batch_id}", page(1, "c", "d")).json()["warnings"] == []
    assert call(mine, "PATCH", f"{BATCH}/{batch_id}?submit=true", page(0, "a", "b")).json()["result"] == {}
    assert state(mine, batch_id) == "submitted"


def test_a_submit_needs_no_body_and_no_media_type(mine: Mill):
    for options in ({}, {"content": b""}, {"content": b" ", "headers": {"Content-Type": "text/plain"}}):
        batch_id = opened(mine, totalItems=1, **page(0, "a"))
        assert call(mine, "PATCH", f"{BATCH}/{batch_id}?Submit", **options).status_code == 200
    batch_id = opened(mine, totalItems=1, **page(0, "a"))
    assert call(mine, "PATCH", f"{BATCH}/{batch_id}?Submit", {}).status_code == 200


@pytest.mark.parametrize("text", ["submit", "SUBMIT", "Submit=", "submit=true", "SuBmIt=TRUE", "Submit=1"])
def test_submit_is_read_in_any_spelling(mine: Mill, text: str):
    batch_id = opened(mine, totalItems=1, **page(0, "a"))
    assert call(mine, "PATCH", f"{BATCH}/{batch_id}?{text}").status_code == 200
    assert state(mine, batch_id) == "submitted"


@pytest.mark.parametrize("text", ["submit=false", "Submit=0", "", "dryRun"])
def test_a_submit_that_is_off_submits_nothing(mine: Mill, text: str):
    batch_id = opened(mine)
    assert call(mine, "PATCH", f"{BATCH}/{batch_id}?{text}", page(0, "a", "b")).status_code == 200
    assert state(mine, batch_id) == "open"
    nothing = call(mine, "PATCH", f"{BATCH}/{batch_id}?{text}")
    assert (nothing.status_code, codes(nothing)) == (400, [("nothing_to_do", "")])


@pytest.mark.parametrize(
    "text", ["submit=yes", "Submit=2", "submit&Submit", "submit=true&submit=false", "submit&dryRun=x"]
)
def test_another_submit_is_400_and_nothing_is_kept(mine: Mill, text: str):
    batch_id = opened(mine)
    assert call(mine, "PATCH", f"{BATCH}/{batch_id}?{text}", page(0, "a", "b")).status_code == 400
    assert call(mine, "POST", f"{BATCH}?{text}", OPENING).status_code == 400
    assert call(mine, "GET", f"{BATCH}/{batch_id}").json()["result"]["receivedItems"] == 0


def test_a_dry_run_is_kept_with_the_batch(mine: Mill):
    batch_id = opened(mine, totalItems=1, **page(0, "a"))
    assert call(mine, "PATCH", f"{BATCH}/{batch_id}?Submit&dryrun").status_code == 200
    assert mine.value("select dry_run from characteristic_batches where batch_id = %s", batch_id) is True


# Paths


@pytest.mark.parametrize(
    "path",
    [
        "api/Import/User1s/Batch",
        "api/Import/User20s/Batch",
        "API/IMPORT/USER7S/BATCH",
        "api/import/userxs/batch",
        "Instance/api/Import/UserXs/Batch",
        "some.where/API/import/UserXs/Batch/",
    ],
)
def test_each_collection_is_there_in_any_case_and_under_any_instance(mine: Mill, path: str):
    batch_id = opened(mine, path)
    assert call(mine, "PATCH", f"{path.rstrip('/')}/{batch_id}", page(0, "a", "b")).status_code == 200
    assert call(mine, "GET", f"{path.rstrip('/')}/{batch_id}/").json()["result"]["receivedItems"] == 2
    assert call(mine, "POST", f"{path.rstrip('/')}/{batch_id}/clear").json()["result"] == {}


@pytest.mark.parametrize(
    "path",
    [
        "api/Import/User0s/Batch",
        "api/Import/User21s/Batch",
        "api/Import/Users/Batch",
        "api/Import/User1/Batch",
        "api/nothing",
        "api",
        "Instance/api/",
        "api/Import/UserXs/Batch/x",
        "api/Import/UserXs/Batch/-1",
        "api/Import/UserXs/Batch/1.5",
        "Instance/api/nothing",
    ],
)
def test_another_path_is_404_in_the_envelope(mine: Mill, path: str):
    for method in ("GET", "POST", "PATCH"):
        assert call(mine, method, path).status_code == 404


def test_the_other_dialect_has_no_instances(mine: Mill):
    answer = mine.request("GET", "Instance/ResourceServer/api/v7/DataImport/History/Paged")
    assert answer.status_code == 404
    assert set(answer.json()) == {"trackingId", "type", "errors"}


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", BATCH, "POST"),
        ("PUT", BATCH, "POST"),
        ("DELETE", f"{BATCH}/1", "GET, PATCH"),
        ("PUT", f"{BATCH}/1", "GET, PATCH"),
        ("POST", f"{BATCH}/1", "GET, PATCH"),
        ("GET", f"{BATCH}/1/clear", "POST"),
        ("PATCH", "Instance/api/Import/User3s/Batch/1/clear", "POST"),
    ],
)
def test_another_method_is_405_with_the_methods_that_are_there(mine: Mill, method: str, path: str, allowed: str):
    answer = call(mine, method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    assert codes(answer) == [("method_not_allowed", "")]


def test_a_batch_is_found_under_its_own_characteristic_and_under_the_one_of_all(mine: Mill):
    batch_id = opened(mine, "api/Import/User3s/Batch")
    assert call(mine, "GET", f"api/Import/User3s/Batch/{batch_id}").status_code == 200
    assert call(mine, "GET", f"{BATCH}/{batch_id}").status_code == 200
    assert call(mine, "GET", f"api/Import/User4s/Batch/{batch_id}").status_code == 404


# Who calls


def test_without_a_session_everything_is_403_in_the_envelope(mine: Mill):
    for header in ({"Authorization": ""}, {"Authorization": "", "X-AlliantSession": "wrong"}):
        for method, path in (
            ("POST", BATCH),
            ("PATCH", f"{BATCH}/1"),
            ("GET", f"{BATCH}/1"),
            ("POST", f"{BATCH}/1/clear"),
        ):
            answer = call(mine, method, path, headers=header)
            assert (answer.status_code, codes(answer)) == (403, [("no_session", "")])


def test_a_session_of_the_dialect_imports_and_ends(mine: Mill):
    secret = create_token(mine.database, owner_name="default", role="import", name="importer")
    login = mine.client.post(f"/here/api/security/login?userId=importer&password={secret}&systemLayer=default")
    assert list(login.json()) == ENVELOPE
    session = {"X-AlliantSession": login.json()["result"]["token"], "Authorization": ""}
    created = call(mine, "POST", BATCH, OPENING, headers=session)
    assert created.status_code == 201
    assert call(mine, "GET", f"{BATCH}/{created.json()['result']['batchId']}", headers=session).status_code == 200
    assert call(mine, "POST", "api/security/logout", headers=session).json()["result"] == "Bye"
    assert call(mine, "POST", BATCH, OPENING, headers=session).status_code == 403
    assert call(mine, "POST", "api/security/logout", headers=session).status_code == 403
    lasting = {"Authorization": f"Bearer {secret}"}
    assert call(mine, "POST", "api/security/logout", headers=lasting).json()["result"] == "Bye"
    assert call(mine, "POST", BATCH, OPENING, headers=lasting).status_code == 201


def test_the_layers_of_a_login_can_be_read_by_anybody(mine: Mill):
    nobody = {"Authorization": ""}
    layers = call(mine, "GET", "api/security/systemLayers", headers=nobody).json()["result"]
    assert layers == [{"key": "default", "displayName": "Default"}]
    assert call(mine, "GET", "api/security/systemLayers/default/applicationLayers", headers=nobody).json()[
        "result"
    ] == ["default"]
    assert call(mine, "GET", "api/security/systemLayers/other/applicationLayers", headers=nobody).status_code == 404


def test_who_may_only_read_may_not_import(mine: Mill):
    reader = create_token(mine.database, owner_name="default", role="read", name="reader")
    headers = {"Authorization": f"Bearer {reader}"}
    batch_id = opened(mine)
    assert call(mine, "GET", f"{BATCH}/{batch_id}", headers=headers).status_code == 200
    for method, path in (("POST", BATCH), ("PATCH", f"{BATCH}/{batch_id}"), ("POST", f"{BATCH}/{batch_id}/clear")):
        answer = call(mine, method, path, OPENING, headers=headers)
        assert (answer.status_code, codes(answer)) == (403, [("not_permitted", "")])


def test_a_batch_of_another_owner_is_not_there(mine: Mill):
    other = token_of(mine.database, "other", "admin", "other")
    headers = {"Authorization": f"Bearer {other}"}
    batch_id = opened(mine)
    for method, path in (("GET", ""), ("PATCH", "?Submit"), ("POST", "/clear")):
        answer = call(mine, method, f"{BATCH}/{batch_id}{path}", headers=headers)
        assert (answer.status_code, codes(answer)) == (404, [("batch_not_found", "")])


# What opens a batch


@pytest.mark.parametrize(
    ("members", "found"),
    [
        ({"importFileName": None}, [("member_required", "importFileName")]),
        ({"importFileName": ""}, [("must_be_a_text", "importFileName")]),
        ({"importFileName": 5}, [("must_be_a_text", "importFileName")]),
        ({"importFileName": "a\0"}, [("must_be_a_text", "importFileName")]),
        ({"description": 5}, [("must_be_a_text", "description")]),
        ({"pageSize": None}, [("member_required", "pageSize")]),
        ({"pageSize": 0}, [("must_be_a_whole_number", "pageSize")]),
        ({"pageSize": "2"}, [("must_be_a_whole_number", "pageSize")]),
        ({"pageSize": 2.5}, [("must_be_a_whole_number", "pageSize")]),
        ({"pageSize": True}, [("must_be_a_whole_number", "pageSize")]),
        ({"pageSize": 101}, [("must_be_a_whole_number", "pageSize")]),
        ({"totalItems": 0}, [("must_be_a_whole_number", "totalItems")]),
        ({"totalItems": -1}, [("must_be_a_whole_number", "totalItems")]),
        ({"totalItems": 1_001}, [("must_be_a_whole_number", "totalItems")]),
        ({"totalItems": 10**30}, [("must_be_a_whole_number", "totalItems")]),
        ({"items": [{"id": "a"}]}, [("member_required", "pageNumber")]),
        ({"items": [], "pageNumber": 0}, [("must_be_a_list", "items")]),
        ({"items": {}, "pageNumber": 0}, [("must_be_a_list", "items")]),
        (
            {"importFileName": None, "pageSize": 0, "totalItems": "x", "items": [{"id": 1}], "pageNumber": "0"},
            [
                ("member_required", "importFileName"),
                ("must_be_a_whole_number", "pageSize"),
                ("must_be_a_whole_number", "totalItems"),
                ("must_be_a_whole_number", "pageNumber"),
                ("must_be_a_text", "items[0].id"),
            ],
        ),
    ],
)
def test_what_is_wrong_with_an_opening_is_said_at_once_and_nothing_is_created(
    mine: Mill, members: dict[str, Any], found: list[tuple[str, str]]
):
    before = mine.value("select count(*) from characteristic_batches")
    answer = call(mine, "POST", BATCH, {**OPENING, **members})
    assert (answer.status_code, codes(answer)) == (400, found)
    assert mine.value("select count(*) from characteristic_batches") == before


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "body_not_json"),
        (b"{", "body_not_json"),
        (b"[]", "body_not_an_object"),
        (b"null", "body_not_an_object"),
        (b'{"pageSize": NaN}', "body_not_json"),
        (b'{"pageSize": 1, "pageSize": 2}', "body_not_json"),
        (b'\xff{"pageSize": 1}', "body_not_json"),
        (b"[" * 101 + b"]" * 101, "body_not_json"),
        (b'{"x": "' + b"x" * 100_000 + b'"}', "body_too_large"),
    ],
)
def test_a_body_that_is_no_object_or_too_large_is_400(mine: Mill, body: bytes, code: str):
    batch_id = opened(mine)
    assert codes(call(mine, "POST", BATCH, body)) == [(code, "")]
    refused = call(mine, "PATCH", f"{BATCH}/{batch_id}", body)
    assert refused.status_code == 400
    assert codes(refused) == [(code if body else "nothing_to_do", "")]


def test_another_media_type_is_415(mine: Mill):
    batch_id = opened(mine)
    for method, path in (("POST", BATCH), ("PATCH", f"{BATCH}/{batch_id}")):
        answer = call(mine, method, path, OPENING, headers={"Content-Type": "text/plain"})
        assert (answer.status_code, codes(answer)) == (415, [("wrong_media_type", "")])
    charset = {"Content-Type": "Application/JSON; charset=utf-8"}
    assert call(mine, "PATCH", f"{BATCH}/{batch_id}", page(0, "a"), headers=charset).status_code == 200


def test_members_and_parameters_that_are_not_known_are_warned_of(mine: Mill):
    answer = call(mine, "POST", f"{BATCH}?verbose&include=x", {**OPENING, "pagesize": 1, "pageNumber": 0})
    assert answer.status_code == 201
    assert warned(answer) == [
        ("parameter_not_known", "verbose"),
        ("parameter_not_known", "include"),
        ("member_not_known", "pagesize"),
        ("member_passed_over", "pageNumber"),
    ]


def test_a_file_name_has_one_number_whatever_its_case(mine: Mill):
    sids = [
        call(mine, "GET", f"{BATCH}/{opened(mine, importFileName=name)}").json()["result"]["importFileSID"]
        for name in ("Products", "PRODUCTS", "products 2", "Products")
    ]
    assert sids[0] == sids[1] == sids[3] != sids[2]


def test_a_first_page_that_is_submitted_must_be_all(mine: Mill):
    before = mine.value("select count(*) from characteristic_batches")
    for body in ({**OPENING, **page(0, "a", "b")}, OPENING):
        answer = call(mine, "POST", f"{BATCH}?Submit", body)
        assert (answer.status_code, codes(answer)) == (400, [("items_missing", "items")])
    assert mine.value("select count(*) from characteristic_batches") == before


# Our faults


def test_our_own_failure_is_500_in_the_envelope(mine: Mill, monkeypatch: pytest.MonkeyPatch):
    def fail(*_args: object, **_options: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("ratemill.intake.characteristic_batches.batches.find", fail)
    answer = call(mine, "GET", f"{BATCH}/1")
    assert (answer.status_code, codes(answer)) == (500, [("our_fault", "")])
