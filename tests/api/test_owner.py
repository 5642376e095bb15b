"""The owner over HTTP: its own and no other, neither made nor deleted; and what a change of it does to prices."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.fixtures.mill import Mill, guide_row, mill

from ratemill.settings import Settings
from ratemill.setup.reading.export import export_document
from ratemill.store.connections import Database

MEMBERS = [
    "identity",
    "ownerId",
    "ownerName",
    "name",
    "amountPrecision",
    "roundingMethodTypeName",
    "usageRatePlanId",
    "usageRatePlanName",
]


@pytest.fixture(scope="module")
def mine(database: Database, settings: Settings) -> Iterator[Mill]:
    with mill(database, settings) as made:
        yield made


@pytest.fixture(scope="module")
def others(mine: Mill) -> Mill:
    return Mill(mine.database, mine.settings, "other", mine.client)


def owner_of(mine: Mill) -> dict[str, Any]:
    answer = mine.request("GET", "/Owner/").json()
    assert answer["totalCount"] == 1
    found: dict[str, Any] = answer["items"][0]
    return found


def put(mine: Mill, identity: int, body: dict[str, Any]):
    return mine.request("PUT", f"/Owner/{identity}", content=json.dumps(body))


def test_an_owner_sees_itself_alone(mine: Mill, others: Mill):
    shown = owner_of(mine)
    assert list(shown) == MEMBERS
    assert (shown["identity"], shown["name"]) == (shown["ownerId"], shown["ownerName"])
    assert (shown["amountPrecision"], shown["roundingMethodTypeName"], shown["usageRatePlanId"]) == (
        11,
        "half_up",
        None,
    )
    theirs = owner_of(others)["identity"]
    assert mine.request("GET", f"/Owner/{shown['identity']}").json()["instance"] == shown
    for method in ("GET", "PUT", "PATCH"):
        assert mine.request(method, f"/Owner/{theirs}", content="{}").status_code == 404


def test_an_owner_is_neither_made_nor_deleted(mine: Mill):
    identity = owner_of(mine)["identity"]
    assert mine.request("POST", "/Owner/", content="{}").status_code == 405
    assert mine.request("DELETE", f"/Owner/{identity}").status_code == 405
    for kind in ("create", "delete"):
        body = {"owners": {"items": [{"patchType": kind, "name": "x"}]}}
        assert mine.request("PATCH", f"/Owner/{identity}", content=json.dumps(body)).status_code == 400


def test_no_document_names_owners(mine: Mill):
    assert "owners:" not in export_document(mine.database, "default")


def test_its_precision_rounding_and_plan_hold_for_the_next_batch(mine: Mill):
    identity = owner_of(mine)["identity"]
    mine.apply("ratemill: 1\naccounts: [{name: Acme, usageRatePlanName: null}]\n")
    plan = mine.request("GET", "/Usage/Rate/Plan/").json()["items"][0]
    change = {"amountPrecision": 2, "roundingMethodTypeName": "up", "usageRatePlanId": plan["identity"]}
    answer = put(mine, identity, change)
    assert answer.status_code == 200, answer.text
    assert {key: answer.json()["results"]["items"][0][key] for key in change} == change
    tracking_id = mine.post_rows(guide_row(1)).json()["trackingId"]
    mine.work()
    (charge,) = mine.request("GET", f"/Udr/Charge/Paged?trackingId={tracking_id}").json()["pagedResults"]["items"]
    assert (charge["amount"], charge["usageRatePlanName"]) == ("1.16", "Standard")


def test_the_plan_of_an_owner_is_in_use(mine: Mill):
    mine.apply("ratemill: 1\nusageRatePlans: [{name: Spare, usageRateGroupNames: [Main USD]}]\n")
    identity = owner_of(mine)["identity"]
    assert put(mine, identity, {"usageRatePlanName": "Spare"}).status_code == 200
    spare = owner_of(mine)["usageRatePlanId"]
    refused = mine.request("DELETE", f"/Usage/Rate/Plan/{spare}")
    assert (refused.status_code, "owner 'default'" in refused.text) == (400, True)
    assert put(mine, identity, {"usageRatePlanName": None}).status_code == 200
    assert mine.request("DELETE", f"/Usage/Rate/Plan/{spare}").status_code == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"amountPrecision": 12}, "amountPrecision"),
        ({"amountPrecision": -1}, "amountPrecision"),
        ({"roundingMethodTypeName": "halfUp"}, "roundingMethodTypeName"),
        ({"usageRatePlanName": "none"}, "usageRatePlanName"),
        ({"name": None}, "name"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_change_that_breaks_a_rule_is_refused(mine: Mill, body, field):
    before = owner_of(mine)
    answer = put(mine, before["identity"], body)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, field)
    assert owner_of(mine) == before


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_another_name_is_refused_the_same_whether_or_not_it_is_in_use(mine: Mill, others: Mill, method: str):
    """The answer must not show which owners exist, and no caller may take the name of an owner to come."""
    before, answers = owner_of(mine), []
    body: dict[str, Any]
    for name in (others.owner, "tenant to come", None):
        body = {"name": name, "amountPrecision": 1}
        if method == "PATCH":
            change = {"patchType": "update", "identity": before["identity"], **body}
            body = {"owners": {"items": [change]}}
        answer = mine.request(method, f"/Owner/{before['identity']}", content=json.dumps(body))
        answers.append((answer.status_code, answer.json()["errors"]))
    assert answers[0] == answers[1] == answers[2]
    assert answers[0][0] == 400
    assert "ratemill owner rename" in answers[0][1][0]["message"]
    assert owner_of(mine) == before


def test_its_own_name_may_be_sent_back(mine: Mill):
    before = owner_of(mine)
    assert put(mine, before["identity"], before).status_code == 200
    assert owner_of(mine) == before


def test_a_change_is_in_the_log(mine: Mill):
    identity = owner_of(mine)["identity"]
    put(mine, identity, {"amountPrecision": 7})
    newest = mine.request("GET", "/Setup/Change/Paged?list=owners").json()["pagedResults"]["items"][0]
    assert (newest["objectIdentity"], newest["after"]["amountPrecision"]) == (identity, 7)
