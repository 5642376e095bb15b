"""Rounding rules: what is billed at least, and in which increments above it."""

from __future__ import annotations

from ratemill.setup.declaration import Member, MemberKind, Rule, SetupObject, name_member, reference
from ratemill.setup.rules.units import rounding_fits, same_base_unit

OBJECT = SetupObject(
    list_name="usageRoundings",
    path="Usage/Rounding/",
    dto_type_key="usageRounding",
    noun="rounding rule",
    table="usage_roundings",
    identity="usage_rounding_id",
    members=(
        name_member(),
        reference("usageBaseUnitName", "base_unit_id", "usageBaseUnits", required=True, frozen=True),
        reference("usageUnitName", "usage_unit_id", "usageUnits", default_words="the base unit"),
        Member("minimum", "minimum", MemberKind.QUANTITY, default=0, least=0),
        Member("increment", "increment", MemberKind.QUANTITY, default_words="none: exact", least=0),
        Member("active", "active", MemberKind.BOOL, default=True),
        Member("sortOrder", "sort_order", MemberKind.INTEGER, least=1),
    ),
    rules=(
        Rule(("base_unit_id", "usage_unit_id"), same_base_unit("usage_unit_id", "usageUnits", "usageUnitName")),
        Rule(("usage_unit_id", "minimum", "increment"), rounding_fits),
    ),
)
