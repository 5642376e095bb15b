"""A file of subscriptions comes in, their usage is rated: whichever comes first."""

from __future__ import annotations

import json
from collections.abc import Iterator
from threading import Event
from typing import Any

import pytest
from tests.fixtures.mill import GUIDE, Mill, guide_row
from tests.fixtures.mills import NewMill

from ratemill.jobs.runner import Runner
from ratemill.settings import Settings

ACCOUNT = "3f1c2a64-6d2e-4a6e-9f0b-2c7a8b1d4e55"
PERSON = {"account_id": ACCOUNT, "name": "Albert Einstein", "email": "albert@example.com"}
CAN = dict.fromkeys(("can_pause", "can_resume", "can_cancel"), True)
MONTHLY = {"billing_interval_type": "month", "billing_frequency": 1, "plan_length": 6, "end_behavior": "roll", **CAN}
PLANS = GUIDE + "subscriptionRatePlans: [{default: true, usageRatePlanName: Standard}]\n"
Json = dict[str, Any]


@pytest.fixture
def store(new_mill: NewMill) -> Iterator[Mill]:
    with new_mill(PLANS) as made:
        yield made


def file_of(*subscriptions: Json, **plan: Any) -> bytes:
    """Return a file of these subscriptions, what they are subscribed to, and the plan with these terms; in no good order."""
    lines = [
        *(("subscription", {**PERSON, "currency": "USD", **SOLD, **each}) for each in subscriptions),
        ("subscription_offering", {"external_ref": "off", "name": "Offering", "products": ["pr"], "plans": ["pl"]}),
        ("subscription_plan", {"external_ref": "pl", "name": "Plan", **MONTHLY, **plan}),
        ("subscription_product", {"external_ref": "pr", "name": "Product"}),
    ]
    return "\n".join(json.dumps({"data": {"type": kind, "attributes": each}}) for kind, each in lines).encode()


SOLD = {"offering_external_ref": "off", "selected_plan": "pl"}
SINCE = {"started_at": "2022-01-01T00:00:00Z", "first_invoice_paid": True}


def bring(store: Mill, body: bytes, query: str = "", settings: Settings | None = None) -> Json:
    """Send a file and let its import run, with all that it orders; return the import."""
    answer = store.request("POST", f"v2/subscriptions/imports{query}", files={"import_file": body})
    assert answer.status_code == 201, answer.text
    work(store, settings)
    found: Json = store.request("GET", f"v2/subscriptions/imports/{answer.json()['data']['id']}").json()["data"]
    assert found["attributes"]["status"] == "success"
    return found


def work(store: Mill, settings: Settings | None = None) -> None:
    runner = Runner(store.database, settings or store.settings, Event())
    while runner.step():
        pass


def use(store: Mill, *identifiers: str, **members: str) -> None:
    answer = store.post_rows(*(guide_row(at, identifier=each, **members) for at, each in enumerate(identifiers)))
    assert answer.status_code == 200
    store.work()


def charges(store: Mill) -> list[Json]:
    found: list[Json] = store.request("GET", "/Udr/Charge/Paged").json()["pagedResults"]["items"]
    return found


def exceptions(store: Mill) -> list[tuple[str, str]]:
    items = store.request("GET", "/Udr/Usage/Exception/Paged").json()["pagedResults"]["items"]
    return [(item["reasonName"], item["udrUsageIdentifier"]) for item in items]


def schedule(store: Mill) -> list[Json]:
    numbers = [row[0] for row in store.rows("select reprocess_id from reprocesses order by 1")]
    return [store.request("GET", f"/UsageRatedExceptionSchedule/{each}").json()["instance"] for each in numbers]


def only(store: Mill) -> Json:
    (found,) = store.request("GET", "v2/subscriptions/subscriptions").json()["data"]
    return dict(found)


def test_usage_is_charged_by_reference_and_by_id(store: Mill):
    bring(store, file_of({"external_ref": "sub-1", **SINCE}))
    use(store, "sub-1", only(store)["id"])
    assert [
        (
            each["accountName"],
            each["accountServiceName"],
            each["usageRatePlanName"],
            each["amount"],
            each["currencyName"],
        )
        for each in charges(store)
    ] == [(ACCOUNT, "sub-1", "Standard", "1.1562", "USD")] * 2
    assert exceptions(store) == []
    assert schedule(store) == [], "nothing waited, nothing is ordered"
    store.assert_ties()


def test_usage_that_came_first_is_charged_by_itself(store: Mill):
    use(store, "sub-1", "sub-2", "sub-1")
    assert exceptions(store) == [("identifier_not_found", each) for each in ("sub-1", "sub-2", "sub-1")]
    found = bring(store, file_of({"external_ref": "sub-1", **SINCE}))
    assert exceptions(store) == [("identifier_not_found", "sub-2")]
    assert [each["udrUsageIdentifier"] for each in charges(store)] == ["sub-1", "sub-1"]
    (order,) = schedule(store)
    counts = {name: order[name] for name in ("matchedCount", "sentCount", "ratedCount", "failedCount")}
    assert counts == {"matchedCount": 2, "sentCount": 2, "ratedCount": 2, "failedCount": 0}
    assert (order["subscriptionImportId"], order["createdByUserName"]) == (found["id"], "tester")
    assert order["complete"] is not None
    store.assert_ties()


def test_it_waits_where_the_setting_says_so_and_on_a_dry_run(store: Mill):
    use(store, "sub-1")
    body = file_of({"external_ref": "sub-1", **SINCE})
    bring(store, body, "?dry_run=true")
    bring(store, body, settings=store.settings.model_copy(update={"subscription_reprocess": False}))
    assert (schedule(store), charges(store)) == ([], [])
    assert exceptions(store) == [("identifier_not_found", "sub-1")]
    answer = store.request("POST", "/UsageRatedExceptionSchedule/Reprocess", json={"all": True})
    assert answer.status_code == 200
    work(store)
    assert [each["amount"] for each in charges(store)] == ["1.1562"]


def test_a_pending_subscription_is_not_rated_until_it_goes_live(store: Mill):
    use(store, "sub-1")
    bring(store, file_of({"external_ref": "sub-1", "pending": True}))
    assert exceptions(store) == [("identifier_not_found", "sub-1")]
    assert schedule(store) == []
    live = {"external_ref": "sub-1", "pending": False, **SINCE}
    bring(store, file_of(live), "?upsert=true")
    assert [each["accountServiceName"] for each in charges(store)] == ["sub-1"]
    store.assert_ties()


def test_only_usage_of_its_time_is_rated(store: Mill):
    bring(store, file_of({"external_ref": "sub-1", **SINCE}, end_behavior="close", plan_length=6))
    for date in ("2021-12-31T23:59:59.999", "2022-01-01T00:00:00", "2022-06-30T23:59:59.999", "2022-07-01T00:00:00"):
        use(store, "sub-1", date=date, unique=date)
    assert [each["date"] for each in charges(store)] == ["2022-01-01T00:00:00.000Z", "2022-06-30T23:59:59.999Z"]
    assert exceptions(store) == [("identifier_not_valid_on_usage_date", "sub-1")] * 2


@pytest.mark.parametrize("verb", ["cancel", "delete"])
def test_a_subscription_that_ends_keeps_its_charges_and_late_usage_is_rated(store: Mill, verb: str):
    bring(store, file_of({"external_ref": "sub-1", **SINCE}))
    use(store, "sub-1", unique="before")
    path = f"v2/subscriptions/subscriptions/{only(store)['id']}"
    answer = store.request("DELETE", path) if verb == "delete" else store.request("POST", f"{path}/cancel")
    assert answer.status_code in (200, 204)
    use(store, "sub-1", unique="late")
    use(store, "sub-1", unique="after", date="2035-01-01T00:00:00")
    assert len(charges(store)) == 2
    assert exceptions(store) == [("identifier_not_valid_on_usage_date", "sub-1")]
    store.assert_ties()


def test_a_service_is_deleted_after_its_subscription(store: Mill):
    bring(store, file_of({"external_ref": "sub-1", **SINCE}))
    (service_id,) = store.rows("select service_id, owner_id from services where name = 'sub-1'")[0][:1]
    answer = store.request("DELETE", f"/Account/Service/{service_id}")
    assert answer.status_code == 400
    (error,) = answer.json()["errors"]
    assert error["message"] == f"the service '{ACCOUNT} / sub-1' ({service_id}) is a subscription: delete that first"
    store.request("DELETE", f"v2/subscriptions/subscriptions/{only(store)['id']}")
    assert store.request("DELETE", f"/Account/Service/{service_id}").status_code == 200
    bring(store, file_of({"external_ref": "sub-1", "offering_external_ref": "off", **SINCE}))


def test_a_subscription_without_a_plan_that_fits_is_an_exception_until_one_is_named(store: Mill):
    (identity,) = (row[0] for row in store.rows("select subscription_rate_plan_id from subscription_rate_plans"))
    assert store.request("DELETE", f"/Subscription/RatePlan/{identity}").status_code == 200
    bring(store, file_of({"external_ref": "sub-1", **SINCE}))
    use(store, "sub-1")
    assert exceptions(store) == [("rate_plan_not_found", "sub-1")]
    store.apply("ratemill: 1\nsubscriptionRatePlans: [{offeringExternalRef: off, usageRatePlanName: Standard}]\n")
    store.request("POST", "/UsageRatedExceptionSchedule/Reprocess", json={"all": True})
    work(store)
    assert [each["usageRatePlanName"] for each in charges(store)] == ["Standard"]


def test_a_reference_that_is_an_identifier_of_another_service_refuses_the_line(store: Mill):
    found = bring(store, file_of({"external_ref": "648-688-4180", **SINCE}, {"external_ref": "sub-2", **SINCE}))
    assert found["meta"]["records"]["imported"]["subscription"] == 1
    (error,) = store.request("GET", f"v2/subscriptions/imports/{found['id']}/errors").json()["data"]
    assert (error["meta"]["line_number"], error["meta"]["field"]) == (1, "external_ref")
    assert error["meta"]["error"] == (
        "the identifier '648-688-4180' belongs to the service 'Line' of the account 'Acme' at that time"
    )
    assert only(store)["attributes"]["external_ref"] == "sub-2"
