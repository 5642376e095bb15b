"""Items of characteristics over HTTP, read: by filter, order and page; rights and paths."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fixtures.items import NOBODY, Json, call, create, create_named_items, done, find, ids, refused, seed_item
from tests.fixtures.mill import Mill, mill

from ratemill.access.tokens import create_token
from ratemill.settings import Settings
from ratemill.store.connections import Database


@pytest.fixture
def mine(guide: Mill) -> Mill:
    create_named_items(guide)
    return guide


@pytest.fixture(scope="module")
def seed(cases: Path) -> Json:
    return seed_item(cases)


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


def test_descriptions_that_begin_alike_are_ordered_by_their_ends(mine: Mill):
    long = "x" * 300
    for id_, description in (
        ("1", f"{long}b"),
        ("2", f"{long}a"),
        ("3", f"{long[:99]}y"),
        ("4", "É"),
        ("5", "a"),
        ("6", "B"),
    ):
        create(mine, {"id": id_, "description": description}, number=2)
    create(mine, {"id": "7"}, number=2)
    order = ["7", "6", "5", "2", "1", "3", "4"]
    assert ids(call(mine, "GET", "user2?$orderby=description")) == order
    assert ids(call(mine, "GET", "user2?$orderby=description desc")) == order[::-1]
    assert ids(call(mine, "GET", "user2?$orderby=description&$filter=id ne 'x'")) == order


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
