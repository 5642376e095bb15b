"""One write path for an item: a call and a batch store the same and refuse the same, and what is stored is never refused."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.fixtures.item_jobs import Item, child, imported, made_of, outcomes, refused, run, stored, submitted, uses
from tests.fixtures.items import call, done
from tests.fixtures.mill import Mill
from tests.fixtures.mills import NewMill

IDS = "abcd"
BILL = "user1BOMHeaders"


def guid_of(mill: Mill, id_: object) -> str | None:
    found = mill.rows("select guid::text from characteristic_items where id = %s and characteristic = 1", id_)
    return str(found[0][0]) if found else None


def by_call(mill: Mill, item: Item) -> list[dict[str, str]]:
    """Send an item by a call, as a change if it is stored; return its faults."""
    guid = guid_of(mill, item.get("id"))
    answer = call(mill, "PUT", f"user1/{guid}", item) if guid else call(mill, "POST", "user1", item)
    assert answer.status_code in (200, 201, 400), answer.text
    faults: list[dict[str, str]] = answer.json()["errors"]
    return faults


def by_batch(mill: Mill, item: Item) -> list[dict[str, str]]:
    """Send an item by a batch of its own; return its faults, as a call would place them."""
    number = submitted(mill, [item])
    run(mill)
    (outcome,) = outcomes(mill, number)
    return [
        {
            "code": error["code"],
            "message": error["message"].removesuffix(" in this batch or before"),
            "property": error["property"].removeprefix("items[0]").removeprefix("."),
        }
        for error in outcome["errors"]
    ]


def guilty(faults: Sequence[dict[str, str]]) -> list[tuple[str, str, str]]:
    return sorted((fault["code"], fault["property"], fault["message"]) for fault in faults)


# Circles


@pytest.fixture(scope="module")
def whole(new_mill: NewMill) -> Iterator[Mill]:
    """Yield a mill in which b is made of a, and c is a child of b."""
    with new_mill() as made:
        assert imported(made, {"id": "a"}, made_of("b", "a"), child("c", "b")) == (3, 0, 0, 0)
        yield made


CIRCLES = {
    "bill of itself": (made_of("a", "a"), "bills", "'a' → 'a'"),
    "bill of what is made of it": (made_of("a", "b"), "bills", "'a' → 'b' → 'a'"),
    "parent of itself": (child("b", "b"), "parents", "'b' → 'b'"),
    "parent below it": (child("b", "c"), "parents", "'b' → 'c' → 'b'"),
    "new, bill of itself": (made_of("n", "a", "n"), "bills", "'n' → 'n'"),
    "new, parent of itself by its description": (
        {"id": "n", "description": "New", "parentReference": {"description": "New"}},
        "parents",
        "'n' → 'n'",
    ),
}


@pytest.mark.parametrize("case", CIRCLES)
def test_a_call_refuses_a_circle_as_a_batch_does_and_writes_nothing(whole: Mill, case: str):
    item, kind, way = CIRCLES[case]
    before = whole.rows("select * from characteristic_items order by 1"), uses(whole)
    what = "the parents run" if kind == "parents" else "the bills of materials lead"
    place = "parentReference" if kind == "parents" else BILL
    faults = guilty(by_call(whole, item))
    assert faults[0] == (f"{kind}_in_a_circle", place, f"{what} in a circle: {way}")
    assert guilty(by_batch(whole, item)) == faults
    assert (whole.rows("select * from characteristic_items order by 1"), uses(whole)) == before


def test_after_a_refused_circle_the_items_are_imported_as_before(whole: Mill):
    for component in "ab":
        assert [fault["code"] for fault in by_call(whole, made_of("a", component))] == ["bills_in_a_circle"]
    assert imported(whole, {**made_of("b", "a"), "description": "touched"}) == (0, 1, 0, 0)
    assert imported(whole, {"id": "a"}, made_of("b", "a")) == (0, 0, 2, 0)


def test_a_long_circle_is_shown_alike(guide: Mill):
    assert imported(guide, *[child(f"i{n}", f"i{n + 1}") for n in range(14)], {"id": "i14"}) == (15, 0, 0, 0)
    faults = by_call(guide, child("i14", "i0"))
    assert guilty(faults) == guilty(by_batch(guide, child("i14", "i0")))
    assert "'i14' → 'i0' →" in faults[0]["message"]
    assert "→ … → 'i14'" in faults[0]["message"]


def test_a_bill_that_is_replaced_closes_no_circle(guide: Mill):
    assert imported(guide, {"id": "a"}, made_of("b", "a")) == (2, 0, 0, 0)
    assert by_call(guide, {"id": "b", BILL: None}) == []
    assert by_call(guide, made_of("a", "b")) == []
    assert [fault["code"] for fault in by_batch(guide, made_of("b", "a"))] == ["bills_in_a_circle"]
    assert by_call(guide, made_of("a", "b", "b")) == []


# What is stored is never refused


def test_an_item_that_changes_nothing_is_not_refused_whatever_became_of_what_it_names(guide: Mill):
    item = {"id": "b", "parentReference": {"description": "One"}, "ud_n": "text"}
    assert imported(guide, {"id": "a", "description": "One"}, item) == (2, 0, 0, 0)
    assert imported(guide, {"id": "a", "description": "Two"}) == (0, 1, 0, 0)
    done(call(guide, "POST", "user1fields", {"name": "ud_n", "type": "number"}), 201)
    assert imported(guide, item) == (0, 0, 1, 0)
    assert imported(guide, {"ud_n": "text", **item}) == (0, 0, 1, 0)
    number = submitted(guide, [item], submit="?submit&dryRun")
    run(guide)
    assert [each["outcome"] for each in outcomes(guide, number)] == ["unchanged"]
    assert by_call(guide, item) == []
    assert [fault["code"] for fault in by_batch(guide, {**item, "comment": "new"})] == [
        "wrong_type",
        "reference_not_found",
    ]


def test_of_a_circle_the_item_that_changes_nothing_is_not_refused(guide: Mill):
    assert imported(guide, {"id": "a"}, {**made_of("b", "a"), "comment": "kept"}, child("c", "a")) == (3, 0, 0, 0)
    assert refused(guide, made_of("a", "b"), made_of("b", "a")) == {"a": ["bills_in_a_circle"]}
    assert refused(guide, child("a", "c"), child("c", "a")) == {"a": ["parents_in_a_circle"]}


def test_an_id_that_is_null_is_given_or_stays(guide: Mill):
    assert by_call(guide, {"id": None, "comment": "one"}) == []
    assert imported(guide, {"id": None, "comment": "two"}) == (1, 0, 0, 0)
    assert [item["id"] for item in stored(guide).values()] == ["1", "2"]
    done(call(guide, "PUT", f"user1/{guid_of(guide, '1')}", {"id": None, "comment": "new"}))
    assert stored(guide)["1"] == {"id": "1", "comment": "new"}


# Any sequence


def references(*keys: str) -> st.SearchStrategy[Any]:
    by_id = st.sampled_from(IDS).map(lambda id_: {"id": id_})
    return st.one_of(by_id, by_id, st.sampled_from(keys).map(lambda text: {"description": text}))


NAMED = references("One", "Two")
BILLS = st.lists(NAMED, min_size=1, max_size=2).map(
    lambda found: [{"user1BOMDetails": [{"udKey1Reference": named} for named in found]}]
)
LOOKUPS = NAMED.map(lambda named: {"udfLookupItems": [{"udKeyXReference": named}]})
ITEMS = st.fixed_dictionaries(
    {"id": st.sampled_from(IDS)},
    optional={
        "description": st.sampled_from(["One", "Two", None]),
        "comment": st.sampled_from(["x", "y"]),
        "parentReference": st.one_of(NAMED, st.none()),
        BILL: st.one_of(BILLS, BILLS, st.none()),
        "udLookup_L": st.one_of(LOOKUPS, st.none()),
        "ud_n": st.sampled_from(["text", 1, {"id": "q"}]),
        "adminClassReference": st.just({"id": "films"}),
    },
)
DECLARED: Item = {}  # in the place of an item: the field is declared
STEPS = st.lists(st.one_of(ITEMS, ITEMS, ITEMS, ITEMS, st.just(DECLARED)), min_size=4, max_size=9)
FORGOTTEN = ("characteristic_uses", "characteristic_items", "characteristic_fields", "named_objects")


def forget(mill: Mill) -> None:
    for table in FORGOTTEN:
        mill.change(f"delete from {table}")


def state(mill: Mill) -> list[list[tuple[Any, ...]]]:
    return [
        mill.rows(
            """select i.id, i.document, i.description, i.revision, p.id from characteristic_items i
            left join characteristic_items p on p.item_id = i.parent_item_id order by 1"""
        ),
        sorted(uses(mill)),
        mill.rows("select kind, key, value from named_objects order by 1, 2, 3"),
        mill.rows("select name, type, declared from characteristic_fields order by 1"),
    ]


def sent(mill: Mill, steps: Sequence[Item], batches: Sequence[bool]) -> tuple[Any, ...]:
    """Send items one by one, by a batch where that is said; return what is refused, and what is stored."""
    forget(mill)
    faults = []
    for item, is_batch in zip(steps, batches, strict=True):
        if item == DECLARED:
            call(mill, "POST", "user1fields", {"name": "ud_n", "type": "number"})
        else:
            faults.append(guilty((by_batch if is_batch else by_call)(mill, json.loads(json.dumps(item)))))
    return faults, state(mill)


def test_any_sequence_of_items_is_stored_and_refused_alike_by_calls_and_by_batches(guide: Mill):
    @settings(
        max_examples=10,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(STEPS, st.data())
    def alike(steps: list[Item], data: st.DataObject) -> None:
        mixed = data.draw(st.lists(st.booleans(), min_size=len(steps), max_size=len(steps)))
        by_calls = sent(guide, steps, [False] * len(steps))
        assert sent(guide, steps, [True] * len(steps)) == by_calls
        assert sent(guide, steps, mixed) == by_calls

    alike()
