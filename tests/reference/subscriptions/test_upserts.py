"""What lines come to: objects, or every fault; whatever their order and however they are cut into tables."""

import json
import random
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratemill.reference.json_text import Value
from ratemill.reference.subscriptions.drafts import LineContext, LineDecisions
from ratemill.reference.subscriptions.lines import FileLine, Line, read
from ratemill.reference.subscriptions.records import names_of
from ratemill.reference.subscriptions.upserts import (
    FAULTS_MAX,
    decide,
    decide_change,
)
from ratemill.subscription_objects import ObjectKind, SubscriptionObject

AT = datetime(2026, 11, 22, tzinfo=UTC)
PERSON = {"account_id": "3f1c2a64-6d2e-4a6e-9f0b-2c7a8b1d4e55", "name": "Albert", "email": "albert@example.com"}
Sent = tuple[ObjectKind, dict[str, Any]]


def product(ref: str, **more: Any) -> Sent:
    return ObjectKind.PRODUCT, {"external_ref": ref, "name": f"Product {ref}", **more}


def plan(ref: str, **more: Any) -> Sent:
    terms = {"billing_interval_type": "month", "billing_frequency": 1, "plan_length": 12, "end_behavior": "roll"}
    can = dict.fromkeys(("can_pause", "can_resume", "can_cancel"), True)
    return ObjectKind.PLAN, {"external_ref": ref, "name": f"Plan {ref}", **terms, **can, **more}


def offering(ref: str, products: Sequence[Any], plans: Sequence[Any], **more: Any) -> Sent:
    attributes = {"external_ref": ref, "name": f"Offering {ref}", "products": products, "plans": plans}
    return ObjectKind.OFFERING, {**attributes, **more}


def subscription(ref: str, **more: Any) -> Sent:
    return ObjectKind.SUBSCRIPTION, {"external_ref": ref, **PERSON, "currency": "USD", **more}


def numbered(sent: Iterable[Sent]) -> list[FileLine]:
    """Return lines of a file, numbered from 1."""
    lines = []
    for number, (kind, attributes) in enumerate(sent, 1):
        line = read(json.dumps({"data": {"type": kind.wire, "attributes": attributes}}).encode())
        assert isinstance(line, Line)
        lines.append(FileLine(number, line))
    return lines


def world(**more: Any) -> LineContext:
    numbers = iter(range(1, 1_000_000))
    return LineContext(AT, lambda: UUID(int=next(numbers)), import_number=more.pop("import_number", 1), **more)


def imported(sent: Sequence[Sent], into: LineContext, *, cut: int = 1_000_000) -> LineDecisions:
    """Decide on a file as an import does: by kind, in tables of so many lines, with the lines known that failed."""
    whole = LineDecisions()
    lines = numbered(sent)
    for kind in ObjectKind:
        of_kind = [each for each in lines if each.line.kind is kind]
        for first in range(0, len(of_kind), cut):
            table = of_kind[first : first + cut]
            decided = decide(table, into)
            whole.objects |= decided.objects
            whole.faults |= decided.faults
            for each in table:
                if each.line_number in decided.faults and each.line.external_ref:
                    into.failed.setdefault((kind, each.line.external_ref), each.line_number)
    return whole


def errors(decided: LineDecisions) -> dict[int, list[tuple[str, str]]]:
    return {number: [(f.field, f.error) for f in faults] for number, faults in decided.faults.items()}


def refs(decided: LineDecisions) -> dict[tuple[ObjectKind, str], SubscriptionObject]:
    return {(one.kind, one.external_ref): one for one in decided.objects.values() if one.external_ref}


WHOLE = [
    subscription("sub", offering_external_ref="off", selected_plan="pl"),
    offering("off", ["pr"], ["pl", plan("inline")[1]]),
    plan("pl"),
    product("pr"),
]


def test_what_is_named_may_come_later_in_the_file():
    decided = imported(WHOLE, world())
    assert not decided.faults
    made = refs(decided)
    assert sorted(ref for _, ref in made) == ["inline", "off", "pl", "pr", "sub"]
    document = json.loads(made[ObjectKind.OFFERING, "off"].snapshot.document)  # type: ignore[union-attr]
    assert document["attributes"] == {"external_ref": "off", "name": "Offering off"}
    assert [each["attributes"]["external_ref"] for each in document["plans"]] == ["pl", "inline"]
    assert [each["id"] for each in document["products"]] == [str(made[ObjectKind.PRODUCT, "pr"].object_id)]
    terms = made[ObjectKind.SUBSCRIPTION, "sub"].terms
    assert terms
    assert (terms.plan_external_ref, terms.offering_external_ref, terms.state, terms.started_at) == (
        "pl",
        "off",
        "active",
        AT,
    )
    assert made[ObjectKind.SUBSCRIPTION, "sub"].snapshot is made[ObjectKind.OFFERING, "off"].snapshot


def test_every_reference_that_is_not_found_is_named_and_the_line_that_failed_too():
    lines = [
        offering("off", ["no", "bad"], ["pl", "none"]),
        product("bad", name="x"),
        plan("pl"),
        subscription("s", offering_external_ref="off", selected_plan="pl"),
    ]
    assert errors(imported(lines, world())) == {
        2: [("name", '"name" must be 3 to 1024 characters long, not 1')],
        1: [
            ("products", "\"products[0]\": there is no product 'no'"),
            ("products", "\"products[1]\": there is no product 'bad'; line 2 of this file, which has it, was refused"),
            ("plans", "\"plans[1]\": there is no plan 'none'"),
        ],
        4: [
            (
                "offering_external_ref",
                "\"offering_external_ref\": there is no offering 'off'; line 1 of this file, which has it, was refused",
            )
        ],
    }


def test_faults_of_attributes_and_of_references_are_all_said():
    lines = [product("pr"), product("pr", sku=7), offering("off", ["no"], [], name="x")]
    assert errors(imported(lines, world())) == {
        2: [
            ("external_ref", "\"external_ref\" must be unique: product 'pr' stands in line 1 of this file already"),
            ("sku", '"sku" must be a text, not a number'),
        ],
        3: [
            ("name", '"name" must be 3 to 1024 characters long, not 1'),
            ("products", "\"products[0]\": there is no product 'no'"),
            ("plans", '"plans" must be a list of one plan or more, not an empty list'),
        ],
    }


def test_a_line_with_a_fault_leaves_nothing_of_what_stands_inside_it():
    there = world()
    lines = [offering("off", [product("pr")[1]], [plan("pl")[1], "no"]), offering("next", ["pr"], ["pl"])]
    decided = imported(lines, there)
    assert sorted(decided.faults) == [1, 2]
    assert not decided.objects
    assert not there.by_ref
    assert not there.by_id


def test_a_line_says_its_first_faults_and_how_many_more_there_are():
    decided = imported([offering("off", [f"no-{at}" for at in range(500)], ["pl"])], world())
    assert len(decided.faults[1]) == FAULTS_MAX
    assert (
        decided.faults[1][-1].error == f"{501 - FAULTS_MAX + 1} more faults of this line were found and are not listed"
    )


def test_an_element_is_found_by_its_id_before_it_is_found_by_its_reference():
    there = world()
    first = imported([product("pr"), plan("pl")], there)
    known = str(refs(first)[ObjectKind.PRODUCT, "pr"].object_id)
    assert not imported([offering("off", [known], ["pl"])], there).faults
    other = "d8bba50b-60af-4fa8-81bd-79a73e02dc9a"
    decided = imported([product(other), offering("off-2", [other], ["pl"])], there)
    assert not decided.faults


@pytest.mark.parametrize("way", ["offering_id", "offering_external_ref", "offering"])
@pytest.mark.parametrize("choice", ["plan_id", "selected_plan"])
def test_the_three_ways_lead_to_an_offering_and_its_plan(way: str, choice: str):
    there = world()
    made = refs(imported([product("pr"), plan("pl"), plan("other"), offering("off", ["pr"], ["other", "pl"])], there))
    chosen = {"plan_id": str(made[ObjectKind.PLAN, "pl"].object_id), "selected_plan": "pl"}
    ways: dict[str, dict[str, Any]] = {
        "offering_id": {"offering_id": str(made[ObjectKind.OFFERING, "off"].object_id)},
        "offering_external_ref": {"offering_external_ref": "off"},
        "offering": {"offering": {"name": "Own"}, "products": ["pr"], "plans": ["pl"]},
    }
    decided = imported([subscription("s", **ways[way], **{choice: chosen[choice]})], there)
    assert not decided.faults
    terms = refs(decided)[ObjectKind.SUBSCRIPTION, "s"].terms
    assert terms
    assert terms.plan_id == made[ObjectKind.PLAN, "pl"].object_id


def test_a_plan_that_the_offering_does_not_have_cannot_be_chosen():
    there = world()
    imported(WHOLE, there)
    decided = imported([plan("new"), subscription("s", offering_external_ref="off", selected_plan="new")], there)
    assert errors(decided) == {2: [("selected_plan", "\"selected_plan\": the offering has no plan 'new'")]}


@pytest.mark.parametrize(
    ("interval", "length", "start", "end"),
    [
        ("day", 3, "2026-01-30T10:00:00Z", datetime(2026, 2, 2, 10, tzinfo=UTC)),
        ("week", 2, "2026-01-30T10:00:00+02:00", datetime(2026, 2, 13, 8, tzinfo=UTC)),
        ("month", 13, "2026-01-31T00:00:00", datetime(2027, 2, 28, tzinfo=UTC)),
        ("year", 1, "2024-02-29T00:00:00Z", datetime(2025, 2, 28, tzinfo=UTC)),
        ("year", 9_000, "2024-02-29T00:00:00Z", None),
        ("day", 2**62, "2024-02-29T00:00:00Z", None),
    ],
)
def test_a_plan_that_closes_ends_so_many_intervals_after_the_start(interval: str, length: int, start: str, end: Any):
    closing = plan("pl", end_behavior="close", billing_interval_type=interval, plan_length=length)
    paid = {"first_invoice_paid": True, "started_at": start}
    lines = [product("pr"), closing, offering("off", ["pr"], ["pl"])]
    made = refs(imported([*lines, subscription("s", offering_external_ref="off", selected_plan="pl", **paid)], world()))
    terms = made[ObjectKind.SUBSCRIPTION, "s"].terms
    assert terms
    assert terms.ended_at == end


def test_with_upsert_what_is_there_is_changed_and_what_is_not_named_stays():
    there = world()
    before = refs(imported([product("pr", sku="7", description="old")], there))[ObjectKind.PRODUCT, "pr"]
    assert errors(imported([product("pr")], LineContext(AT, there.new_id, import_number=2, by_ref=there.by_ref))) == {
        1: [("external_ref", "\"external_ref\" must be unique: product 'pr' is there already")]
    }
    changed = LineContext(AT, there.new_id, upsert=True, import_number=2, by_ref=there.by_ref)
    after = refs(imported([product("pr", sku=None, name="New name")], changed))[ObjectKind.PRODUCT, "pr"]
    assert after.object_id == before.object_id
    assert json.loads(after.attributes) == {"external_ref": "pr", "name": "New name", "description": "old"}


def test_with_upsert_the_first_of_two_lines_still_holds():
    assert sorted(imported([product("pr"), product("pr", sku="7")], world(upsert=True)).faults) == [2]


def test_an_offering_that_stands_inside_several_subscriptions_is_made_once_with_upsert():
    own = {"offering": {"name": "Own", "external_ref": "own"}, "products": [product("pr")[1]]}
    plans = [{**plan("pl")[1], "meta": {"selected": True}}]
    lines = [subscription(f"s{at}", **own, plans=plans) for at in range(3)]
    assert sorted(imported(lines, world()).faults) == [2, 3]
    decided = imported(lines, world(upsert=True))
    assert not decided.faults
    assert len(decided.objects) == 3 + 3


def test_a_service_follows_its_subscription_and_an_active_one_cannot_be_pending_again():
    there = world()
    sub = refs(imported(WHOLE, there))[ObjectKind.SUBSCRIPTION, "sub"]
    active = sub._replace(service_id=1)
    changes: list[tuple[dict[str, Value], bool]] = [
        ({"name": "Another name"}, True),
        ({"account_id": "00000000-0000-4000-8000-000000000000"}, False),
        ({"currency": "EUR"}, False),
        ({"external_ref": "other"}, False),
        ({"first_invoice_paid": True, "started_at": "2026-01-01T00:00:00Z"}, False),
    ]
    for change, served in changes:
        assert decide_change(active, change, there).objects[sub.object_id].is_served == served, change
    assert errors(decide_change(active, {"pending": True}, there)) == {
        1: [("pending", '"pending" cannot be true again: the subscription was active')]
    }
    assert not decide_change(sub, {"pending": True}, there).faults


def test_a_change_keeps_the_offering_and_a_new_way_to_one_takes_the_old_ones_place():
    there = world()
    made = refs(imported([*WHOLE, offering("off-2", ["pr"], ["pl"])], there))
    sub = made[ObjectKind.SUBSCRIPTION, "sub"]
    renamed = decide_change(sub, {"name": "Another name"}, there).objects[sub.object_id]
    assert renamed.snapshot is sub.snapshot
    assert json.loads(renamed.attributes)["offering_external_ref"] == "off"
    moved = decide_change(
        sub, {"offering_id": str(made[ObjectKind.OFFERING, "off-2"].object_id), "selected_plan": "pl"}, there
    )
    attributes = json.loads(moved.objects[sub.object_id].attributes)
    assert "offering_external_ref" not in attributes
    assert moved.objects[sub.object_id].snapshot is made[ObjectKind.OFFERING, "off-2"].snapshot


def test_an_account_must_be_there_where_that_is_asked():
    lines = [(ObjectKind.SUBSCRIBER, PERSON)]
    assert not imported(lines, world(accounts={PERSON["account_id"]})).faults
    assert [f.field for f in imported(lines, world(accounts=set())).faults[1]] == ["account_id"]


def test_what_lines_name_is_all_that_they_look_up():
    """A world of nothing but what ``names_of`` names decides as a world of everything."""
    whole = world()
    lines = [*WHOLE, product("unnamed"), offering("off-2", ["pr", "no"], ["inline"])]
    imported(lines, whole)
    asked = [
        offering("new", ["pr"], ["inline", plan("pl")[1]]),
        subscription("new", offering_external_ref="off", selected_plan="pl"),
    ]
    names = names_of(each.line for each in numbered(asked))
    by_ref = {key: one for key, one in whole.by_ref.items() if key[1] in names.refs[key[0]]}
    assert len(by_ref) < len(whole.by_ref)
    narrow = LineContext(AT, whole.new_id, import_number=2, by_ref=by_ref)
    wide = LineContext(AT, whole.new_id, import_number=2, by_ref=dict(whole.by_ref), by_id=dict(whole.by_id))
    assert errors(imported(asked, narrow)) == errors(imported(asked, wide))


@st.composite
def files(draw: st.DrawFn) -> list[Sent]:
    """Draw files whose lines refer to each other and sometimes to nothing, with unique references and some faults."""
    few = st.integers(0, 6)
    ref = st.integers(0, 7).map(str)
    lines: list[Sent] = [product(str(at), **({"sku": 7} if draw(few) == 0 else {})) for at in range(draw(few))]
    lines += [plan(str(at), **({"plan_length": 0} if draw(few) == 0 else {})) for at in range(draw(few))]
    some = st.lists(ref, min_size=1, max_size=3)
    lines += [offering(str(at), draw(some), draw(some)) for at in range(draw(few))]
    lines += [
        subscription(str(at), offering_external_ref=draw(ref), selected_plan=draw(ref), pending=draw(st.booleans()))
        for at in range(draw(few))
    ]
    return lines


def outcome(sent: Sequence[Sent], decided: LineDecisions) -> tuple[Any, ...]:
    """Return what became of a file, told without numbers of lines and new ids."""
    refused = {}
    for number, faults in decided.faults.items():
        kind, attributes = sent[number - 1]
        refused[kind, attributes["external_ref"]] = [(each.field, each.error.split(";")[0]) for each in faults]
    made = {key: one.attributes for key, one in refs(decided).items()}
    assert len(made) + len(refused) == len(sent)
    return refused, made


@settings(deadline=None)
@given(files(), st.randoms(use_true_random=False), st.integers(1, 5))
def test_neither_the_order_of_lines_nor_the_cuts_of_tables_change_what_becomes_of_them(
    sent: list[Sent], chance: random.Random, cut: int
):
    shuffled = list(sent)
    chance.shuffle(shuffled)
    expected = outcome(sent, imported(sent, world()))
    assert outcome(shuffled, imported(shuffled, world(), cut=cut)) == expected
