"""The rules of the lint that look at places: patterns, locations, and broad rates over exact ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ratemill.setup.lint.plan import Finding, PlanSetup, Severity, by_currency, meet, name_of, on_rate
from ratemill.setup.world import Row
from ratemill.visible import shown

MEMBERS_SEEN_MAX = 1_000  # locations of a location group that are looked at for a broad rate above them
DIGITS = "0123456789"


def pattern_shadowed(setup: PlanSetup) -> Iterator[Finding]:
    """Find patterns whose numbers cost what those of the next shorter pattern do."""
    prices = _LocationPrices(setup)
    above: list[Row] = []
    for pattern in sorted(setup.patterns, key=lambda row: str(row["name"])):
        while above and not pattern["name"].startswith(above[-1]["name"]):
            above.pop()
        if above and prices.of(pattern["location_id"]) == (price := prices.of(above[-1]["location_id"])) and price:
            message = f"its numbers cost what those of '{shown(above[-1]['name'])}' do"
            yield _on_pattern(pattern, "pattern_shadowed", "notice", message)
        above.append(pattern)


class _LocationPrices:
    """A number for each location, the same for those at which the plan's rates are the same; 0 for no rate at all."""

    def __init__(self, setup: PlanSetup) -> None:
        self._setup = setup
        self._own: defaultdict[tuple[str, int], list[tuple[Any, ...]]] = defaultdict(list)
        for rate in setup.rates:
            for column in ("location_id", "location_group_id"):
                if rate[column] is not None:
                    self._own[column, rate[column]].append(_terms(rate))
        self._numbers: dict[Any, int] = {}
        self._known: dict[int, tuple[int, Any]] = {}

    def of(self, location_id: int) -> int:
        """Return the number of a location."""
        way = [location_id, *self._setup.above(location_id)]
        number, head = 0, None
        for each in reversed(way):
            if each not in self._known:
                own = self._at(each)
                if own and own != head:
                    number, head = self._numbers.setdefault((own, number), len(self._numbers) + 1), own
                self._known[each] = number, head
            number, head = self._known[each]
        return number

    def _at(self, location_id: int) -> tuple[Any, ...]:
        own = sorted(self._own.get(("location_id", location_id), ()), key=repr)
        of_groups = [
            terms
            for group in self._setup.groups_of.get(location_id, ())
            for terms in self._own.get(("location_group_id", group), ())
        ]
        return (tuple(own), tuple(sorted(of_groups, key=repr))) if own or of_groups else ()


_TERMS = (
    "rate_group_id",
    "usage_class_id",
    "usage_unit_id",
    "usage_rounding_id",
    "calculation",
    "start_at",
    "end_at",
    "amount",
    "connection_charge",
    "minimum_charge",
    "maximum_charge",
)


def _terms(rate: Row) -> tuple[Any, ...]:
    return tuple(rate[column] for column in _TERMS)


def location_never_reached(setup: PlanSetup) -> Iterator[Finding]:
    """Find locations that have rates, though no number is there or below."""
    covered = _covered({pattern["name"] for pattern in setup.patterns})
    reached: set[int] = set()
    for pattern in setup.patterns:
        if pattern["name"] not in covered and pattern["location_id"] not in reached:
            reached.add(pattern["location_id"])
            for location_id in setup.above(pattern["location_id"]):
                if location_id in reached:
                    break
                reached.add(location_id)
    priced = {rate["location_id"] for rate in setup.rates if rate["location_id"] is not None}
    for location_id in sorted(priced - reached):
        has_pattern = any(pattern["location_id"] == location_id for pattern in setup.patterns)
        why = (
            "longer ones take every number of its patterns" if has_pattern else "neither it nor one below has a pattern"
        )
        name = name_of(setup.locations, location_id) or ""
        message = f"its rates are never reached: {why}"
        yield Finding("location_never_reached", "warning", message, "geoTreeLocations", location_id, name)


def _covered(patterns: set[str]) -> set[str]:
    """Return the patterns of which every longer number begins with a longer pattern: all ten digits go on."""
    count: defaultdict[str, int] = defaultdict(int)
    covered: set[str] = set()
    whole = list(patterns)
    taken = set(patterns)
    while whole:
        text = whole.pop()
        shorter = text[:-1]
        if text[-1:] not in DIGITS or not text:
            continue
        count[shorter] += 1
        if count[shorter] == len(DIGITS):
            if shorter in patterns:
                covered.add(shorter)
            elif shorter not in taken:
                taken.add(shorter)
                whole.append(shorter)
    return covered


def _on_pattern(pattern: Row, rule: str, severity: Severity, message: str) -> Finding:
    identity = pattern["location_pattern_id"]
    return Finding(rule, severity, message, "geoTreeLocationPatterns", identity, pattern["name"], "name")


def broad_over_exact(setup: PlanSetup) -> Iterator[Finding]:
    """Find rates that are never reached, for a group that comes first has a rate of a wider place."""
    for groups in by_currency(setup).values():
        priority = {group["rate_group_id"]: at for at, group in enumerate(groups)}
        for rate in setup.rates:
            at = priority.get(rate["rate_group_id"], 0)
            if at and (wider := _wider(setup, rate, groups[:at])) is not None:
                first = setup.groups_by_id[wider["rate_group_id"]]
                message = (
                    f"is never reached while rate {wider['rate_id']} of a wider place holds in '{shown(first['name'])}'"
                )
                member = "geoTreeLocationGroupName" if rate["location_id"] is None else "geoTreeLocationName"
                yield on_rate(setup, rate, "broad_over_exact", "warning", message, member)


def _wider(setup: PlanSetup, rate: Row, groups: Sequence[Row]) -> Row | None:
    own = setup.groups_by_id[rate["rate_group_id"]]
    above = list(_places_above(setup, rate))
    for group in groups:
        if not meet(group, own):
            continue
        for location_id, location_group_id in above:
            place = group["rate_group_id"], rate["usage_class_id"], location_id, location_group_id
            for other in setup.by_place.get(place, ()):
                if meet(other, rate) and meet(other, own) and meet(rate, group):
                    return other
    return None


def _places_above(setup: PlanSetup, rate: Row) -> Iterator[tuple[int | None, int | None]]:
    """Yield the places wider than that of a rate: location and location group."""
    if rate["location_id"] is None and rate["location_group_id"] is None:
        return
    if rate["location_id"] is not None:
        yield from ((None, group) for group in setup.groups_of.get(rate["location_id"], ()))
        homes: Iterable[int] = (rate["location_id"],)
    else:
        homes = setup.members.get(rate["location_group_id"], ())[:MEMBERS_SEEN_MAX]
    for location_id in homes:
        for parent in setup.above(location_id):
            yield parent, None
            yield from ((None, group) for group in setup.groups_of.get(parent, ()))
    yield None, None
