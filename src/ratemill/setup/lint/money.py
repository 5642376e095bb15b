"""The rules of the lint that look at money: currencies, places and digits."""

from __future__ import annotations

from collections.abc import Iterator

from ratemill.money import PRICE_DIGITS_MAX, QUANTITY_PLACES_MAX, places, plain, significant_digits
from ratemill.setup.lint.plan import Finding, PlanSetup, by_currency, on_rate
from ratemill.setup.rules.rates import PRODUCT_DIGITS_MAX
from ratemill.setup.world import Row

NEAR_DIGITS = 2  # a product that has no more than so many digits left is near the end


def currency_without_group(setup: PlanSetup) -> Iterator[Finding]:
    """Find accounts that the plan prices and that have a currency in which it has no group."""
    known = by_currency(setup)
    for account in setup.accounts:
        if account["currency"] not in known:
            message = f"the plan has no rate group in {account['currency']}: all its usage becomes rating exceptions"
            yield Finding(
                "currency_without_group",
                "error",
                message,
                "accounts",
                account["account_id"],
                account["name"],
                "currencyName",
            )


def places_lost(setup: PlanSetup) -> Iterator[Finding]:
    """Find rates whose price of one unit has more places than amounts are rounded to."""
    for rate in setup.rates:
        kept = _amount_places(setup, rate)
        if places(rate["amount"]) > kept:
            message = f"{plain(rate['amount'])} has {places(rate['amount'])} places, amounts are rounded to {kept}"
            yield on_rate(setup, rate, "places_lost", "warning", message, "amount")


def _amount_places(setup: PlanSetup, rate: Row) -> int:
    for row in (setup.groups_by_id[rate["rate_group_id"]], setup.plan):
        if row["amount_places"] is not None:
            return int(row["amount_places"])
    return setup.owner_places


def digits_near_limit(setup: PlanSetup) -> Iterator[Finding]:
    """Find rates whose largest product is near 38 digits: see ``ratemill.setup.rules.rates.products_fit``."""
    for rate in setup.rates:
        unit = setup.units.get(rate["usage_unit_id"]) if rate["calculation"] == "perUnit" else None
        per_digits = len(str(int(unit["multiplier"]))) if unit is not None else 1
        fixed = [rate[name] for name in ("connection_charge", "minimum_charge", "maximum_charge") if rate[name]]
        amount_places = places(rate["amount"])
        scale = max(QUANTITY_PLACES_MAX + amount_places, *(places(number) for number in fixed), 0)
        largest = max(
            per_digits + scale, *(significant_digits(each) + scale - places(each) + per_digits for each in fixed), 0
        )
        shift = scale - QUANTITY_PLACES_MAX - amount_places
        price = significant_digits(rate["amount"]) + shift
        if largest > PRODUCT_DIGITS_MAX - NEAR_DIGITS or (shift and price > PRICE_DIGITS_MAX - NEAR_DIGITS):
            message = "its largest product is near the 38 digits that are exact: a further place would be refused"
            yield on_rate(setup, rate, "digits_near_limit", "notice", message, "amount")
