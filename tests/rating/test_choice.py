"""Who bears a record, by which plan it is rated, and which group and rate of it give the price."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from tests.rating.books import (
    ALBERTA,
    CALGARY,
    CALLS,
    CANADA,
    EVERYWHERE,
    FRANCE,
    PRAIRIES,
    WHEN,
    WORLD,
    amounts,
    day,
    holders,
    rated,
    tables,
)

from ratemill.errors import InvariantFailure
from ratemill.rating.rate import RatingResult

TWO_PLANS = [{"rate_plan_id": number, "priority": 1, "rate_group_id": number} for number in (1, 2)]


def reasons(result: RatingResult) -> list[tuple[int, int, str | None]]:
    return list(result.exceptions.select("row_index", "reason_id", "value").iter_rows())


def rates_of(result: RatingResult) -> dict[int, int]:
    return dict(result.charges.select("row_index", "rate_id").iter_rows())


def calls(*numbers: str | None) -> list[dict[str, Any]]:
    return [{"usage_class_id": CALLS, "terminating_identifier": number} for number in numbers]


@pytest.mark.parametrize(
    ("asked", "declared", "is_found"),
    [
        ("Unknown", "Unknown", True),
        ("Unknown", "Phone", True),
        (None, "Phone", True),
        ("Phone", "Phone", True),
        ("Phone", "IMSI", False),
        ("Phone", "Unknown", False),
    ],
)
def test_a_named_type_restricts_the_identifier_to_that_type(asked: str | None, declared: str, is_found: bool):
    held = holders(identifiers=[{"identifier_type": declared}])
    assert rated(tables([{}]), {"identifier_type": asked}, held=held).charges.height == is_found


def test_an_identifier_is_chosen_by_the_usage_date():
    held = holders(
        identifiers=[{"end_at": day(2)}, {"start_at": day(2), "service_id": 2}],
        services=[{}, {"service_id": 2}],
    )
    result = rated(
        tables([{}]),
        {"usage_at": day(2) - timedelta(microseconds=1)},
        {"usage_at": day(2)},
        held=held,
    )
    assert list(result.charges["service_id"]) == [1, 2]


def test_two_services_with_one_identifier_are_ambiguous_only_where_both_are_valid():
    held = holders(
        identifiers=[{"identifier_type": "Phone"}, {"identifier_type": "IMSI", "service_id": 2, "start_at": day(2)}],
        services=[{}, {"service_id": 2}],
    )
    result = rated(
        tables([{}]),
        {"usage_at": day(1)},
        {"usage_at": day(2)},
        {"usage_at": day(2), "identifier_type": "IMSI"},
        held=held,
    )
    assert list(result.charges["service_id"]) == [1, 2]
    assert reasons(result) == [(2, 2102, "id")]


def test_two_identifiers_of_one_service_are_not_ambiguous():
    held = holders(identifiers=[{"identifier_type": "Phone"}, {"identifier_type": "IMSI"}])
    assert rated(tables([{}]), {}, held=held).charges.height == 1


@pytest.mark.parametrize(
    ("plans", "expected"),
    [
        # the service's, its account's, the parent's, the grandparent's, the owner's
        ((2, 1, 1, 1, 1), 2),
        ((None, 2, 1, 1, 1), 2),
        ((None, None, 2, 1, 1), 2),
        ((None, None, None, 2, 1), 2),
        ((None, None, None, None, 2), 2),
        ((None, None, None, None, None), None),
    ],
)
def test_the_lowest_plan_wins(plans: tuple[int | None, ...], expected: int | None):
    service, account, parent, grandparent, owner = plans
    held = holders(
        services=[{"rate_plan_id": service}],
        accounts=[
            {"account_id": 1, "rate_plan_id": account, "parent_account_id": 2},
            {"account_id": 2, "rate_plan_id": parent, "parent_account_id": 3},
            {"account_id": 3, "rate_plan_id": grandparent},
        ],
    )
    book = tables(
        [{}, {"rate_group_id": 2}],
        groups=[{}, {"rate_group_id": 2}],
        plans=[{"rate_plan_id": 1}, {"rate_plan_id": 2}],
        plan_groups=TWO_PLANS,
        owner_rate_plan_id=owner,
    )
    result = rated(book, {}, held=held)
    assert list(result.charges["rate_plan_id"]) == ([expected] if expected else [])
    assert [reason for _, reason, _ in reasons(result)] == ([] if expected else [2301])


def test_a_miss_in_the_lowest_plan_goes_no_higher():
    held = holders(services=[{"rate_plan_id": 2}], accounts=[{"rate_plan_id": 1}])
    book = tables([{}], plans=[{"rate_plan_id": 1}, {"rate_plan_id": 2}], owner_rate_plan_id=1)
    assert reasons(rated(book, {}, held=held)) == [(1, 2401, "USD")]


def test_accounts_in_a_circle_are_our_failure():
    held = holders(services=[{"rate_plan_id": None}], accounts=[{"parent_account_id": 1}])
    with pytest.raises(InvariantFailure):
        rated(tables([{}]), {}, held=held)


def test_holders_without_the_account_are_our_failure():
    with pytest.raises(InvariantFailure):
        rated(tables([{}]), {}, held=holders(accounts=[{"account_id": 7}]))


def by_priority(*groups: dict[str, Any], rates: list[dict[str, Any]]) -> Any:
    numbered = [{"rate_group_id": number, **group} for number, group in enumerate(groups, 1)]
    order = [
        {"rate_plan_id": 1, "priority": group["rate_group_id"], "rate_group_id": group["rate_group_id"]}
        for group in numbered
    ]
    return tables(rates, groups=numbered, plan_groups=order)


@pytest.mark.parametrize(
    ("first", "first_rate", "expected"),
    [
        ({}, {}, "1"),
        ({"currency": "EUR"}, {}, "2"),
        ({"end_at": day(1)}, {}, "2"),
        ({"start_at": day(2)}, {}, "2"),
        ({"use_for_cost": True}, {}, "2"),
        ({}, {"usage_class_id": CALLS}, "2"),
        ({}, {"end_at": day(1)}, "2"),
    ],
)
def test_the_first_group_with_a_matching_rate_wins(first: dict[str, Any], first_rate: dict[str, Any], expected: str):
    book = by_priority(first, {}, rates=[{**first_rate}, {"rate_group_id": 2, "amount": "2"}])
    assert amounts(book, {}) == [expected]


def test_a_parents_rate_of_the_first_group_comes_before_the_places_rate_of_the_second():
    book = by_priority(
        {},
        {},
        rates=[
            {"usage_class_id": CALLS, "location_id": EVERYWHERE},
            {"usage_class_id": CALLS, "rate_group_id": 2, "location_id": CALGARY},
        ],
    )
    assert rates_of(rated(book, *calls("14038675309"))) == {1: 1}


def test_a_revision_holds_from_its_start_to_its_end():
    book = tables([{"amount": "1", "end_at": day(2)}, {"amount": "2", "start_at": day(2)}])
    just_before = day(2) - timedelta(microseconds=1)
    assert amounts(book, {"usage_at": just_before}, {"usage_at": day(2)}) == ["1", "2"]


def test_the_longest_pattern_is_the_place_and_its_parents_may_give_the_rate():
    book = tables(
        [{"usage_class_id": CALLS, "location_id": place} for place in (ALBERTA, EVERYWHERE)],
    )
    result = rated(book, *calls("14038675309", "1403555", "1604", "33", "1"))
    assert rates_of(result) == {1: 1, 2: 1, 3: 2, 4: 2, 5: 2}
    assert list(result.charges["location_id"]) == [CALGARY, ALBERTA, CANADA, FRANCE, CANADA]


def test_a_location_group_counts_at_its_members_depth_after_the_location():
    members = [(PRAIRIES, CANADA), (WORLD, EVERYWHERE), (WORLD, FRANCE)]
    book = tables(
        [
            {"usage_class_id": CALLS, "location_group_id": PRAIRIES},
            {"usage_class_id": CALLS, "location_id": CANADA, "end_at": day(2)},
            {"usage_class_id": CALLS, "location_id": EVERYWHERE},
            {"usage_class_id": CALLS, "location_group_id": WORLD},
        ],
        members=members,
    )
    result = rated(book, *[{**call, "usage_at": day(at)} for at in (1, 2) for call in calls("1403", "331")])
    assert rates_of(result) == {1: 2, 2: 4, 3: 1, 4: 4}


def test_a_rate_without_a_location_comes_after_the_root():
    book = tables([{"usage_class_id": CALLS}, {"usage_class_id": CALLS, "location_id": EVERYWHERE, "end_at": day(2)}])
    result = rated(book, *[{**call, "usage_at": day(at)} for at in (1, 2) for call in calls("33", "99")])
    assert rates_of(result) == {1: 2, 3: 1}
    assert reasons(result) == [(2, 2502, "99"), (4, 2502, "99")]


def test_reverse_rating_takes_the_originating_number():
    book = tables([{"usage_class_id": CALLS}])
    numbers = {"usage_class_id": CALLS, "originating_identifier": "33", "terminating_identifier": "1"}
    result = rated(book, numbers, {**numbers, "reverse_rating": True})
    assert list(result.charges["location_id"]) == [CANADA, FRANCE]


def test_a_pattern_may_have_any_character():
    patterns = [("é", CANADA), ("\ud7ff", ALBERTA), ("\U0010ffff", FRANCE), ("a\U0010ffff", CALGARY), ("", EVERYWHERE)]
    book = tables([{"usage_class_id": CALLS}], patterns=patterns)
    result = rated(book, *calls("é1", "\ud7ff", "\U0010ffff\U0010ffff", "a\U0010ffffz", "b", "a", None, "\ue000", "ê"))
    assert list(result.charges["location_id"]) == [CANADA, ALBERTA, FRANCE, CALGARY, *[EVERYWHERE] * 5]


def test_a_class_that_is_not_rated_by_location_needs_no_number():
    result = rated(tables([{}]), {"terminating_identifier": "33", "usage_at": WHEN})
    assert list(result.charges["location_id"]) == [None]


def test_the_second_group_is_searched_from_the_place_again():
    book = by_priority(
        {},
        {},
        rates=[
            {"usage_class_id": CALLS, "location_id": FRANCE},
            {"usage_class_id": CALLS, "rate_group_id": 2, "location_id": CALGARY},
            {"usage_class_id": CALLS, "rate_group_id": 2, "location_id": EVERYWHERE},
        ],
    )
    assert rates_of(rated(book, *calls("14038675309", "1", "33"))) == {1: 2, 2: 3, 3: 1}


@pytest.mark.parametrize(
    ("who", "span", "reason"),
    [
        ("services", {"start_at": day(2)}, 2202),
        ("services", {"end_at": day(1)}, 2202),
        ("accounts", {"start_at": day(2)}, 2203),
        ("accounts", {"end_at": day(1)}, 2204),
    ],
)
def test_service_and_account_must_be_active_on_the_usage_date(who: str, span: dict[str, Any], reason: int):
    """A record at the start is within the span, one at the end is not."""
    result = rated(
        tables([{}]), {"usage_at": day(1)}, {"usage_at": day(2)}, {"usage_at": day(1, 1)}, held=holders(**{who: [span]})
    )
    late = "start_at" in span
    assert list(result.charges["row_index"]) == ([2] if late else [3])
    assert [(row, found) for row, found, _ in reasons(result)] == [
        (row, reason) for row in ((1, 3) if late else (1, 2))
    ]


def test_the_span_of_a_parent_account_plays_no_part():
    held = holders(accounts=[{"parent_account_id": 2}, {"account_id": 2, "end_at": day(1)}])
    assert rated(tables([{}]), {"usage_at": day(2)}, held=held).charges.height == 1
