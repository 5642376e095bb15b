"""Rules of one rate, or one row of a bucket base, and of the class that it is for."""

from __future__ import annotations

from collections.abc import Iterator

from ratemill.money import (
    PRICE_DIGITS_MAX,
    PRICE_PLACES_MAX,
    QUANTITY_PLACES_MAX,
    places,
    plain,
    significant_digits,
)
from ratemill.setup.declaration import Entry, Finding
from ratemill.setup.rules.findings import Findings
from ratemill.setup.world import World
from ratemill.visible import shown

PRODUCT_DIGITS_MAX = 37  # digits of a fixed part of a price over the common denominator of its rate

BY_LOCATION = "GeoTree"


def rater_with_rates(entry: Entry, world: World) -> Findings:
    """Keep a class that has rates, or rows of bucket bases, at locations rated by location."""
    if entry.stored is None or "rater" not in entry.changes or entry.row["rater"] == BY_LOCATION:
        return
    for table, noun in (("rates", "rates"), ("bucket_base_details", "rows of bucket bases")):
        placed = world.stored_rows(table, ("location_id", "location_group_id"), "usage_class_id", [entry.identity])
        if any(row["location_id"] or row["location_group_id"] for row in placed):
            name = entry.row["name"]
            yield (
                "usageRaterTypeName",
                f"'{shown(name)}' has {noun} at locations, so that its rater stays {BY_LOCATION}",
            )
            return


def one_place(entry: Entry, _world: World) -> Findings:
    """Hold a rate, or a row of a bucket base, to a location or a location group, or neither."""
    if entry.row["location_id"] is not None and entry.row["location_group_id"] is not None:
        yield "geoTreeLocationGroupName", f"a {entry.object.noun} has a location or a location group, not both"


def location_as_class_says(entry: Entry, world: World) -> Findings:
    """Hold rates, and rows of bucket bases, at locations to classes that are rated by location."""
    usage_class = world.row("usageClasses", entry.row["usage_class_id"])
    if usage_class is None or usage_class.get("rater") != "Class":
        return
    for column, member in (("location_id", "geoTreeLocationName"), ("location_group_id", "geoTreeLocationGroupName")):
        if entry.row[column] is not None:
            yield member, f"the usage class '{shown(usage_class['name'])}' is not rated by location"


def minimum_below_maximum(entry: Entry, _world: World) -> Findings:
    """Hold the least charge to no more than the most."""
    least, most = entry.row["minimum_charge"], entry.row["maximum_charge"]
    if least is not None and most is not None and least > most:
        yield "minimumCharge", f"the minimum charge {plain(least)} is more than the maximum charge {plain(most)}"


_FIXED = (
    ("connection_charge", "connectionCharge"),
    ("minimum_charge", "minimumCharge"),
    ("maximum_charge", "maximumCharge"),
)


def products_fit(entry: Entry, world: World) -> Findings:
    """Hold the largest product of a rate to 38 digits, told over the common denominator of its numbers."""
    row = entry.row
    unit = world.row("usageUnits", row["usage_unit_id"]) if row["calculation"] == "perUnit" else None
    per_digits = len(str(int(unit["multiplier"]))) if unit is not None and "multiplier" in unit else 1
    fixed = [(row[column], member) for column, member in _FIXED if row[column]]
    if not fixed and per_digits + QUANTITY_PLACES_MAX + PRICE_PLACES_MAX <= PRODUCT_DIGITS_MAX:
        return  # most rates are plain, and the digits of one price are checked where it is read
    amount = row["amount"]
    scale = max(QUANTITY_PLACES_MAX + places(amount), *(places(number) for number, _ in fixed), 0)
    shift = scale - QUANTITY_PLACES_MAX - places(amount)
    if amount and significant_digits(amount) + shift > PRICE_DIGITS_MAX:
        yield "amount", "has too many digits beside the places of the charges"
    if per_digits + scale > PRODUCT_DIGITS_MAX:
        yield "usageUnitName", "the unit has too many digits beside the places of the price"
    for number, member in fixed:
        if significant_digits(number) + scale - places(number) + per_digits > PRODUCT_DIGITS_MAX:
            yield member, "has too many digits beside the last place of the price"


def rate_everywhere(entries: list[Entry], world: World) -> Iterator[Finding]:
    """Warn of a rate without location for a class that is rated by location: it holds wherever no other does."""
    for entry in entries:
        usage_class = world.row("usageClasses", entry.row.get("usage_class_id"))
        placed = entry.row.get("location_id") or entry.row.get("location_group_id")
        if usage_class is not None and usage_class.get("rater") == BY_LOCATION and not placed:
            yield (
                entry,
                "geoTreeLocationName",
                "without a location it holds at every location that has no rate of its own",
            )
