"""What belongs to a characteristic beside its items: lists, and user-defined fields."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.fixtures.items import Json, call, create, create_named_items, done, find, ids, refused, seed_item
from tests.fixtures.mill import Mill


@pytest.fixture
def mine(guide: Mill) -> Mill:
    create_named_items(guide)
    return guide


@pytest.fixture(scope="module")
def seed(cases: Path) -> Json:
    return seed_item(cases)


# Lists


def test_a_list_takes_in_what_is_below_and_leaves_out_what_is_below(mine: Mill):
    for id_, parent in (("1", "idOfParent"), ("2", "idOfParent"), ("1.1", "1"), ("2.1", "2")):
        create(mine, {"id": id_, "parentReference": {"id": parent}})
    body = {"description": "All but 2", "includedItems": [{"id": "idOfParent"}], "excludedItems": [{"id": "2"}]}
    made = done(call(mine, "POST", "user1lists", body), 201)
    assert made["_type"] == "user1list"
    assert [each["id"] for each in made["includedItems"]] == ["idOfParent"]
    path = f"user1lists/{made['guid']}"
    assert ids(call(mine, "GET", f"{path}/items")) == ["1", "1.1", "idOfParent"]
    create(mine, {"id": "1.2", "parentReference": {"id": "1"}})
    assert ids(call(mine, "GET", f"{path}/items?$filter=id startswith '1.'")) == ["1.1", "1.2"]
    done(call(mine, "PATCH", path, {"excludedItems": []}))
    assert done(call(mine, "GET", f"{path}/items"))["totalItemCount"] == 6
    assert refused(call(mine, "POST", "user1lists", body), 409) == [("description_taken", "description")]
    assert done(call(mine, "DELETE", path)) == {}
    assert done(call(mine, "GET", "user1lists"))["totalItemCount"] == 0


def test_a_list_that_an_item_names_is_there_and_stays(mine: Mill, seed: Json):
    create(mine, seed)
    (found,) = done(call(mine, "GET", "user1lists?$filter=description contains 'EXAMPLE'"))["items"]
    assert (found["description"], found["includedItems"]) == ("exampleDescription", [])
    path = f"user1lists/{found['guid']}"
    done(call(mine, "PUT", path, found | {"includedItems": [{"id": "exampleID"}]}))
    assert ids(call(mine, "GET", f"{path}/items")) == ["exampleID"]
    assert refused(call(mine, "DELETE", path), 409) == [("in_use", "")]
    answer = call(mine, "DELETE", f"user1/{find(mine, 'exampleID')['guid']}")
    assert "the list 'exampleDescription' names it" in answer.text


def test_a_list_that_does_not_hold_is_refused_with_every_fault(mine: Mill):
    body = {"includedItems": [{"id": "nobody"}, {}, {"id": "exampleID"}], "excludedItems": [{"id": "exampleID"}]}
    assert refused(call(mine, "POST", "user1lists", body), 400) == [
        ("value_not_valid", "description"),
        ("reference_not_found", "includedItems[0]"),
        ("value_not_valid", "includedItems[1]"),
        ("value_not_valid", "excludedItems[0]"),
    ]
    assert refused(call(mine, "GET", "user1lists?$filter=nothing eq 'x'"), 400) == [("filter_not_valid", "$filter")]


# Fields


def test_fields_are_inferred_from_items_and_declared_by_a_call(mine: Mill, seed: Json):
    create(mine, seed)
    found = done(call(mine, "GET", "user1fields"))["items"]
    assert {each["name"]: (each["type"], each["declaredFlag"]) for each in found} == {
        "udLookup_LookupUDField": ("lookup", False),
        "ud_userDefinedNumberField": ("number", False),
        "ud_userDefinedReference": ("reference", False),
        "ud_userDefinedStringField": ("string", False),
    }
    made = done(call(mine, "POST", "user1fields", {"name": "ud_when", "type": "dateTime"}), 201)
    assert made["declaredFlag"] is True
    assert refused(call(mine, "POST", "user1", {"id": "t", "ud_when": "soon"}), 400) == [("wrong_type", "ud_when")]
    create(mine, {"id": "t", "ud_when": "2021-08-06T00:00:00"})
    assert refused(call(mine, "POST", "user1fields", {"name": "ud_when", "type": "string"}), 409) == [
        ("name_taken", "")
    ]
    assert done(call(mine, "PUT", "user1fields/ud_when", {"type": "string"}))["type"] == "string"
    assert done(call(mine, "GET", "user1fields?$filter=declaredFlag eq true"))["itemCount"] == 1
    assert refused(call(mine, "DELETE", "user1fields/ud_when"), 409) == [("in_use", "")]


def test_a_field_is_declared_over_values_of_another_type_with_a_warning(mine: Mill):
    create(mine, {"id": "t", "ud_n": "nine"})
    create(mine, {"id": "u", "ud_n": 9})
    answer = call(mine, "POST", "user1fields", {"name": "ud_n", "type": "number"})
    assert done(answer, 201)["declaredFlag"] is True
    assert [each["message"][:7] for each in answer.json()["warnings"]] == ["1 items"]


def test_a_field_that_no_item_has_is_forgotten(mine: Mill):
    done(call(mine, "POST", "user1fields", {"name": "ud_gone", "type": "string"}), 201)
    assert done(call(mine, "DELETE", "user1fields/ud_gone")) == {}
    assert call(mine, "GET", "user1fields/ud_gone").status_code == 404


@pytest.mark.parametrize(
    ("body", "codes"),
    [
        ({}, ["name"]),
        ({"name": "colour", "type": "string"}, ["name"]),
        ({"name": "ud_x", "type": "list"}, ["type"]),
        ({"name": "udLookup_x", "type": "string"}, ["type"]),
    ],
)
def test_a_field_that_cannot_be_is_refused(mine: Mill, body: Json, codes: list[str]):
    assert [each for _, each in refused(call(mine, "POST", "user1fields", body), 400)] == codes
