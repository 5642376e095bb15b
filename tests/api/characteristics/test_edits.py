"""Items of characteristics over HTTP, one by one: created, changed, deleted."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from tests.fixtures.items import NOBODY, Json, call, create, create_named_items, done, find, ids, refused, seed_item
from tests.fixtures.mill import LOCAL, Mill

from ratemill.api.server import create_app
from ratemill.settings import Settings


@pytest.fixture
def mine(guide: Mill) -> Mill:
    create_named_items(guide)
    return guide


@pytest.fixture(scope="module")
def seed(cases: Path) -> Json:
    return seed_item(cases)


# Writing


def test_an_item_without_an_id_gets_the_next_number(mine: Mill):
    create(mine, {"id": "2"})
    assert [create(mine, {"description": "new"})["id"] for _ in range(3)] == ["1", "3", "4"]


def test_an_id_is_taken_once_also_by_many_at_a_time(mine: Mill):
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: call(mine, "POST", "user1", {"id": "one"}).status_code, range(8)))
    assert sorted(answers) == [201, *[409] * 7]
    assert refused(call(mine, "POST", "user1", {"id": "one"}), 409) == [("id_taken", "id")]
    create(mine, {"id": "one"}, number=2)


def test_an_item_that_does_not_hold_is_refused_with_every_fault(mine: Mill):
    done(call(mine, "POST", "user1fields", {"name": "ud_n", "type": "number"}), 201)
    item = {"id": 5, "royaltyBearingFlag": "yes", "parentReference": {}, "ud_x": []}
    assert len(refused(call(mine, "POST", "user1", item), 400)) == 4
    item = {"id": "a", "parentReference": {"id": "nobody"}, "ud_n": "nine", "user1BOMHeaders": [
        {"user1BOMDetails": [{"udKey1Reference": {"sid": 999}}]}]}  # fmt: skip
    assert refused(call(mine, "POST", "user1", item), 400) == [
        ("wrong_type", "ud_n"),
        ("reference_not_found", "parentReference"),
        ("reference_not_found", "user1BOMHeaders[0].user1BOMDetails[0].udKey1Reference"),
    ]
    assert refused(mine.request("POST", "api/data/user1", content="[1"), 400) == [("body_not_json", "")]
    assert refused(call(mine, "POST", "user1", []), 400) == [("body_not_an_object", "")]
    assert done(call(mine, "GET", "user1"))["totalItemCount"] == 2


def test_a_member_that_no_item_has_is_a_warning_and_not_kept(mine: Mill):
    answer = call(mine, "POST", "user1", {"id": "w", "colour": "red"})
    assert [each["property"] for each in answer.json()["warnings"]] == ["colour"]
    assert "colour" not in done(answer, 201)


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_a_change_merges(mine: Mill, seed: Json, method: str):
    made = create(mine, seed)
    path = f"user1/{made['guid']}"
    changed = done(
        call(mine, method, path, {"comment": "new", "parentReference": None, "ud_userDefinedNumberField": 1})
    )
    assert changed["comment"] == "new"
    assert changed["parentReference"] is None
    assert changed["hierarchyLevelNumber"] == 1
    assert changed["user1BOMHeaders"] == made["user1BOMHeaders"]
    assert changed["_timestamp"] > made["_timestamp"]
    assert ids(call(mine, "GET", f"user1/{find(mine, 'idOfParent')['guid']}/children")) == []


def test_what_was_read_may_be_sent_back_and_changes_nothing(mine: Mill, seed: Json):
    made = create(mine, seed)
    path = f"user1/{made['guid']}"
    shown = done(call(mine, "GET", f"{path}?verbose"))
    answer = call(mine, "PUT", path, shown)
    assert done(answer) == made
    assert answer.json()["warnings"] == []
    shown["parentReference"]["id"] = "exampleID"
    assert done(call(mine, "PUT", path, shown))["parentReference"]["guid"] == find(mine, "exampleID")["guid"]


def test_a_change_of_what_was_changed_since_is_refused(mine: Mill):
    item = find(mine, "exampleID")
    path = f"user1/{item['guid']}"
    done(call(mine, "PATCH", path, {"comment": "first"}))
    assert refused(call(mine, "PUT", path, item | {"comment": "second"}), 409) == [("changed_since", "_timestamp")]
    assert refused(call(mine, "PUT", path, {"id": "other"}), 409) == [("id_must_stay", "id")]
    assert refused(call(mine, "PUT", path, {"guid": NOBODY}), 400) == [("not_of_this_path", "guid")]


def test_parents_lead_to_the_top_and_never_in_a_circle(mine: Mill):
    top = find(mine, "idOfParent")
    middle = create(mine, {"id": "middle", "parentReference": {"guid": top["guid"]}})
    low = create(mine, {"id": "low", "parentReference": {"sid": middle["sid"]}})
    assert low["hierarchyLevelNumber"] == 3
    assert ids(call(mine, "GET", f"user1/{low['guid']}/parents")) == ["middle", "idOfParent"]
    assert ids(call(mine, "GET", f"user1/{top['guid']}/children?minimal&$filter=id ne 'x'")) == ["middle"]
    for id_ in ("low", "idOfParent"):
        answer = call(mine, "PATCH", f"user1/{top['guid']}", {"parentReference": {"id": id_}})
        assert refused(answer, 400) == [("parents_in_a_circle", "parentReference")]
    assert done(call(mine, "GET", f"user1/{top['guid']}"))["hierarchyLevelNumber"] == 1


def test_an_item_that_something_uses_is_not_deleted(mine: Mill, seed: Json):
    made = create(mine, seed)
    for id_ in ("idOfParent", "exampleID"):
        answer = call(mine, "DELETE", f"user1/{find(mine, id_)['guid']}")
        assert set(refused(answer, 409)) == {("in_use", "")}
        assert "'004 Product'" in answer.text
    assert done(call(mine, "DELETE", f"user1/{made['guid']}")) == {}
    assert call(mine, "GET", f"user1/{made['guid']}").status_code == 404
    assert done(call(mine, "DELETE", f"user1/{find(mine, 'idOfParent')['guid']}")) == {}


def test_an_item_that_charges_name_is_not_deleted(mine: Mill):
    item = find(mine, "exampleID")
    owner_id = mine.value("select owner_id from owners where name = 'default'")
    mine.change("insert into charged_items (owner_id, characteristic, id) values (%s, 1, 'exampleID')", owner_id)
    answer = call(mine, "DELETE", f"user1/{item['guid']}")
    assert refused(answer, 409) == [("in_use", "")]
    assert "charges name characteristic1 'exampleID'" in answer.text


def test_while_a_batch_changes_a_characteristic_nobody_else_does(mine: Mill):
    body = {"importFileName": "f", "pageSize": 1, "totalItems": 1, "pageNumber": 0, "items": [{"id": "b"}]}
    answer = mine.request("POST", "api/Import/User1s/Batch", content=json.dumps(body))
    batch_id = answer.json()["result"]["batchId"]
    mine.change("update characteristics set batch_id = %s where characteristic = 1", batch_id)
    guid = find(mine, "exampleID")["guid"]
    for method, path in (("POST", "user1"), ("PATCH", f"user1/{guid}"), ("DELETE", f"user1/{guid}")):
        answer = call(mine, method, path, None if method == "DELETE" else {"comment": "x"})
        assert refused(answer, 409) == [("batch_at_work", "")]
    create(mine, {"id": "free"}, number=2)


def test_with_strict_references_what_is_not_registered_is_refused(mine: Mill, settings: Settings):
    create(mine, {"id": "known", "adminClassReference": {"id": "main"}})
    strict = settings.model_copy(update={"references_strict": True})
    with TestClient(create_app(mine.database, strict), LOCAL) as client:
        other = Mill(mine.database, strict, "default", client)
        create(other, {"id": "fits", "adminClassReference": {"id": "main"}})
        answer = call(other, "POST", "user1", {"id": "not", "adminClassReference": {"id": "other"}})
        assert refused(answer, 400) == [("reference_not_found", "")]
