"""The rules of the lint that look at times: of rates, and of the groups of a plan."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from ratemill.periods import write_instant
from ratemill.setup.lint.plan import Finding, PlanSetup, Severity, by_currency, meet, name_of, on_rate, start_of
from ratemill.setup.world import Row
from ratemill.visible import shown


def rates_overlap(setup: PlanSetup) -> Iterator[Finding]:
    """Find two rates of one group, class and place that hold at one instant."""
    for rates in setup.by_place.values():
        furthest = rates[0]
        for rate in rates[1:]:
            if meet(furthest, rate):
                message = f"holds at the same time as rate {furthest['rate_id']} of the same group, class and place"
                yield on_rate(setup, rate, "rates_overlap", "error", message, "start")
            if rate["end_at"] is None or (furthest["end_at"] is not None and rate["end_at"] > furthest["end_at"]):
                furthest = rate


def rates_tie(setup: PlanSetup) -> Iterator[Finding]:
    """Find rates of two location groups with a common location that hold at one instant: neither is the nearer."""
    sheets: defaultdict[tuple[int, int], list[Row]] = defaultdict(list)
    for rate in setup.rates:
        if rate["location_group_id"] is not None:
            sheets[rate["rate_group_id"], rate["usage_class_id"]].append(rate)
    for rates in sheets.values():
        yield from _ties(setup, sorted(rates, key=start_of))


def _ties(setup: PlanSetup, rates: list[Row]) -> Iterator[Finding]:
    by_location: defaultdict[int, list[Row]] = defaultdict(list)
    said: set[int] = set()
    for rate in rates:
        for location_id in setup.members.get(rate["location_group_id"], ()):
            for other in by_location[location_id]:
                is_another = other["location_group_id"] != rate["location_group_id"] and rate["rate_id"] not in said
                if is_another and meet(other, rate):
                    said.add(rate["rate_id"])
                    message = f"ties with rate {other['rate_id']} at '{shown(name_of(setup.locations, location_id))}'"
                    yield on_rate(setup, rate, "rates_tie", "error", message, "geoTreeLocationGroupName")
            by_location[location_id].append(rate)


def rate_gap(setup: PlanSetup) -> Iterator[Finding]:
    """Find a class at a place that has a price up to one instant and again from a later one."""
    for rates in setup.by_place.values():
        until = rates[0]["end_at"]
        for rate in rates[1:]:
            if until is not None and rate["start_at"] is not None and until < rate["start_at"]:
                message = (
                    f"no rate of this group, class and place holds from {write_instant(until)} on until this start"
                )
                yield on_rate(setup, rate, "rate_gap", "warning", message, "start")
            until = None if until is None or rate["end_at"] is None else max(until, rate["end_at"])


def rates_expired(setup: PlanSetup) -> Iterator[Finding]:
    """Find a class of which all rates in a group have ended."""
    last: dict[tuple[int, int], Row] = {}
    open_: set[tuple[int, int]] = set()
    for rate in setup.rates:
        sheet = rate["rate_group_id"], rate["usage_class_id"]
        if rate["end_at"] is None or rate["end_at"] > setup.now:
            open_.add(sheet)
        elif sheet not in last or rate["end_at"] > last[sheet]["end_at"]:
            last[sheet] = rate
    for sheet, rate in last.items():
        if sheet not in open_:
            name = shown(setup.classes[sheet[1]]["name"])
            group = shown(setup.groups_by_id[sheet[0]]["name"])
            message = f"all rates of '{name}' in '{group}' have ended, this last one at {write_instant(rate['end_at'])}"
            yield on_rate(setup, rate, "rates_expired", "warning", message, "end")


def group_gap(setup: PlanSetup) -> Iterator[Finding]:
    """Find a currency that has no group from some instant on, or for a while."""
    for currency, groups in by_currency(setup).items():
        ordered = sorted(groups, key=start_of)
        last, until = ordered[0], ordered[0]["end_at"]
        for group in ordered[1:]:
            if until is not None and group["start_at"] is not None and until < group["start_at"]:
                message = f"nothing is priced in {currency} from {write_instant(until)} on until this start"
                yield _on_group(group, "group_gap", "warning", message, "start")
            if until is not None and (group["end_at"] is None or group["end_at"] > until):
                last, until = group, group["end_at"]
        if until is not None:
            message = f"nothing is priced in {currency} from {write_instant(until)} on: no group follows"
            yield _on_group(last, "group_gap", "warning", message, "end")


def groups_overlap(setup: PlanSetup) -> Iterator[Finding]:
    """Find two groups in one currency that hold at one instant: the first of them that has a rate wins."""
    for groups in by_currency(setup).values():
        for at, group in enumerate(groups):
            other = next((each for each in groups[:at] if meet(each, group)), None)
            if other is not None:
                message = f"holds at the same time as '{shown(other['name'])}', which comes first in the plan"
                yield _on_group(group, "groups_overlap", "notice", message, "start")


def _on_group(group: Row, rule: str, severity: Severity, message: str, member: str) -> Finding:
    return Finding(rule, severity, message, "usageRateGroups", group["rate_group_id"], group["name"], member)
