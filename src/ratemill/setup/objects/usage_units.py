"""Units that prices and rounding rules are stated in, each a multiple of a base unit."""

from __future__ import annotations

from decimal import Decimal

from ratemill.setup.declaration import Member, MemberKind, SetupObject, name_member, reference


def check_multiplier(number: object) -> str | None:
    """Hold a unit to a whole number of base units, at least one: prices are then exact in either."""
    whole = isinstance(number, Decimal) and number > 0 and number == number.to_integral_value()
    return None if whole else "must be a whole number, at least 1"


OBJECT = SetupObject(
    list_name="usageUnits",
    path="Usage/Unit/",
    dto_type_key="usageUnit",
    noun="usage unit",
    table="usage_units",
    identity="usage_unit_id",
    members=(
        name_member(),
        reference("usageBaseUnitName", "base_unit_id", "usageBaseUnits", required=True, frozen=True),
        Member("multiplierToBaseUnitType", "multiplier", MemberKind.QUANTITY, required=True, check=check_multiplier),
    ),
)
