"""The rows of a bucket base: which usage draws, by class and perhaps by place, and which does not."""

from __future__ import annotations

from ratemill.setup.declaration import Member, MemberKind, Rule, SetupObject, reference
from ratemill.setup.rules.buckets import class_counts_as_base
from ratemill.setup.rules.rates import location_as_class_says, one_place

OBJECT = SetupObject(
    list_name="usageBucketBaseDetails",
    path="Usage/Bucket/BaseDetail/",
    dto_type_key="usageBucketBaseDetail",
    noun="row of a bucket base",
    table="bucket_base_details",
    identity="bucket_base_detail_id",
    members=(
        reference("usageBucketBaseName", "bucket_base_id", "usageBucketBases", required=True, parent=True),
        reference("usageClassName", "usage_class_id", "usageClasses", required=True),
        reference("geoTreeLocationName", "location_id", "geoTreeLocations"),
        Member("exclude", "exclude", MemberKind.BOOL, default=False),
        reference("geoTreeLocationGroupName", "location_group_id", "geoTreeLocationGroups"),
    ),
    key=("bucket_base_id", "usage_class_id", "location_id", "location_group_id"),
    lookup=("bucket_base_id", "usage_class_id"),
    rules=(
        Rule(("location_id", "location_group_id"), one_place),
        Rule(("usage_class_id", "location_id", "location_group_id"), location_as_class_says),
        Rule(("bucket_base_id", "usage_class_id"), class_counts_as_base),
    ),
)
