"""Set-up objects over HTTP, read: each object by each reading verb, its filters, its pages, its searches."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from httpx import Response
from tests.fixtures.mill import Mill, mill

from ratemill.access.tokens import create_token
from ratemill.api.setup import reading
from ratemill.errors import Code
from ratemill.settings import Settings
from ratemill.setup.declaration import SetupObject
from ratemill.setup.objects.registry import BASE_UNITS, BY_LIST, OBJECTS
from ratemill.setup.reading import long_lists, searching
from ratemill.store.connections import Database

EVERY = (BASE_UNITS, *OBJECTS)
FULL = (Path(__file__).parents[2] / "setup" / "full.yaml").read_text().replace("owner: full\n", "")
each_object = pytest.mark.parametrize("each", EVERY, ids=lambda each: each.list_name)
RATES, UNITS = BY_LIST["usageRates"], BY_LIST["usageUnits"]


@pytest.fixture(scope="module")
def mills(database: Database, settings: Settings) -> Iterator[tuple[Mill, Mill]]:
    with mill(database, settings, "default") as mine, mill(database, settings, "other") as others:
        mine.apply(FULL)
        others.apply(FULL)
        yield mine, others


@pytest.fixture(scope="module")
def mine(mills: tuple[Mill, Mill]) -> Mill:
    return mills[0]


@pytest.fixture(scope="module")
def others(mills: tuple[Mill, Mill]) -> Mill:
    return mills[1]


def read(mine: Mill, each: SetupObject, rest: str = "", **options: Any) -> Any:
    answer = mine.request("GET", f"/{each.path}{rest}", **options)
    assert answer.status_code == 200, answer.text
    return answer.json()


def search(mine: Mill, each: SetupObject, **query: Any) -> Response:
    return mine.request("POST", f"/{each.path}Search", content=json.dumps({"query": query}))


def found(mine: Mill, each: SetupObject, **query: Any) -> list[dict[str, Any]]:
    answer = search(mine, each, **query)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["pagedResults"]["items"]
    return items


def names(mine: Mill, each: SetupObject, *terms: tuple[str, str, object], condition: str = "and") -> list[str]:
    comparisons = [{"name": name, "operator": operator, "value": value} for name, operator, value in terms]
    return [one["name"] for one in found(mine, each, search=comparisons, condition=condition)]


@each_object
def test_every_reading_verb_shows_the_same(mine: Mill, each: SetupObject):
    whole = read(mine, each)
    assert list(whole) == ["trackingId", "totalCount", "items"]
    assert whole["totalCount"] == len(whole["items"]) > 0
    assert [one["identity"] for one in whole["items"]] == sorted(one["identity"] for one in whole["items"])
    page = read(mine, each, "Paged", params={"pageSize": 10_000})
    assert list(page) == ["trackingId", "pagination", "pagedResults"]
    assert page["pagination"] == {"pageNumber": 1, "pageSize": 10_000, "excludeTotalCount": False}
    assert page["pagedResults"] == {"totalCount": whole["totalCount"], "items": whole["items"]}
    assert found(mine, each, top=10_000) == whole["items"]
    detailed = read(mine, each, "Paged/Detail", params={"pageSize": 10_000})["pagedResults"]
    assert [dict(list(one.items())[:-1]) for one in detailed["items"]] == whole["items"]
    for one, in_detail in zip(whole["items"], detailed["items"], strict=True):
        answer = read(mine, each, str(one["identity"]))
        assert list(answer) == ["trackingId", "instance"]
        assert answer["instance"] == one
        assert read(mine, each, f"{one['identity']}/Detail")["instance"] == in_detail


@each_object
def test_nothing_of_another_owner_shows(mine: Mill, others: Mill, each: SetupObject):
    theirs = read(others, each)["items"]
    assert theirs
    if each.owned:
        assert not {one["identity"] for one in theirs} & {one["identity"] for one in read(mine, each)["items"]}
        for rest in ("", "/Detail", "/References"):
            answer = mine.request("GET", f"/{each.path}{theirs[0]['identity']}{rest}")
            assert answer.status_code == 404
            assert answer.json()["type"] == "get"
        wanted = [{"name": "identity", "operator": "in", "value": [one["identity"] for one in theirs]}]
        assert found(mine, each, search=wanted) == []


@each_object
def test_each_member_finds_those_that_have_its_value(mine: Mill, each: SetupObject):
    whole = read(mine, each)["items"]
    for name, field in searching.fields(each).items():
        for one in whole:
            value = (one[name] or [None])[0] if isinstance(one[name], list) else one[name]
            has = [
                each for each in whole if each[name] == one[name] or (field.pointers and value and value in each[name])
            ]
            if field.type != "timestamptz":
                assert found(mine, each, search=[{"name": name, "operator": "eq", "value": value}]) == has, name
                rest = [each for each in whole if each not in has]
                assert found(mine, each, search=[{"name": name, "operator": "notEq", "value": value}]) == rest, name
            if value is not None and field.type != "timestamptz":
                written = str(value).lower() if isinstance(value, bool) else value
                assert read(mine, each, params={name: written})["items"] == has, name
                assert read(mine, each, "Paged", params={name: written})["pagedResults"]["items"] == has, name
        unset = [one for one in whole if one[name] in (None, [])]
        assert found(mine, each, search=[{"name": name, "operator": "isNull"}]) == unset
        rest = [one for one in whole if one not in unset]
        assert found(mine, each, search=[{"name": name, "operator": "isNotNull"}]) == rest


@each_object
def test_each_member_orders(mine: Mill, each: SetupObject):
    whole = {one["identity"]: one for one in read(mine, each)["items"]}
    for name in searching.orderable(each):
        up = found(mine, each, orderBy=[{"name": name}], top=1_000)
        down = found(mine, each, orderBy=[{"name": name, "direction": "desc"}], top=1_000)
        assert [one["identity"] for one in up] == [one["identity"] for one in down][::-1]
        assert {one["identity"] for one in up} == set(whole)
        pages = [
            found(mine, each, orderBy=[{"name": name}], pagination={"pageNumber": at, "pageSize": 3})
            for at in range(1, len(whole) // 3 + 2)
        ]
        assert [one for page in pages for one in page] == up, name


def test_objects_come_in_the_order_that_is_asked_for(mine: Mill):
    by_multiplier = found(
        mine,
        UNITS,
        orderBy=[{"name": "usageBaseUnitName", "direction": "desc"}, {"name": "multiplierToBaseUnitType"}],
    )
    assert [one["name"] for one in by_multiplier[:4]] == ["Seconds", "Minutes", "Hours", "Days"]
    assert by_multiplier[-2]["name"] == "GB"


def test_operators(mine: Mill):
    assert names(mine, UNITS, ("multiplierToBaseUnitType", "gt", "1024"), ("usageBaseUnitName", "eq", "Data")) == [
        "MB",
        "GB",
    ]
    assert names(mine, UNITS, ("multiplierToBaseUnitType", "gtEq", 1048576)) == ["MB", "GB"]
    assert names(mine, UNITS, ("multiplierToBaseUnitType", "lt", 60)) == ["Seconds", "Bytes", "Count"]
    assert names(mine, UNITS, ("multiplierToBaseUnitType", "ltEq", 60.0), ("name", "startsWith", "M")) == ["Minutes"]
    assert names(mine, UNITS, ("name", "contains", "ou")) == ["Hours", "Count"]
    assert names(mine, UNITS, ("name", "endsWith", "B"), ("name", "notIn", ["KB", "GB"])) == ["MB"]
    assert names(mine, UNITS, ("name", "in", ["KB", "Hours"])) == ["Hours", "KB"]
    assert names(mine, UNITS, ("name", "eq", "KB"), ("name", "eq", "Hours"), condition="or") == ["Hours", "KB"]
    assert names(mine, UNITS, ("usageBaseUnitName", "contains", "im"), ("name", "startsWith", "H")) == ["Hours"]
    assert names(mine, UNITS, ("name", "eq", "no%such_one")) == []


def test_an_identifier_is_found_by_the_account_of_its_service(mine: Mill):
    items = found(
        mine, BY_LIST["usageIdentifiers"], search=[{"name": "accountName", "operator": "eq", "value": "Acme"}]
    )
    assert {one["accountName"] for one in items} == {"Acme"}


def test_a_span_is_found_by_its_ends(mine: Mill):
    groups = BY_LIST["usageRateGroups"]
    assert names(mine, groups, ("start", "gt", "2010-01-01")) == ["Euro"]
    assert names(mine, groups, ("end", "eq", "2030-01-01T12:00:00.5Z")) == ["Euro"]
    assert read(mine, groups, params={"start": "2020-01-01"})["totalCount"] == 1


def test_only_the_named_fields_are_shown(mine: Mill):
    assert found(mine, UNITS, fields=["name", "usageBaseUnitName"], top=1) == [
        {"name": "Seconds", "usageBaseUnitName": "Time"}
    ]


def test_a_search_is_a_page_of_top_unless_it_asks_for_one(mine: Mill):
    assert search(mine, UNITS).json()["pagination"] == {
        "pageNumber": 1,
        "pageSize": 100,
        "excludeTotalCount": False,
    }
    answer = search(mine, UNITS, top=2).json()
    assert answer["pagination"]["pageSize"] == len(answer["pagedResults"]["items"]) == 2
    assert answer["pagedResults"]["totalCount"] > 2
    answer = search(mine, UNITS, pagination={"pageNumber": 2, "pageSize": 3, "excludeTotalCount": True}).json()
    assert answer["pagination"] == {"pageNumber": 2, "pageSize": 3, "excludeTotalCount": True}
    assert "totalCount" not in answer["pagedResults"]
    assert answer["pagedResults"]["items"] == read(mine, UNITS)["items"][3:6]


def test_every_fault_of_a_search_is_told_at_once(mine: Mill):
    answer = search(
        mine,
        UNITS,
        top=0,
        fields=["name", "size"],
        condition="xor",
        search=[
            {"name": "colour", "operator": "eq", "value": 1},
            {"name": "name", "operator": "like", "value": "x"},
            {"name": "multiplierToBaseUnitType", "operator": "eq", "value": "many"},
            {"name": "multiplierToBaseUnitType", "operator": "contains", "value": "1"},
            {"name": "name", "operator": "in", "value": "x"},
            {"name": "name", "operator": "isNull", "value": "x"},
            {"operator": "eq"},
            7,
        ],
        orderBy=[{"name": "colour"}, {"name": "name", "direction": "sideways"}],
        pagination={"pageNumber": 0, "pageSize": 10_001},
        colour="red",
    )
    assert answer.status_code == 400
    assert answer.json()["type"] == "get"
    assert {fault["field"] for fault in answer.json()["errors"]} == {
        "query.colour",
        "query.top",
        "query.fields[1]",
        "query.condition",
        *(f"query.search[{at}]" for at in range(8)),
        "query.orderBy[0].name",
        "query.orderBy[1].direction",
        "query.pagination.pageNumber",
        "query.pagination.pageSize",
    }


@pytest.mark.parametrize(
    "body", ["", "[]", "{", "{}", '{"query": 1}', '{"search": []}', '{"query": {"search": NaN}}', "[" * 5_000]
)
def test_a_body_that_is_no_search_is_400(mine: Mill, body: str):
    assert mine.request("POST", f"/{UNITS.path}Search", content=body).status_code == 400


@pytest.mark.parametrize("value", ["\0", "\ud800", "x" * 100_000])
def test_what_no_name_can_be_finds_nothing(mine: Mill, value: str):
    assert names(mine, UNITS, ("name", "eq", value)) == []


@pytest.mark.parametrize("value", ["9" * 40, "-" + "9" * 40])
def test_a_number_beyond_the_database_finds_nothing(mine: Mill, value: str):
    for name in ("identity", "ownerId", "usageBaseUnitId"):
        assert names(mine, UNITS, (name, "eq", value)) == []


# pages


def test_a_page_past_the_end_is_empty(mine: Mill):
    results = read(mine, UNITS, "Paged", params={"pageNumber": 1_000})["pagedResults"]
    assert results == {"totalCount": read(mine, UNITS)["totalCount"], "items": []}


def test_all_pages_together_are_the_list(mine: Mill):
    whole = read(mine, UNITS)["items"]
    pages = [
        read(mine, UNITS, "Paged", params={"pageNumber": at, "pageSize": 2})["pagedResults"]["items"]
        for at in range(1, len(whole) // 2 + 2)
    ]
    assert [one for page in pages for one in page] == whole


def test_the_query_wins_over_the_header(mine: Mill):
    header = {"Pagination": json.dumps({"pageNumber": 2, "pageSize": 3})}
    assert read(mine, UNITS, "Paged", headers=header)["pagination"]["pageNumber"] == 2
    page = read(mine, UNITS, "Paged", headers=header, params={"pageNumber": 1})
    assert page["pagination"] == {"pageNumber": 1, "pageSize": 3, "excludeTotalCount": False}


def test_the_total_may_be_left_out(mine: Mill):
    page = read(mine, UNITS, "Paged", params={"excludeTotalCount": "true"})
    assert page["pagination"]["excludeTotalCount"] is True
    assert list(page["pagedResults"]) == ["items"]


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"pageSize": 0}, Code.PARAMETER_NOT_VALID),
        ({"pageSize": 10_001}, Code.PARAMETER_NOT_VALID),
        ({"pageNumber": "one"}, Code.PARAMETER_NOT_VALID),
        ({"multiplierToBaseUnitType": "many"}, Code.PARAMETER_NOT_VALID),
        ({"colour": "red"}, Code.PARAMETER_UNKNOWN),
    ],
)
def test_a_parameter_that_is_wrong_or_unknown_is_400(mine: Mill, params: dict[str, object], code: int):
    answer = mine.request("GET", f"/{UNITS.path}Paged", params=params)
    assert answer.status_code == 400
    assert [(fault["code"], fault["field"]) for fault in answer.json()["errors"]] == [(code, next(iter(params)))]


def test_a_long_list_is_sent_whole(mine: Mill, monkeypatch: pytest.MonkeyPatch):
    whole = read(mine, UNITS)
    monkeypatch.setattr(reading, "ROWS_AT_ONCE", 4)
    answer = mine.request("GET", f"/{UNITS.path}")
    assert answer.headers["content-type"] == "application/json"
    assert list(answer.json()) == ["trackingId", "totalCount", "items"]
    assert {**answer.json(), "trackingId": ""} == {**whole, "trackingId": ""}


# one


def test_an_entity_tag_says_whether_the_object_has_changed(mine: Mill):
    accounts = BY_LIST["accounts"]
    path = f"/{accounts.path}{read(mine, accounts, params={'name': 'Acme'})['items'][0]['identity']}"
    tag = mine.request("GET", path).headers["etag"]
    for sent in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        answer = mine.request("GET", path, headers={"If-None-Match": sent})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
    mine.apply("ratemill: 1\naccounts: [{name: Acme, usageBillDay: 9}]")
    answer = mine.request("GET", path, headers={"If-None-Match": tag})
    assert answer.status_code == 200
    assert answer.headers["etag"] != tag


@pytest.mark.parametrize("rest", ["0", "999999999", "9" * 30, "9" * 5_000, "one", "-1", "1.5", "%00"])
def test_what_is_not_there_is_404(mine: Mill, rest: str):
    for ending in ("", "/Detail", "/References"):
        answer = mine.request("GET", f"/{UNITS.path}{rest}{ending}")
        assert answer.status_code == 404, rest
        assert answer.json()["type"] == "get"


def test_neither_case_nor_version_nor_a_slash_at_the_end_matters(mine: Mill):
    whole = read(mine, UNITS)["items"]
    for path in ("v6/usage/unit", "v8/USAGE/UNIT/", "v7/Usage/Unit"):
        assert mine.request("GET", f"ResourceServer/api/{path}").json()["items"] == whole


def test_a_method_that_is_not_there_is_405(mine: Mill):
    answer = mine.request("POST", f"/{BASE_UNITS.path}Paged")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET"


# details and references


def test_the_details_of_a_group_are_its_rates(mine: Mill):
    groups = BY_LIST["usageRateGroups"]
    group = read(mine, groups, params={"name": "Euro"})["items"][0]
    rates = read(mine, RATES, params={"usageRateGroupName": "Euro"})["items"]
    details = read(mine, groups, f"{group['identity']}/Detail")["instance"]["details"]
    assert details == {"usageRates": {"totalCount": len(rates), "items": rates}}


def test_the_details_of_a_plan_are_its_groups_in_their_order(mine: Mill):
    plans = BY_LIST["usageRatePlans"]
    plan = read(mine, plans, params={"name": "Two"})["items"][0]
    details = read(mine, plans, f"{plan['identity']}/Detail")["instance"]["details"]
    assert [one["name"] for one in details["usageRateGroups"]["items"]] == ["Plain", "Euro"]


def test_an_object_says_where_it_is_used(mine: Mill):
    classes = BY_LIST["usageClasses"]
    usage_class = read(mine, classes, params={"name": "voice"})["items"][0]
    answer = read(mine, classes, f"{usage_class['identity']}/References")
    rates = read(mine, RATES, params={"usageClassName": "voice"})["items"]
    users = [one for one in answer["items"] if one["dtoTypeKey"] == "usageRate"]
    assert [one["identity"] for one in users] == [one["identity"] for one in rates]
    assert users[0]["name"].startswith("Euro / voice / Paris")
    assert users[0]["member"] == "usageClassName"
    assert mine.request("GET", f"/{users[0]['path']}").json()["instance"] == rates[0]
    assert {"dtoTypeKey": "usageRate", "member": "usageClassName", "totalCount": 2} in answer["counts"]
    assert answer["totalCount"] == sum(one["totalCount"] for one in answer["counts"])


def test_what_nothing_points_to_is_used_nowhere(mine: Mill):
    identity = read(mine, RATES)["items"][0]["identity"]
    answer = read(mine, RATES, f"{identity}/References")
    assert (answer["totalCount"], answer["items"], answer["counts"]) == (0, [], [])


def test_members_of_a_group_know_the_group(mine: Mill):
    locations = BY_LIST["geoTreeLocations"]
    spain = read(mine, locations, params={"name": "Spain"})["items"][0]
    users = read(mine, locations, f"{spain['identity']}/References")["items"]
    assert {"geoTreeLocationGroup"} <= {one["dtoTypeKey"] for one in users}


# rights


def test_reading_needs_the_right_to_read(mine: Mill, database: Database):
    secret = create_token(database, owner_name="default", role="import", name="importer")
    for method, rest in (("GET", ""), ("GET", "Paged"), ("GET", "1"), ("POST", "Search")):
        path = f"/{UNITS.path}{rest}"
        options: dict[str, Any] = {"json": {"query": {}}} if method == "POST" else {}
        bearer = {"Authorization": f"Bearer {secret}"}
        assert mine.request(method, path, headers=bearer, **options).status_code == 403
        assert mine.request(method, path, headers={"Authorization": "Bearer no"}, **options).status_code == 401


def test_a_total_that_was_kept_follows_every_change(mine: Mill, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(long_lists, "ROWS_MIN", 0)
    types = BY_LIST["usageClassTypes"]
    before = read(mine, types, "Paged")["pagedResults"]["totalCount"]
    assert read(mine, types, "Paged")["pagedResults"]["totalCount"] == before
    mine.apply("ratemill: 1\nusageClassTypes: [{name: One more}]")
    assert read(mine, types, "Paged")["pagedResults"]["totalCount"] == before + 1


def test_the_details_of_a_bucket_base_are_its_first_row_and_all_of_them(mine: Mill):
    bases = BY_LIST["usageBucketBases"]
    base = read(mine, bases, params={"name": "Calls of the South"})["items"][0]
    assert list(base) == [
        *("identity", "ownerId", "ownerName", "name", "start", "end", "retired"),
        *("usageBucketBaseUnitId", "usageBucketBaseUnitName"),
    ]
    details = read(mine, bases, f"{base['identity']}/Detail")["instance"]["details"]
    assert list(details) == [
        *("identity", "usageBucketBaseId", "usageBucketBaseName", "usageClassId", "usageClassName"),
        *("geoTreeLocationId", "geoTreeLocationName", "exclude", "geoTreeLocationGroupId", "geoTreeLocationGroupName"),
        *("totalCount", "items"),
    ]
    assert details["totalCount"] == len(details["items"])
    assert {**details, "totalCount": 0, "items": []} == {**details["items"][0], "totalCount": 0, "items": []}
