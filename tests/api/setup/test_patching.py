"""Set-up objects over HTTP: many changed in one call, all or nothing."""

from __future__ import annotations

import pytest
from httpx import Response
from tests.api.setup.calls import Json, done, make, refused, send
from tests.fixtures.mill import Mill


def test_a_patch_changes_many_objects_and_answers_in_order(mine: Mill):
    group = make(mine, "Usage/Rate/Group", name="patched", currencyName="USD")["identity"]
    for name in ("pa", "pb"):
        make(mine, "Usage/Class", name=name, usageBaseUnitName="Count")
    old = make(mine, "Usage/Rate", usageRateGroupId=group, usageClassName="pb", amount=3)["identity"]
    body = {
        "usageRates": {
            "items": [
                {"patchType": "create", "patchClientId": "a", "usageClassName": "pa", "amount": "1.5"},
                {"patchType": "delete", "patchClientId": "b", "identity": old},
                {"patchType": "create", "patchClientId": "c", "usageClassName": "pb", "amount": 4},
            ]
        },
        "details": {"displayName": "Patched"},
        "usageRateGroups": {"items": [{"patchType": "create", "name": "patched too", "currencyName": "EUR"}]},
    }
    items = done(send(mine, "PATCH", f"Usage/Rate/Group/{group}", body), "patch")
    told = [(item["action"], item["dtoTypeKey"], item.get("patchClientId")) for item in items]
    assert told == [
        ("updated", "usageRateGroup", None),
        ("created", "usageRate", "a"),
        ("deleted", "usageRate", "b"),
        ("created", "usageRate", "c"),
        ("created", "usageRateGroup", None),
    ]
    assert items[1]["instance"]["usageRateGroupId"] == group
    assert items[2]["identity"] == old


def test_a_patch_is_all_or_nothing_and_tells_every_fault(mine: Mill):
    kept = make(mine, "Usage/ClassType", name="whole")["identity"]
    steps = [
        {"patchType": "create", "name": "not made"},
        {"patchType": "create", "patchClientId": 1, "sortOrder": 0},
        {"patchType": "replace", "patchClientId": 1},
        {"patchType": "update", "identity": 999_999, "name": "x"},
        {"patchType": "delete", "identity": 999_998},
        5,
    ]
    errors = refused(
        send(mine, "PATCH", f"Usage/ClassType/{kept}", {"usageClassTypes": {"items": steps}, "others": {}})
    )
    told = {(error.get("row"), error.get("field")) for error in errors}
    assert told == {
        (None, "others"),
        (2, "name"),
        (2, "sortOrder"),
        (3, "patchType"),
        (3, "patchClientId"),
        (4, "identity"),
        (5, "identity"),
        (6, None),
    }
    assert mine.value("select count(*) from usage_class_types where name = 'not made'") == 0


def test_groups_are_attached_to_a_plan_and_detached(mine: Mill):
    one, two = (make(mine, "Usage/Rate/Group", name=f"att {n}", currencyName="USD")["identity"] for n in (1, 2))
    plan = make(mine, "Usage/Rate/Plan", name="attached", usageRateGroupIds=[one])["identity"]
    path = f"Usage/Rate/Plan/{plan}"
    body = {
        "usageRateGroups": {
            "items": [
                {"patchType": "attach", "patchClientId": 7, "rhsId": two},
                {"patchType": "detach", "lhsId": plan, "rhsId": one},
            ]
        }
    }
    key = "usageRatePlanUsageRateGroupConnector"
    assert done(send(mine, "PATCH", path, body), "patch") == [
        {"lhsId": plan, "rhsId": two, "action": "attached", "dtoTypeKey": key, "patchClientId": 7},
        {"lhsId": plan, "rhsId": one, "action": "detached", "dtoTypeKey": key},
    ]
    assert mine.rows("select rate_group_id from rate_plan_groups where rate_plan_id = %s", plan) == [(two,)]
    last = {"usageRateGroups": {"items": [{"patchType": "detach", "rhsId": two}, {"patchType": "attach", "rhsId": 0}]}}
    errors = refused(send(mine, "PATCH", path, last))
    assert {error.get("row") for error in errors} <= {1, 2}
    assert done(send(mine, "DELETE", path), "delete") == [
        {"identity": plan, "action": "deleted", "dtoTypeKey": "usageRatePlan"},
        {"lhsId": plan, "rhsId": two, "action": "detached", "dtoTypeKey": key},
    ]


def patched(mill: Mill, path: str, list_name: str, *items: Json) -> Response:
    steps = [{"patchType": "update", **item} for item in items]
    return send(mill, "PATCH", f"{path}/0", {list_name: {"items": steps}})


def test_objects_change_names_in_a_circle_in_one_call(mine: Mill):
    ids = [
        make(mine, "Usage/Rate/Plan", name=f"round {n}", usageRateGroupNames=["Main USD"])["identity"] for n in "abc"
    ]
    names = ["round b", "round c", "round a"]
    items = [{"identity": one, "name": name} for one, name in zip(ids, names, strict=True)]
    done(patched(mine, "Usage/Rate/Plan", "usageRatePlans", *items), "patch")
    found = "select name from rate_plans where rate_plan_id = any(%s) order by rate_plan_id"
    assert [row[0] for row in mine.rows(found, ids)] == names
    errors = refused(patched(mine, "Usage/Rate/Plan", "usageRatePlans", *items[:1], {**items[1], "name": "Standard"}))
    assert {(error["row"], error["code"]) for error in errors} == {(2, 1610)}
    assert [row[0] for row in mine.rows(found, ids)] == names


def test_feeds_and_identifiers_change_places_in_one_call(mine: Mill):
    feeds = [
        make(mine, "Udr/Feed", name=name, apiName=f"api{name}", dataProfileName="guide_csv")["identity"]
        for name in ("left", "RIGHT")
    ]
    items = [
        {"identity": feeds[0], "name": "right", "apiName": "APIright"},
        {"identity": feeds[1], "name": "LEFT", "apiName": "apileft"},
    ]
    done(patched(mine, "Udr/Feed", "udrFeeds", *items), "patch")
    service = {"accountName": "Acme", "accountServiceName": "Line"}
    kind = "Account/Service/UsageIdentifier"
    ids = [make(mine, kind, udrUsageIdentifier=f"place {n}", **service)["identity"] for n in (1, 2)]
    items = [{"identity": one, "udrUsageIdentifier": f"place {n}"} for one, n in zip(ids, (2, 1), strict=True)]
    done(patched(mine, kind, "usageIdentifiers", *items), "patch")
    found = "select usage_identifier from identifiers where identifier_id = any(%s) order by identifier_id"
    assert [row[0] for row in mine.rows(found, ids)] == ["place 2", "place 1"]


@pytest.mark.parametrize("steps", [{"x": 1}, [1], [{"x": 1}], [{"upTo": "x"}], [{"upTo": None}], "x", 7])
def test_steps_that_are_none_are_refused(mine: Mill, steps: object):
    answer = mine.request("POST", "/Usage/Bucket/", json={"name": "d", "usageUnitId": 1, "steps": steps})
    assert answer.status_code == 400, answer.text
