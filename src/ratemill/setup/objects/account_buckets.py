"""Usage buckets of accounts: shared by all services of the account and of the accounts below it."""

from __future__ import annotations

from ratemill.setup.declaration import Rule, SetupObject, reference, span
from ratemill.setup.rules.accounts import zone_of_named_account
from ratemill.setup.rules.buckets import attached_once, currency_of_account, not_drawn_on_yet
from ratemill.setup.rules.spans import start_before_end

OBJECT = SetupObject(
    list_name="accountUsageBuckets",
    path="Account/UsageBucket/",
    dto_type_key="accountUsageBucket",
    noun="bucket of an account",
    table="account_buckets",
    identity="account_bucket_id",
    members=(
        reference("accountName", "account_id", "accounts", required=True, parent=True),
        reference("usageBucketName", "bucket_id", "usageBuckets", required=True),
        *span(),
    ),
    key=("account_id", "bucket_id", "start_at"),
    lookup=("account_id", "bucket_id"),
    rules=(Rule(("start_at", "end_at"), start_before_end), Rule(("account_id", "bucket_id"), currency_of_account)),
    list_rules=(attached_once("account_id"),),
    warnings=(not_drawn_on_yet,),
    zone=zone_of_named_account,
)
