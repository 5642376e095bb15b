"""Categories of usage classes, for reports and mediation."""

from __future__ import annotations

from ratemill.setup.declaration import Member, MemberKind, SetupObject, name_member

OBJECT = SetupObject(
    list_name="usageClassTypes",
    path="Usage/ClassType/",
    dto_type_key="usageClassType",
    noun="usage class type",
    table="usage_class_types",
    identity="usage_class_type_id",
    members=(name_member(), Member("sortOrder", "sort_order", MemberKind.INTEGER, default=1, least=1)),
)
