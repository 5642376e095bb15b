"""What calls change in a characteristic is told afterwards: who, when, before and after; nobody can change the log."""

from __future__ import annotations

from typing import Any

import pytest
from tests.fixtures.items import Json, call, create, create_named_items, done, find, refused
from tests.fixtures.mill import Mill

from ratemill.access.tokens import create_token
from ratemill.errors import StatementDefect
from ratemill.store.connections import driver


@pytest.fixture
def mine(guide: Mill) -> Mill:
    create_named_items(guide)
    return guide


def changes(mine: Mill, number: int = 1, **parameters: str) -> list[Json]:
    """Return changes, the oldest first."""
    answer = mine.request("GET", f"api/data/user{number}changes", params=parameters)
    found: list[Json] = done(answer)["items"]
    return found[::-1]


def told(change: Json) -> tuple[Any, ...]:
    return tuple(change[name] for name in ("object", "name", "action", "before", "after"))


def test_the_life_of_an_item_is_told_by_its_documents(mine: Mill):
    corrector = create_token(mine.database, owner_name="default", role="setup", name="corrector")
    made = create(mine, {"id": "A", "comment": "1", "parentReference": {"id": "idOfParent"}})
    headers = {"Authorization": f"Bearer {corrector}"}
    path = f"api/data/user1/{made['guid']}"
    mine.request("PATCH", path, content='{"comment":null,"ud_n":87.0}', headers=headers)
    mine.request("PATCH", path, content='{"ud_n":87.0}', headers=headers)  # changes nothing
    assert mine.request("DELETE", path).status_code == 200
    first = {"id": "A", "comment": "1", "parentReference": {"id": "idOfParent"}}
    second = {"id": "A", "comment": None, "parentReference": {"id": "idOfParent"}, "ud_n": 87.0}
    life = changes(mine, name="A")
    assert [told(each)[:3] for each in life] == [("item", "A", what) for what in ("created", "updated", "deleted")]
    assert life[0]["before"] is life[2]["after"] is None
    assert life[0]["after"] == life[1]["before"] == first
    assert {name: life[1]["after"].get(name) for name in second} == second
    assert life[2]["before"] == life[1]["after"]
    assert [each["changedByUserReference"]["displayName"] for each in life] == ["tester", "corrector", "tester"]
    assert {each["objectSid"] for each in life} == {made["sid"]}
    assert [each["changedDatetime"] for each in life] == sorted(each["changedDatetime"] for each in life)
    assert '"ud_n":87.0' in mine.request("GET", "api/data/user1changes").text


def test_lists_and_fields_are_told_too(mine: Mill):
    body = {"description": "Some", "includedItems": [{"id": "exampleID"}]}
    made = done(call(mine, "POST", "user1lists", body), 201)
    done(call(mine, "PATCH", f"user1lists/{made['guid']}", {"includedItems": None}))
    done(call(mine, "PATCH", f"user1lists/{made['guid']}", {"includedItems": []}))
    done(call(mine, "DELETE", f"user1lists/{made['guid']}"))
    found = changes(mine, object="list")
    assert [each["action"] for each in found] == ["created", "updated", "deleted"]
    assert [[item["id"] for item in each["before"]["includedItems"]] for each in found[1:]] == [["exampleID"], []]
    done(call(mine, "POST", "user1fields", {"name": "ud_w", "type": "number"}), 201)
    done(call(mine, "PATCH", "user1fields/ud_w", {"type": "string"}))
    done(call(mine, "DELETE", "user1fields/ud_w"))
    number, text = ({"name": "ud_w", "type": type_, "declaredFlag": True} for type_ in ("number", "string"))
    assert [told(each) for each in changes(mine, object="field")] == [
        ("field", "ud_w", "created", None, number),
        ("field", "ud_w", "updated", number, text),
        ("field", "ud_w", "deleted", text, None),
    ]


def test_what_was_refused_is_no_change(mine: Mill):
    before = changes(mine)
    refused(call(mine, "POST", "user1", {"id": "exampleID"}), 409)
    refused(call(mine, "POST", "user1", {"id": 5}), 400)
    refused(call(mine, "PATCH", f"user1/{find(mine, 'exampleID')['guid']}", {"parentReference": {"id": "no"}}), 400)
    assert changes(mine) == before


def test_filters_and_pages_narrow_the_log(mine: Mill):
    create(mine, {"id": "A"})
    create(mine, {"id": "A"}, number=2)
    assert [each["name"] for each in changes(mine)] == ["idOfParent", "exampleID", "A"]
    assert [each["_type"] for each in changes(mine, 2)] == ["user2change"]
    assert changes(mine, action="DELETED") == changes(mine, changedBy="nobody") == changes(mine, to="2020-01-01") == []
    assert len(changes(mine, 1, **{"from": "2020-01-01", "action": "created", "changedBy": "tester"})) == 3
    page = done(mine.request("GET", "api/data/user1changes", params={"$top": "1", "$skip": "1"}))
    assert ([each["name"] for each in page["items"]], page["totalItemCount"]) == (["exampleID"], 3)
    wrong = {"object": "tree", "action": "eaten", "from": "soon", "$top": "x", "$filter": "name eq 'A'"}
    answer = mine.request("GET", "api/data/user1changes", params=wrong)
    assert {place for _, place in refused(answer, 400)} == set(wrong)


def test_the_log_belongs_to_its_owner_and_stays_as_it_is(mine: Mill):
    other = Mill(mine.database, mine.settings, "other", mine.client)
    assert changes(other) == []
    for statement in ("update characteristic_changes set name = 'x'", "delete from characteristic_changes"):
        with pytest.raises(StatementDefect, match="permission denied"), mine.database.face(1) as connection:
            driver(connection).execute(statement)
        with pytest.raises(StatementDefect, match="permission denied"), mine.database.worker() as connection:
            driver(connection).execute(statement)
