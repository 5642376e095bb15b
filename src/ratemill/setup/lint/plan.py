"""What the lint looks at, a rate plan with everything that its prices are made of, and what it finds there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Literal

from ratemill.periods import write_instant
from ratemill.setup.rules.spans import EARLIEST
from ratemill.setup.world import Row

Severity = Literal["error", "warning", "notice"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one rule says of one object."""

    rule: str
    severity: Severity
    message: str
    list: str
    identity: int
    key: str
    member: str | None = None


@dataclass(frozen=True)
class PlanSetup:
    """A rate plan with everything that its prices are made of; ``groups`` by priority, tables by identity.

    ``members`` are the locations by location group, ``accounts`` those that the plan prices, ``names`` the places.
    """

    plan: Row
    groups: list[Row]
    rates: list[Row]
    classes: dict[int, Row]
    units: dict[int, Row]
    locations: dict[int, Row]
    location_groups: dict[int, Row]
    members: dict[int, tuple[int, ...]]
    patterns: list[Row]
    accounts: list[Row]
    owner_places: int
    now: datetime

    @cached_property
    def groups_by_id(self) -> dict[int, Row]:
        """The plan's groups by identity."""
        return {group["rate_group_id"]: group for group in self.groups}

    @cached_property
    def groups_of(self) -> dict[int, tuple[int, ...]]:
        """The location groups that each location is in."""
        found: defaultdict[int, list[int]] = defaultdict(list)
        for location_group_id, members in self.members.items():
            for location_id in members:
                found[location_id].append(location_group_id)
        return {location_id: tuple(groups) for location_id, groups in found.items()}

    @cached_property
    def by_place(self) -> dict[tuple[int, int, int | None, int | None], list[Row]]:
        """The rates of each group, class, location and location group, by start."""
        found: defaultdict[tuple[int, int, int | None, int | None], list[Row]] = defaultdict(list)
        for rate in self.rates:
            found[place_of(rate)].append(rate)
        for rates in found.values():
            if len(rates) > 1:
                rates.sort(key=start_of)
        return dict(found)

    def above(self, location_id: int) -> Iterator[int]:
        """Yield the locations above one, the nearest first."""
        seen = {location_id}
        location = self.locations.get(location_id)
        while location is not None and (parent := location["parent_location_id"]) is not None and parent not in seen:
            seen.add(parent)
            yield parent
            location = self.locations.get(parent)

    def key(self, rate: Row) -> str:
        """Return the key of a rate in words."""
        parts = [
            self.groups_by_id[rate["rate_group_id"]]["name"],
            self.classes[rate["usage_class_id"]]["name"],
            name_of(self.locations, rate["location_id"]),
            name_of(self.location_groups, rate["location_group_id"]),
            write_instant(rate["start_at"]) if rate["start_at"] is not None else None,
        ]
        return " / ".join(part for part in parts if part is not None)


def place_of(rate: Row) -> tuple[int, int, int | None, int | None]:
    """Return what a rate is a rate of, but for time."""
    return rate["rate_group_id"], rate["usage_class_id"], rate["location_id"], rate["location_group_id"]


def name_of(rows: dict[int, Row], identity: int | None) -> str | None:
    """Return the name of a row of a table, if there is one."""
    row = rows.get(identity) if identity is not None else None
    return row["name"] if row is not None else None


def start_of(row: Row) -> datetime:
    """Return when a row begins; what has no start begins before everything."""
    return row["start_at"] or EARLIEST


def _before(start: datetime | None, end: datetime | None) -> bool:
    return start is None or end is None or start < end


def meet(row: Row, other: Row) -> bool:
    """Whether the spans of two rows have an instant in common."""
    return _before(row["start_at"], other["end_at"]) and _before(other["start_at"], row["end_at"])


def on_rate(  # noqa: PLR0917 -- the parts of a finding
    setup: PlanSetup, rate: Row, rule: str, severity: Severity, message: str, member: str
) -> Finding:
    """Return a finding of a rate, named by group, class and place."""
    return Finding(rule, severity, message, "usageRates", rate["rate_id"], setup.key(rate), member)


def by_currency(setup: PlanSetup) -> dict[str, list[Row]]:
    """Return the groups of the plan by their currency, in their order."""
    found: defaultdict[str, list[Row]] = defaultdict(list)
    for group in setup.groups:
        if not group["use_for_cost"]:
            found[group["currency"]].append(group)
    return dict(found)
