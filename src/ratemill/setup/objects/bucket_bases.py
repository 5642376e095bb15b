"""Bucket bases: what a usage bucket counts; new buckets choose among those that are not retired."""

from __future__ import annotations

from ratemill.setup.declaration import Member, MemberKind, Rule, SetupObject, name_member, reference, span
from ratemill.setup.rules.buckets import base_unit_in_use, mark_retired

OBJECT = SetupObject(
    list_name="usageBucketBases",
    path="Usage/Bucket/Base/",
    dto_type_key="usageBucketBase",
    noun="bucket base",
    table="bucket_bases",
    identity="bucket_base_id",
    members=(
        name_member(),
        *span(),  # the start has no effect, so that it need not stand before the end
        Member("retired", "retired", MemberKind.BOOL, default=False),
        reference("usageBucketBaseUnitName", "base_unit_id", "usageBaseUnits", required=True),
    ),
    rules=(Rule(("base_unit_id",), base_unit_in_use),),
    finish=mark_retired,
    detail_first=True,
)
