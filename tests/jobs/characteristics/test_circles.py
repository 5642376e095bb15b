"""Items that lead back to themselves, by their parents or by their bills of materials, are refused and named."""

import pytest
from tests.fixtures.item_jobs import (
    child,
    imported,
    made_of,
    outcomes,
    refused,
    run,
    submitted,
)
from tests.fixtures.mill import Mill

CIRCLES = {
    "oneself": ([], [child("a", "a"), {"id": "b"}], {"a"}),
    "two": ([], [child("a", "b"), child("b", "a"), child("c", "d"), {"id": "d"}], {"a", "b"}),
    "and who names them": ([], [child("a", "b"), child("b", "a"), child("c", "a")], {"a", "b", "c"}),
    "through the store": ([child("c", "b"), child("b", "a"), {"id": "a"}], [child("a", "c")], {"a"}),
    "broken by the batch": ([child("b", "a"), {"id": "a"}, {"id": "x"}], [child("a", "b"), child("b", "x")], set()),
    "broken by a null": (
        [child("b", "a"), {"id": "a"}],
        [child("a", "b"), {"id": "b", "parentReference": None}],
        set(),
    ),
    "closed by a refusal": (
        [child("b", "a"), {"id": "a"}],
        [child("a", "b"), {"id": "b", "parentReference": {"id": "gone"}}],
        {"a", "b"},
    ),
}


@pytest.mark.parametrize("case", CIRCLES)
def test_parents_in_a_circle_are_refused(guide: Mill, case: str):
    before, items, expected = CIRCLES[case]
    if before:
        imported(guide, *before)
    assert set(refused(guide, *items)) == expected


def test_a_circle_names_its_items(guide: Mill):
    number = submitted(guide, [child("a", "b"), child("b", "a")])
    run(guide)
    assert "'a' → 'b' → 'a'" in outcomes(guide, number)[0]["errors"][0]["message"]


BILLS = {
    "oneself": ([], [made_of("a", "a"), {"id": "b"}], {"a"}),
    "each other": ([], [made_of("a", "x", "b"), made_of("b", "a"), {"id": "x"}], {"a", "b"}),
    "through the store": ([{"id": "a"}, made_of("b", "a"), made_of("c", "b")], [made_of("a", "c")], {"a"}),
    "broken by the batch": (
        [{"id": "a"}, made_of("b", "a"), {"id": "x"}],
        [made_of("a", "b"), made_of("b", "x")],
        set(),
    ),
    "broken by a null": (
        [{"id": "a"}, made_of("b", "a")],
        [made_of("a", "b"), {"id": "b", "user1BOMHeaders": None}],
        set(),
    ),
    "closed by a refusal": (
        [{"id": "a"}, made_of("b", "a")],
        [made_of("a", "b"), made_of("b", "gone")],
        {"a", "b"},
    ),
    "none, for a part may be in many": ([{"id": "x"}], [made_of("a", "b", "x"), made_of("b", "x", "x")], set()),
    "none, for a parent is no part": ([], [made_of("a", "b"), child("b", "a")], set()),
}


@pytest.mark.parametrize("case", BILLS)
def test_an_item_is_no_part_of_itself(guide: Mill, case: str):
    before, items, expected = BILLS[case]
    if before:
        imported(guide, *before)
    assert set(refused(guide, *items)) == expected


def test_a_circle_of_bills_names_its_items_and_the_member(guide: Mill):
    number = submitted(guide, [made_of("a", "b"), made_of("b", "a")])
    run(guide)
    error = outcomes(guide, number)[1]["errors"][0]
    assert error["code"] == "bills_in_a_circle"
    assert "'a' → 'b' → 'a'" in error["message"]
    assert error["property"] == "items[1].user1BOMHeaders"


def test_a_chain_of_many_parents_is_linear(guide: Mill):
    items = [child(str(n), str(n + 1)) for n in range(5_000)]
    assert imported(guide, *items) == (0, 0, 0, 5_000)
    assert imported(guide, *items, {"id": "5000"}) == (5_001, 0, 0, 0)
