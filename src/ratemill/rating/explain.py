"""A charge told step by step: the same rules, one record at a time, in exact fractions.

This is the answer to a dispute and the oracle of the tests. It shares no code with the table kernel and takes other
ways: it reads the price tables themselves, compares texts and instants one by one, and divides in fractions.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import polars as pl

from ratemill.money import plain
from ratemill.rating.book import PriceTables
from ratemill.rating.rate import Holders
from ratemill.reasons import RATING, filled
from ratemill.visible import shown

Row = Mapping[str, Any]

QUANTITY_END = Fraction(10**15)
DIGITS = 80  # more than any amount here has


@dataclass(frozen=True, slots=True)
class Explanation:
    """How a record's charge came about: ``steps`` are sentences; ``outcome`` has the columns that rating adds.

    The outcome holds the columns of ``columns.CHARGES`` or, where ``reason_id`` is set, of
    ``columns.RATING_EXCEPTIONS`` that are not the usage record's own.
    """

    steps: tuple[str, ...]
    outcome: dict[str, Any]

    @property
    def is_charge(self) -> bool:
        """Return whether the record has a charge."""
        return "reason_id" not in self.outcome


class _RuleBreak(Exception):
    """The record breaks a rule."""

    def __init__(self, name: str, value: str | None) -> None:
        self.reason = RATING[name]
        self.value = value
        super().__init__(filled(self.reason, None, value))


class _Narrative:
    """What has been found so far, and the sentences about it."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.found: dict[str, Any] = {"account_id": None, "service_id": None, "rate_plan_id": None}

    def say(self, sentence: str) -> None:
        self.steps.append(sentence)


def explain(record: Row, tables: PriceTables, holders: Holders) -> Explanation:
    """Return the story of one usage record (the columns of ``columns.USAGE``) and its outcome."""
    telling = _Narrative()
    try:
        account = _holder(record, tables, holders, telling)
        rate, group, location_id = _rate(record, account, tables, telling)
        amounts = _charge(record, rate, _places(group, telling.found["rate_plan_id"], tables), tables, telling)
    except _RuleBreak as broken:
        telling.say(str(broken))
        missed = {**telling.found, "reason_id": broken.reason.id, "value": broken.value}
        return Explanation(tuple(telling.steps), missed)
    chosen = {"run": 1, "rate_group_id": group["rate_group_id"], "rate_id": rate["rate_id"], "location_id": location_id}
    return Explanation(tuple(telling.steps), {**telling.found, **chosen, **amounts, "currency": account["currency"]})


def _each(table: pl.DataFrame, **wanted: object) -> Iterator[dict[str, Any]]:
    """Go through the rows of ``table`` in which every named column has the wanted value; None wants an empty one."""
    for name, value in wanted.items():
        table = table.filter(pl.col(name).is_null() if value is None else pl.col(name) == value)
    return table.iter_rows(named=True)


def _holds(row: Row, instant: dt.datetime) -> bool:
    """Tell whether ``instant`` is in the row's [start, end)."""
    if row["start_at"] is not None and instant < row["start_at"]:
        return False
    return row["end_at"] is None or instant < row["end_at"]


def _span(row: Row) -> str:
    return f"[{row['start_at'] or 'ever'}, {row['end_at'] or 'open'})"


# Who


def _holder(record: Row, tables: PriceTables, holders: Holders, telling: _Narrative) -> Row:
    service = _service(record, holders, telling)
    when = record["usage_at"]
    account = next(_each(holders.accounts, account_id=service["account_id"]))
    telling.found |= {"account_id": account["account_id"], "service_id": service["service_id"]}
    if not _holds(service, when):
        raise _RuleBreak("service_not_active_on_usage_date", service["service"])
    if account["start_at"] is not None and when < account["start_at"]:
        raise _RuleBreak("account_not_active_on_usage_date", account["account"])
    if not _holds(account, when):
        raise _RuleBreak("account_closed_on_usage_date", account["account"])
    telling.say(
        f"Service '{shown(service['service'])}' and account '{shown(account['account'])}' are active on {when}."
    )
    plan_id = _plan(service, account, tables, holders, telling)
    telling.found["rate_plan_id"] = plan_id
    if plan_id is None:
        raise _RuleBreak("rate_plan_not_found", None)
    return account


def _service(record: Row, holders: Holders, telling: _Narrative) -> Row:
    text, kind = record["usage_identifier"], record["identifier_type"] or "Unknown"
    any_type = kind == "Unknown"
    telling.say(f"The identifier is '{shown(text)}' of {'any type' if any_type else f'type {shown(kind)}'}.")
    known = [] if text is None else list(_each(holders.identifiers, usage_identifier=text))
    if not any_type:
        known = [row for row in known if row["identifier_type"] == kind]
    if not known:
        raise _RuleBreak("identifier_not_found", text or "")
    valid = {row["service_id"] for row in known if _holds(row, record["usage_at"])}
    if not valid:
        raise _RuleBreak("identifier_not_valid_on_usage_date", text)
    if len(valid) > 1:
        raise _RuleBreak("identifier_is_ambiguous", text)
    return next(_each(holders.services, service_id=valid.pop()))


def _plan(service: Row, account: Row, tables: PriceTables, holders: Holders, telling: _Narrative) -> int | None:
    """Find the lowest plan there is: the service's, the account's, its parents', the owner's."""
    if service["rate_plan_id"] is not None:
        telling.say(f"The service has rate plan {service['rate_plan_id']}.")
        return int(service["rate_plan_id"])
    above: Row | None = account
    while above is not None:
        if above["rate_plan_id"] is not None:
            telling.say(f"The account '{shown(above['account'])}' has rate plan {above['rate_plan_id']}.")
            return int(above["rate_plan_id"])
        parent = above["parent_account_id"]
        above = None if parent is None else next(_each(holders.accounts, account_id=parent))
    telling.say(f"The owner's rate plan is {tables.owner_rate_plan_id}.")
    return tables.owner_rate_plan_id


# Which rate


def _rate(record: Row, account: Row, tables: PriceTables, telling: _Narrative) -> tuple[Row, Row, int | None]:
    """Find the rate, its group, and the location of the record's number."""
    effective = _groups(record, account["currency"], tables, telling)
    class_id = record["usage_class_id"]
    usage_class = next(_each(tables.classes, usage_class_id=class_id), None)
    name = str(class_id) if usage_class is None else usage_class["usage_class"]
    of_class = [
        rate
        for group in effective
        for rate in _each(tables.rates, rate_group_id=group["rate_group_id"], usage_class_id=class_id)
    ]
    if not of_class:
        raise _RuleBreak("rate_not_found_for_usage_class", name)
    location = None
    if usage_class is not None and usage_class["rater"] == "GeoTree":
        location = _location(record, tables, telling)
    way = list(_way_up(location, tables))
    for group in effective:
        for place in way:
            for rate in _of_place(of_class, group, place):
                if _holds(rate, record["usage_at"]):
                    telling.say(f"Group {group['rate_group_id']} has rate {rate['rate_id']}, valid {_span(rate)}.")
                    return rate, group, None if location is None else location["location_id"]
    if not any(rate for group in effective for place in way for rate in _of_place(of_class, group, place)):
        raise _RuleBreak("rate_not_found_for_location", None if location is None else location["location"])
    raise _RuleBreak("rate_not_effective_on_usage_date", None)


def _groups(record: Row, currency: str, tables: PriceTables, telling: _Narrative) -> list[Row]:
    """List the plan's groups in the account's currency that are effective, by priority; none is used for cost."""
    plan_id = telling.found["rate_plan_id"]
    entries = sorted(_each(tables.plan_groups, rate_plan_id=plan_id), key=lambda entry: int(entry["priority"]))
    if not list(_each(tables.plans, rate_plan_id=plan_id)):
        entries = []
    groups = [group for entry in entries for group in _each(tables.groups, rate_group_id=entry["rate_group_id"])]
    usable = [group for group in groups if group["currency"] == currency and not group["use_for_cost"]]
    if not usable:
        raise _RuleBreak("rate_group_not_found_in_currency", currency)
    effective: list[Row] = [group for group in usable if _holds(group, record["usage_at"])]
    if not effective:
        raise _RuleBreak("rate_group_not_effective_on_usage_date", None)
    ids = ", ".join(str(group["rate_group_id"]) for group in effective)
    telling.say(f"Effective groups of the plan in {currency}, by priority: {ids}.")
    return effective


def _location(record: Row, tables: PriceTables, telling: _Narrative) -> Row:
    number = record["originating_identifier" if record["reverse_rating"] else "terminating_identifier"] or ""
    fitting = [row for row in _each(tables.patterns) if number.startswith(row["pattern"])]
    if not fitting:
        raise _RuleBreak("location_not_found", number)
    longest = max(fitting, key=lambda row: len(row["pattern"]))
    location = next(_each(tables.locations, location_id=longest["location_id"]))
    telling.say(
        f"Of '{shown(number)}' the longest pattern is '{shown(longest['pattern'])}': {shown(location['location'])}."
    )
    return location


def _way_up(location: Row | None, tables: PriceTables) -> Iterator[tuple[str, frozenset[int]]]:
    """Go from a location up: itself, its location groups, its parent and so on; last, the rates without a place."""
    while location is not None:
        location_id = location["location_id"]
        yield "location_id", frozenset({location_id})
        groups = _each(tables.location_group_members, location_id=location_id)
        yield "location_group_id", frozenset(row["location_group_id"] for row in groups)
        parent = location["parent_location_id"]
        location = None if parent is None else next(_each(tables.locations, location_id=parent))
    yield "", frozenset()


def _of_place(rates: list[dict[str, Any]], group: Row, place: tuple[str, frozenset[int]]) -> Iterator[Row]:
    member, ids = place
    for rate in rates:
        if rate["rate_group_id"] != group["rate_group_id"]:
            continue
        if member and rate[member] in ids:
            yield rate
        if not member and rate["location_id"] is None and rate["location_group_id"] is None:
            yield rate


# How much


def _places(group: Row, plan_id: int, tables: PriceTables) -> int:
    """Take the places of the lowest level that states them: the group, the plan, the owner."""
    plan = next(_each(tables.plans, rate_plan_id=plan_id))
    stated = [level["places"] for level in (group, plan) if level["places"] is not None]
    return int(stated[0]) if stated else tables.owner_places


def _charge(record: Row, rate: Row, places: int, tables: PriceTables, telling: _Narrative) -> dict[str, Any]:
    quantity = Fraction(record["quantity"])
    rounded = _rounded(quantity, _number(rate["rounding_minimum"]), _number(rate["rounding_increment"]))
    telling.say(f"The quantity {plain(record['quantity'])} is rounded to {_write(rounded)}.")
    if abs(rounded) >= QUANTITY_END:
        raise _RuleBreak("quantity_is_too_large_to_rate", plain(record["quantity"]))
    price = _price(rounded, quantity, rate, telling)
    amount = _money(price, places, tables.owner_rounding)
    telling.say(f"Rounded to {places} places ({tables.owner_rounding}) it is {_write(amount)}.")
    return {"quantity_rounded": _decimal(rounded), "quantity_charged": _decimal(rounded), "amount": _decimal(amount)}


def _rounded(quantity: Fraction, minimum: Fraction | None, increment: Fraction | None) -> Fraction:
    """Apply the rounding rule: a minimum, then whole increments counted from it."""
    if quantity == 0:
        return quantity
    size, least = abs(quantity), minimum or Fraction(0)
    if size <= least:
        size = least
    elif increment:
        size = least + increment * -((least - size) // increment)
    return size if quantity > 0 else -size


def _price(rounded: Fraction, quantity: Fraction, rate: Row, telling: _Narrative) -> Fraction:
    """Tell what the rounded quantity, or for a rate per event the record, costs before the rounding of the money."""
    amount = Fraction(rate["amount"])
    if rate["calculation"] == "perEvent":
        price = amount
        telling.say(f"The record costs {rate['amount']}.")
    else:
        price = abs(rounded) * amount / rate["per"]
        telling.say(f"{_write(abs(rounded))} at {rate['amount']} for each {rate['per']} is {_write(price)}.")
        if rounded == 0:
            return Fraction(0)
    if rounded != 0:
        price += Fraction(rate["connection_charge"])
        telling.say(f"With the connection charge of {rate['connection_charge']} it is {_write(price)}.")
    least, most = _number(rate["minimum_charge"]), _number(rate["maximum_charge"])
    if least is not None and price < least:
        price = least
        telling.say(f"The minimum charge is {rate['minimum_charge']}.")
    if most is not None and price > most:
        price = most
        telling.say(f"The maximum charge is {rate['maximum_charge']}.")
    return price if quantity >= 0 else -price


def _money(price: Fraction, places: int, method: str) -> Fraction:
    """Round to ``places``; the method is of the magnitude."""
    unit = Fraction(1, 10**places)
    below = abs(price) // unit * unit
    over = (abs(price) - below) / unit
    half = Fraction(1, 2)
    is_even = (below / unit) % 2 == 0
    goes_up = {
        "half_up": over >= half,
        "half_even": over > half or (over == half and not is_even),
        "up": over > 0,
        "down": False,
    }[method]
    size = below + unit if goes_up else below
    return size if price >= 0 else -size


def _number(text: str | None) -> Fraction | None:
    return None if text is None else Fraction(text)


def _decimal(value: Fraction) -> Decimal:
    with localcontext() as context:
        context.prec = DIGITS
        return Decimal(value.numerator) / Decimal(value.denominator)


def _write(value: Fraction) -> str:
    """Write a fraction as a decimal if it is one, else as a fraction."""
    denominator = value.denominator
    for factor in (2, 5):
        while denominator % factor == 0:
            denominator //= factor
    return plain(_decimal(value)) if denominator == 1 else str(value)
