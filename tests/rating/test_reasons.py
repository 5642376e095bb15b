"""Every reason for which a record is not rated, in the order in which the rules are checked."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from tests.rating.books import (
    CALLS,
    CANADA,
    FRANCE,
    VOICE,
    day,
    holders,
    rated,
    tables,
)

from ratemill.rating.book import PriceTables
from ratemill.rating.explain import explain
from ratemill.rating.rate import Holders
from ratemill.reasons import BY_ID

# Each row mends the rule of the row before it; the reason, what its message names, and what had been found by then.
NOTHING: dict[str, Any] = {"account_id": None, "service_id": None, "rate_plan_id": None}
HOLDER: dict[str, Any] = {**NOTHING, "account_id": 1, "service_id": 1}
PLAN: dict[str, Any] = {**HOLDER, "rate_plan_id": 1}
ORDER: list[tuple[str, str | None, dict[str, Any]]] = [
    ("identifier_not_found", "id", NOTHING),
    ("identifier_is_ambiguous", "id", NOTHING),
    ("identifier_not_valid_on_usage_date", "id", NOTHING),
    ("service_not_active_on_usage_date", "Line", HOLDER),
    ("account_not_active_on_usage_date", "Acme", HOLDER),
    ("account_closed_on_usage_date", "Acme", HOLDER),
    ("rate_plan_not_found", None, HOLDER),
    ("rate_group_not_found_in_currency", "USD", PLAN),
    ("rate_group_not_effective_on_usage_date", None, PLAN),
    ("rate_not_found_for_usage_class", "calls", PLAN),
    ("location_not_found", "99", PLAN),
    ("rate_not_found_for_location", "France", PLAN),
    ("rate_not_effective_on_usage_date", None, PLAN),
    ("quantity_is_too_large_to_rate", "1000000000000000", PLAN),
]
NAMES = [name for name, _, _ in ORDER]


def is_mended(rule: str, broken: str) -> bool:
    """Return whether ``rule`` is kept in the row in which ``broken`` is the first that is broken."""
    return NAMES.index(rule) < NAMES.index(broken)


def holders_that_break(broken: str) -> Holders:
    over = {"end_at": day(1, 1)}
    identifiers: list[dict[str, Any]] = [{"identifier_type": "Phone"}, {"identifier_type": "IMSI", "service_id": 2}]
    if not is_mended("identifier_not_found", broken):
        identifiers = []
    elif is_mended("identifier_is_ambiguous", broken):
        identifiers = [{} if is_mended("identifier_not_valid_on_usage_date", broken) else over]
    account: dict[str, Any] = {} if is_mended("account_closed_on_usage_date", broken) else over
    if not is_mended("account_not_active_on_usage_date", broken):
        account = {**account, "start_at": day(1, 12)}
    service: dict[str, Any] = {} if is_mended("service_not_active_on_usage_date", broken) else over
    plan = 1 if is_mended("rate_plan_not_found", broken) else None
    return holders(
        identifiers=identifiers,
        services=[{"service_id": number, "rate_plan_id": plan, **service} for number in (1, 2)],
        accounts=[account],
    )


def tables_that_break(broken: str) -> PriceTables:
    group: dict[str, Any] = {} if is_mended("rate_group_not_effective_on_usage_date", broken) else {"end_at": day(1, 1)}
    if not is_mended("rate_group_not_found_in_currency", broken):
        group["currency"] = "EUR"
    rate: dict[str, Any] = {"usage_class_id": CALLS if is_mended("rate_not_found_for_usage_class", broken) else VOICE}
    if rate["usage_class_id"] == CALLS:
        rate["location_id"] = FRANCE if is_mended("rate_not_found_for_location", broken) else CANADA
    if not is_mended("rate_not_effective_on_usage_date", broken):
        rate["end_at"] = day(1, 1)
    return tables([rate], groups=[group])


@pytest.mark.parametrize(("broken", "value", "found"), ORDER, ids=NAMES)
def test_a_record_has_the_first_reason_though_it_breaks_every_later_rule(
    broken: str, value: str | None, found: dict[str, Any]
):
    record = {
        "usage_class_id": CALLS,
        "terminating_identifier": "331" if is_mended("location_not_found", broken) else "99",
        "quantity": Decimal("1e15"),
    }
    price_tables, held = tables_that_break(broken), holders_that_break(broken)
    result = rated(price_tables, record, held=held)
    assert result.charges.is_empty()
    row = result.exceptions.row(0, named=True)
    assert (BY_ID[row["reason_id"]].name, row["value"]) == (broken, value)
    assert {name: row[name] for name in found} == found
    assert explain(row, price_tables, held).outcome == {**found, "reason_id": row["reason_id"], "value": value}


def test_a_mended_record_is_rated():
    record = {"usage_class_id": CALLS, "terminating_identifier": "331"}
    last = NAMES[-1]
    assert rated(tables_that_break(last), record, held=holders_that_break(last)).exceptions.is_empty()


def test_an_unknown_class_is_named_by_its_number():
    row = rated(tables([{}]), {"usage_class_id": 99}).exceptions.row(0, named=True)
    assert (BY_ID[row["reason_id"]].name, row["value"]) == ("rate_not_found_for_usage_class", "99")


def test_an_absent_identifier_or_number_is_named_by_nothing():
    result = rated(tables([{"usage_class_id": CALLS}]), {"usage_identifier": None}, {"usage_class_id": CALLS})
    assert list(result.exceptions["value"]) == ["", ""]
    assert list(result.exceptions["reason_id"]) == [2101, 2502]
