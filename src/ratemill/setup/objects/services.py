"""Services: what an account uses."""

from __future__ import annotations

from ratemill.setup.declaration import Rule, SetupObject, name_member, reference, span
from ratemill.setup.rules.accounts import zone_of_named_account
from ratemill.setup.rules.buckets import service_keeps_currency_of_buckets
from ratemill.setup.rules.plans import currency_without_group
from ratemill.setup.rules.spans import start_before_end

OBJECT = SetupObject(
    list_name="accountServices",
    path="Account/Service/",
    dto_type_key="accountService",
    noun="service",
    table="services",
    identity="service_id",
    members=(
        reference("accountName", "account_id", "accounts", required=True, parent=True),
        name_member(),
        reference("usageRatePlanName", "rate_plan_id", "usageRatePlans"),
        *span(),
    ),
    key=("account_id", "name"),
    lookup=("account_id", "name"),
    rules=(
        Rule(("start_at", "end_at"), start_before_end),
        Rule(("account_id",), service_keeps_currency_of_buckets),
    ),
    warnings=(currency_without_group,),
    zone=zone_of_named_account,
)
