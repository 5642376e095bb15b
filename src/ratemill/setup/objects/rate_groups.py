"""Rate groups: rates in one currency, for a time."""

from __future__ import annotations

from ratemill.setup.declaration import (
    NAME_CHARS_MAX,
    Member,
    MemberKind,
    Rule,
    SetupObject,
    name_member,
    precision,
    reference,
    span,
)
from ratemill.setup.rules.currencies import check_currency
from ratemill.setup.rules.plans import pass_through_in_no_plan, time_period_not_rated
from ratemill.setup.rules.spans import start_before_end

OBJECT = SetupObject(
    list_name="usageRateGroups",
    path="Usage/Rate/Group/",
    dto_type_key="usageRateGroup",
    noun="rate group",
    table="rate_groups",
    identity="rate_group_id",
    members=(
        name_member(),
        Member("currencyName", "currency", required=True, check=check_currency),
        Member("displayName", "display_name", chars_max=NAME_CHARS_MAX),
        *span(),
        reference("timePeriodName", "time_period_id", "timePeriods"),
        Member("useForCost", "use_for_cost", MemberKind.BOOL, default=False),
        Member("isPassThrough", "is_pass_through", MemberKind.BOOL, default=False),
        precision("the plan's"),
    ),
    rules=(
        Rule(("start_at", "end_at"), start_before_end),
        Rule(("time_period_id",), time_period_not_rated),
        Rule(("is_pass_through", "use_for_cost"), pass_through_in_no_plan),
    ),
)
