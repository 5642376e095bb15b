"""Usage classes: what is counted, and whether its price depends on the location."""

from __future__ import annotations

from ratemill.setup.declaration import Member, MemberKind, Rule, SetupObject, name_member, reference
from ratemill.setup.rules.rates import rater_with_rates

OBJECT = SetupObject(
    list_name="usageClasses",
    path="Usage/Class/",
    dto_type_key="usageClass",
    noun="usage class",
    table="usage_classes",
    identity="usage_class_id",
    members=(
        name_member(),
        reference("usageBaseUnitName", "base_unit_id", "usageBaseUnits", required=True, frozen=True),
        Member("usageRaterTypeName", "rater", MemberKind.CHOICE, default="Class", choices=("Class", "GeoTree")),
        reference("usageClassTypeName", "usage_class_type_id", "usageClassTypes"),
    ),
    rules=(Rule(("rater",), rater_with_rates),),
)
