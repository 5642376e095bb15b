"""Every kind of set-up object that can be written, by every writing verb, for two owners, with right and stale tags."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from httpx import Response
from tests.fixtures.mill import Mill, mill

from ratemill.settings import Settings
from ratemill.setup.declaration import SetupObject
from ratemill.setup.objects.registry import OBJECTS
from ratemill.store.connections import Database

FULL = (Path(__file__).parents[2] / "setup" / "full.yaml").read_text().replace("owner: full\n", "")
WRITABLE = [each for each in OBJECTS if not each.read_only and not each.singular]
Json = dict[str, Any]

_PROFILE = {
    "format": "csv",
    "fields": [{"name": name} for name in ("date", "udrUsageIdentifier", "value", "usageClassName")],
}
_WINDOWS = [{"days": ["mon"], "from": "08:00", "to": "20:00"}]
# What makes one of each kind, and a change of it.
SAMPLES: dict[str, tuple[Json, Json]] = {
    "udrIdentifierTypes": ({"name": "new"}, {"name": "newer"}),
    "usageClassTypes": ({"name": "new"}, {"sortOrder": 2}),
    "usageUnits": ({"name": "new", "usageBaseUnitName": "Time", "multiplierToBaseUnitType": 5}, {"name": "newer"}),
    "usageRoundings": ({"name": "new", "usageBaseUnitName": "Time"}, {"minimum": "1.5"}),
    "usageClasses": ({"name": "new", "usageBaseUnitName": "Time"}, {"usageRaterTypeName": "GeoTree"}),
    "geoTreeLocations": ({"name": "new"}, {"parentGeoTreeLocationName": "France"}),
    "geoTreeLocationPatterns": ({"name": "999", "geoTreeLocationName": "Spain"}, {"geoTreeLocationName": "France"}),
    "geoTreeLocationGroups": ({"name": "new", "geoTreeLocationNames": ["Paris"]}, {"description": "few"}),
    "usageBucketBases": ({"name": "new", "usageBucketBaseUnitName": "Time"}, {"retired": True}),
    "usageBucketBaseDetails": (
        {"usageBucketBaseName": "Calls", "usageClassName": "voice", "geoTreeLocationName": "Spain"},
        {"exclude": True},
    ),
    "timePeriods": ({"name": "new", "windows": _WINDOWS}, {"timeZone": "Europe/Paris"}),
    "dataProfiles": ({"name": "new", **_PROFILE}, {"delimiter": ";"}),
    "udrFeeds": ({"name": "new", "dataProfileName": "everything"}, {"enabled": False}),
    "usageRateGroups": ({"name": "new", "currencyName": "EUR"}, {"displayName": "New"}),
    "usageRatePlans": ({"name": "new", "usageRateGroupNames": ["Plain"]}, {"usageRateGroupNames": ["Plain", "Euro"]}),
    "usageRates": (
        {"usageRateGroupName": "Plain", "usageClassName": "voice", "geoTreeLocationName": "Paris", "amount": "1"},
        {"amount": "0.5"},
    ),
    "usageBuckets": ({"name": "new", "currencyName": "EUR", "size": 5}, {"priority": 2}),
    "accounts": ({"name": "new", "currencyName": "EUR"}, {"usageBillDay": 15}),
    "accountServices": ({"accountName": "Child", "name": "new"}, {"start": "2024-01-01"}),
    "usageIdentifiers": (
        {"udrUsageIdentifier": "new", "accountName": "Child", "accountServiceName": "Line"},
        {"udrUsageIdentifier": "newer"},
    ),
    "accountUsageBuckets": ({"accountName": "Child", "usageBucketName": "Purse"}, {"start": "2024-01-01"}),
    "accountServiceUsageBuckets": (
        {"accountName": "Child", "accountServiceName": "Line", "usageBucketName": "Purse"},
        {"start": "2024-01-01"},
    ),
    "subscriptionRatePlans": (
        {"planExternalRef": "new", "usageRatePlanName": "Two"},
        {"planExternalRef": None, "offeringExternalRef": "new"},
    ),
}


@pytest.fixture(scope="module")
def mills(database: Database, settings: Settings) -> Iterator[tuple[Mill, Mill]]:
    with mill(database, settings, "default", FULL) as mine, mill(database, settings, "other", FULL) as others:
        yield mine, others


def call(one: Mill, method: str, path: str, body: Json | None = None, tag: str | None = None) -> Response:
    content = None if body is None else json.dumps(body)
    return one.request(method, f"/{path}", content=content, headers={} if tag is None else {"If-Match": tag})


def done(answer: Response, status: int = 200) -> Json:
    assert answer.status_code == status, answer.text
    read: Json = answer.json()
    if status != 200:
        assert set(read) == {"trackingId", "type", "errors"}
        return read
    (item,) = read["results"]["items"]
    found: Json = item
    return found


def test_there_is_a_sample_of_each_kind():
    assert set(SAMPLES) == {each.list_name for each in WRITABLE}


@pytest.mark.parametrize("each", WRITABLE, ids=lambda each: each.list_name)
def test_each_kind_by_each_verb(mills: tuple[Mill, Mill], each: SetupObject):
    mine, others = mills
    body, change = SAMPLES[each.list_name]
    made = call(mine, "POST", each.path, body)
    instance, first = done(made)["instance"], made.headers["etag"]
    theirs = done(call(others, "POST", each.path, body))["instance"]
    assert theirs["identity"] != instance["identity"]
    assert theirs["ownerName"] == "other"
    assert done(call(mine, "POST", each.path, body), 400)["errors"][0]["code"] == 1610

    path = f"{each.path}{instance['identity']}"
    for method, sent in (("PUT", change), ("PATCH", {"details": change}), ("DELETE", None)):
        assert done(call(others, method, path, sent), 404)["errors"][0]["code"] == 1466

    same = call(mine, "PUT", path, instance, first)
    assert done(same)["instance"] == instance
    assert same.headers["etag"] == first
    changed = call(mine, "PUT", path, change, first)
    second = changed.headers["etag"]
    assert second != first
    shown = mine.request("GET", f"/{path}")
    assert shown.json()["instance"] == done(changed)["instance"] != instance
    assert shown.headers["etag"] == second

    for method, sent in (("PUT", change), ("PATCH", {"details": change}), ("DELETE", None)):
        assert done(call(mine, method, path, sent, first), 412)["errors"][0]["code"] == 1412
    patched = call(mine, "PATCH", path, {"details": {name: body.get(name) for name in change}}, second)
    assert done(patched)["dtoTypeKey"] == each.dto_type_key
    assert done(patched)["identity"] == instance["identity"]
    again = {each.list_name: {"items": [{"patchType": "update", "patchClientId": "again", **change}]}}
    assert done(call(mine, "PATCH", path, again))["patchClientId"] == "again"

    gone = call(mine, "DELETE", path, tag="*").json()["results"]["items"]
    assert gone[0] == {"identity": instance["identity"], "action": "deleted", "dtoTypeKey": each.dto_type_key}
    done(call(mine, "DELETE", path), 404)
    assert others.request("GET", f"/{each.path}{theirs['identity']}").json()["instance"] == theirs


def test_the_owner_is_changed_and_neither_made_nor_deleted(mills: tuple[Mill, Mill]):
    mine, _ = mills
    identity = mine.value("select owner_id from owners where name = %s", mine.owner)
    path = f"Owner/{identity}"
    answer = call(mine, "PUT", path, {"amountPrecision": 4})
    assert done(answer)["amountPrecision"] == 4
    done(call(mine, "PUT", path, {"amountPrecision": 5}, '"stale"'), 412)
    assert done(call(mine, "PATCH", path, {"details": {"amountPrecision": None}}))["instance"]["amountPrecision"] == 11
    done(call(mine, "DELETE", path), 405)
    done(call(mine, "POST", "Owner", {"name": "third"}), 405)
