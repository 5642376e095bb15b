"""Accounts: who pays, in which currency and time zone."""

from __future__ import annotations

from ratemill.periods import read_zone
from ratemill.setup.declaration import Member, MemberKind, Rule, SetupObject, name_member, reference, span
from ratemill.setup.rules.accounts import account_zone, currency_of_charged_account
from ratemill.setup.rules.buckets import account_keeps_currency_of_buckets
from ratemill.setup.rules.currencies import check_currency
from ratemill.setup.rules.names import no_cycle
from ratemill.setup.rules.plans import currency_without_group
from ratemill.setup.rules.spans import start_before_end

BILL_DAY_MAX = 31


def check_zone(name: str) -> str | None:
    """Say so if there is no time zone of that name."""
    try:
        read_zone(name)
    except ValueError as error:
        return str(error)
    return None


OBJECT = SetupObject(
    list_name="accounts",
    path="Account/",
    dto_type_key="account",
    noun="account",
    table="accounts",
    identity="account_id",
    members=(
        name_member(),
        Member("currencyName", "currency", required=True, check=check_currency),
        reference("parentAccountName", "parent_account_id", "accounts"),
        reference("usageRatePlanName", "rate_plan_id", "usageRatePlans"),
        Member("timeZone", "time_zone", default="UTC", check=check_zone),
        Member("usageBillDay", "bill_day", MemberKind.INTEGER, default=1, least=1, most=BILL_DAY_MAX),
        *span(),
    ),
    rules=(
        Rule(("start_at", "end_at"), start_before_end),
        Rule(("currency",), currency_of_charged_account),
        Rule(("currency",), account_keeps_currency_of_buckets),
    ),
    list_rules=(no_cycle("parent_account_id", "parentAccountName"),),
    warnings=(currency_without_group,),
    zone=account_zone,
)
