"""Rates: what one class of usage costs in a rate group, perhaps at a place, for a time."""

from __future__ import annotations

from ratemill.setup.declaration import NAME_CHARS_MAX, Member, MemberKind, Rule, SetupObject, reference, span
from ratemill.setup.rules.rates import (
    location_as_class_says,
    minimum_below_maximum,
    one_place,
    products_fit,
    rate_everywhere,
)
from ratemill.setup.rules.spans import start_before_end
from ratemill.setup.rules.ties import no_tie, no_tie_through_groups
from ratemill.setup.rules.units import same_base_unit_as_class

OBJECT = SetupObject(
    list_name="usageRates",
    path="Usage/Rate/",
    dto_type_key="usageRate",
    noun="rate",
    table="rates",
    identity="rate_id",
    members=(
        reference("usageRateGroupName", "rate_group_id", "usageRateGroups", required=True, parent=True),
        reference("usageClassName", "usage_class_id", "usageClasses", required=True),
        Member("amount", "amount", MemberKind.PRICE, required=True),
        reference("usageUnitName", "usage_unit_id", "usageUnits", default_words="the base unit of the class"),
        reference("geoTreeLocationName", "location_id", "geoTreeLocations"),
        reference("geoTreeLocationGroupName", "location_group_id", "geoTreeLocationGroups"),
        reference("usageRoundingName", "usage_rounding_id", "usageRoundings"),
        Member(
            "usageRateCalculationTypeName",
            "calculation",
            MemberKind.CHOICE,
            default="perUnit",
            choices=("perUnit", "perEvent"),
        ),
        Member("connectionCharge", "connection_charge", MemberKind.PRICE, default=0, least=0),
        Member("minimumCharge", "minimum_charge", MemberKind.PRICE, least=0),
        Member("maximumCharge", "maximum_charge", MemberKind.PRICE, least=0),
        *span(),
        Member("displayName", "display_name", chars_max=NAME_CHARS_MAX),
    ),
    key=("rate_group_id", "usage_class_id", "location_id", "location_group_id", "start_at"),
    lookup=("rate_group_id", "usage_class_id", "location_id", "location_group_id"),
    rules=(
        Rule(("start_at", "end_at"), start_before_end),
        Rule(("location_id", "location_group_id"), one_place),
        Rule(("usage_class_id", "location_id", "location_group_id"), location_as_class_says),
        Rule(
            ("usage_class_id", "usage_unit_id"), same_base_unit_as_class("usage_unit_id", "usageUnits", "usageUnitName")
        ),
        Rule(
            ("usage_class_id", "usage_rounding_id"),
            same_base_unit_as_class("usage_rounding_id", "usageRoundings", "usageRoundingName"),
        ),
        Rule(("minimum_charge", "maximum_charge"), minimum_below_maximum),
        Rule(
            ("amount", "usage_unit_id", "calculation", "connection_charge", "minimum_charge", "maximum_charge"),
            products_fit,
        ),
    ),
    list_rules=(no_tie, no_tie_through_groups),
    warnings=(rate_everywhere,),
)
