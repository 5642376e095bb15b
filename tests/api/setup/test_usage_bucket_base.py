"""Usage/Bucket/Base to the letter: each sample of the document gives its printed shape, key by key; and what it must do.

The samples are as printed, but for the identities of units, which are those of units that exist.
"""

import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from httpx import Response
from tests.api.setup.bucket_base_keys import NINE
from tests.fixtures.mill import Mill, mill

from ratemill.access.tokens import create_token
from ratemill.settings import Settings
from ratemill.store.connections import Database

BASES, DETAILS = "/Usage/Bucket/Base", "/Usage/Bucket/BaseDetail"
SAMPLE = {
    "name": "Data Bucket for Western Europe",
    "start": "2021-04-26T15:25:27.587Z",
    "end": "2021-04-26T15:25:27.587Z",
    "retired": True,
    "usageBucketBaseUnitId": 2,
}
TEN = [
    "identity",
    "usageBucketBaseId",
    "usageBucketBaseName",
    "usageClassId",
    "usageClassName",
    "geoTreeLocationId",
    "geoTreeLocationName",
    "exclude",
    "geoTreeLocationGroupId",
    "geoTreeLocationGroupName",
]
GROUND = """
ratemill: 1
usageClasses:
  - {name: roaming, usageBaseUnitName: Data, usageRaterTypeName: GeoTree}
  - {name: surfing, usageBaseUnitName: Data}
  - {name: calling, usageBaseUnitName: Time, usageRaterTypeName: GeoTree}
geoTreeLocations: [{name: Europe}, {name: France, parentGeoTreeLocationName: Europe}]
geoTreeLocationGroups: [{name: West, geoTreeLocationNames: [France]}]
"""


@pytest.fixture(scope="module")
def mine(database: Database, settings: Settings) -> Iterator[Mill]:
    with mill(database, settings, "default") as made:
        made.apply(GROUND)
        yield made


@pytest.fixture(scope="module")
def others(mine: Mill) -> Mill:
    return Mill(mine.database, mine.settings, "other", mine.client)


def call(mine: Mill, method: str, path: str, body: Any = None, **options: Any) -> Response:
    content = None if body is None else json.dumps(body)
    return mine.request(method, path, content=content, **options)


def done(mine: Mill, method: str, path: str, body: Any = None, **options: Any) -> Any:
    answer = call(mine, method, path, body, **options)
    assert answer.status_code == 200, answer.text
    return answer.json()


def refused(mine: Mill, method: str, path: str, body: Any = None, status: int = 400) -> list[dict[str, Any]]:
    answer = call(mine, method, path, body)
    assert answer.status_code == status, answer.text
    assert list(answer.json()) == ["trackingId", "type", "errors"]
    errors: list[dict[str, Any]] = answer.json()["errors"]
    assert all(isinstance(each["code"], int) and each["message"] for each in errors)
    return errors


def make(mine: Mill, name: str, **members: Any) -> dict[str, Any]:
    body = {**SAMPLE, "retired": False, "end": None, "name": name, **members}
    found: dict[str, Any] = done(mine, "POST", f"{BASES}/", body)["results"]["items"][0]
    return {key: found[key] for key in NINE}


def add_row(mine: Mill, base: dict[str, Any], usage_class: str = "roaming", **members: Any) -> dict[str, Any]:
    body = {"usageBucketBaseId": base["identity"], "usageClassName": usage_class, **members}
    found: dict[str, Any] = done(mine, "POST", f"{DETAILS}/", body)["results"]["items"][0]
    return found


def read(mine: Mill, identity: int) -> dict[str, Any]:
    found: dict[str, Any] = done(mine, "GET", f"{BASES}/{identity}")["instance"]
    return found


def assert_base(shown: dict[str, Any], **members: Any) -> None:
    assert list(shown)[:9] == NINE
    kinds = [type(shown[key]) for key in NINE if shown[key] is not None or key not in {"start", "end"}]
    texts = [str] * sum(shown[key] is not None for key in ("start", "end"))
    assert kinds == [int, int, str, str, *texts, bool, int, str]
    assert {key: shown[key] for key in members} == members


# the samples of the document


def test_e12_a_base_is_made(mine: Mill):
    answer = done(mine, "POST", f"{BASES}/", SAMPLE)
    assert list(answer) == ["trackingId", "type", "results"]
    UUID(answer["trackingId"])
    assert (answer["type"], list(answer["results"])) == ("create", ["totalCount", "items"])
    assert (answer["results"]["totalCount"], len(answer["results"]["items"])) == (1, 1)
    assert_base(answer["results"]["items"][0], **SAMPLE, ownerName="default", usageBucketBaseUnitName="Data")


def test_e6_and_e7_all_bases_and_a_page(mine: Mill):
    made = make(mine, "listed")
    everything = done(mine, "GET", f"{BASES}/")
    assert list(everything) == ["trackingId", "totalCount", "items"]
    assert everything["totalCount"] == len(everything["items"])
    assert made in everything["items"]
    page = done(mine, "GET", f"{BASES}/Paged")
    assert list(page) == ["trackingId", "pagination", "pagedResults"]
    assert page["pagination"] == {"pageNumber": 1, "pageSize": 20, "excludeTotalCount": False}
    assert page["pagedResults"] == {"totalCount": everything["totalCount"], "items": everything["items"][:20]}
    for shown in everything["items"]:
        assert list(shown) == NINE
        assert_base(shown)


def test_e8_and_e10_details_are_the_ten_members_of_the_first_row_and_all_rows_beside_them(mine: Mill):
    made = make(mine, "detailed")
    add_row(mine, made, geoTreeLocationName="Europe")
    add_row(mine, made, geoTreeLocationGroupName="West", exclude=True)
    answer = done(mine, "GET", f"{BASES}/{made['identity']}/Detail")
    assert list(answer) == ["trackingId", "instance"]
    assert list(answer["instance"]) == [*NINE, "details"]
    details = answer["instance"]["details"]
    assert list(details) == [*TEN, "totalCount", "items"]
    assert [list(row) for row in details["items"]] == [TEN, TEN]
    first, second = details["items"]
    assert (details["totalCount"], {key: details[key] for key in TEN}) == (2, first)
    assert (first["usageBucketBaseId"], first["usageBucketBaseName"]) == (made["identity"], "detailed")
    assert (first["usageClassName"], first["geoTreeLocationName"], first["exclude"]) == ("roaming", "Europe", False)
    assert (first["geoTreeLocationGroupId"], first["geoTreeLocationGroupName"]) == (None, None)
    assert (second["geoTreeLocationId"], second["geoTreeLocationGroupName"], second["exclude"]) == (None, "West", True)
    page = done(mine, "GET", f"{BASES}/Paged/Detail", params={"pageSize": "10000"})
    assert list(page) == ["trackingId", "pagination", "pagedResults"]
    assert answer["instance"] in page["pagedResults"]["items"]
    assert all(list(shown) == [*NINE, "details"] for shown in page["pagedResults"]["items"])


def test_a21_details_are_empty_without_rows(mine: Mill):
    made = make(mine, "without rows")
    assert done(mine, "GET", f"{BASES}/{made['identity']}/Detail")["instance"] == {**made, "details": {}}


def test_e9_one_base(mine: Mill):
    made = make(mine, "one")
    answer = done(mine, "GET", f"{BASES}/{made['identity']}")
    assert list(answer) == ["trackingId", "instance"]
    assert (list(answer["instance"]), answer["instance"]) == (NINE, made)


def test_e13_a_base_is_changed(mine: Mill):
    made = make(mine, "to be changed")
    body = {"identity": made["identity"], **SAMPLE, "name": "changed", "usageBucketBaseUnitId": 3}
    answer = done(mine, "PUT", f"{BASES}/{made['identity']}", body)
    assert list(answer) == ["trackingId", "type", "results"]
    assert (answer["type"], answer["results"]["totalCount"]) == ("update", 1)
    assert_base(answer["results"]["items"][0], **body, usageBucketBaseUnitName="Count")


def test_e11_a_patch_makes_another_base(mine: Mill):
    made = make(mine, "patched beside")
    item = {"patchType": "create", "patchClientId": 1, **SAMPLE, "name": "made by a patch"}
    body = {"details": {}, "usageBucketBases": {"items": [item]}}
    answer = done(mine, "PATCH", f"{BASES}/{made['identity']}", body)
    assert list(answer) == ["trackingId", "type", "results"]
    assert (answer["type"], answer["results"]["totalCount"]) == ("patch", 1)
    (result,) = answer["results"]["items"]
    assert list(result)[:4] == ["identity", "action", "dtoTypeKey", "instance"]
    assert (result["action"], result["dtoTypeKey"], result["patchClientId"]) == ("created", "usageBucketBase", 1)
    assert result["identity"] == result["instance"]["identity"] != made["identity"]
    assert list(result["instance"]) == NINE
    assert_base(result["instance"], **SAMPLE | {"name": "made by a patch"})


def test_e5_a_deleted_base_names_its_rows(mine: Mill):
    made = make(mine, "to be deleted")
    rows = [add_row(mine, made, geoTreeLocationName=place)["identity"] for place in ("Europe", "France")]
    answer = done(mine, "DELETE", f"{BASES}/{made['identity']}")
    assert list(answer) == ["trackingId", "type", "results"]
    assert (answer["type"], answer["results"]["totalCount"]) == ("delete", 3)
    assert answer["results"]["items"] == [
        {"identity": made["identity"], "action": "deleted", "dtoTypeKey": "usageBucketBase"},
        *({"foreignKeyIdentity": row, "action": "deleted", "dtoTypeKey": "usageBucketBaseDetail"} for row in rows),
    ]
    assert list(answer["results"]["items"][1]) == ["foreignKeyIdentity", "action", "dtoTypeKey"]
    refused(mine, "GET", f"{BASES}/{made['identity']}", status=404)


# what it must do


def test_a22_details_of_a_patch_change_the_base_and_its_rows_are_a_list_of_their_own(mine: Mill):
    made = make(mine, "with patched rows")
    row = {"patchType": "create", "patchClientId": "r", "usageClassName": "roaming", "geoTreeLocationName": "France"}
    body = {"details": {"name": "renamed by a patch"}, "usageBucketBaseDetails": {"items": [row]}}
    base, detail = done(mine, "PATCH", f"{BASES}/{made['identity']}", body)["results"]["items"]
    assert (base["identity"], base["action"], base["instance"]["name"]) == (
        made["identity"],
        "updated",
        "renamed by a patch",
    )
    assert (detail["action"], detail["dtoTypeKey"], detail["patchClientId"]) == (
        "created",
        "usageBucketBaseDetail",
        "r",
    )
    assert detail["instance"]["usageBucketBaseId"] == made["identity"]


def test_a23_and_a24_a_patch_without_an_object_of_the_path_and_with_a_wrong_type(mine: Mill):
    item = {**SAMPLE, "patchType": "create", "name": "of no path"}
    body = {"usageBucketBases": {"items": [item]}}
    assert done(mine, "PATCH", f"{BASES}/0", body)["results"]["items"][0]["action"] == "created"
    refused(mine, "PATCH", f"{BASES}/999999", body, status=404)
    item["patchType"] = "upsert"
    assert refused(mine, "PATCH", f"{BASES}/0", body)[0]["field"] == "patchType"


def test_a26_a_patch_is_done_whole_or_not_at_all_and_tells_every_fault(mine: Mill):
    made = make(mine, "whole or not")
    items = [
        {"patchType": "create", "name": "never made", "usageBucketBaseUnitId": 1},
        {"patchType": "create", "usageBucketBaseUnitId": 1},
        {"patchType": "update", "identity": made["identity"], "usageBucketBaseUnitId": 0},
    ]
    errors = refused(mine, "PATCH", f"{BASES}/{made['identity']}", {"usageBucketBases": {"items": items}})
    assert sorted((each["row"], each["field"]) for each in errors) == [(2, "name"), (3, "usageBucketBaseUnitId")]
    assert read(mine, made["identity"]) == made
    assert "never made" not in {each["name"] for each in done(mine, "GET", f"{BASES}/")["items"]}


def test_a27_a_put_merges_and_holds_to_the_identity_of_the_path(mine: Mill):
    made = make(mine, "merged", start="2020-01-01T00:00:00.000Z")
    path = f"{BASES}/{made['identity']}"
    done(mine, "PUT", path, {"name": "merged anew"})
    assert read(mine, made["identity"]) == {**made, "name": "merged anew"}
    done(mine, "PUT", path, {"start": None})
    assert read(mine, made["identity"])["start"] is None
    assert refused(mine, "PUT", path, {"identity": made["identity"] + 1})[0]["field"] == "identity"


def test_a31_a_base_in_use_is_refused_and_its_user_named(mine: Mill):
    made = make(mine, "in use")
    mine.apply("ratemill: 1\nusageBuckets: [{name: Its bucket, usageBucketBaseNames: [in use], size: 1}]\n")
    (error,) = refused(mine, "DELETE", f"{BASES}/{made['identity']}")
    assert "Its bucket" in error["message"]
    assert read(mine, made["identity"]) == made


def test_a32_a_start_is_stored_and_does_nothing(mine: Mill):
    made = make(mine, "starts late", start="2999-01-01T00:00:00Z", end="2000-01-01")
    assert (made["start"], made["end"]) == ("2999-01-01T00:00:00.000Z", "2000-01-01T00:00:00.000Z")
    assert refused(mine, "POST", f"{BASES}/", {**SAMPLE, "name": "x", "start": "soon"})[0]["field"] == "start"


def test_a33_a_base_is_retired_and_taken_back(mine: Mill):
    made = make(mine, "retiring")
    path = f"{BASES}/{made['identity']}"
    before = mine.value("select date_trunc('milliseconds', clock_timestamp())")
    retired = done(mine, "PUT", path, {**made, "retired": True})["results"]["items"][0]
    assert mine.value("select %s <= %s::timestamptz", before, retired["end"])
    assert mine.value("select %s::timestamptz <= clock_timestamp()", retired["end"])
    bucket = {"name": "of a retired one", "usageBucketBaseIds": [made["identity"]], "size": "1"}
    (error,) = refused(mine, "POST", "/Usage/Bucket/", bucket)
    assert "is retired" in error["message"]
    back = done(mine, "PUT", path, {**read(mine, made["identity"]), "retired": False})["results"]["items"][0]
    assert (back["retired"], back["end"]) == (False, None)
    done(mine, "POST", "/Usage/Bucket/", bucket)
    dated = done(mine, "PUT", path, {"retired": True, "end": SAMPLE["end"]})["results"]["items"][0]
    assert (dated["retired"], dated["end"]) == (True, SAMPLE["end"])


def test_a34_what_was_read_may_be_sent_back_and_unknown_keys_may_not(mine: Mill):
    made = make(mine, "round trip")
    row = add_row(mine, made, geoTreeLocationName="France")
    shown = done(mine, "GET", f"{BASES}/{made['identity']}/Detail")["instance"]
    done(mine, "PUT", f"{BASES}/{made['identity']}", shown)
    assert done(mine, "GET", f"{BASES}/{made['identity']}/Detail")["instance"] == shown
    done(mine, "PUT", f"{DETAILS}/{row['identity']}", shown["details"]["items"][0])
    done(mine, "POST", f"{BASES}/", {**SAMPLE, "name": "with read-only", "identity": 7, "ownerId": 5, "ownerName": "x"})
    error = refused(mine, "POST", f"{BASES}/", {**SAMPLE, "name": "x", "colour": "red"})[0]
    assert error["field"] == "colour"


@pytest.mark.parametrize("unit", [0, 4, 10**30])
def test_a35_a_unit_that_does_not_exist(mine: Mill, unit):
    (error,) = refused(mine, "POST", f"{BASES}/", {**SAMPLE, "name": "x", "usageBucketBaseUnitId": unit})
    assert error["field"] == "usageBucketBaseUnitId"
    if unit < 10:
        assert error["message"].startswith(f"'usageBucketBaseUnitId' ({unit}) does not exist")


@pytest.mark.parametrize("missing", ["name", "usageBucketBaseUnitId"])
def test_a35_what_is_required(mine: Mill, missing):
    body = {key: value for key, value in {**SAMPLE, "name": "x"}.items() if key != missing}
    (error,) = refused(mine, "POST", f"{BASES}/", body)
    assert error["field"] in {missing, "usageBucketBaseUnitName"}


def test_a36_pages(mine: Mill):
    whole = done(mine, "GET", f"{BASES}/")
    header = json.dumps({"pageNumber": 2, "pageSize": 1, "excludeTotalCount": True})
    page = done(mine, "GET", f"{BASES}/Paged", headers={"Pagination": header})
    assert page["pagination"] == {"pageNumber": 2, "pageSize": 1, "excludeTotalCount": True}
    assert page["pagedResults"] == {"items": whole["items"][1:2]}
    won = done(mine, "GET", f"{BASES}/Paged?pageNumber=1&excludeTotalCount=false", headers={"Pagination": header})
    assert won["pagination"] == {"pageNumber": 1, "pageSize": 1, "excludeTotalCount": False}
    past = done(mine, "GET", f"{BASES}/Paged", params={"pageNumber": "1000"})
    assert past["pagedResults"] == {"totalCount": whole["totalCount"], "items": []}
    for size in ("0", "10001"):
        assert refused(mine, "GET", f"{BASES}/Paged?pageSize={size}")[0]["field"] == "pageSize"


def test_a37_and_a58_a_search_answers_with_a_page(mine: Mill):
    made = make(mine, "sought")
    query = {"search": [{"name": "name", "operator": "eq", "value": "sought"}]}
    found = done(mine, "POST", f"{BASES}/Search", {"query": query})
    assert list(found) == ["trackingId", "pagination", "pagedResults"]
    assert found["pagedResults"] == {"totalCount": 1, "items": [made]}


def test_a38_a39_and_a40_what_is_not_there_or_not_yours(mine: Mill, others: Mill):
    made = make(mine, "mine alone")
    path = f"{BASES}/{made['identity']}"
    for method, body in (("GET", None), ("PUT", {"name": "x"}), ("PATCH", {}), ("DELETE", None)):
        assert call(others, method, path, body).status_code == 404
        assert call(mine, method, f"{BASES}/999999", body).status_code == 404
        assert call(mine, method, path, body, headers={"Authorization": "Bearer wrong"}).status_code == 401
    token = create_token(mine.database, owner_name="default", role="read", name="reader")
    reader = {"Authorization": f"Bearer {token}"}
    assert call(mine, "GET", path, headers=reader).status_code == 200
    for method, body in (("PUT", {"name": "x"}), ("PATCH", {}), ("DELETE", None)):
        assert call(mine, method, path, body, headers=reader).status_code == 403
    assert done(others, "GET", f"{BASES}/")["items"] == []
    assert read(mine, made["identity"]) == made


@pytest.mark.parametrize(
    ("members", "field"),
    [
        ({}, "usageClassName"),
        ({"usageClassName": "calling"}, "usageClassName"),
        ({"usageClassName": "surfing", "geoTreeLocationName": "France"}, "geoTreeLocationName"),
        ({"usageClassName": "surfing", "geoTreeLocationGroupName": "West"}, "geoTreeLocationGroupName"),
        (
            {"usageClassName": "roaming", "geoTreeLocationName": "France", "geoTreeLocationGroupName": "West"},
            "geoTreeLocationGroupName",
        ),
    ],
)
def test_a48_and_a62_rows_that_a_base_cannot_have(mine: Mill, members, field):
    bases = {each["name"]: each for each in done(mine, "GET", f"{BASES}/")["items"]}
    base = bases.get("for wrong rows") or make(mine, "for wrong rows")
    row = {"usageBucketBaseId": base["identity"], **members}
    (error,) = refused(mine, "POST", f"{DETAILS}/", row)
    assert error["field"] == field
    patch = {"usageBucketBaseDetails": {"items": [{"patchType": "create", **members}]}}
    (error,) = refused(mine, "PATCH", f"{BASES}/{base['identity']}", patch)
    assert (error["row"], error["field"]) == (1, field)


def test_two_rows_alike_are_refused(mine: Mill):
    base = make(mine, "with one of a kind")
    add_row(mine, base, geoTreeLocationName="France")
    row = {"usageBucketBaseId": base["identity"], "usageClassName": "roaming", "geoTreeLocationName": "France"}
    refused(mine, "POST", f"{DETAILS}/", {**row, "exclude": True})


def test_a51_retired_bases_are_in_the_list(mine: Mill):
    made = make(mine, "retired and listed", retired=True)
    assert made in done(mine, "GET", f"{BASES}/")["items"]


def test_a59_a_stale_tag_is_refused(mine: Mill):
    made = make(mine, "tagged")
    path = f"{BASES}/{made['identity']}"
    tag = call(mine, "GET", path).headers["ETag"]
    assert call(mine, "PUT", path, {"name": "tagged anew"}, headers={"If-Match": tag}).status_code == 200
    for method, body in (("PUT", {"name": "x"}), ("PATCH", {}), ("DELETE", None)):
        assert call(mine, method, path, body, headers={"If-Match": tag}).status_code == 412
    fresh = call(mine, "GET", path).headers["ETag"]
    assert call(mine, "DELETE", path, headers={"If-Match": fresh}).status_code == 200


def test_a60_members_that_are_not_sent(mine: Mill):
    answer = done(mine, "POST", f"{BASES}/", {"name": "bare", "usageBucketBaseUnitName": "Count"})
    assert_base(answer["results"]["items"][0], start=None, end=None, retired=False, usageBucketBaseUnitName="Count")


def test_a61_the_identity_of_the_unit_holds_over_its_name(mine: Mill):
    made = make(mine, "named twice", usageBucketBaseUnitId=1, usageBucketBaseUnitName="Data")
    assert (made["usageBucketBaseUnitId"], made["usageBucketBaseUnitName"]) == (1, "Time")


@pytest.mark.parametrize("version", ["v6", "v7", "v8"])
def test_any_version_case_and_slash(mine: Mill, version):
    made = make(mine, f"any way {version}")
    for path in (f"Usage/Bucket/Base/{made['identity']}", f"usage/bucket/BASE/{made['identity']}/"):
        answer = mine.request("GET", f"ResourceServer/api/{version}/{path}")
        assert (answer.status_code, answer.json()["instance"]) == (200, made)


def test_base_units_are_built_in_and_read_only(mine: Mill):
    path = "/Usage/Bucket/BaseUnit"
    units = done(mine, "GET", f"{path}/")["items"]
    assert [unit["name"] for unit in units] == ["Time", "Data", "Count"]
    members = ["name", "description", "sortOrder", "visible", "isBaseBucketEligible", "usageBaseUnitId"]
    for unit in units:
        assert [key for key in unit if key not in {"identity", "ownerId", "ownerName"}] == members
        assert (unit["visible"], unit["isBaseBucketEligible"], unit["usageBaseUnitId"]) == (
            True,
            True,
            unit["identity"],
        )
    for method in ("PUT", "PATCH", "DELETE"):
        assert call(mine, method, f"{path}/1", {}).status_code == 405
    assert call(mine, "POST", f"{path}/", {}).status_code == 405


def test_a_required_reference_is_asked_for_by_either_member(mine: Mill):
    errors = mine.request("POST", f"{BASES}/", content="{}").json()["errors"]
    assert [each["message"] for each in errors] == [
        "name: is required",
        "usageBucketBaseUnitName: is required, or usageBucketBaseUnitId",
    ]
