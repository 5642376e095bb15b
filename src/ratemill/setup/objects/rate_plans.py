"""Rate plans: rate groups by priority."""

from __future__ import annotations

from ratemill.setup.declaration import (
    NAME_CHARS_MAX,
    Link,
    Member,
    MemberKind,
    Rule,
    SetupObject,
    name_member,
    precision,
)
from ratemill.setup.rules.plans import plan_without_pass_through

OBJECT = SetupObject(
    list_name="usageRatePlans",
    path="Usage/Rate/Plan/",
    dto_type_key="usageRatePlan",
    noun="rate plan",
    table="rate_plans",
    identity="rate_plan_id",
    members=(
        name_member(),
        Member(
            "usageRateGroupNames",
            "rate_group_ids",
            MemberKind.REFERENCES,
            required=True,
            target="usageRateGroups",
            link=Link("rate_plan_groups", "rate_plan_id", "rate_group_id"),
        ),
        Member("displayName", "display_name", chars_max=NAME_CHARS_MAX),
        precision("the owner's"),
    ),
    rules=(Rule(("rate_group_ids",), plan_without_pass_through),),
)
