"""Base units: Time, Data and Count; built in, read-only, of no owner."""

from __future__ import annotations

from ratemill.setup.declaration import Member, MemberKind, SetupObject, name_member

OBJECT = SetupObject(
    list_name="usageBaseUnits",
    path="Usage/Bucket/BaseUnit/",
    dto_type_key="usageBucketBaseUnit",
    noun="base unit",
    table="base_units",
    identity="base_unit_id",
    members=(
        name_member(),
        Member("description", "description"),
        Member("sortOrder", "sort_order", MemberKind.INTEGER),
        Member("visible", "visible", MemberKind.BOOL),
        Member("isBaseBucketEligible", "is_base_bucket_eligible", MemberKind.BOOL),
        Member("usageBaseUnitId", "base_unit_id", MemberKind.INTEGER),
    ),
    owned=False,
    read_only=True,
)
