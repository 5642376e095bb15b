"""The rules that price tables keep before they are compiled; each function returns the faults against its rule.

They work on whole tables, so that set-up can ask about one new rate and the book about all. Rates that break a rule of
``check_rates`` must not be handed to ``ratemill.rating.terms.terms``.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from ratemill.money import (
    AMOUNT_PLACES_MAX,
    AMOUNT_ROUNDINGS,
    PRICE_DIGITS_MAX,
    PRICE_PLACES_MAX,
    QUANTITY_INTEGER_DIGITS_MAX,
    QUANTITY_PLACES_MAX,
)
from ratemill.rating.faults import BookFault
from ratemill.rating.terms import (
    FIXED,
    FIXED_DIGITS_MAX,
    MONEY,
    NUMBERS,
    PER_EVENT,
    ROUNDINGS,
    denominator_fits,
    fixed_fits,
    power_of_ten,
    price_fits,
    read,
)
from ratemill.visible import shown

BY_LOCATION = "GeoTree"
PER_UNIT = "perUnit"


def check_owner(places_of_owner: int, rounding: str) -> list[BookFault]:
    """Hold an owner to 0 to 11 places of amounts and a known way to round them."""
    faults = []
    if not 0 <= places_of_owner <= AMOUNT_PLACES_MAX:
        message = f"amounts have 0 to {AMOUNT_PLACES_MAX} places, not {places_of_owner}"
        faults.append(BookFault("owner", None, "places", message))
    if rounding not in AMOUNT_ROUNDINGS:
        faults.append(BookFault("owner", None, "rounding", f"'{shown(rounding)}' is no way to round"))
    return faults


def check_places(rows: pl.DataFrame, *, table: str, key: str) -> list[BookFault]:
    """Hold the plans or the groups to 0 to 11 places of amounts."""
    broken = ~pl.col("places").is_between(0, AMOUNT_PLACES_MAX)
    message = f"amounts have 0 to {AMOUNT_PLACES_MAX} places"
    return _faults(rows, broken, message, table=table, key=key, field="places")


def check_plan_groups(plan_groups: pl.DataFrame, groups: pl.DataFrame) -> list[BookFault]:
    """Hold the groups of a plan to an order, and to prices of their own.

    A pass-through price is money that the record carries, and a usage record carries none yet. To pass such a group
    over would give the record the price of the next one, so the plan is refused.
    """
    retail = groups.filter(pl.col("is_pass_through") & ~pl.col("use_for_cost").fill_null(value=False))
    passing = plan_groups.join(retail, on="rate_group_id", how="semi")
    tied = plan_groups.filter(pl.struct("rate_plan_id", "priority").is_duplicated())
    return [
        *_plan_faults(tied, "priority", "two groups of the plan have one priority"),
        *_plan_faults(passing, "rate_group_id", "a pass-through group needs money in the record"),
    ]


def _plan_faults(rows: pl.DataFrame, field: str, message: str) -> list[BookFault]:
    return _faults(rows, pl.lit(value=True), message, table="plan_groups", key="rate_plan_id", field=field)


def check_rates(rates: pl.DataFrame, classes: pl.DataFrame) -> list[BookFault]:
    """Hold each rate by itself to numbers that are numbers and fit, and to parts that agree.

    A rate with a number that is none, or with too many digits, is not asked about the products of its numbers.
    """
    return check_numbers(read(rates), classes)


def check_numbers(numbers: pl.DataFrame, classes: pl.DataFrame) -> list[BookFault]:
    """Hold rates to the rules of ``check_rates``; ``numbers`` is what ``ratemill.rating.terms.read`` returns."""
    number_rules = _number_rules()
    faults = _break_rules(numbers, [*number_rules, *_part_rules(classes)])
    malformed = {fault.id for fault in _break_rules(numbers, number_rules)} if faults else set()
    sound = numbers.filter(~pl.col("rate_id").is_in(list(malformed))) if malformed else numbers
    return [*faults, *_break_rules(sound.filter(pl.col("per") >= 1), _product_rules())]


@dataclass(frozen=True, slots=True)
class _RateRule:
    """What breaks a rule of one rate, the field that is wrong then, and what is said of it."""

    broken: pl.Expr
    field: str
    message: str


def _break_rules(rates: pl.DataFrame, rules: list[_RateRule]) -> list[BookFault]:
    """Return the faults by rule; all rules are worked out in one pass, for each pass costs as much as hundreds of rates."""
    flags = rates.select(rule.broken.alias(str(at)) for at, rule in enumerate(rules))
    return [
        BookFault("rates", rate_id, rule.field, rule.message)
        for rule, flag in zip(rules, flags.iter_columns(), strict=True)
        if flag.any()
        for rate_id in rates["rate_id"].filter(flag)
    ]


def _number_rules() -> list[_RateRule]:
    rules = []
    for name in NUMBERS:
        is_missing = pl.col(name).is_null() & (name in {"amount", "connection_charge"})
        is_no_number = pl.col(name).is_not_null() & pl.col(f"{name}_whole").is_null()
        rules.append(_RateRule(is_missing | is_no_number, name, "is not a number in plain notation"))
        if name != "amount":
            rules.append(_RateRule(pl.col(f"{name}_mantissa") < 0, name, "is negative"))
    for name in MONEY:
        message = f"has more than {PRICE_DIGITS_MAX} digits or {PRICE_PLACES_MAX} places"
        is_long = (pl.col(f"{name}_digits") > PRICE_DIGITS_MAX) | (pl.col(f"{name}_places") > PRICE_PLACES_MAX)
        rules.append(_RateRule(is_long, name, message))
    for name in ROUNDINGS:
        message = f"has more than {QUANTITY_INTEGER_DIGITS_MAX} digits before or {QUANTITY_PLACES_MAX} after the point"
        places = pl.col(f"{name}_places")
        whole_digits = pl.col(f"{name}_digits") - places
        is_long = (whole_digits > QUANTITY_INTEGER_DIGITS_MAX) | (places > QUANTITY_PLACES_MAX)
        rules.append(_RateRule(is_long, name, message))
    return rules


def _part_rules(classes: pl.DataFrame) -> list[_RateRule]:
    by_location = classes.filter(pl.col("rater") == BY_LOCATION)["usage_class_id"].implode()
    has_location, has_group = (pl.col(name).is_not_null() for name in ("location_id", "location_group_id"))
    misplaced = (has_location | has_group) & ~pl.col("usage_class_id").is_in(by_location)
    unknown = ~pl.col("calculation").is_in([PER_UNIT, PER_EVENT])
    no_unit = (pl.col("per") < 1).fill_null(value=True)
    return [
        _RateRule(misplaced, "location_id", "is for a usage class that is not rated by location"),
        _RateRule(has_location & has_group, "location_group_id", "stands beside a location"),
        _RateRule(unknown, "calculation", f"is neither {PER_UNIT} nor {PER_EVENT}"),
        _RateRule(no_unit, "per", "is not at least 1"),
    ]


def _product_rules() -> list[_RateRule]:
    """Hold the largest product of a rate to 128 bits: see ``ratemill.rating.terms``. The unit is at least 1."""
    fixed_message = f"has more than {FIXED_DIGITS_MAX} digits in the last place of the price"
    minimum, maximum = (
        pl.col(f"{name}_mantissa") * power_of_ten(PRICE_PLACES_MAX - pl.col(f"{name}_places"))
        for name in ("minimum_charge", "maximum_charge")
    )
    return [
        _RateRule(~price_fits(), "amount", "has too many digits beside the places of the charges"),
        _RateRule(~denominator_fits(), "per", f"has more than {FIXED_DIGITS_MAX} digits with the places"),
        *(_RateRule(~fixed_fits(name), name, fixed_message) for name in FIXED),
        _RateRule(minimum > maximum, "minimum_charge", "is more than the maximum charge"),
    ]


def check_ties(rates: pl.DataFrame, members: pl.DataFrame) -> list[BookFault]:
    """Hold the rates of one group, class and place to one at any instant.

    Two location groups with a common location are one place there; a location and its group are two.
    """
    grouped = rates.join(members.unique().select("location_group_id", member_id="location_id"), on="location_group_id")
    own = rates.filter(pl.col("location_group_id").is_null()).with_columns(member_id=pl.lit(None, dtype=pl.Int64))
    place = ["rate_group_id", "usage_class_id", "location_id", "member_id"]
    columns = [*place, "rate_id", "start_at", "end_at"]
    spans = pl.concat([own.select(columns), grouped.select(columns)]).filter(_is_a_span())
    ordered = spans.filter(pl.struct(place).is_duplicated()).sort([*place, "start_at", "rate_id"], nulls_last=False)
    # The furthest end so far; an open one is further than any.
    furthest = pl.col("end_at").cum_max().shift(1).over(place)
    is_open_before = pl.col("end_at").is_null().cum_max().shift(1, fill_value=False).over(place)
    reached = (pl.col("start_at") < furthest).fill_null(furthest.is_not_null() & pl.col("start_at").is_null())
    tied = ordered.filter(is_open_before | reached).unique("rate_id", maintain_order=True)
    message = "holds at one instant with another rate of its group, class and place"
    return _faults(tied, pl.lit(value=True), message, table="rates", key="rate_id", field="start_at")


def _is_a_span() -> pl.Expr:
    return (pl.col("start_at") < pl.col("end_at")).fill_null(value=True)


def check_patterns(patterns: pl.DataFrame) -> list[BookFault]:
    """Hold a pattern to one location."""
    message = "the pattern belongs to another location too"
    broken = pl.col("pattern").is_duplicated()
    return _faults(patterns, broken, message, table="patterns", key="location_id", field="pattern")


def check_tree(locations: pl.DataFrame) -> list[BookFault]:
    """Hold the way up from each location to an end: every parent is there and none is below its own child."""
    reached = locations.filter(pl.col("parent_location_id").is_null())
    level = reached
    while not level.is_empty():
        level = locations.join(level.select(parent_location_id="location_id"), on="parent_location_id", how="semi")
        reached = pl.concat([reached, level])
    lost = locations.join(reached.select("location_id"), on="location_id", how="anti")
    message = "the way up from the location does not end"
    anyone = pl.lit(value=True)
    return _faults(lost, anyone, message, table="locations", key="location_id", field="parent_location_id")


def _faults(rows: pl.DataFrame, broken: pl.Expr, message: str, *, table: str, key: str, field: str) -> list[BookFault]:
    return [BookFault(table, fault_id, field, message) for fault_id in rows.filter(broken)[key]]
