"""Usage identifiers: the keys that usage carries, each of one service at any instant."""

from __future__ import annotations

from ratemill.setup.declaration import Rule, SetupObject, name_member, reference, span
from ratemill.setup.rules.accounts import account_with_service, zone_of_named_account
from ratemill.setup.rules.spans import no_overlap, start_before_end

OBJECT = SetupObject(
    list_name="usageIdentifiers",
    path="Account/Service/UsageIdentifier/",
    dto_type_key="usageIdentifier",
    noun="usage identifier",
    table="identifiers",
    identity="identifier_id",
    members=(
        name_member("udrUsageIdentifier", "usage_identifier"),
        reference("accountName", "account_id", "accounts", required=True, virtual=True),
        reference(
            "accountServiceName", "service_id", "accountServices", required=True, parent=True, within="account_id"
        ),
        reference("udrIdentifierTypeName", "identifier_type_id", "udrIdentifierTypes", default="Unknown"),
        *span(),
    ),
    key=("usage_identifier", "identifier_type_id", "start_at"),
    lookup=("usage_identifier",),
    rules=(
        Rule(("start_at", "end_at"), start_before_end),
        Rule(("account_id", "service_id"), account_with_service),
    ),
    list_rules=(no_overlap,),
    zone=zone_of_named_account,
)
