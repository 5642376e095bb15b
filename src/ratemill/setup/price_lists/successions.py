"""Rates that take the place of others at a date: what they end, and what would have begun later and goes.

A rate that was ever in force is ended, never deleted. One that ended by then is left as it is.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from ratemill.errors import Code, Fault
from ratemill.periods import read_instant, write_instant
from ratemill.setup.declaration import Entry, Member
from ratemill.setup.objects.registry import BY_LIST, WRITABLE
from ratemill.setup.rules.spans import EARLIEST
from ratemill.setup.world import Row, World
from ratemill.store import bulk
from ratemill.visible import shown

RATES = WRITABLE["usageRates"]
LATEST = datetime.max.replace(tzinfo=UTC)
_PLACE = ("usage_class_id", "location_id", "location_group_id")
_REFERENCES = tuple(
    RATES.by_column(column) for column in (*_PLACE, "usage_unit_id", "usage_rounding_id", "rate_group_id")
)

Place = tuple[str | None, ...]
Named = dict[str, Any]  # a stored rate by column, its references by name, with ``identity``


@dataclass(slots=True)
class Succession:
    """Entries that end stored rates; words for each stored object that is deleted; what can be neither."""

    ended: list[Entry] = field(default_factory=list)
    deleted: dict[int, str] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)


def succeed(
    world: World,
    rows: list[Entry],
    rate_group_id: int,
    *,
    effective: datetime,
    now: datetime,
    replaces: bool,
    usage_class: str | None,
) -> Succession:
    """Give the rows without a start one, and return what they end or delete of the group's stored rates.

    A row that says what holds at the effective date already, and without end, is that rate. ``replaces``: places that no
    row names lose their rate too, those of ``usage_class`` if it is given. A row that changes what holds takes over the
    members that it does not name.
    """
    stored = _stored(world, rate_group_id)
    by_place: defaultdict[Place, list[Named]] = defaultdict(list)
    for rate in stored:
        by_place[_place(rate)].append(rate)
    named: set[tuple[Any, ...]] = set()
    begins: dict[Place, datetime] = {}
    for row in rows:
        if row.bad.isdisjoint((*_PLACE, "start_at", "end_at")):
            place = _place(row.given)
            _begin(row, by_place.get(place, []), effective)
            start = row.given.get("start_at")
            named.add((*place, start))
            begins[place] = min(begins.get(place, LATEST), start or EARLIEST)
    found = Succession()
    for rate in stored:
        place = _place(rate)
        is_replaced = replaces and (usage_class is None or place[0] == usage_class)
        if (place in begins or is_replaced) and (*place, rate["start_at"]) not in named:
            _end(rate, max(effective, begins.get(place, effective)), now, found)
    return found


def _stored(world: World, rate_group_id: int) -> list[Named]:
    names = {member.column: _names(world, member) for member in _REFERENCES}
    columns = (RATES.identity, *RATES.columns)
    rates = world.stored_rows(RATES.table, columns, "rate_group_id", [rate_group_id])
    for rate in rates:
        for column, known in names.items():
            if rate[column] is not None:
                rate[column] = known[rate[column]]
    return rates


def _names(world: World, member: Member) -> dict[int, str]:
    target = BY_LIST[member.target]
    rows = bulk.read_rows(world.connection, target.table, (target.identity, "name"), world.owner_id)
    return {row[target.identity]: row["name"] for row in rows}


def _place(row: Row) -> Place:
    return tuple(row.get(column) for column in _PLACE)


def _begin(row: Entry, stored: list[Named], effective: datetime) -> None:
    """Let a row without a start be the rate that holds already, or follow it with all that the row leaves unsaid."""
    given = row.given
    for column in ("start_at", "end_at"):
        if isinstance(given.get(column), date) and not isinstance(given[column], datetime):
            given[column] = read_instant(given[column].isoformat())
    if given.get("start_at") is not None:
        return
    before = next((rate for rate in stored if _holds(rate, effective)), None)
    if before is not None and _is_same(before, given):
        if before["start_at"] is not None:
            given["start_at"] = before["start_at"]
        return
    given["start_at"] = effective
    if before is None:
        return
    for column in RATES.columns:
        if column not in ("start_at", "end_at") and before[column] is not None:
            given.setdefault(column, before[column])


def _holds(rate: Named, at: datetime) -> bool:
    start, end = rate["start_at"], rate["end_at"]
    return (start is None or start <= at) and (end is None or at < end)


def _is_same(rate: Named, given: Row) -> bool:
    wanted = {"end_at": None, **{column: value for column, value in given.items() if column != "start_at"}}
    return all(rate[column] == value for column, value in wanted.items())


def _end(rate: Named, at: datetime, now: datetime, succession: Succession) -> None:
    start, end = rate["start_at"], rate["end_at"]
    if end is not None and end <= at:
        return
    if start is None or start < at:
        given = {column: rate[column] for column in ("rate_group_id", *_PLACE, "start_at") if rate[column] is not None}
        succession.ended.append(Entry(RATES, len(succession.ended), 0, given={**given, "end_at": at}))
    elif start > now:
        succession.deleted[rate[RATES.identity]] = _words(rate)
    else:
        words = " / ".join(map(shown, _parts(rate)))
        message = f"the rate '{words}' is in force already: the effective date must be after its start"
        succession.faults.append(Fault(Code.RULE_BROKEN, message))


def _words(rate: Named) -> str:
    return " / ".join(_parts(rate))


def _parts(rate: Named) -> list[str]:
    parts = [rate["rate_group_id"], *_place(rate), write_instant(rate["start_at"]) if rate["start_at"] else None]
    return [part for part in parts if part is not None]
