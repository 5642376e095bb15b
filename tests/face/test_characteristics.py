"""Items of characteristics over HTTP: read by filter, order and page, created, changed, deleted; lists and fields."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx import Response
from tests.mill import Mill, mill

from ratemill.face.server import create_app
from ratemill.settings import Settings
from ratemill.setup.tokens import create_token
from ratemill.store.connections import Database

Json = dict[str, Any]
ENVELOPE = ["result", "errors", "warnings", "hasErrors", "hasWarnings"]
NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def mine(new_database, settings: Settings) -> Iterator[Mill]:
    """Yield a mill with the items that the seed's item names, and that item."""
    database = Database(new_database(), settings)
    with mill(database, settings) as made:
        create(made, {"id": "idOfParent", "description": "Parent"})
        create(made, {"id": "exampleID"})
        yield made
    database.close()


@pytest.fixture(scope="module")
def seed(cases: Path) -> Json:
    """Return the item of the golden case."""
    page = json.loads((cases / "characteristic_batches" / "page_request.json").read_text())
    item: Json = page["items"][0]
    return item


def call(mill: Mill, method: str, path: str, body: object = None, **options: Any) -> Response:
    content = json.dumps(body) if body is not None else None
    return mill.request(method, f"api/data/{path}", content=content, **options)


def done(answer: Response, status: int = 200) -> Any:
    assert answer.status_code == status, answer.text
    assert list(answer.json()) == ENVELOPE
    assert answer.json()["errors"] == []
    return answer.json()["result"]


def create(mill: Mill, item: Json, number: int = 1) -> Json:
    made: Json = done(call(mill, "POST", f"user{number}", item), 201)
    return made


def refused(answer: Response, status: int) -> list[tuple[str, str]]:
    """Return code and property of every error."""
    assert answer.status_code == status, answer.text
    assert answer.json()["result"] is None
    assert answer.json()["hasErrors"] is True
    return [(each["code"], each["property"]) for each in answer.json()["errors"]]


def ids(answer: Response) -> list[str]:
    return [item["id"] for item in done(answer)["items"]]


def find(mill: Mill, id_: str) -> Json:
    (item,) = done(call(mill, "GET", f"user1?$filter=id eq '{id_}'"))["items"]
    found: Json = item
    return found


# Reading


def test_an_item_is_read_with_the_members_of_the_product_around_those_that_were_sent(mine: Mill, seed: Json):
    made = create(mine, seed)
    item = done(call(mine, "GET", f"user1/{made['guid']}"))
    assert item == made
    assert list(item)[:6] == ["_timestamp", "_type", "displayName", "guid", "sid", "id"]
    assert item["_type"] == "user1"
    assert item["displayName"] == seed["description"]
    assert item["hierarchyLevelNumber"] == 2
    plain = [name for name, value in seed.items() if not isinstance(value, dict | list)]
    assert {name: item[name] for name in plain} == {name: seed[name] for name in plain}
    assert list(item["udLookup_LookupUDField"]["udfLookupItems"][0]) == list(
        seed["udLookup_LookupUDField"]["udfLookupItems"][0]
    )


def test_references_say_what_they_point_to_beside_the_key_they_were_sent_with(mine: Mill, seed: Json):
    item = create(mine, seed)
    parent = find(mine, "idOfParent")
    of_parent = {name: parent[name] for name in ("_type", "displayName", "guid", "sid", "id")}
    assert item["parentReference"] == of_parent
    component = item["user1BOMHeaders"][0]["user1BOMDetails"][0]["udKey1Reference"]
    assert component["guid"] == find(mine, "exampleID")["guid"]
    admin_class = item["adminClassReference"]
    assert list(admin_class) == ["_type", "displayName", "guid", "sid", "id"]
    assert admin_class["_type"] == "adminClass"
    method = item["user1BOMHeaders"][0]["allocationMethodReference"]
    assert method["registeredProdedureName"] == "NameOfProcedure"


def test_numbers_go_out_by_their_digits(mine: Mill):
    answer = mine.request("POST", "api/data/user1", content='{"id":"n","ud_n":87.00,"ud_m":1E2,"ud_t":"\\u00e9"}')
    assert '"ud_n":87.00,"ud_m":1E2,"ud_t":"é"' in answer.text


def test_pages_lead_to_the_ones_before_and_after(mine: Mill):
    for number in range(5):
        create(mine, {"id": f"x{number}"})
    query = "user1?$filter=id startswith 'x'&$orderby=id desc&minimal&$top=2"
    pages, answer = [], call(mine, "GET", query)
    while True:
        result = done(answer)
        assert (result["itemCount"], result["totalItemCount"]) == (len(result["items"]), 5)
        pages.append([item["id"] for item in result["items"]])
        if result["nextPageUrl"] is None:
            break
        answer = mine.client.get(result["nextPageUrl"], headers={"X-AlliantSession": mine.token})
    assert pages == [["x4", "x3"], ["x2", "x1"], ["x0"]]
    back = mine.client.get(result["previousPageUrl"], headers={"X-AlliantSession": mine.token})
    assert ids(back) == ["x2", "x1"]
    assert done(call(mine, "GET", "user1?$top=0"))["items"] == []
    assert done(call(mine, "GET", "user2")) == {
        "previousPageUrl": None,
        "nextPageUrl": None,
        "itemCount": 0,
        "totalItemCount": 0,
        "items": [],
    }


def test_a_collection_knows_how_many_items_it_has(mine: Mill):
    mine.change(
        "insert into characteristic_items (owner_id, characteristic, guid, id, document, created_by, changed_by)"
        " select owner_id, 1 + g %% 2, gen_random_uuid(), g::text, '{}', '', '' from owners, generate_series(1, 7) g"
    )
    mine.change("delete from characteristic_items where id in ('1', '2', '3')")
    for number in (1, 2, 3):
        statement = """select count(*) from characteristic_items join owners using (owner_id)
            where name = 'default' and characteristic = %s"""
        expected = mine.value(statement, number)
        assert done(call(mine, "GET", f"user{number}"))["totalItemCount"] == expected
        assert done(call(mine, "GET", f"user{number}?$filter=id ne ''"))["totalItemCount"] == expected


@pytest.fixture(scope="module")
def searched(database: Database, settings: Settings) -> Iterator[Mill]:
    """Yield a mill with a few items that differ in everything that is compared."""
    with mill(database, settings) as made:
        create(made, {"id": "top", "description": "The Top"})
        create(made, {"id": "a", "description": "O'Neill", "ud_n": 9, "royaltyBearingFlag": True, "comment": 'say "x"'})
        create(made, {"id": "b", "description": "pebbles 2", "parentReference": {"id": "top"}, "ud_n": 10.50})
        create(
            made, {"id": "c", "parentReference": {"description": "The Top"}, "ud_n": "9", "ud_where": {"id": "there"}}
        )
        create(
            made, {"id": "d", "description": None, "adminClassReference": {"id": "main"}, "royaltyBearingFlag": False}
        )
        yield made


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("id eq 'a'", "a"),
        ("id ne 'a' and id lt 'd'", "bc"),
        ("ID eq 'A'", ""),
        ("description contains 'PEBBLES'", "b"),
        ("description eq 'O''Neill'", "a"),
        ("description endswith ' 2' or description startswith 'o'", "ab"),
        ("description eq null and id ne 'top'", "cd"),
        ("displayName eq 'c'", "c"),
        ("parentReference.id eq 'top'", "bc"),
        ("parentReference.description startswith 'the'", "bc"),
        ("parentReference.id ne 'top' and id lt 'e'", "ad"),
        ("parentReference eq null and id lt 'e'", "ad"),
        ("ud_n gt 9", "b"),
        ("ud_n ge '9.0' and id ne 'c'", "ab"),
        ("ud_n eq '10.5'", "b"),
        ("ud_n eq '9'", "ac"),
        ("royaltyBearingFlag eq true", "a"),
        ("royaltyBearingFlag eq 'False'", "d"),
        ("royaltyBearingFlag ne null", "ad"),
        ("comment eq 'say \"x\"'", "a"),
        ("comment contains 'SAY'", "a"),
        ("adminClassReference.id eq 'main'", "d"),
        ("ud_where.id eq 'there'", "c"),
        ("(id eq 'a' or id eq 'b') and (ud_n lt 10)", "a"),
        ("sid gt 1 and sid le 3", "ab"),
        ("guid eq 'nonsense'", ""),
        ("sid eq '99999999999999999999'", ""),
        ("createdDatetime gt '2020' and id eq 'a'", "a"),
        ("id eq 'a\u0000'", ""),
    ],
)
def test_a_filter_finds_what_it_means(searched: Mill, text: str, found: str):
    answer = call(searched, "GET", "user1", params={"$filter": text, "minimal": ""})
    assert "".join(ids(answer)) == found
    assert done(answer)["totalItemCount"] == len(found)


def test_plus_and_percent_are_blanks_and_a_name_has_no_letter_case(searched: Mill):
    assert ids(call(searched, "GET", "User1?$FILTER=id+eq%20'a'&Minimal=true")) == ["a"]


@pytest.mark.parametrize(
    ("order", "found"),
    [
        ("id desc", ["top", "d", "c", "b", "a"]),
        ("description desc", ["b", "top", "a", "c", "d"]),
        ("description", ["c", "d", "a", "top", "b"]),
        ("parentReference.id desc, id desc", ["c", "b", "top", "d", "a"]),
        ("sid", ["top", "a", "b", "c", "d"]),
        ("modifiedDatetime desc", ["d", "c", "b", "a", "top"]),
    ],
)
def test_an_order_is_kept(searched: Mill, order: str, found: list[str]):
    assert ids(call(searched, "GET", "user1", params={"$orderby": order})) == found
    assert ids(call(searched, "GET", "user1", params={"$orderby": order, "$filter": "id ne 'x'"})) == found


def test_a_query_that_cannot_be_read_is_told_with_every_fault(searched: Mill):
    answer = call(searched, "GET", "user1?$filter=id is 'a'&$orderby=nothing&$top=1001&$skip=-1&$fliter=x&minimal=2")
    codes = refused(answer, 400)
    assert sorted(codes) == [
        ("filter_not_valid", "$filter"),
        ("filter_not_valid", "$orderby"),
        ("parameter_not_valid", "$fliter"),
        ("parameter_not_valid", "$skip"),
        ("parameter_not_valid", "$top"),
        ("parameter_not_valid", "minimal"),
    ]


def test_what_does_not_change_the_answer_is_a_warning(searched: Mill):
    answer = call(searched, "GET", "user1?foo=1&include=comment,nix&$filter=ud_none eq 'x'")
    assert done(answer)["totalItemCount"] == 0
    assert [(each["code"], each["property"]) for each in answer.json()["warnings"]] == [
        ("parameter_not_known", "foo"),
        ("member_not_known", "include"),
        ("field_not_known", "$filter"),
    ]


def test_switches_say_which_members_are_shown(searched: Mill):
    path = "user1?$filter=id eq 'a'"
    minimal = ["_type", "displayName", "guid", "sid", "id"]
    assert list(done(call(searched, "GET", f"{path}&minimal"))["items"][0]) == minimal
    assert list(done(call(searched, "GET", f"{path}&minimal&include=COMMENT"))["items"][0]) == [*minimal, "comment"]
    (shown,) = done(call(searched, "GET", f"{path}&exclude=comment,hierarchyLevelReference"))["items"]
    assert "comment" not in shown
    assert "hierarchyLevelReference" not in shown
    assert "modifiedDatetime" not in shown
    (shown,) = done(call(searched, "GET", f"{path}&verbose"))["items"]
    assert shown["createdByUserReference"]["displayName"] == "tester"
    assert shown["modifiedDatetime"].count(":") == 2
    assert not shown["modifiedDatetime"].endswith("Z")


# Rights and paths


def test_what_is_not_there_is_404_and_without_a_session_403(mine: Mill):
    assert refused(call(mine, "GET", f"user1/{NOBODY}"), 404) == [("object_not_found", "")]
    assert call(mine, "GET", "user1/nonsense").status_code == 404
    assert call(mine, "GET", "user21").status_code == 404
    assert call(mine, "GET", "user0").status_code == 404
    assert call(mine, "GET", "user1", headers={"Authorization": ""}).status_code == 403
    of_another = find(mine, "exampleID")["guid"]
    assert call(mine, "GET", f"user2/{of_another}").status_code == 404


def test_items_belong_to_their_owner(mine: Mill):
    other = Mill(mine.database, mine.settings, "other", mine.client)
    guid = find(mine, "exampleID")["guid"]
    for method in ("GET", "PUT", "DELETE"):
        assert call(other, method, f"user1/{guid}", {} if method == "PUT" else None).status_code == 404
    assert done(call(other, "GET", "user1"))["totalItemCount"] == 0
    assert refused(call(other, "POST", "user1", {"id": "z", "parentReference": {"guid": guid}}), 400)


def test_who_may_only_read_changes_nothing(mine: Mill):
    secret = create_token(mine.database, owner_name="default", role="read", name="reader")
    headers = {"Authorization": f"Bearer {secret}"}
    assert call(mine, "GET", "user1", headers=headers).status_code == 200
    assert call(mine, "POST", "user1", {"id": "z"}, headers=headers).status_code == 403


def test_another_method_is_405_with_those_that_are_allowed(mine: Mill):
    answer = call(mine, "PUT", "user1", {})
    assert refused(answer, 405)
    assert answer.headers["allow"] == "GET, POST"


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
    with TestClient(create_app(mine.database, strict)) as client:
        other = Mill(mine.database, strict, "default", client)
        create(other, {"id": "fits", "adminClassReference": {"id": "main"}})
        answer = call(other, "POST", "user1", {"id": "not", "adminClassReference": {"id": "other"}})
        assert refused(answer, 400) == [("reference_not_found", "")]


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
