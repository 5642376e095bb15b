"""Set-up objects over HTTP: created, updated, patched, deleted; whose they are, what is refused, what is kept in the log."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
from httpx import Response
from tests.face.bucket_base_keys import NINE
from tests.mill import Mill, guide_row
from tests.two_mills import two_mills

from ratemill.errors import InvariantFailure
from ratemill.intake import accept, conductor
from ratemill.records import Elements, read_elements
from ratemill.settings import Settings
from ratemill.setup.in_force.book import price_book
from ratemill.setup.registry import OBJECTS
from ratemill.setup.tokens import create_token
from ratemill.setup.writing import deleting
from ratemill.setup.writing.deleting import carry_out
from ratemill.store import charged_objects
from ratemill.store.connections import Database, driver

Json = dict[str, Any]


@pytest.fixture(scope="module")
def mills(database: Database, settings: Settings) -> Iterator[tuple[Mill, Mill]]:
    with two_mills(database, settings) as both:
        yield both


@pytest.fixture
def mine(mills: tuple[Mill, Mill]) -> Mill:
    return mills[0]


@pytest.fixture
def others(mills: tuple[Mill, Mill]) -> Mill:
    return mills[1]


def send(mill: Mill, method: str, path: str, body: Json | str | None = None, **options: Any) -> Response:
    content = body if isinstance(body, str) or body is None else json.dumps(body)
    return mill.request(method, f"/{path}", content=content, **options)


def done(answer: Response, kind: str) -> list[Json]:
    """Return the items of a write that succeeded."""
    assert answer.status_code == 200, answer.text
    assert list(answer.json()) == ["trackingId", "type", "results"]
    assert answer.json()["type"] == kind
    results = answer.json()["results"]
    assert results["totalCount"] == len(results["items"])
    items: list[Json] = results["items"]
    return items


def make(mill: Mill, path: str, **members: Any) -> Json:
    (item,) = done(send(mill, "POST", path, members), "create")
    return item


def refused(answer: Response, status: int = 400) -> list[Json]:
    assert answer.status_code == status, answer.text
    assert set(answer.json()) == {"trackingId", "type", "errors"}
    errors: list[Json] = answer.json()["errors"]
    assert errors
    return errors


def identity_of(mill: Mill, table: str, key: str, name: str = "name", *, value: str) -> int:
    statement = (
        f"select {table}.{key} from {table} join owners o using (owner_id) where {table}.{name} = %s and o.name = %s"
    )
    return int(mill.value(statement, value, mill.owner))


# The printed samples


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


# Patch


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


# Delete


def test_a_delete_names_every_user(mine: Mill):
    group = make(mine, "Usage/Rate/Group", name="used", currencyName="USD")["identity"]
    plan = make(mine, "Usage/Rate/Plan", name="user", usageRateGroupNames=["used"])["identity"]
    make(mine, "Account", name="Payer", currencyName="USD", usageRatePlanName="user")
    (error,) = refused(send(mine, "DELETE", f"Usage/Rate/Group/{group}"))
    assert f"'user' ({plan})" in error["message"]
    (error,) = refused(send(mine, "DELETE", f"Usage/Rate/Plan/{plan}"))
    assert error["code"] == 1613
    assert "the account 'Payer'" in error["message"]


def test_an_account_goes_with_its_services_and_identifiers(mine: Mill):
    account = make(mine, "Account", name="Leaving", currencyName="USD")["identity"]
    service = make(mine, "Account/Service", accountId=account, name="L")["identity"]
    identifier = make(mine, "Account/Service/UsageIdentifier", accountServiceId=service, udrUsageIdentifier="gone")
    gone = done(send(mine, "DELETE", f"Account/{account}"), "delete")
    assert {(item.get("foreignKeyIdentity"), item["dtoTypeKey"]) for item in gone} == {
        (None, "account"),
        (service, "accountService"),
        (identifier["identity"], "usageIdentifier"),
    }


def test_what_usage_refers_to_stays(mine: Mill):
    assert mine.post_rows(guide_row(1)).status_code == 200
    mine.work()
    for table, key, path, name in (
        ("accounts", "account_id", "Account", "Acme"),
        ("services", "service_id", "Account/Service", "Line"),
        ("rate_plans", "rate_plan_id", "Usage/Rate/Plan", "Standard"),
        ("rate_groups", "rate_group_id", "Usage/Rate/Group", "Main USD"),
        ("usage_classes", "usage_class_id", "Usage/Class", "data_class"),
        ("feeds", "feed_id", "Udr/Feed", "Guide Feed"),
        ("data_profiles", "data_profile_id", "DataProfile", "guide_csv"),
    ):
        errors = refused(send(mine, "DELETE", f"{path}/{identity_of(mine, table, key, value=name)}"))
        assert any("charges" in e["message"] or "usage" in e["message"] for e in errors), errors
    rate = mine.value("select rate_id from charges limit 1")
    (error,) = refused(send(mine, "DELETE", f"Usage/Rate/{rate}"))
    assert "has charges" in error["message"]


def test_a_delete_waits_for_a_worker_that_holds_the_price_book(mine: Mill):
    made = make(mine, "Usage/Rate/Group", name="just now", currencyName="USD")["identity"]
    nothing: dict[str, list[int]] = {column: [] for column in charged_objects.TABLES}
    owner_id = mine.value("select owner_id from owners where name = %s", mine.owner)
    with ThreadPoolExecutor() as threads:
        with mine.database.worker() as connection:
            price_book(connection, owner_id)
            deleted = _waiting(threads, mine, f"Usage/Rate/Group/{made}")
            charged_objects.note(connection, owner_id, {**nothing, "rate_group_id": [made]})
        (error,) = refused(deleted.result())
    assert "has charges" in error["message"]


NEW = """
ratemill: 1
dataProfiles: [{name: new %(n)s, format: csv, fields: [{name: DateTime}, {name: UdrUsageIdentifier}, {name: Value},
  {name: UsageClassName}]}]
udrFeeds: [{name: new %(n)s, apiName: newFeed%(n)s, dataProfileName: new %(n)s, batchWaitSeconds: 0}]
accounts: [{name: new %(n)s, currencyName: USD, usageRatePlanName: Standard}]
accountServices: [{accountName: new %(n)s, name: Line}]
usageIdentifiers: [{udrUsageIdentifier: new-%(n)s, accountName: new %(n)s, accountServiceName: Line}]
"""
_numbers = count(1)
KINDS = {
    "Account": ("accounts", "account_id", "has charges"),
    "Account/Service": ("services", "service_id", "is of an account that has charges"),
    "Account/Service/UsageIdentifier": ("identifiers", "identifier_id", "is of an account that has charges"),
    "DataProfile": ("data_profiles", "data_profile_id", "has mediated usage"),
}


def newest(mill: Mill, kind: str) -> int:
    table, column, _ = KINDS[kind]
    found: int = mill.value(f"select max({column}) from {table}")
    return found


@pytest.fixture
def send_first_usage(mine: Mill) -> Callable[[], None]:
    """Set up a feed, its profile, an account, its service and identifier; return what sends the first usage of all."""
    number = next(_numbers)
    mine.apply(NEW % {"n": number})

    def send_usage() -> None:
        row = f"2022-05-01T01:01:00,new-{number},94,data_class"
        assert mine.post_rows(row, feed=f"newFeed{number}").status_code == 200

    return send_usage


@pytest.mark.parametrize("kind", KINDS)
def test_a_delete_waits_for_the_batch_that_is_the_first_to_use_it(
    mine: Mill, send_first_usage: Callable[[], None], monkeypatch: pytest.MonkeyPatch, kind: str
):
    path = f"{kind}/{newest(mine, kind)}"
    send_first_usage()
    deletes: list[Future[Response]] = []

    def delete_before_the_commit(point: str, _settings: Settings) -> None:
        if point == "before-commit" and not deletes:
            deletes.append(_waiting(threads, mine, path))

    monkeypatch.setattr(conductor, "die_at", delete_before_the_commit)
    with ThreadPoolExecutor() as threads:
        mine.work()
        errors = refused(deletes[0].result())
    assert any(KINDS[kind][2] in error["message"] for error in errors), errors
    mine.assert_ties()


@pytest.mark.parametrize("kind", ["Account", "Account/Service", "Account/Service/UsageIdentifier"])
def test_a_batch_waits_for_the_delete_of_what_it_would_be_the_first_to_use(
    mine: Mill, send_first_usage: Callable[[], None], monkeypatch: pytest.MonkeyPatch, kind: str
):
    identity = newest(mine, kind)
    send_first_usage()
    batches: list[Future[None]] = []

    def work_before_the_commit(*given: Any) -> list[Json]:
        items = carry_out(*given)
        batches.append(threads.submit(mine.work))
        while not mine.value("select count(*) from pg_locks where not granted"):
            assert not batches[0].done()
        return items

    monkeypatch.setattr(deleting, "carry_out", work_before_the_commit)
    with ThreadPoolExecutor() as threads:
        done(send(mine, "DELETE", f"{kind}/{identity}"), "delete")
        batches[0].result()
    assert mine.value("select reason_id from rating_exceptions order by rating_exception_id desc limit 1") == 2101
    mine.assert_ties()


def test_an_account_keeps_its_currency_if_a_batch_under_way_charges_it(
    mine: Mill, send_first_usage: Callable[[], None], monkeypatch: pytest.MonkeyPatch
):
    path = f"Account/{newest(mine, 'Account')}"
    send_first_usage()
    puts: list[Future[Response]] = []

    def put_before_the_commit(point: str, _settings: Settings) -> None:
        if point == "before-commit" and not puts:
            puts.append(_waiting(threads, mine, path, "PUT", {"currencyName": "EUR"}))

    monkeypatch.setattr(conductor, "die_at", put_before_the_commit)
    with ThreadPoolExecutor() as threads:
        mine.work()
        (error,) = refused(puts[0].result())
    assert "has charges" in error["message"]


def test_a_delete_of_a_feed_waits_for_a_request_that_is_being_taken(mine: Mill, monkeypatch: pytest.MonkeyPatch):
    made = make(mine, "Udr/Feed", name="just now", dataProfileName="guide_csv")["identity"]
    secret = create_token(mine.database, owner_name=mine.owner, role="import", name="sender")
    request = accept.Request(secret=secret, feed="just now", route="rows", body=b'{"data":["a"]}', fingerprint="POST /")
    deletes: list[Future[Response]] = []

    def read_while_the_feed_is_deleted(*given: Any, **options: Any) -> Elements:
        deletes.append(_waiting(threads, mine, f"Udr/Feed/{made}"))
        return read_elements(*given, **options)

    monkeypatch.setattr(accept, "read_elements", read_while_the_feed_is_deleted)
    with ThreadPoolExecutor() as threads:
        assert accept.accept(mine.database, mine.settings, request).feed_id == made
        (error,) = refused(deletes[0].result())
    assert "has taken usage" in error["message"]
    mine.work()


def _waiting(
    threads: ThreadPoolExecutor, mill: Mill, path: str, method: str = "DELETE", body: Json | None = None
) -> Future[Response]:
    """Send a write and return when it waits for a lock."""
    sent = threads.submit(send, mill, method, path, body)
    while not mill.value("select count(*) from pg_locks where not granted"):
        assert not sent.done(), sent.result().text
    return sent


def test_a_worker_charges_nothing_that_is_gone(mine: Mill):
    made = make(mine, "Usage/Rate/Group", name="gone by now", currencyName="USD")["identity"]
    done(send(mine, "DELETE", f"Usage/Rate/Group/{made}"), "delete")
    nothing: dict[str, list[int]] = {column: [] for column in charged_objects.TABLES}
    with pytest.raises(InvariantFailure), mine.database.worker() as connection:
        charged_objects.note(connection, 1, {**nothing, "rate_group_id": [made]})


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


# The log


def changes(mill: Mill, **filters: Any) -> list[Json]:
    answer = mill.request("GET", "/Setup/Change/Paged", params=filters)
    assert answer.status_code == 200, answer.text
    items: list[Json] = answer.json()["pagedResults"]["items"]
    return items


def test_every_change_is_in_the_log_with_before_and_after(mine: Mill, others: Mill):
    made = make(mine, "Usage/ClassType", name="logged")
    path = f"Usage/ClassType/{made['identity']}"
    done(send(mine, "PUT", path, {"sortOrder": 9}), "update")
    mine.apply("ratemill: 1\nusageClassTypes: [{name: logged, sortOrder: 10}]")
    done(send(mine, "DELETE", path), "delete")
    asked = {"list": "usageClassTypes", "objectIdentity": made["identity"]}
    told = [
        (c["action"], c["via"], c["by"], (c["before"] or {}).get("sortOrder"), (c["after"] or {}).get("sortOrder"))
        for c in changes(mine, **asked)
    ]
    assert told == [
        ("deleted", "http", "tester", 10, None),
        ("updated", "document", "tester", 9, 10),
        ("updated", "http", "tester", 1, 9),
        ("created", "http", "tester", None, 1),
    ]
    newest = changes(mine, **asked, action="deleted")[0]
    assert newest["key"] == "logged"
    one = mine.request("GET", f"/Setup/Change/{newest['identity']}").json()
    assert one["instance"] == newest
    (_, newer, *_) = changes(mine, **asked)
    assert newer["after"] == newest["before"]
    assert newer["after"] == made["instance"] | {"sortOrder": 10}
    assert changes(others, **asked) == []
    refused(others.request("GET", f"/Setup/Change/{newest['identity']}"), 404)
    assert changes(mine, **asked, to="2020-01-01") == []


@pytest.mark.parametrize(
    "statement",
    ["update setup_changes set action = 'x'", "delete from setup_changes", "truncate setup_changes"],
)
def test_no_role_of_the_product_changes_the_log(mine: Mill, statement: str):
    with pytest.raises(psycopg.errors.InsufficientPrivilege), mine.database.face(1) as connection:
        driver(connection).execute(statement)
    with pytest.raises(psycopg.errors.InsufficientPrivilege), mine.database.worker() as connection:
        driver(connection).execute(statement)


def test_the_log_has_each_object_as_it_is_shown(mine: Mill):
    text = (Path(__file__).parents[1] / "setup" / "full.yaml").read_text()
    mine.apply(text.replace("owner: full\n", ""))
    for each in OBJECTS:
        newest = {
            change["objectIdentity"]: change for change in reversed(changes(mine, list=each.list_name, pageSize=10_000))
        }
        for identity, change in newest.items():
            if change["action"] != "deleted":
                shown = mine.request("GET", f"/{each.path}{identity}").json()["instance"]
                assert change["after"] == shown, each.list_name


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


@pytest.mark.parametrize("steps", [{"x": 1}, [1], [{"x": 1}], [{"upTo": "x"}], [{"upTo": None}], "x", 7])
def test_steps_that_are_none_are_refused(mine: Mill, steps: object):
    answer = mine.request("POST", "/Usage/Bucket/", json={"name": "d", "usageUnitId": 1, "steps": steps})
    assert answer.status_code == 400, answer.text
