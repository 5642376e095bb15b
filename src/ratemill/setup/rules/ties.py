"""Rules of rates that would be in force at the same time and place."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from ratemill.setup.declaration import Entry, Finding
from ratemill.setup.rules.spans import before, overlapping
from ratemill.setup.world import Row, Sheet, World

MEETS = "a rate of another location group holds at the same time at a location of both"


def no_tie(entries: list[Entry], world: World) -> Iterator[Finding]:
    """Hold the rates of one group, class and place to one at any instant."""
    columns = ("rate_group_id", "usage_class_id", "location_id", "location_group_id")
    for entry, other in overlapping(entries, world, columns):
        message = f"holds at the same time as {other} of the same group, class and place"
        yield entry, "start", message


def no_tie_through_groups(entries: list[Entry], world: World) -> Iterator[Finding]:
    """Hold rates of two location groups to the same, where they have a common location."""
    sheets = {(e.row["rate_group_id"], e.row["usage_class_id"]) for e in entries if e.row["location_group_id"]}
    if not sheets:
        return
    by_identity = {entry.identity: entry for entry in entries}
    for rates in _by_sheet(sheets, world):
        for one, other in _pairs_that_tie(rates, world):
            entry = by_identity.get(other["identity"]) or by_identity.get(one["identity"])
            if entry is not None:
                yield entry, "geoTreeLocationGroupName", MEETS


def groups_without_tie(entries: list[Entry], world: World) -> Iterator[Finding]:
    """Hold a location group whose members change to the same."""
    changed = [e for e in entries if e.stored is not None and "location_ids" in e.changes]
    if not changed:
        return
    groups = {entry.identity: entry for entry in changed}
    rates = world.stored_rows("rates", ("rate_group_id", "usage_class_id"), "location_group_id", groups)
    for sheet in _by_sheet({(rate["rate_group_id"], rate["usage_class_id"]) for rate in rates}, world):
        for one, other in _pairs_that_tie(sheet, world):
            entry = groups.get(one["location_group_id"]) or groups.get(other["location_group_id"])
            if entry is not None:
                yield entry, "geoTreeLocationNames", "two rates of one group and class would meet at a common location"


def _by_sheet(sheets: set[Sheet], world: World) -> list[list[Row]]:
    found: defaultdict[Sheet, list[Row]] = defaultdict(list)
    for identity, row in world.rates_at_location_groups(sheets).items():
        found[row["rate_group_id"], row["usage_class_id"]].append(row | {"identity": identity})
    return list(found.values())


def _pairs_that_tie(rates: list[Row], world: World) -> Iterator[tuple[Row, Row]]:
    members = _members({row["location_group_id"] for row in rates}, world)
    for index, one in enumerate(rates):
        for other in rates[index + 1 :]:
            groups = one["location_group_id"], other["location_group_id"]
            if groups[0] != groups[1] and members[groups[0]] & members[groups[1]] and _meet(one, other):
                yield one, other


def _members(location_group_ids: set[int], world: World) -> dict[int, set[int]]:
    known = world.rows["geoTreeLocationGroups"]
    members = {
        location_group_id: set(known[location_group_id].get("location_ids") or ())
        for location_group_id in location_group_ids
        if location_group_id in known
    }
    return members | world.stored_members(location_group_ids - members.keys())


def _meet(row: Row, other: Row) -> bool:
    return before(row["start_at"], other["end_at"]) and before(other["start_at"], row["end_at"])
