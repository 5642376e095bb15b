"""The rules that set-up objects obey, each a function that yields what is wrong with an entry or a list of entries.

What the price book refuses is refused here too, so that no document that was applied can stop the rating of its owner.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from ratemill.money import (
    PRICE_DIGITS_MAX,
    PRICE_PLACES_MAX,
    QUANTITY_INTEGER_DIGITS_MAX,
    QUANTITY_PLACES_MAX,
    places,
    plain,
    significant_digits,
)
from ratemill.periods import write_instant
from ratemill.setup.declaration import Entry, Finding
from ratemill.setup.world import Row, Sheet, World
from ratemill.visible import shown

Findings = Iterator[tuple[str, str]]
EntryRule = Callable[[Entry, World], Iterable[tuple[str, str]]]
ListRule = Callable[[list[Entry], World], Iterable[Finding]]

PRODUCT_DIGITS_MAX = 37  # digits of a fixed part of a price over the common denominator of its rate
BY_LOCATION = "GeoTree"
MEETS = "a rate of another location group holds at the same time at a location of both"
EARLIEST = datetime.min.replace(tzinfo=UTC)


def start_before_end(entry: Entry, _world: World) -> Findings:
    """Hold a span to a length."""
    start, end = entry.row["start_at"], entry.row["end_at"]
    if start is not None and end is not None and start >= end:
        yield "end", f"the end {write_instant(end)} is not after the start {write_instant(start)}"


# Base units


def same_base_unit(column: str, target: str, member: str) -> EntryRule:
    """Return the rule that what ``column`` refers to counts in the same base unit as the entry."""

    def check(entry: Entry, world: World) -> Findings:
        yield from _same_base_unit(entry.row["base_unit_id"], world.row(target, entry.row[column]), member, world)

    return check


def same_base_unit_as_class(column: str, target: str, member: str) -> EntryRule:
    """Return the rule that what ``column`` refers to counts in the same base unit as the entry's usage class."""

    def check(entry: Entry, world: World) -> Findings:
        if entry.row[column] is None:
            return
        usage_class = world.row("usageClasses", entry.row["usage_class_id"])
        if usage_class is not None:
            yield from _same_base_unit(
                usage_class.get("base_unit_id"), world.row(target, entry.row[column]), member, world
            )

    return check


def _same_base_unit(base_unit_id: int | None, other: Row | None, member: str, world: World) -> Findings:
    if base_unit_id is None or other is None or other.get("base_unit_id") in (None, base_unit_id):
        return
    mine, theirs = (world.name("usageBaseUnits", each) for each in (base_unit_id, other["base_unit_id"]))
    yield member, f"'{shown(other['name'])}' counts {theirs}, not {mine}"


def quantity_fits(number: Decimal) -> bool:
    """Return whether a number has no more digits than a quantity may have."""
    return number < 10**QUANTITY_INTEGER_DIGITS_MAX and places(number) <= QUANTITY_PLACES_MAX


def rounding_fits(entry: Entry, world: World) -> Findings:
    """Hold minimum and increment, told in base units, to the digits of a quantity."""
    unit = world.row("usageUnits", entry.row["usage_unit_id"])
    for name in ("minimum", "increment"):
        number = entry.row[name]
        if number is None or unit is None or "multiplier" not in unit:
            continue
        if not quantity_fits(number * unit["multiplier"]):
            yield name, f"'{plain(number)}' is too large in the base unit"


# Classes, locations and rates


def rater_with_rates(entry: Entry, world: World) -> Findings:
    """Keep a class that has rates, or rows of bucket bases, at locations rated by location."""
    if entry.stored is None or "rater" not in entry.changes or entry.row["rater"] == BY_LOCATION:
        return
    for table, noun in (("rates", "rates"), ("bucket_base_details", "rows of bucket bases")):
        placed = world.stored_rows(table, ("location_id", "location_group_id"), "usage_class_id", [entry.identity])
        if any(row["location_id"] or row["location_group_id"] for row in placed):
            name = entry.row["name"]
            yield (
                "usageRaterTypeName",
                f"'{shown(name)}' has {noun} at locations, so that its rater stays {BY_LOCATION}",
            )
            return


def one_place(entry: Entry, _world: World) -> Findings:
    """Hold a rate, or a row of a bucket base, to a location or a location group, or neither."""
    if entry.row["location_id"] is not None and entry.row["location_group_id"] is not None:
        yield "geoTreeLocationGroupName", f"a {entry.object.noun} has a location or a location group, not both"


def location_as_class_says(entry: Entry, world: World) -> Findings:
    """Hold rates, and rows of bucket bases, at locations to classes that are rated by location."""
    usage_class = world.row("usageClasses", entry.row["usage_class_id"])
    if usage_class is None or usage_class.get("rater") != "Class":
        return
    for column, member in (("location_id", "geoTreeLocationName"), ("location_group_id", "geoTreeLocationGroupName")):
        if entry.row[column] is not None:
            yield member, f"the usage class '{shown(usage_class['name'])}' is not rated by location"


def minimum_below_maximum(entry: Entry, _world: World) -> Findings:
    """Hold the least charge to no more than the most."""
    least, most = entry.row["minimum_charge"], entry.row["maximum_charge"]
    if least is not None and most is not None and least > most:
        yield "minimumCharge", f"the minimum charge {plain(least)} is more than the maximum charge {plain(most)}"


_FIXED = (
    ("connection_charge", "connectionCharge"),
    ("minimum_charge", "minimumCharge"),
    ("maximum_charge", "maximumCharge"),
)


def products_fit(entry: Entry, world: World) -> Findings:
    """Hold the largest product of a rate to 38 digits, told over the common denominator of its numbers."""
    row = entry.row
    unit = world.row("usageUnits", row["usage_unit_id"]) if row["calculation"] == "perUnit" else None
    per_digits = len(str(int(unit["multiplier"]))) if unit is not None and "multiplier" in unit else 1
    fixed = [(row[column], member) for column, member in _FIXED if row[column]]
    if not fixed and per_digits + QUANTITY_PLACES_MAX + PRICE_PLACES_MAX <= PRODUCT_DIGITS_MAX:
        return  # most rates are plain, and the digits of one price are checked where it is read
    amount = row["amount"]
    scale = max(QUANTITY_PLACES_MAX + places(amount), *(places(number) for number, _ in fixed), 0)
    shift = scale - QUANTITY_PLACES_MAX - places(amount)
    if amount and significant_digits(amount) + shift > PRICE_DIGITS_MAX:
        yield "amount", "has too many digits beside the places of the charges"
    if per_digits + scale > PRODUCT_DIGITS_MAX:
        yield "usageUnitName", "the unit has too many digits beside the places of the price"
    for number, member in fixed:
        if significant_digits(number) + scale - places(number) + per_digits > PRODUCT_DIGITS_MAX:
            yield member, "has too many digits beside the last place of the price"


def time_period_not_rated(entry: Entry, _world: World) -> Findings:
    """Keep a group from a time period that its rates would not obey."""
    if entry.row["time_period_id"] is not None:
        yield "timePeriodName", "time periods are not rated yet: a rate group cannot have one"


def pass_through_in_no_plan(entry: Entry, world: World) -> Findings:
    """Keep a group that passes money through out of plans, but for cost: a usage record carries no money yet."""
    if not _passes_through(entry.row) or entry.stored is None or _passes_through(entry.stored):
        return
    if world.stored_rows("rate_plan_groups", ("rate_plan_id",), "rate_group_id", [entry.identity]):
        message = (
            f"'{shown(entry.row['name'])}' stands in a rate plan, and usage records carry no money to pass through"
        )
        yield "isPassThrough", message


def plan_without_pass_through(entry: Entry, world: World) -> Findings:
    """Hold a plan to the same rule."""
    for index, group_id in enumerate(entry.row["rate_group_ids"]):
        group = world.row("usageRateGroups", group_id)
        if group is not None and _passes_through(group):
            message = f"'{shown(group['name'])}' passes money through, and usage records carry none"
            yield f"usageRateGroupNames[{index}]", message


def _passes_through(group: Row) -> bool:
    return bool(group.get("is_pass_through")) and not group.get("use_for_cost")


# Trees


def no_cycle(column: str, member: str) -> ListRule:
    """Return the rule that the way up by ``column`` ends."""

    def check(entries: list[Entry], world: World) -> Iterator[Finding]:
        moved = [entry for entry in entries if column in entry.changes and column not in entry.bad]
        ended: set[int] = set()
        for entry in moved:
            if _goes_in_a_circle(entry, column, world, ended):
                yield entry, member, f"'{shown(entry.row['name'])}' would stand below itself"

    return check


def _goes_in_a_circle(entry: Entry, column: str, world: World, ended: set[int]) -> bool:
    trail: set[int] = set()
    identity: int | None = entry.identity
    while identity is not None and identity not in ended:
        if identity in trail:
            return identity == entry.identity
        trail.add(identity)
        row = world.row(entry.object.list_name, identity)
        identity = row.get(column) if row is not None else None
    ended |= trail
    return False


# One at a time: names, rates, identifiers


def unique_without_case(column: str, member: str) -> ListRule:
    """Return the rule that a text stands once in the list, whatever its case."""

    def check(entries: list[Entry], world: World) -> Iterator[Finding]:
        by_text: defaultdict[str, list[int]] = defaultdict(list)
        rows = world.rows[entries[0].object.list_name]
        for identity, row in rows.items():
            if row.get(column) is not None:
                by_text[row[column].lower()].append(identity)
        for entry in entries:
            text = entry.row.get(column)
            others = [each for each in by_text.get((text or "").lower(), ()) if each != entry.identity]
            if text is not None and others and column in entry.changes:
                other = rows[others[0]]
                yield (
                    entry,
                    member,
                    f"the {entry.object.noun} '{shown(other['name'])}' has '{shown(other[column])}', whatever the case",
                )

    return check


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
    return _before(row["start_at"], other["end_at"]) and _before(other["start_at"], row["end_at"])


def _before(start: datetime | None, end: datetime | None) -> bool:
    return start is None or end is None or start < end


def no_overlap(entries: list[Entry], world: World) -> Iterator[Finding]:
    """Hold a text of one type to one service at any instant."""
    for entry, other in overlapping(entries, world, ("usage_identifier", "identifier_type_id")):
        text = entry.row["usage_identifier"]
        yield entry, "udrUsageIdentifier", f"'{shown(text)}' belongs to a service already at that time: see {other}"


def overlapping(entries: list[Entry], world: World, columns: tuple[str, ...]) -> Iterator[tuple[Entry, str]]:
    """Yield each entry whose span meets another of the same ``columns``, with words for the other."""
    by_identity = {entry.identity: entry for entry in entries}
    groups: dict[tuple[Any, ...], list[tuple[int, Row]]] = {
        tuple([entry.row.get(column) for column in columns]): [] for entry in entries
    }
    for identity, row in world.rows[entries[0].object.list_name].items():
        group = groups.get(tuple([row.get(column) for column in columns]))
        if group is not None and identity not in world.unsure:
            group.append((identity, row))
    for rows in groups.values():
        if len(rows) > 1:
            yield from _overlaps_of(rows, by_identity)


def _overlaps_of(rows: list[tuple[int, Row]], by_identity: dict[int, Entry]) -> Iterator[tuple[Entry, str]]:
    rows = [row for row in rows if _is_a_span(row[1])]
    rows.sort(
        key=lambda numbered: (numbered[1]["start_at"] is not None, numbered[1]["start_at"] or EARLIEST, -numbered[0])
    )
    furthest = rows[0] if rows else None
    for row in rows[1:]:
        if furthest is not None and _before(row[1]["start_at"], furthest[1]["end_at"]):
            yield from _name_overlap(row, furthest, by_identity)
        if furthest is not None and not _ends_later(furthest[1]["end_at"], row[1]["end_at"]):
            furthest = row


def _ends_later(one: datetime | None, other: datetime | None) -> bool:
    return one is None or (other is not None and one > other)


def _is_a_span(row: Row) -> bool:
    return _before(row["start_at"], row["end_at"])


def _name_overlap(
    one: tuple[int, Row], other: tuple[int, Row], by_identity: dict[int, Entry]
) -> Iterator[tuple[Entry, str]]:
    entry = by_identity.get(one[0])
    if entry is None:
        one, other = other, one
        entry = by_identity.get(one[0])
    if entry is None:
        return
    meeting = by_identity.get(other[0])
    words = meeting.path() if meeting is not None else f"the stored one, {_span_words(other[1])}"
    yield entry, words


def _span_words(row: Row) -> str:
    start = write_instant(row["start_at"]) if row["start_at"] else "always"
    end = write_instant(row["end_at"]) if row["end_at"] else "open"
    return f"{start} to {end}"


# Accounts


def account_zone(entry: Entry, world: World) -> str:
    """Return the time zone in which an account's bare dates are read: the one it will have."""
    if entry.given.get("time_zone"):
        return str(entry.given["time_zone"])
    if "time_zone" in entry.given:
        return "UTC"
    stored = entry.stored or world.row("accounts", world.by_key["accounts"].get((entry.given.get("name"),)))
    return stored["time_zone"] if stored is not None and "time_zone" in stored else "UTC"


def zone_of_named_account(entry: Entry, world: World) -> str:
    """Return the time zone of the account that the entry belongs to."""
    account = world.row("accounts", entry.current("account_id"))
    return account.get("time_zone") or "UTC" if account is not None else "UTC"


def account_with_service(entry: Entry, _world: World) -> Findings:
    """Hold a document to naming a service together with its account."""
    if ("account_id" in entry.given) != ("service_id" in entry.given):
        member = "accountServiceName" if "account_id" in entry.given else "accountName"
        yield member, "is required: a service is named with its account"


def currency_of_charged_account(entry: Entry, world: World) -> Findings:
    """Keep the currency of an account that was charged."""
    if entry.stored is None or "currency" not in entry.changes:
        return
    if world.charged_accounts([entry.identity]):
        message = f"'{shown(entry.row['name'])}' has charges, so that its currency stays {entry.stored['currency']}"
        yield "currencyName", message


def one_kind_of_subscription(entry: Entry, _world: World) -> Findings:
    """Hold an entry to one of: subscriptions to a plan, subscriptions to an offering, all others."""
    columns = {"plan_external_ref": "planExternalRef", "offering_external_ref": "offeringExternalRef"}
    named = [member for column, member in columns.items() if entry.row[column] is not None]
    if entry.row["is_default"]:
        named.append("default")
    if len(named) != 1:
        said = f"{' and '.join(named)} are given" if named else "none is given"
        yield (
            "default" if not named else named[0],
            f"one of {', '.join(columns.values())} and default is needed; {said}",
        )


def currency_without_group(entries: list[Entry], world: World) -> Iterator[Finding]:
    """Warn of a plan that has no group in the currency of the account: all its usage will be exceptions."""
    for entry in entries:
        account = (
            entry.row if entry.object.list_name == "accounts" else world.row("accounts", entry.row.get("account_id"))
        )
        plan = world.row("usageRatePlans", entry.row.get("rate_plan_id"))
        if account is None or plan is None:
            continue
        groups = [world.row("usageRateGroups", each) for each in plan.get("rate_group_ids") or ()]
        currencies = {group.get("currency") for group in groups if group is not None}
        if currencies and account.get("currency") not in currencies:
            message = f"the rate plan '{shown(plan['name'])}' has no rate group in {account.get('currency')}"
            yield entry, "usageRatePlanName", message


def rate_everywhere(entries: list[Entry], world: World) -> Iterator[Finding]:
    """Warn of a rate without location for a class that is rated by location: it holds wherever no other does."""
    for entry in entries:
        usage_class = world.row("usageClasses", entry.row.get("usage_class_id"))
        placed = entry.row.get("location_id") or entry.row.get("location_group_id")
        if usage_class is not None and usage_class.get("rater") == BY_LOCATION and not placed:
            yield (
                entry,
                "geoTreeLocationName",
                "without a location it holds at every location that has no rate of its own",
            )
