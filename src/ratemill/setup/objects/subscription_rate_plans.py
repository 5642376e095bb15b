"""Which rate plan rates the usage of subscriptions: by their plan, by their offering, or by default."""

from __future__ import annotations

from ratemill.setup.declaration import Member, MemberKind, Rule, SetupObject, reference
from ratemill.setup.rules.accounts import one_kind_of_subscription

EXTERNAL_REF_CHARS_MAX = 2_048  # characters of a reference of another system

OBJECT = SetupObject(
    list_name="subscriptionRatePlans",
    path="Subscription/RatePlan/",
    dto_type_key="subscriptionRatePlan",
    noun="rate plan of subscriptions",
    table="subscription_rate_plans",
    identity="subscription_rate_plan_id",
    members=(
        Member("planExternalRef", "plan_external_ref", chars_max=EXTERNAL_REF_CHARS_MAX),
        Member("offeringExternalRef", "offering_external_ref", chars_max=EXTERNAL_REF_CHARS_MAX),
        Member("default", "is_default", MemberKind.BOOL, default=False),
        reference("usageRatePlanName", "rate_plan_id", "usageRatePlans", required=True),
    ),
    key=("plan_external_ref", "offering_external_ref"),
    lookup=(),
    keyless="default",
    rules=(Rule(("plan_external_ref", "offering_external_ref", "is_default"), one_kind_of_subscription),),
)
