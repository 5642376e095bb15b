"""All set-up objects, in an order in which each stands behind those that it refers to."""

from __future__ import annotations

from collections.abc import Iterator

from ratemill.setup.declaration import Member, SetupObject
from ratemill.setup.objects import (
    account_buckets,
    accounts,
    base_units,
    bucket_base_details,
    bucket_bases,
    buckets,
    data_profiles,
    feeds,
    identifier_types,
    identifiers,
    location_groups,
    location_patterns,
    locations,
    owners,
    rate_groups,
    rate_plans,
    rates,
    service_buckets,
    services,
    subscription_rate_plans,
    time_periods,
    usage_class_types,
    usage_classes,
    usage_roundings,
    usage_units,
)

BASE_UNITS: SetupObject = base_units.OBJECT
OWNERS: SetupObject = owners.OBJECT
OBJECTS: tuple[SetupObject, ...] = (
    identifier_types.OBJECT,
    usage_class_types.OBJECT,
    usage_units.OBJECT,
    usage_roundings.OBJECT,
    usage_classes.OBJECT,
    locations.OBJECT,
    location_patterns.OBJECT,
    location_groups.OBJECT,
    bucket_bases.OBJECT,
    bucket_base_details.OBJECT,
    data_profiles.OBJECT,
    feeds.OBJECT,
    time_periods.OBJECT,
    rate_groups.OBJECT,
    rate_plans.OBJECT,
    owners.OBJECT,
    rates.OBJECT,
    buckets.OBJECT,
    accounts.OBJECT,
    services.OBJECT,
    identifiers.OBJECT,
    account_buckets.OBJECT,
    service_buckets.OBJECT,
    subscription_rate_plans.OBJECT,
)
BY_LIST: dict[str, SetupObject] = {kind.list_name: kind for kind in (BASE_UNITS, *OBJECTS)}
BY_PATH: dict[str, SetupObject] = {each.path.strip("/").lower(): each for each in BY_LIST.values()}
WRITABLE: dict[str, SetupObject] = {kind.list_name: kind for kind in OBJECTS if not kind.singular}


def referring(kind: SetupObject) -> Iterator[tuple[SetupObject, Member]]:
    """Yield every kind of object that may point to ``kind``, with the member by which it does."""
    for other in OBJECTS:
        for member in other.references:
            if member.target == kind.list_name and not member.virtual:
                yield other, member


def children(kind: SetupObject) -> Iterator[tuple[SetupObject, Member]]:
    """Yield the kinds of object that are parts of ``kind``, with the member that says of which."""
    return ((other, member) for other, member in referring(kind) if member.parent)
