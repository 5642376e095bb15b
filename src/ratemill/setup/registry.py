"""All set-up objects, in an order in which each stands behind those that it refers to."""

from __future__ import annotations

from ratemill.setup.declaration import SetupObject
from ratemill.setup.objects import (
    accounts,
    base_units,
    data_profiles,
    feeds,
    identifier_types,
    identifiers,
    location_groups,
    location_patterns,
    locations,
    rate_groups,
    rate_plans,
    rates,
    services,
    usage_class_types,
    usage_classes,
    usage_roundings,
    usage_units,
)

BASE_UNITS: SetupObject = base_units.OBJECT
OBJECTS: tuple[SetupObject, ...] = (
    identifier_types.OBJECT,
    usage_class_types.OBJECT,
    usage_units.OBJECT,
    usage_roundings.OBJECT,
    usage_classes.OBJECT,
    locations.OBJECT,
    location_patterns.OBJECT,
    location_groups.OBJECT,
    data_profiles.OBJECT,
    feeds.OBJECT,
    rate_groups.OBJECT,
    rate_plans.OBJECT,
    rates.OBJECT,
    accounts.OBJECT,
    services.OBJECT,
    identifiers.OBJECT,
)
BY_LIST: dict[str, SetupObject] = {each.list_name: each for each in (BASE_UNITS, *OBJECTS)}
WRITABLE: dict[str, SetupObject] = {each.list_name: each for each in OBJECTS}
