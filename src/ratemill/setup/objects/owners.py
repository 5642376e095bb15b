"""Owners: the defaults of all prices of one; made with its first token or document, and addressed over HTTP alone."""

from __future__ import annotations

from ratemill.money import AMOUNT_PLACES_MAX, AMOUNT_ROUNDINGS
from ratemill.setup.declaration import Member, MemberKind, SetupObject, name_member, reference

OBJECT = SetupObject(
    list_name="owners",
    path="Owner/",
    dto_type_key="owner",
    noun="owner",
    table="owners",
    identity="owner_id",
    members=(
        name_member(),
        Member(
            "amountPrecision",
            "amount_places",
            MemberKind.INTEGER,
            default=AMOUNT_PLACES_MAX,
            least=0,
            most=AMOUNT_PLACES_MAX,
        ),
        Member("roundingMethodTypeName", "rounding", MemberKind.CHOICE, default="half_up", choices=AMOUNT_ROUNDINGS),
        reference("usageRatePlanName", "rate_plan_id", "usageRatePlans"),
    ),
    singular=True,
)
