"""Set-up objects over HTTP: created and updated, by whom, and against whose change in between."""

from __future__ import annotations

import json

import pytest
from tests.api.setup.bucket_base_keys import NINE
from tests.api.setup.calls import Json, done, identity_of, make, refused, send
from tests.fixtures.mill import Mill

from ratemill.access.tokens import create_token


def test_the_samples_of_the_bucket_base_have_their_keys(mine: Mill):
    body = {
        "name": "Data Bucket for Western Europe",
        "start": "2021-04-26T15:25:27.587Z",
        "end": "2021-04-26T15:25:27.587Z",
        "retired": True,
        "usageBucketBaseUnitId": 2,
    }
    made = make(mine, "Usage/Bucket/Base/", **body)
    assert list(made)[:9] == NINE
    assert set(made) - set(NINE) == {"action", "dtoTypeKey", "instance"}
    assert {name: made[name] for name in body} == body
    assert (made["ownerName"], made["usageBucketBaseUnitName"]) == ("default", "Data")

    identity = made["identity"]
    (put,) = done(send(mine, "PUT", f"Usage/Bucket/Base/{identity}", {"identity": identity, **body}), "update")
    assert list(put)[:9] == NINE
    assert put["identity"] == identity

    step = {"patchType": "create", "patchClientId": 1, **body, "name": "Another"}
    patched = {"details": {}, "usageBucketBases": {"items": [step]}}
    (item,) = done(send(mine, "PATCH", f"Usage/Bucket/Base/{identity}", patched), "patch")
    assert list(item) == ["identity", "action", "dtoTypeKey", "instance", "patchClientId"]
    assert (item["action"], item["dtoTypeKey"], item["patchClientId"]) == ("created", "usageBucketBase", 1)
    assert list(item["instance"]) == NINE

    row = make(mine, "Usage/Bucket/BaseDetail/", usageBucketBaseId=identity, usageClassName="data_class")
    gone = done(send(mine, "DELETE", f"Usage/Bucket/Base/{identity}"), "delete")
    assert gone == [
        {"identity": identity, "action": "deleted", "dtoTypeKey": "usageBucketBase"},
        {"foreignKeyIdentity": row["identity"], "action": "deleted", "dtoTypeKey": "usageBucketBaseDetail"},
    ]
    refused(send(mine, "DELETE", f"Usage/Bucket/Base/{identity}"), 404)


def test_the_unit_of_the_printed_patch_does_not_exist(mine: Mill):
    step = {"patchType": "create", "name": "Filler", "usageBucketBaseUnitId": 0}
    (error,) = refused(send(mine, "PATCH", "Usage/Bucket/Base/0", {"usageBucketBases": {"items": [step]}}))
    assert "'usageBucketBaseUnitId' (0) does not exist" in error["message"]
    assert (error["row"], error["field"]) == (1, "usageBucketBaseUnitId")


# Create


def test_an_id_holds_where_a_name_stands_beside_it(mine: Mill):
    kept = make(mine, "Usage/ClassType", name="kept")
    made = make(
        mine,
        "Usage/Class",
        name="by id",
        usageBaseUnitId=1,
        usageBaseUnitName="Data",
        usageClassTypeId=kept["identity"],
    )
    assert (made["usageBaseUnitName"], made["usageClassTypeName"]) == ("Time", "kept")
    named = make(mine, "Usage/Class", name="by name", usageBaseUnitName="Data", usageClassTypeId=None)
    assert (named["usageBaseUnitId"], named["usageClassTypeId"]) == (2, None)


def test_prices_are_read_by_their_digits_from_numbers_and_texts(mine: Mill):
    make(mine, "Usage/Class", name="digits", usageBaseUnitName="Count")
    group = {"usageRateGroupName": "Main USD", "usageClassName": "digits"}
    body = json.dumps(group | {"start": "2020-01-01", "end": "2021-01-01"})[:-1] + ', "amount": 0.12345678901}'
    (number,) = done(send(mine, "POST", "Usage/Rate", body), "create")
    assert number["amount"] == "0.12345678901"
    assert make(mine, "Usage/Rate", **group, start="2021-01-01", amount="0.10")["amount"] == "0.1"


def test_every_fault_of_a_body_is_told_with_its_member(mine: Mill):
    errors = refused(send(mine, "POST", "Usage/Rate", {"usageClassName": "nothing", "amount": "x", "more": 1}))
    assert {error["field"] for error in errors} == {"usageClassName", "amount", "more", "usageRateGroupName"}
    assert not any("row" in error for error in errors)
    (error,) = refused(send(mine, "POST", "Usage/Class", {"name": 5, "usageBaseUnitName": "Data"}))
    assert error["field"] == "name"
    assert "a number stands where a text belongs" in error["message"]


@pytest.mark.parametrize(("body", "code"), [("", 1431), ("[]", 1432), ('{"name": }', 1431), ("\udcff", 1431)])
def test_a_body_that_is_no_object_is_refused(mine: Mill, body: str, code: int):
    content = body.encode("utf-8", "surrogateescape")
    (error,) = refused(mine.request("POST", "/Usage/ClassType", content=content))
    assert error["code"] == code


def test_what_is_there_already_is_not_made_again(mine: Mill):
    (error,) = refused(send(mine, "POST", "Usage/Class", {"name": "data_class", "usageBaseUnitName": "Data"}))
    assert (error["code"], error["field"]) == (1610, "name")


# Update


def test_an_update_merges(mine: Mill):
    made = make(mine, "Usage/Rate/Group", name="merged", currencyName="USD", displayName="Shown", start="2020-01-01")
    path = f"Usage/Rate/Group/{made['identity']}"
    (put,) = done(send(mine, "PUT", path, {"name": "renamed", "start": None}), "update")
    assert put["instance"] == made["instance"] | {"name": "renamed", "start": None}
    (back,) = done(send(mine, "PUT", path, put["instance"]), "update")
    assert back["instance"] == put["instance"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"identity": 999_999}, "identity"),
        ({"unknown": 1}, "unknown"),
        ({"currencyName": None}, "currencyName"),
        ({"name": "Main USD"}, "name"),
        ({"end": "soon"}, "end"),
    ],
)
def test_an_update_that_is_at_fault_changes_nothing(mine: Mill, body: Json, field: str):
    made = make(mine, "Usage/Rate/Group", name=f"refused {field}", currencyName="USD")
    (error,) = refused(send(mine, "PUT", f"Usage/Rate/Group/{made['identity']}", {"displayName": "new", **body}))
    assert error["field"] == field
    assert mine.value("select display_name from rate_groups where rate_group_id = %s", made["identity"]) is None


def test_a_rate_may_change_its_key_unless_another_has_it(mine: Mill):
    make(mine, "Usage/Class", name="keys", usageBaseUnitName="Count")
    rate = {"usageRateGroupName": "Main USD", "usageClassName": "keys", "amount": 1}
    first = make(mine, "Usage/Rate", **rate, start="2020-01-01", end="2021-01-01")
    second = make(mine, "Usage/Rate", **rate, start="2021-01-01", end="2022-01-01")
    path = f"Usage/Rate/{second['identity']}"
    (moved,) = done(send(mine, "PUT", path, {"start": "2021-06-01"}), "update")
    assert moved["start"] == "2021-06-01T00:00:00.000Z"
    (error,) = refused(send(mine, "PUT", path, {"start": "2020-01-01"}))
    assert error["code"] == 1610
    assert str(first["identity"]) in error["message"]
    (error,) = refused(send(mine, "PUT", path, {"start": "2020-06-01"}))
    assert "holds at the same time" in error["message"]


def test_a_service_is_named_by_its_id_or_within_the_account_that_the_identifier_has(mine: Mill):
    make(mine, "Account", name="Two lines", currencyName="USD")
    one, two = (make(mine, "Account/Service", accountName="Two lines", name=name) for name in ("One", "Two"))
    made = make(mine, "Account/Service/UsageIdentifier", udrUsageIdentifier="id-1", accountServiceId=one["identity"])
    assert made["accountName"] == "Two lines"
    path = f"Account/Service/UsageIdentifier/{made['identity']}"
    (moved,) = done(send(mine, "PUT", path, {"accountServiceName": "Two"}), "update")
    assert moved["accountServiceId"] == two["identity"]
    acme = identity_of(mine, "accounts", "account_id", value="Acme")
    (error,) = refused(send(mine, "PUT", path, {"accountServiceId": one["identity"], "accountId": acme}))
    assert error["field"] == "accountServiceId"
    (same,) = done(send(mine, "PUT", path, moved["instance"]), "update")
    assert same["instance"] == moved["instance"]


def test_what_is_built_in_or_fixed_stays(mine: Mill):
    unit = identity_of(mine, "usage_units", "usage_unit_id", value="KB")
    refused(send(mine, "PUT", f"Usage/Unit/{unit}", {"name": "kB"}))
    (error,) = refused(send(mine, "DELETE", f"Usage/Unit/{unit}"))
    assert "built in" in error["message"]
    made = make(mine, "Usage/Class", name="fixed", usageBaseUnitName="Data")
    (error,) = refused(send(mine, "PUT", f"Usage/Class/{made['identity']}", {"usageBaseUnitName": "Time"}))
    assert error["code"] == 1607


def test_a_changed_data_profile_is_a_new_version(mine: Mill):
    targets = {"a": "date", "b": "udrUsageIdentifier", "c": "value", "d": "usageClassName"}
    made = make(
        mine,
        "DataProfile",
        name="p",
        format="csv",
        fields=[{"name": name} for name in targets],
        mappings=[{"target": target, "source": name} for name, target in targets.items()],
    )
    path = f"DataProfile/{made['identity']}"
    (put,) = done(send(mine, "PUT", path, {"delimiter": ";"}), "update")
    assert put["delimiter"] == ";"
    assert put["fields"] == made["fields"]
    versions = "select count(*) from data_profile_versions where data_profile_id = %s"
    assert mine.value(versions, made["identity"]) == 2
    done(send(mine, "DELETE", path), "delete")
    assert mine.value(versions, made["identity"]) == 0


# Tags


def test_a_stale_tag_is_refused_and_the_right_one_let_through(mine: Mill):
    answer = send(mine, "POST", "Usage/ClassType", {"name": "tagged"})
    first, identity = answer.headers["etag"], answer.json()["results"]["items"][0]["identity"]
    path = f"Usage/ClassType/{identity}"
    second = send(mine, "PUT", path, {"sortOrder": 2}, headers={"If-Match": first}).headers["etag"]
    assert second != first
    for method, body in (("PUT", {"sortOrder": 3}), ("PATCH", {"details": {"sortOrder": 3}}), ("DELETE", None)):
        (error,) = refused(send(mine, method, path, body, headers={"If-Match": first}), 412)
        assert error["code"] == 1412
    assert send(mine, "PATCH", path, {"details": {"sortOrder": 4}}, headers={"If-Match": f'"x", {second}'}).is_success
    assert send(mine, "DELETE", path, headers={"If-Match": "*"}).is_success
    refused(send(mine, "PUT", path, {"sortOrder": 3}, headers={"If-Match": "*"}), 404)


# The price book


def test_only_a_change_raises_the_version(mine: Mill):
    version = "select version from price_books join owners using (owner_id) where name = %s"
    before = mine.value(version, mine.owner)
    made = make(mine, "Usage/ClassType", name="versions")
    assert mine.value(version, mine.owner) == before + 1
    done(send(mine, "PUT", f"Usage/ClassType/{made['identity']}", {"name": "versions"}), "update")
    refused(send(mine, "PUT", f"Usage/ClassType/{made['identity']}", {"name": None}))
    assert mine.value(version, mine.owner) == before + 1
    done(send(mine, "DELETE", f"Usage/ClassType/{made['identity']}"), "delete")
    assert mine.value(version, mine.owner) == before + 2


# Owners and roles


def test_the_objects_of_another_owner_are_not_there(mine: Mill, others: Mill):
    group = identity_of(mine, "rate_groups", "rate_group_id", value="Main USD")
    path = f"Usage/Rate/Group/{group}"
    for method, body in (("PUT", {}), ("PATCH", {"details": {"displayName": "x"}}), ("DELETE", None)):
        refused(send(others, method, path, body), 404)
    (error,) = refused(send(others, "POST", "Usage/Rate/Plan", {"name": "thief", "usageRateGroupIds": [group]}))
    assert "does not exist" in error["message"]
    steps = {"usageRateGroups": {"items": [{"patchType": "update", "identity": group, "displayName": "x"}]}}
    refused(send(others, "PATCH", "Usage/Rate/Group/0", steps))


@pytest.mark.parametrize("role", ["read", "import", "correct"])
def test_a_role_without_the_right_may_not_write(mine: Mill, role: str):
    token = create_token(mine.database, owner_name=mine.owner, role=role, name=role)
    headers = {"Authorization": f"Bearer {token}"}
    for method, path in (("POST", "Account"), ("PUT", "Account/1"), ("PATCH", "Account/1"), ("DELETE", "Account/1")):
        refused(send(mine, method, path, {}, headers=headers), 403)


def test_null_sets_the_default_of_the_first_object_of_its_kind_too(mine: Mill):
    """The default `true` and 1 are no identities, though the object's own is 1."""
    feed = mine.value("select min(feed_id) from feeds")
    assert feed == 1
    for value, expected in ((False, False), (None, True)):
        answer = mine.request("PUT", f"/Udr/Feed/{feed}", json={"enabled": value})
        assert answer.status_code == 200, answer.text
        assert answer.json()["results"]["items"][0]["enabled"] is expected
