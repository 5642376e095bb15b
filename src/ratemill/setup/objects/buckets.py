"""Usage buckets: how much of what their bases accept is taken off usage before it is priced, and how it is refilled."""

from __future__ import annotations

from ratemill.setup.declaration import Link, Member, MemberKind, Rule, SetupObject, name_member, reference
from ratemill.setup.rules.buckets import (
    base_needed_and_not_retired,
    bases_count_alike,
    bucket_amounts_fit,
    check_steps,
    debt_in_money_only,
    frequency_in_pairs,
    money_without_unit,
    overage_at_the_rate,
    refill_of_its_type,
    size_or_steps,
)
from ratemill.setup.rules.currencies import check_currency

FREQUENCY_MAX = 1_000  # of days, weeks, months or years
FREQUENCIES = ("day", "week", "month", "year")


def _frequency(name: str, column: str, words: str) -> tuple[Member, Member]:
    return (
        Member(name, column, MemberKind.INTEGER, least=1, most=FREQUENCY_MAX, default_words=words),
        Member(f"{name}TypeName", f"{column}_type", MemberKind.CHOICE, choices=FREQUENCIES),
    )


OBJECT = SetupObject(
    list_name="usageBuckets",
    path="Usage/Bucket/",
    dto_type_key="usageBucket",
    noun="usage bucket",
    table="buckets",
    identity="bucket_id",
    members=(
        name_member(),
        Member(
            "usageBucketBaseNames",
            "base_ids",
            MemberKind.REFERENCES,
            default=(),
            default_words="none, for money only: any usage",
            target="usageBucketBases",
            link=Link("buckets_bases", "bucket_id", "bucket_base_id"),
        ),
        Member("currencyName", "currency", check=check_currency, frozen=True, default_words="none: it holds units"),
        Member("size", "size", MemberKind.QUANTITY, least=0),
        reference("usageUnitName", "usage_unit_id", "usageUnits", default_words="the base unit"),
        Member("steps", "steps", MemberKind.STRUCTURE, inner=True, default_words="none: a size"),
        Member("isInfiniteLastTier", "is_infinite_last_tier", MemberKind.BOOL, default=False),
        Member("increment", "increment", MemberKind.QUANTITY, least=0, default_words="none: exact"),
        Member("priority", "priority", MemberKind.INTEGER, default=1, least=1),
        Member(
            "usageBucketRefillTypeName",
            "refill",
            MemberKind.CHOICE,
            default="once",
            choices=("once", "recurring", "rollover"),
        ),
        *_frequency("refillFrequency", "refill_frequency", "the billing period of the account"),
        *_frequency("expireAfterFrequency", "expire_after_frequency", "with the refill; once: never"),
        Member("prorate", "prorate", MemberKind.BOOL, default=False),
        Member("whenEmpty", "when_empty", MemberKind.CHOICE, default="next", choices=("next", "rate", "refuse")),
        reference("overageUsageRatePlanName", "overage_rate_plan_id", "usageRatePlans"),
        Member("mayOwe", "may_owe", MemberKind.BOOL, default=False),
    ),
    rules=(
        Rule(("base_ids", "currency"), base_needed_and_not_retired),
        Rule(("base_ids", "usage_unit_id"), bases_count_alike),
        Rule(("currency", "usage_unit_id"), money_without_unit),
        Rule(("size", "document", "is_infinite_last_tier"), size_or_steps),
        Rule(("size", "document", "increment", "usage_unit_id"), bucket_amounts_fit),
        Rule(
            ("refill_frequency", "refill_frequency_type", "expire_after_frequency", "expire_after_frequency_type"),
            frequency_in_pairs,
        ),
        Rule(("refill", "refill_frequency"), refill_of_its_type),
        Rule(("when_empty", "overage_rate_plan_id"), overage_at_the_rate),
        Rule(("currency", "may_owe"), debt_in_money_only),
    ),
    document="document",
    finish=check_steps,
)
