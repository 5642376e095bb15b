"""Products, plans, subscribers, offerings and subscriptions over HTTP: read as they were sent, made, changed, taken away."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from httpx import Response
from tests.api.subscriptions.test_imports import details, errors, send
from tests.fixtures.mill import Mill, mill
from tests.fixtures.owners import token_of
from tests.fixtures.seeded import new_id

from ratemill.access.tokens import create_token
from ratemill.jobs.subscriptions import imports
from ratemill.settings import Settings
from ratemill.store.connections import Database, driver
from ratemill.store.subscriptions import jobs

V2 = "v2/subscriptions"
EXAMPLE = Path(__file__).parents[3] / "examples" / "subscriptions" / "subscription_all_types.jsonl"
SENT = [json.loads(each)["data"] for each in EXAMPLE.read_text().splitlines() if each]
PLURALS = ["products", "plans", "subscribers", "offerings", "subscriptions"]


@pytest.fixture(scope="module")
def store(database: Database, settings: Settings) -> Iterator[Mill]:
    with mill(database, settings) as made:
        assert send(made, EXAMPLE.read_bytes()).status_code == 201
        work(made)
        yield made


def work(store: Mill) -> None:
    """Let the job work off what waits."""
    while True:
        with store.database.worker() as connection:
            due = list(jobs.due(connection))
        if not due:
            return
        for number in due:
            imports.run_table(store.database, store.settings, number)


def listed(store: Mill, plural: str, query: str = "") -> list[dict[str, Any]]:
    answer = store.request("GET", f"{V2}/{plural}{query}")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


def by_ref(store: Mill, plural: str, ref: str) -> dict[str, Any]:
    (found,) = listed(store, plural, f'?filter=eq(external_ref,"{ref}")')
    return found


def post(store: Mill, plural: str, data: object) -> Response:
    return store.request("POST", f"{V2}/{plural}", json={"data": data})


def put(store: Mill, plural: str, number: str, **attributes: object) -> Response:
    kinds = {plural: f"subscription_{plural[:-1]}" for plural in PLURALS} | {"subscriptions": "subscription"}
    data = {"id": number, "type": kinds[plural], "attributes": attributes}
    return store.request("PUT", f"{V2}/{plural}/{number}", json={"data": data})


def product(ref: str | None = None, **attributes: object) -> dict[str, Any]:
    known = {"external_ref": ref} if ref else {}
    return {"type": "subscription_product", "attributes": {**known, "name": "A product", **attributes}}


# read


def test_what_was_imported_is_read_back_as_it_was_sent(store: Mill):
    for sent in (each for each in SENT if each["type"] in ("subscription_product", "subscription_plan")):
        plural = "products" if sent["type"].endswith("product") else "plans"
        found = by_ref(store, plural, sent["attributes"]["external_ref"])
        assert found["type"] == sent["type"]
        times = {name: found["attributes"].pop(name) for name in ("created_at", "updated_at")}
        assert found["attributes"] == sent["attributes"]
        assert times == found["meta"]["timestamps"]
        assert found["meta"]["owner"] == "store"
        assert store.request("GET", f"{V2}/{plural}/{found['id']}").json()["data"]["id"] == found["id"]
    (subscriber,) = listed(store, "subscribers")
    assert subscriber["attributes"]["email"] == "albert@example.com"


def test_numbers_go_out_by_their_digits_and_members_in_their_order(store: Mill):
    text = '{"data":{"type":"subscription_product","attributes":{"name":"Digits","zeta":87.0,"alpha":1E+2,"n":1%s}}}'
    exact = text % ("0" * 30)
    answer = store.request("POST", f"{V2}/products", content=exact.encode())
    assert answer.status_code == 201, answer.text
    assert '{"name":"Digits","zeta":87.0,"alpha":1E+2,"n":1' + "0" * 30 + ',"created_at":' in answer.text


def test_an_offering_shows_its_snapshot(store: Mill):
    offering = by_ref(store, "offerings", "off-4k")
    assert offering["meta"]["external_product_refs"] == ["prod-4k-stream"]
    plans = offering["included"]["plans"]
    assert [each["attributes"]["external_ref"] for each in plans] == ["plan-monthly-10", "off-4k-weekly"]
    assert offering["relationships"]["plans"]["data"] == [{"type": "subscription_plan", "id": e["id"]} for e in plans]
    before = plans[0]["attributes"]["name"]
    number = by_ref(store, "plans", "plan-monthly-10")["id"]
    assert put(store, "plans", number, name="Another name").status_code == 200
    assert by_ref(store, "offerings", "off-4k")["included"]["plans"][0]["attributes"]["name"] == before
    assert put(store, "plans", number, name=before).status_code == 200


def test_a_subscription_shows_its_offering_its_plan_and_its_state(store: Mill):
    pending = by_ref(store, "subscriptions", "sub-000123")
    assert pending["attributes"]["offering"]["attributes"]["external_ref"] == "off-4k"
    assert pending["attributes"]["plan_id"] == by_ref(store, "plans", "plan-monthly-10")["id"]
    meta = pending["meta"]
    assert (meta["status"], meta["state"], meta["pending"], meta["canceled"]) == ("inactive", "pending", True, False)
    active = by_ref(store, "subscriptions", "sub-000124")
    assert (active["meta"]["state"], active["meta"]["first_invoice_prepaid"]) == ("active", True)
    assert active["meta"]["timestamps"]["started_at"] == "2026-10-01T00:00:00.000000Z"
    assert active["meta"]["import"]["line_number"] == 7


def test_lists_are_filtered_and_paged(store: Mill):
    assert len(listed(store, "plans")) == 4
    assert [len(listed(store, "plans", f"?page[limit]=3&page[offset]={offset}")) for offset in (0, 3)] == [3, 1]
    account = "3f1c2a64-6d2e-4a6e-9f0b-2c7a8b1d4e55"
    assert len(listed(store, "subscriptions", f"?filter=eq(account_id,{account}):like(name,albert*)")) == 2
    assert listed(store, "subscriptions", "?filter=eq(name,Nobody)") == []
    assert errors(store.request("GET", f"{V2}/plans?filter=eq(account_id,{account})"))[0]["title"] == "Bad Request"
    assert len(listed(store, "plans", "?filter=in(external_ref,plan-legacy,off-4k-weekly,none)")) == 2


def test_a_filter_by_name_passes_over_texts_that_the_database_cannot_read(store: Mill):
    made = post(store, "products", product(name="Odd one", note="\0"))
    assert made.status_code == 201
    assert listed(store, "products", "?filter=eq(name,Odd one)") == []
    assert store.request("DELETE", f"{V2}/products/{made.json()['data']['id']}").status_code == 204


# made


def test_one_object_is_made_by_the_rules_of_a_line(store: Mill):
    answer = post(store, "products", product("made", sku="1"))
    assert answer.status_code == 201
    assert by_ref(store, "products", "made")["id"] == answer.json()["data"]["id"]
    assert details(post(store, "products", product("made")))[0].startswith("data.attributes.external_ref: ")
    assert details(post(store, "products", {"type": "subscription_product", "attributes": {}})) == [
        'data.attributes.name: "name" is required'
    ]
    faults = details(post(store, "plans", {"type": "subscription_plan", "attributes": {"name": "x"}}))
    assert len(faults) == 8


@pytest.mark.parametrize("flat", [True, False])
def test_offerings_and_subscriptions_may_be_built_flat(store: Mill, flat: bool):
    ref = f"off-{flat}"
    offering = {"external_ref": ref, "name": "Built", "products": ["prod-4k-stream"], "plans": ["plan-yearly-fixed"]}
    answer = post(store, "offerings", offering if flat else {"type": "subscription_offering", "attributes": offering})
    assert answer.status_code == 201, answer.text
    subscription = {
        "account_id": str(new_id()),
        "name": "Ada",
        "email": "ada@example.com",
        "currency": "USD",
        "manual_payments": False,
        "offering_id": answer.json()["data"]["id"],
        "plan_id": answer.json()["data"]["included"]["plans"][0]["id"],
    }
    sent = subscription if flat else {"type": "subscription", "attributes": subscription}
    made = post(store, "subscriptions", sent)
    assert made.status_code == 201, made.text
    assert made.json()["data"]["meta"]["state"] == "active"
    assert "end_date" in made.json()["data"]["meta"]["timestamps"]


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"", "the body is not JSON"),
        (b"{", "the body is not JSON"),
        (b"[]", 'data: "data" is required'),
        (b'{"data": 1}', 'data: "data" must be an object'),
        (b'{"data": {}}', '"data.type" is required'),
        (
            b'{"data": {"type": "subscription_plan", "attributes": {}}}',
            'data.type: "type" must be "subscription_product"',
        ),
        (b'{"data": {"type": "subscription_product", "attributes": {"name": "\\ud800"}}}', "the body is not JSON"),
        (b"[" * 5_000, "the body is not JSON"),
    ],
)
def test_a_body_that_is_no_object_of_the_kind_is_400(store: Mill, body: bytes, detail: str):
    assert details(store.request("POST", f"{V2}/products", content=body))[0].startswith(detail)


# changed and taken away


def test_a_change_names_only_what_it_changes(store: Mill):
    number = post(store, "products", product("changed", sku="1", description="old")).json()["data"]["id"]
    answer = put(store, "products", number, description=None, name="New name")
    assert answer.status_code == 200, answer.text
    attributes = answer.json()["data"]["attributes"]
    assert (attributes["name"], attributes["sku"]) == ("New name", "1")
    assert "description" not in attributes
    assert attributes["updated_at"] > attributes["created_at"]
    assert details(put(store, "products", number, name="x", sku=5)) == [
        'data.attributes.name: "name" must be 3 to 1024 characters long, not 1',
        'data.attributes.sku: "sku" must be a text, not a number',
    ]


def test_a_change_needs_the_id_and_type_of_its_path(store: Mill):
    number = by_ref(store, "products", "prod-4k-stream")["id"]
    path = f"{V2}/products/{number}"
    assert details(store.request("PUT", path, json={"data": {}})) == [
        'data.id: "id" is required',
        'data.type: "type" is required',
        'data.attributes: "attributes" is required',
    ]
    data = {"id": str(new_id()), "type": "subscription_plan", "attributes": []}
    assert len(details(store.request("PUT", path, json={"data": data}))) == 3


def test_what_is_taken_away_is_404_and_stays_in_snapshots(store: Mill):
    number = post(store, "products", product("gone")).json()["data"]["id"]
    offering = {"external_ref": "off-gone", "name": "Held", "products": ["gone"], "plans": ["plan-yearly-fixed"]}
    assert post(store, "offerings", offering).status_code == 201
    assert store.request("DELETE", f"{V2}/products/{number}").content == b""
    assert errors(store.request("GET", f"{V2}/products/{number}"), 404)
    assert errors(store.request("DELETE", f"{V2}/products/{number}"), 404)
    assert errors(put(store, "products", number, name="Gone"), 404)
    held = by_ref(store, "offerings", "off-gone")["included"]["products"]
    assert held[0]["attributes"]["external_ref"] == "gone"


def test_a_subscription_is_canceled_once(store: Mill):
    found = by_ref(store, "subscriptions", "sub-000124")
    number, account = found["id"], found["attributes"]["account_id"]
    assert (found["meta"]["account_name"], found["meta"]["account_service_name"]) == (account, "sub-000124")
    answer = store.request("POST", f"{V2}/subscriptions/{number}/cancel")
    assert answer.status_code == 200, answer.text
    meta = answer.json()["data"]["meta"]
    assert (meta["status"], meta["state"], meta["canceled"]) == ("inactive", "canceled", True)
    assert meta["timestamps"]["canceled_at"]
    ended = """select service_id from identifiers join services using (service_id)
        where usage_identifier = 'sub-000124' and identifiers.end_at <= now() and services.end_at <= now()"""
    assert len(store.rows(ended)) == 1
    assert store.value("select count(*) from setup_changes where via = 'http' and list = 'accountServices'") > 0
    answer = store.request("POST", f"{V2}/subscriptions/{number}/cancel")
    assert errors(answer, 409)[0]["title"] == "Write Conflict"
    pending = by_ref(store, "subscriptions", "sub-000123")["id"]
    assert store.request("DELETE", f"{V2}/subscriptions/{pending}").status_code == 204


def test_a_write_race_that_is_lost_is_a_write_conflict(dsn: str, settings: Settings):
    impatient = settings.model_copy(update={"lock_timeout_s": 1})
    database = Database(dsn, impatient)
    with mill(database, impatient) as store:
        number = post(store, "products", product("raced")).json()["data"]["id"]
        with store.database.worker() as other:
            driver(other).execute("select 1 from subscription_objects where external_ref = 'raced' for update")
            found = errors(put(store, "products", number, name="Another"), 409)
    assert [(each["title"], each["status"]) for each in found] == [("Write Conflict", "409")]
    database.close()


# who may what


@pytest.mark.parametrize(("role", "reads", "writes"), [("read", 200, 403), ("import", 403, 403), ("setup", 200, 201)])
def test_each_role_may_what_its_rights_say(store: Mill, role: str, reads: int, writes: int):
    secret = create_token(store.database, owner_name="default", role=role, name=role)
    headers = {"Authorization": f"Bearer {secret}"}
    assert store.request("GET", f"{V2}/products", headers=headers).status_code == reads
    sent = {"data": product()}
    assert store.request("POST", f"{V2}/products", json=sent, headers=headers).status_code == writes


def test_each_owner_sees_its_own(store: Mill):
    secret = token_of(store.database, "another", "admin", "stranger")
    headers = {"Authorization": f"Bearer {secret}"}
    number = by_ref(store, "products", "prod-4k-stream")["id"]
    assert store.request("GET", f"{V2}/products/{number}", headers=headers).status_code == 404
    assert store.request("DELETE", f"{V2}/products/{number}", headers=headers).status_code == 404
    answer = store.request("POST", f"{V2}/products", json={"data": product("prod-4k-stream")}, headers=headers)
    assert answer.status_code == 201
    assert len(listed(store, "products", "?filter=eq(external_ref,prod-4k-stream)")) == 1
