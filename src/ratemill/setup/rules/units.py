"""Rules of base units: what belongs together counts in the same one, and quantities keep their digits."""

from __future__ import annotations

from decimal import Decimal

from ratemill.money import (
    QUANTITY_INTEGER_DIGITS_MAX,
    QUANTITY_PLACES_MAX,
    places,
    plain,
)
from ratemill.setup.declaration import Entry
from ratemill.setup.rules.findings import EntryRule, Findings
from ratemill.setup.world import Row, World
from ratemill.visible import shown


def same_base_unit(column: str, target: str, member: str) -> EntryRule:
    """Return the rule that what ``column`` refers to counts in the same base unit as the entry."""

    def check(entry: Entry, world: World) -> Findings:
        yield from _same_base_unit(entry.row["base_unit_id"], world.row(target, entry.row[column]), member, world)

    return check


def same_base_unit_as_class(column: str, target: str, member: str) -> EntryRule:
    """Return the rule that what ``column`` refers to counts in the same base unit as the entry's usage class."""

    def check(entry: Entry, world: World) -> Findings:
        if entry.row[column] is None:
            return
        usage_class = world.row("usageClasses", entry.row["usage_class_id"])
        if usage_class is not None:
            yield from _same_base_unit(
                usage_class.get("base_unit_id"), world.row(target, entry.row[column]), member, world
            )

    return check


def _same_base_unit(base_unit_id: int | None, other: Row | None, member: str, world: World) -> Findings:
    if base_unit_id is None or other is None or other.get("base_unit_id") in (None, base_unit_id):
        return
    mine, theirs = (world.name("usageBaseUnits", each) for each in (base_unit_id, other["base_unit_id"]))
    yield member, f"'{shown(other['name'])}' counts {theirs}, not {mine}"


def quantity_fits(number: Decimal) -> bool:
    """Return whether a number has no more digits than a quantity may have."""
    return number < 10**QUANTITY_INTEGER_DIGITS_MAX and places(number) <= QUANTITY_PLACES_MAX


def rounding_fits(entry: Entry, world: World) -> Findings:
    """Hold minimum and increment, told in base units, to the digits of a quantity."""
    unit = world.row("usageUnits", entry.row["usage_unit_id"])
    for name in ("minimum", "increment"):
        number = entry.row[name]
        if number is None or unit is None or "multiplier" not in unit:
            continue
        if not quantity_fits(number * unit["multiplier"]):
            yield name, f"'{plain(number)}' is too large in the base unit"
