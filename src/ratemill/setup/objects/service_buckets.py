"""Usage buckets of services: each draws on its own."""

from __future__ import annotations

from ratemill.setup.declaration import Rule, SetupObject, reference, span
from ratemill.setup.rules.accounts import account_with_service, zone_of_named_account
from ratemill.setup.rules.buckets import attached_once, currency_of_account, not_drawn_on_yet
from ratemill.setup.rules.spans import start_before_end

OBJECT = SetupObject(
    list_name="accountServiceUsageBuckets",
    path="Account/Service/UsageBucket/",
    dto_type_key="accountServiceUsageBucket",
    noun="bucket of a service",
    table="service_buckets",
    identity="service_bucket_id",
    members=(
        reference("accountName", "account_id", "accounts", required=True, virtual=True),
        reference(
            "accountServiceName", "service_id", "accountServices", required=True, parent=True, within="account_id"
        ),
        reference("usageBucketName", "bucket_id", "usageBuckets", required=True),
        *span(),
    ),
    key=("service_id", "bucket_id", "start_at"),
    lookup=("service_id", "bucket_id"),
    rules=(
        Rule(("start_at", "end_at"), start_before_end),
        Rule(("account_id", "service_id"), account_with_service),
        Rule(("service_id", "bucket_id"), currency_of_account),
    ),
    list_rules=(attached_once("service_id"),),
    warnings=(not_drawn_on_yet,),
    zone=zone_of_named_account,
)
