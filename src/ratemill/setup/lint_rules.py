"""The rules of the lint: each looks at the stored set-up of one rate plan and yields what is likely a mistake.

Nothing here is refused at set-up for it may be meant; what set-up refuses is looked for all the same, for rows may come
from elsewhere. Rules of steps and period counters come with them: rates have none yet.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Literal

from ratemill.money import PRICE_DIGITS_MAX, QUANTITY_PLACES_MAX, places, plain, significant_digits
from ratemill.periods import write_instant
from ratemill.setup.rules import EARLIEST, PRODUCT_DIGITS_MAX
from ratemill.setup.world import Row

Severity = Literal["error", "warning", "notice"]

NEAR_DIGITS = 2  # a product that has no more than so many digits left is near the end
MEMBERS_SEEN_MAX = 1_000  # locations of a location group that are looked at for a broad rate above them
DIGITS = "0123456789"


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
                rates.sort(key=_start)
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
            _name(self.locations, rate["location_id"]),
            _name(self.location_groups, rate["location_group_id"]),
            write_instant(rate["start_at"]) if rate["start_at"] is not None else None,
        ]
        return " / ".join(part for part in parts if part is not None)


def place_of(rate: Row) -> tuple[int, int, int | None, int | None]:
    """Return what a rate is a rate of, but for time."""
    return rate["rate_group_id"], rate["usage_class_id"], rate["location_id"], rate["location_group_id"]


def _name(rows: dict[int, Row], identity: int | None) -> str | None:
    row = rows.get(identity) if identity is not None else None
    return row["name"] if row is not None else None


def _start(row: Row) -> datetime:
    return row["start_at"] or EARLIEST


def _before(start: datetime | None, end: datetime | None) -> bool:
    return start is None or end is None or start < end


def _meet(one: Row, other: Row) -> bool:
    return _before(one["start_at"], other["end_at"]) and _before(other["start_at"], one["end_at"])


def _on_rate(  # noqa: PLR0917 -- the parts of a finding
    setup: PlanSetup, rate: Row, rule: str, severity: Severity, message: str, member: str
) -> Finding:
    return Finding(rule, severity, message, "usageRates", rate["rate_id"], setup.key(rate), member)


# Time


def rates_overlap(setup: PlanSetup) -> Iterator[Finding]:
    """Find two rates of one group, class and place that hold at one instant."""
    for rates in setup.by_place.values():
        furthest = rates[0]
        for rate in rates[1:]:
            if _meet(furthest, rate):
                message = f"holds at the same time as rate {furthest['rate_id']} of the same group, class and place"
                yield _on_rate(setup, rate, "rates_overlap", "error", message, "start")
            if rate["end_at"] is None or (furthest["end_at"] is not None and rate["end_at"] > furthest["end_at"]):
                furthest = rate


def rates_tie(setup: PlanSetup) -> Iterator[Finding]:
    """Find rates of two location groups with a common location that hold at one instant: neither is the nearer."""
    sheets: defaultdict[tuple[int, int], list[Row]] = defaultdict(list)
    for rate in setup.rates:
        if rate["location_group_id"] is not None:
            sheets[rate["rate_group_id"], rate["usage_class_id"]].append(rate)
    for rates in sheets.values():
        yield from _ties(setup, sorted(rates, key=_start))


def _ties(setup: PlanSetup, rates: list[Row]) -> Iterator[Finding]:
    by_location: defaultdict[int, list[Row]] = defaultdict(list)
    said: set[int] = set()
    for rate in rates:
        for location_id in setup.members.get(rate["location_group_id"], ()):
            for other in by_location[location_id]:
                is_another = other["location_group_id"] != rate["location_group_id"] and rate["rate_id"] not in said
                if is_another and _meet(other, rate):
                    said.add(rate["rate_id"])
                    message = f"ties with rate {other['rate_id']} at '{_name(setup.locations, location_id)}'"
                    yield _on_rate(setup, rate, "rates_tie", "error", message, "geoTreeLocationGroupName")
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
                yield _on_rate(setup, rate, "rate_gap", "warning", message, "start")
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
            name, group = setup.classes[sheet[1]]["name"], setup.groups_by_id[sheet[0]]["name"]
            message = f"all rates of '{name}' in '{group}' have ended, this last one at {write_instant(rate['end_at'])}"
            yield _on_rate(setup, rate, "rates_expired", "warning", message, "end")


def group_gap(setup: PlanSetup) -> Iterator[Finding]:
    """Find a currency that has no group from some instant on, or for a while."""
    for currency, groups in _by_currency(setup).items():
        ordered = sorted(groups, key=_start)
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
    for groups in _by_currency(setup).values():
        for at, group in enumerate(groups):
            other = next((each for each in groups[:at] if _meet(each, group)), None)
            if other is not None:
                message = f"holds at the same time as '{other['name']}', which comes first in the plan"
                yield _on_group(group, "groups_overlap", "notice", message, "start")


def _by_currency(setup: PlanSetup) -> dict[str, list[Row]]:
    found: defaultdict[str, list[Row]] = defaultdict(list)
    for group in setup.groups:
        if not group["use_for_cost"]:
            found[group["currency"]].append(group)
    return dict(found)


def _on_group(group: Row, rule: str, severity: Severity, message: str, member: str) -> Finding:
    return Finding(rule, severity, message, "usageRateGroups", group["rate_group_id"], group["name"], member)


# Places


def pattern_shadowed(setup: PlanSetup) -> Iterator[Finding]:
    """Find patterns whose numbers cost what those of the next shorter pattern do."""
    prices = _Prices(setup)
    above: list[Row] = []
    for pattern in sorted(setup.patterns, key=lambda each: str(each["name"])):
        while above and not pattern["name"].startswith(above[-1]["name"]):
            above.pop()
        if above and prices.of(pattern["location_id"]) == (price := prices.of(above[-1]["location_id"])) and price:
            message = f"its numbers cost what those of '{above[-1]['name']}' do"
            yield _on_pattern(pattern, "pattern_shadowed", "notice", message)
        above.append(pattern)


class _Prices:
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
        name = _name(setup.locations, location_id) or ""
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
    for groups in _by_currency(setup).values():
        priority = {group["rate_group_id"]: at for at, group in enumerate(groups)}
        for rate in setup.rates:
            at = priority.get(rate["rate_group_id"], 0)
            if at and (wider := _wider(setup, rate, groups[:at])) is not None:
                first = setup.groups_by_id[wider["rate_group_id"]]
                message = f"is never reached while rate {wider['rate_id']} of a wider place holds in '{first['name']}'"
                member = "geoTreeLocationGroupName" if rate["location_id"] is None else "geoTreeLocationName"
                yield _on_rate(setup, rate, "broad_over_exact", "warning", message, member)


def _wider(setup: PlanSetup, rate: Row, groups: Sequence[Row]) -> Row | None:
    own = setup.groups_by_id[rate["rate_group_id"]]
    above = list(_places_above(setup, rate))
    for group in groups:
        if not _meet(group, own):
            continue
        for location_id, location_group_id in above:
            place = group["rate_group_id"], rate["usage_class_id"], location_id, location_group_id
            for other in setup.by_place.get(place, ()):
                if _meet(other, rate) and _meet(other, own) and _meet(rate, group):
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


# Money


def currency_without_group(setup: PlanSetup) -> Iterator[Finding]:
    """Find accounts that the plan prices and that have a currency in which it has no group."""
    known = _by_currency(setup)
    for account in setup.accounts:
        if account["currency"] not in known:
            message = f"the plan has no rate group in {account['currency']}: all its usage becomes rating exceptions"
            yield Finding(
                "currency_without_group",
                "error",
                message,
                "accounts",
                account["account_id"],
                account["name"],
                "currencyName",
            )


def places_lost(setup: PlanSetup) -> Iterator[Finding]:
    """Find rates whose price of one unit has more places than amounts are rounded to."""
    for rate in setup.rates:
        kept = _amount_places(setup, rate)
        if places(rate["amount"]) > kept:
            message = f"{plain(rate['amount'])} has {places(rate['amount'])} places, amounts are rounded to {kept}"
            yield _on_rate(setup, rate, "places_lost", "warning", message, "amount")


def _amount_places(setup: PlanSetup, rate: Row) -> int:
    for row in (setup.groups_by_id[rate["rate_group_id"]], setup.plan):
        if row["amount_places"] is not None:
            return int(row["amount_places"])
    return setup.owner_places


def digits_near_limit(setup: PlanSetup) -> Iterator[Finding]:
    """Find rates whose largest product is near 38 digits: see ``ratemill.setup.rules.products_fit``."""
    for rate in setup.rates:
        unit = setup.units.get(rate["usage_unit_id"]) if rate["calculation"] == "perUnit" else None
        per_digits = len(str(int(unit["multiplier"]))) if unit is not None else 1
        fixed = [rate[name] for name in ("connection_charge", "minimum_charge", "maximum_charge") if rate[name]]
        amount_places = places(rate["amount"])
        scale = max(QUANTITY_PLACES_MAX + amount_places, *(places(number) for number in fixed), 0)
        largest = max(
            per_digits + scale, *(significant_digits(each) + scale - places(each) + per_digits for each in fixed), 0
        )
        shift = scale - QUANTITY_PLACES_MAX - amount_places
        price = significant_digits(rate["amount"]) + shift
        if largest > PRODUCT_DIGITS_MAX - NEAR_DIGITS or (shift and price > PRICE_DIGITS_MAX - NEAR_DIGITS):
            message = "its largest product is near the 38 digits that are exact: a further place would be refused"
            yield _on_rate(setup, rate, "digits_near_limit", "notice", message, "amount")


RULES: tuple[Callable[[PlanSetup], Iterator[Finding]], ...] = (
    rates_overlap,
    rates_tie,
    currency_without_group,
    group_gap,
    rate_gap,
    rates_expired,
    location_never_reached,
    broad_over_exact,
    places_lost,
    groups_overlap,
    pattern_shadowed,
    digits_near_limit,
)
