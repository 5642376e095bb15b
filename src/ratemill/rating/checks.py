"""The rules that price tables keep before they are compiled; each function returns the faults against its rule.

They work on whole tables, so that set-up can ask about one new rate and the book about all. Rates that break a rule of
``check_rates`` must not be handed to ``ratemill.rating.terms.terms``.
"""

from __future__ import annotations

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
    numbers = read(rates)
    malformed = _number_faults(numbers)
    wrong = {fault.id for fault in malformed}
    sound = numbers.filter(~pl.col("rate_id").is_in(list(wrong)))
    return [*malformed, *_part_faults(rates, classes), *_product_faults(sound)]


def _number_faults(rates: pl.DataFrame) -> list[BookFault]:
    faults = []
    for name in NUMBERS:
        is_missing = pl.col(name).is_null() & (name in {"amount", "connection_charge"})
        is_no_number = pl.col(name).is_not_null() & pl.col(f"{name}_whole").is_null()
        faults += _rate_faults(rates, is_missing | is_no_number, name, "is not a number in plain notation")
        if name != "amount":
            faults += _rate_faults(rates, pl.col(f"{name}_mantissa") < 0, name, "is negative")
    for name in MONEY:
        message = f"has more than {PRICE_DIGITS_MAX} digits or {PRICE_PLACES_MAX} places"
        is_long = (pl.col(f"{name}_digits") > PRICE_DIGITS_MAX) | (pl.col(f"{name}_places") > PRICE_PLACES_MAX)
        faults += _rate_faults(rates, is_long, name, message)
    for name in ROUNDINGS:
        message = f"has more than {QUANTITY_INTEGER_DIGITS_MAX} digits before or {QUANTITY_PLACES_MAX} after the point"
        places = pl.col(f"{name}_places")
        whole_digits = pl.col(f"{name}_digits") - places
        is_long = (whole_digits > QUANTITY_INTEGER_DIGITS_MAX) | (places > QUANTITY_PLACES_MAX)
        faults += _rate_faults(rates, is_long, name, message)
    return faults


def _part_faults(rates: pl.DataFrame, classes: pl.DataFrame) -> list[BookFault]:
    by_location = classes.filter(pl.col("rater") == BY_LOCATION)["usage_class_id"].implode()
    has_location, has_group = (pl.col(name).is_not_null() for name in ("location_id", "location_group_id"))
    misplaced = (has_location | has_group) & ~pl.col("usage_class_id").is_in(by_location)
    unknown = ~pl.col("calculation").is_in([PER_UNIT, PER_EVENT])
    no_unit = (pl.col("per") < 1).fill_null(value=True)
    return [
        *_rate_faults(rates, misplaced, "location_id", "is for a usage class that is not rated by location"),
        *_rate_faults(rates, has_location & has_group, "location_group_id", "stands beside a location"),
        *_rate_faults(rates, unknown, "calculation", f"is neither {PER_UNIT} nor {PER_EVENT}"),
        *_rate_faults(rates, no_unit, "per", "is not at least 1"),
    ]


def _product_faults(rates: pl.DataFrame) -> list[BookFault]:
    """Hold the largest product of a rate to 128 bits: see ``ratemill.rating.terms``."""
    rates = rates.filter(pl.col("per") >= 1)
    fixed_message = f"has more than {FIXED_DIGITS_MAX} digits in the last place of the price"
    faults = _rate_faults(rates, ~price_fits(), "amount", "has too many digits beside the places of the charges")
    faults += _rate_faults(
        rates, ~denominator_fits(), "per", f"has more than {FIXED_DIGITS_MAX} digits with the places"
    )
    for name in FIXED:
        faults += _rate_faults(rates, ~fixed_fits(name), name, fixed_message)
    minimum, maximum = (
        pl.col(f"{name}_mantissa") * power_of_ten(PRICE_PLACES_MAX - pl.col(f"{name}_places"))
        for name in ("minimum_charge", "maximum_charge")
    )
    return [*faults, *_rate_faults(rates, minimum > maximum, "minimum_charge", "is more than the maximum charge")]


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
    return _rate_faults(tied, pl.lit(value=True), "start_at", message)


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


def _rate_faults(rates: pl.DataFrame, broken: pl.Expr, field: str, message: str) -> list[BookFault]:
    return _faults(rates, broken, message, table="rates", key="rate_id", field=field)


def _faults(rows: pl.DataFrame, broken: pl.Expr, message: str, *, table: str, key: str, field: str) -> list[BookFault]:
    return [BookFault(table, fault_id, field, message) for fault_id in rows.filter(broken)[key]]
