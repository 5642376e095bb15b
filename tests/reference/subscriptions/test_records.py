"""Attributes of subscription objects: every fault, with its attribute, in the order of the attributes."""

import json
from pathlib import Path
from typing import Any

import pytest

from ratemill.reference import json_text
from ratemill.reference.subscriptions.lines import Line, read
from ratemill.reference.subscriptions.records import ATTRIBUTES, check
from ratemill.subscription_objects import ObjectKind

EXAMPLES = Path(__file__).parents[3] / "examples/subscriptions"
UUID = "3f1c2a64-6d2e-4a6e-9f0b-2c7a8b1d4e55"

PLAN: dict[str, Any] = {
    "name": "Monthly",
    "billing_interval_type": "month",
    "billing_frequency": 1,
    "plan_length": 12,
    "end_behavior": "roll",
    "can_pause": True,
    "can_resume": True,
    "can_cancel": True,
}
PERSON: dict[str, Any] = {"account_id": UUID, "name": "Albert Einstein", "email": "albert@example.com"}
WHOLE: dict[ObjectKind, dict[str, Any]] = {
    ObjectKind.PRODUCT: {"name": "4K Streaming"},
    ObjectKind.PLAN: PLAN,
    ObjectKind.SUBSCRIBER: PERSON,
    ObjectKind.OFFERING: {"name": "4K Streaming", "products": ["a"], "plans": ["b"]},
    ObjectKind.SUBSCRIPTION: {**PERSON, "currency": "USD", "offering_external_ref": "o", "selected_plan": "b"},
}
REQUIRED = {
    ObjectKind.PRODUCT: ["name"],
    ObjectKind.PLAN: [each for each in PLAN if each != "name"],
    ObjectKind.SUBSCRIBER: ["account_id", "name", "email"],
    ObjectKind.OFFERING: ["name", "products", "plans"],
    ObjectKind.SUBSCRIPTION: ["account_id", "name", "email", "currency"],
}


def faults(kind: ObjectKind, attributes: dict[str, Any], *, partial: bool = False) -> list[tuple[str, str]]:
    """Return the faults of attributes that are sent as JSON."""
    value = json_text.read(json.dumps(attributes))
    assert isinstance(value, dict)
    return [(fault.field, fault.error) for fault in check(kind, value, partial=partial)]


@pytest.mark.parametrize("kind", ObjectKind)
def test_what_is_required_is_enough_and_unknown_attributes_and_nulls_do_no_harm(kind: ObjectKind):
    assert faults(kind, WHOLE[kind] | {"status": "active", "description": None, "external_ref": None}) == []


@pytest.mark.parametrize("file", ["subscription_all_types", "subscription_products_and_plans"])
def test_every_line_of_the_examples_is_without_fault(file: str):
    path = EXAMPLES / f"{file}.jsonl"
    if not path.exists():
        path = next(EXAMPLES.rglob(f"*{file.removeprefix('subscription_')}*.jsonl"))
    for text in path.read_bytes().splitlines():
        line = read(text)
        assert isinstance(line, Line)
        assert check(line.kind, line.attributes) == []


@pytest.mark.parametrize("kind", ObjectKind)
def test_each_attribute_that_is_missing_is_a_fault_and_none_is_in_a_change(kind: ObjectKind):
    found = faults(kind, {})
    named = [field for field, _ in found]
    assert [each for each in named if each not in ("name", "offering")] == [e for e in REQUIRED[kind] if e != "name"]
    assert dict(found)["name"] == '"name" is required'
    assert faults(kind, {}, partial=True) == []
    assert faults(kind, {"name": None}, partial=True) == [("name", '"name" cannot be cleared')]


@pytest.mark.parametrize(
    ("kind", "name", "value", "error"),
    [
        (1, "name", "ab", '"name" must be 3 to 1024 characters long, not 2'),
        (1, "name", 1_025 * "x", '"name" must be 3 to 1024 characters long, not 1025'),
        (1, "name", 7, '"name" must be a text, not a number'),
        (1, "name", "abc\0", '"name" holds the character U+0000'),
        (1, "external_ref", 2_049 * "x", '"external_ref" must be at most 2048 characters long, not 2049'),
        (1, "main_image", "no image", "\"main_image\" must be a URI, not 'no image'"),
        (1, "price", [], '"price" must be an object of amounts by currency, not a list'),
        (1, "price", {"usd": {}}, "\"price\" holds 'usd', which is no currency code such as USD"),
        (1, "price", {"USD": {}}, '"price.USD.amount" is required'),
        (1, "price", {"USD": {"amount": 1.5}}, '"price.USD.amount" must be a whole number, not 1.5'),
        (1, "price", {"USD": {"amount": "1"}}, "\"price.USD.amount\" must be a whole number, not '1'"),
        (1, "price", {"USD": {"amount": 2**63}}, f'"price.USD.amount" must be at most {2**63 - 1}, not {2**63}'),
        (
            1,
            "price",
            {"USD": {"amount": 1, "includes_tax": 1}},
            '"price.USD.includes_tax" must be true or false, not 1',
        ),
        (1, "price", {f"AA{c}": {"amount": 1} for c in "ABCDEFGHIJK"}, '"price" may hold up to 10 currencies, not 11'),
        (1, "price_units", {"unit": "week", "amount": 1}, "\"price_units.unit\" must be one of day, month, not 'week'"),
        (1, "price_units", {"unit": "day", "amount": 0}, '"price_units.amount" must be 1 or more, not 0'),
        (
            2,
            "billing_interval_type",
            "hour",
            "\"billing_interval_type\" must be one of day, week, month, year, not 'hour'",
        ),
        (2, "billing_frequency", 0, '"billing_frequency" must be 1 or more, not 0'),
        (2, "plan_length", 1.0, '"plan_length" must be a whole number, not 1.0'),
        (2, "plan_length", True, '"plan_length" must be a whole number, not true'),
        (2, "trial_period", -1, '"trial_period" must be 0 or more, not -1'),
        (2, "end_behavior", "stop", "\"end_behavior\" must be one of close, roll, not 'stop'"),
        (2, "can_pause", "yes", "\"can_pause\" must be true or false, not 'yes'"),
        (2, "base_price_percentage", 100.5, '"base_price_percentage" must be a number from 0 to 100, not 100.5'),
        (3, "account_id", "albert", "\"account_id\" must be a UUID, not 'albert'"),
        (3, "email", "albert", "\"email\" must be an e-mail address, not 'albert'"),
        (3, "payment_authority", {}, '"payment_authority.type" is required'),
        (4, "products", [], '"products" must be a list of one product or more, not an empty list'),
        (4, "products", "a", '"products" must be a list of one product or more, not a text'),
        (4, "products", [7], '"products[0]" must be an object or the text of a reference, not a number'),
        (4, "plans", ["b", {**PLAN, "name": "x"}], '"plans[1].name" must be 3 to 1024 characters long, not 1'),
        (4, "features", [], '"features" must be a list of one feature or more, not a list'),
        (5, "currency", "usd", "\"currency\" must be a currency code of ISO 4217 in capital letters, not 'usd'"),
        (5, "manual_payments", None, None),
        (5, "started_at", "2026-10-01T00:00:00Z", '"started_at" needs "first_invoice_paid" to be true'),
        (
            5,
            "started_at",
            "1 October",
            "\"started_at\" must be a date and time such as 2026-10-01T00:00:00Z, not '1 October'",
        ),
        (5, "offering_id", UUID, '"offering_external_ref" cannot stand beside "offering_id": both tell the offering'),
        (5, "plan_id", UUID, '"selected_plan" cannot stand beside "plan_id": both choose the plan'),
        (5, "products", ["a"], '"products" cannot stand beside "offering_external_ref": the offering has its own'),
        (5, "offering_external_ref", None, '"offering_id", "offering_external_ref" or "offering" is required'),
        (5, "selected_plan", None, '"selected_plan" or "plan_id" is required'),
    ],
)
def test_what_is_wrong_with_an_attribute_is_said(kind: int, name: str, value: Any, error: str | None):
    found = faults(ObjectKind(kind), WHOLE[ObjectKind(kind)] | {name: value})
    assert [said for _, said in found] == ([error] if error else [])


def test_ids_of_payments_stand_in_no_message():
    authority = {"type": "elastic_path_payments_stripe", "customer_id": "cu", "card_id": 7}
    for kind in (ObjectKind.SUBSCRIBER, ObjectKind.SUBSCRIPTION):
        found = faults(kind, WHOLE[kind] | {"payment_authority": authority})
        assert found == [
            ("payment_authority", '"payment_authority.customer_id" must be 3 to 1024 characters long, not 2'),
            ("payment_authority", '"payment_authority.card_id" must be a text, not a number'),
        ]


@pytest.mark.parametrize(
    ("marked", "chosen", "error"),
    [
        ([False, False], {}, 'one of "plans" must be selected, by its "meta.selected" or by "selected_plan"'),
        ([True, True], {}, 'only one of "plans" can be selected'),
        ([True, False], {"selected_plan": "b"}, 'only one of "plans" can be selected'),
        ([True, False], {}, None),
        ([False, False], {"selected_plan": "b"}, None),
    ],
)
def test_of_an_offering_that_stands_inside_one_plan_is_selected(
    marked: list[bool], chosen: dict[str, str], error: str | None
):
    plans = [{**PLAN, "meta": {"selected": each}} for each in marked]
    own = {"offering": {"name": "Magazine"}, "products": [{"name": "Magazine"}], "plans": plans, **chosen}
    found = faults(ObjectKind.SUBSCRIPTION, {**PERSON, "currency": "USD", **own})
    assert found == ([("plans", error)] if error else [])


def test_all_faults_come_in_the_order_of_the_attributes():
    wrong = {
        "go_live_after": 1,
        "plans": [],
        "products": [],
        "offering": {},
        "pending": 1,
        "email": 1,
        "external_ref": 1,
    }
    named = [field for field, _ in faults(ObjectKind.SUBSCRIPTION, wrong)]
    order = ["external_ref", "account_id", "name", "email", "currency", "pending", "offering", "products", "plans"]
    assert named == [*order, "go_live_after"]


def test_the_reference_page_names_every_attribute_and_what_is_required():
    page = (Path(__file__).parents[3] / "docs/reference/subscription-records.md").read_text()
    parts = page.split("\n### ")[1:]
    for kind, part in zip(ObjectKind, parts, strict=True):
        assert part.startswith(f"{kind:d}. `{kind.wire}`")
        for attribute in ATTRIBUTES[kind]:
            assert f"`{attribute.name}`" in part, (kind, attribute.name)
            assert (f"**`{attribute.name}`**" in part) == attribute.required, (kind, attribute.name)
