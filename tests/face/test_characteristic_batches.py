"""Batches of a characteristic's items over HTTP: the documented calls as printed, and every rule and status of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from httpx import Response
from tests.mill import Mill, mill

from ratemill.settings import Settings
from ratemill.setup.tokens import create_token
from ratemill.store.connections import Database

ENVELOPE = ["result", "errors", "warnings", "hasErrors", "hasWarnings"]
BATCH = "api/Import/UserXs/Batch"
OPENING = {"importFileName": "a file", "pageSize": 2, "totalItems": 4}


@pytest.fixture(scope="module")
def mine(database: Database, settings: Settings) -> Iterator[Mill]:
    small = settings.model_copy(
        update={
            "characteristic_page_items_max": 100,
            "characteristic_batch_items_max": 1_000,
            "body_bytes_max": 100_000,
        }
    )
    with mill(database, small) as made:
        yield made


def call(mine: Mill, method: str, path: str, body: Any = None, **options: Any) -> Response:
    if body is not None:
        options["content"] = body if isinstance(body, str | bytes) else json.dumps(body)
        options["headers"] = {"Content-Type": "application/json", **options.get("headers", {})}
    answer = mine.request(method, path, **options)
    assert list(answer.json()) == ENVELOPE, answer.text
    told = answer.json()
    assert told["hasErrors"] == bool(told["errors"]) == (answer.status_code >= 400)
    assert told["hasWarnings"] == bool(told["warnings"])
    assert (told["result"] is None) == (answer.status_code >= 400)
    for each in told["errors"] + told["warnings"]:
        assert list(each) == ["code", "message", "property"]
        assert each["code"]
        assert each["message"]
    return answer


def opened(mine: Mill, path: str = BATCH, **members: Any) -> int:
    answer = call(mine, "POST", path, {**OPENING, **members})
    assert answer.status_code == 201, answer.text
    return int(answer.json()["result"]["batchId"])


def page(number: int, *ids: str) -> dict[str, Any]:
    return {"pageNumber": number, "items": [{"id": each} for each in ids]}


def codes(answer: Response) -> list[tuple[str, str]]:
    return [(each["code"], each["property"]) for each in answer.json()["errors"]]


def warned(answer: Response) -> list[tuple[str, str]]:
    return [(each["code"], each["property"]) for each in answer.json()["warnings"]]


def state(mine: Mill, batch_id: int) -> str:
    return str(mine.value("select state from characteristic_batches where batch_id = %s", batch_id))


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
    other = create_token(mine.database, owner_name="other", role="admin", name="other")
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


# Pages


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"items": [{"id": "a"}]}, [("member_required", "pageNumber")]),
        ({"pageNumber": 0}, [("member_required", "items")]),
        ({"PageNumber": 0, "items": [{"id": "a"}]}, [("member_required", "pageNumber")]),
        (page(2, "a"), [("page_number_out_of_span", "pageNumber")]),
        (page(-1, "a"), [("page_number_out_of_span", "pageNumber")]),
        (page(0, "a", "b", "c"), [("too_many_items", "items")]),
        (page(0), [("must_be_a_list", "items")]),
        (
            {"pageNumber": 9, "items": [{"id": 1, "comment": 2}, 3]},
            [
                ("page_number_out_of_span", "pageNumber"),
                ("must_be_a_text", "items[0].id"),
                ("must_be_a_text", "items[0].comment"),
                ("must_be_an_object", "items[1]"),
            ],
        ),
    ],
)
def test_what_is_wrong_with_a_page_is_said_at_once_and_it_is_not_kept(
    mine: Mill, body: dict[str, Any], found: list[tuple[str, str]]
):
    batch_id = opened(mine)
    answer = call(mine, "PATCH", f"{BATCH}/{batch_id}?Submit", body)
    assert (answer.status_code, codes(answer)) == (400, found)
    assert call(mine, "GET", f"{BATCH}/{batch_id}").json()["result"]["receivedItems"] == 0


def test_the_span_of_pages_is_named(mine: Mill):
    answer = call(mine, "PATCH", f"{BATCH}/{opened(mine)}", page(2, "a"))
    assert answer.json()["errors"][0]["message"] == "pageNumber must be 0 to 1 (4 items in pages of 2), not 2"


def test_a_page_that_is_sent_again_takes_the_place_of_the_first(mine: Mill):
    path = f"{BATCH}/{opened(mine)}"
    assert warned(call(mine, "PATCH", path, page(0, "a", "b"))) == []
    assert warned(call(mine, "PATCH", path, page(0, "c"))) == [
        ("page_replaced", "pageNumber"),
        ("page_not_full", "items"),
    ]
    known = call(mine, "GET", path).json()["result"]
    assert (known["receivedItems"], known["items"]) == (1, [{"id": "c"}])
    assert call(mine, "PATCH", path, page(1, "d")).json()["warnings"] == []


def test_more_items_than_were_announced_are_refused_with_their_page(mine: Mill):
    path = f"{BATCH}/{opened(mine, totalItems=3)}"
    call(mine, "PATCH", path, page(0, "a", "b"))
    answer = call(mine, "PATCH", path, page(1, "c", "d"))
    assert (answer.status_code, codes(answer)) == (400, [("too_many_items", "items")])
    assert call(mine, "GET", path).json()["result"]["receivedItems"] == 2
    assert call(mine, "PATCH", f"{path}?Submit", page(1, "c")).status_code == 200


def test_what_was_sent_is_given_back_byte_by_byte(mine: Mill):
    path = f"{BATCH}/{opened(mine)}"
    items = '[ {"ud_z": 87.0, "ud_a": 1E+2,\n "id":"\\u00e9\\u20ac", "x": -0, "comment": "ü\\/"},{"id" : "2"}]'
    call(mine, "PATCH", path, f'{{"items": {items}, "pageNumber": 1}}'.encode())
    assert f'"items":{items}}}' in call(mine, "GET", f"{path}?pageNumber=1").text
    assert call(mine, "GET", path).json()["result"]["items"] == []
    marked = b"\xef\xbb\xbf" + json.dumps(page(0, "a")).encode()
    assert call(mine, "PATCH", path, marked).status_code == 200


@pytest.mark.parametrize(
    ("text", "status"), [("pagenumber=1", 200), ("pageNumber=2", 400), ("pageNumber=x", 400), ("pageNumber=-1", 400)]
)
def test_a_page_is_read_by_its_number(mine: Mill, text: str, status: int):
    path = f"{BATCH}/{opened(mine)}?{text}"
    answer = call(mine, "GET", path)
    assert answer.status_code == status
    if status == 200:
        assert answer.json()["result"]["pageNumber"] == 1
    else:
        assert codes(answer)[0][1] == "pageNumber"


def test_pages_that_come_together_are_all_counted(mine: Mill):
    total = 32
    path = f"{BATCH}/{opened(mine, pageSize=2, totalItems=total)}"

    def send(number: int) -> int:
        return call(mine, "PATCH", path, page(number, f"{number}a", f"{number}b")).status_code

    with ThreadPoolExecutor(8) as clients:
        assert set(clients.map(send, [*range(total // 2), *range(total // 2)])) == {200}
    assert call(mine, "GET", path).json()["result"]["receivedItems"] == total
    assert call(mine, "PATCH", f"{path}?Submit").status_code == 200


def test_the_characteristic_of_a_batch_is_told_by_its_items(mine: Mill):
    batch_id = opened(mine)
    path = f"{BATCH}/{batch_id}"
    told = {"id": "a", "user7BOMHeaders": [{"user7BOMDetails": [{"udKey7Reference": {"id": "b"}}]}]}
    call(mine, "PATCH", path, page(0, "x", "y"))
    assert mine.value("select characteristic from characteristic_batches where batch_id = %s", batch_id) is None
    call(mine, "PATCH", path, {"pageNumber": 1, "items": [told, {"id": "c"}]})
    assert mine.value("select characteristic from characteristic_batches where batch_id = %s", batch_id) == 7
    other = {"id": "a", "user8BOMHeaders": []}
    assert warned(call(mine, "PATCH", path, {"pageNumber": 1, "items": [other, {"id": "c"}]}))[0] == (
        "other_characteristic",
        "items[0].user8BOMHeaders",
    )


# Submit and clear


def test_a_batch_that_is_not_complete_stays_open_and_says_what_is_missing(mine: Mill):
    path = f"{BATCH}/{opened(mine, totalItems=9)}"
    call(mine, "PATCH", path, page(1, "a", "b"))
    answer = call(mine, "PATCH", f"{path}?Submit", page(2, "c"))
    assert (answer.status_code, codes(answer)) == (409, [("items_missing", "")])
    message = answer.json()["errors"][0]["message"]
    assert message == "3 of 9 items have been received; missing pages: 0, 3, 4; pages that are not full: 2"
    assert call(mine, "GET", f"{path}?pageNumber=2").json()["result"]["items"] == [{"id": "c"}]
    for number, ids in ((0, "ab"), (2, "cd"), (3, "ef"), (4, "g")):
        call(mine, "PATCH", path, page(number, *ids))
    assert call(mine, "PATCH", f"{path}?Submit").status_code == 200


def test_a_last_page_that_is_not_full_is_named_too(mine: Mill):
    path = f"{BATCH}/{opened(mine, totalItems=2)}"
    call(mine, "PATCH", path, page(0, "a"))
    message = call(mine, "PATCH", f"{path}?Submit").json()["errors"][0]["message"]
    assert message == "1 of 2 items have been received; pages that are not full: 0"


def test_only_the_first_hundred_missing_pages_are_named(mine: Mill):
    answer = call(mine, "PATCH", f"{BATCH}/{opened(mine, pageSize=1, totalItems=250)}?Submit")
    assert answer.json()["errors"][0]["message"].endswith("98, 99 and 150 more")


def test_a_submitted_batch_takes_no_page_no_submit_and_is_not_cleared_yet(mine: Mill):
    path = f"{BATCH}/{opened(mine, totalItems=1, **page(0, 'a'))}"
    assert call(mine, "PATCH", f"{path}?Submit").status_code == 200
    for method, end, body in (("PATCH", "?Submit", None), ("PATCH", "", page(0, "b")), ("POST", "/clear", None)):
        assert call(mine, method, path + end, body).status_code == 409
    assert call(mine, "GET", path).json()["result"]["items"] == [{"id": "a"}]


def test_a_cleared_batch_is_empty_and_closed_for_ever(mine: Mill):
    batch_id = opened(mine, totalItems=1, **page(0, "a"))
    path = f"{BATCH}/{batch_id}"
    for _ in range(2):
        cleared = call(mine, "POST", f"{path}/clear")
        assert (cleared.status_code, cleared.json()["result"], cleared.json()["warnings"]) == (200, {}, [])
    assert state(mine, batch_id) == "cleared"
    known = call(mine, "GET", path).json()["result"]
    assert (known["receivedItems"], known["items"], known["importFileName"]) == (0, [], "a file")
    for end, body in (("?Submit", None), ("", page(0, "b"))):
        answer = call(mine, "PATCH", path + end, body)
        assert (answer.status_code, codes(answer)) == (409, [("batch_cleared", "")])
        assert "create a new Import UserX Batch" in answer.json()["errors"][0]["message"]


@pytest.mark.parametrize("ended", ["completed", "completedWithErrors", "failed", "cancelled"])
def test_what_a_job_has_ended_can_be_cleared_and_keeps_its_state(mine: Mill, ended: str):
    batch_id = opened(mine, totalItems=1, **page(0, "a"))
    mine.change("update characteristic_batches set state = %s where batch_id = %s", ended, batch_id)
    assert call(mine, "POST", f"{BATCH}/{batch_id}/clear").status_code == 200
    assert call(mine, "GET", f"{BATCH}/{batch_id}").json()["result"]["receivedItems"] == 0
    assert state(mine, batch_id) == ended
    assert codes(call(mine, "PATCH", f"{BATCH}/{batch_id}", page(0, "b"))) == [("batch_cleared", "")]


def test_what_cannot_be_found_is_404(mine: Mill):
    for number in (0, 999_999, 10**29):
        for method, end in (("GET", ""), ("PATCH", "?Submit"), ("POST", "/clear")):
            assert call(mine, method, f"{BATCH}/{number}{end}").status_code == 404


# Our faults


def test_our_own_failure_is_500_in_the_envelope(mine: Mill, monkeypatch: pytest.MonkeyPatch):
    def fail(*_args: object, **_options: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("ratemill.intake.characteristic_batches.batches.find", fail)
    answer = call(mine, "GET", f"{BATCH}/1")
    assert (answer.status_code, codes(answer)) == (500, [("our_fault", "")])
