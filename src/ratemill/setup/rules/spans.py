"""Rules of spans: each ends after it starts, and no two of one thing are in force at the same time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from ratemill.periods import write_instant
from ratemill.setup.declaration import Entry, Finding
from ratemill.setup.rules.findings import Findings
from ratemill.setup.world import Row, World
from ratemill.visible import shown

EARLIEST = datetime.min.replace(tzinfo=UTC)


def start_before_end(entry: Entry, _world: World) -> Findings:
    """Hold a span to a length."""
    start, end = entry.row["start_at"], entry.row["end_at"]
    if start is not None and end is not None and start >= end:
        yield "end", f"the end {write_instant(end)} is not after the start {write_instant(start)}"


def before(start: datetime | None, end: datetime | None) -> bool:
    """Return whether a start comes before an end; an open one does."""
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
        if furthest is not None and before(row[1]["start_at"], furthest[1]["end_at"]):
            yield from _name_overlap(row, furthest, by_identity)
        if furthest is not None and not _ends_later(furthest[1]["end_at"], row[1]["end_at"]):
            furthest = row


def _ends_later(one: datetime | None, other: datetime | None) -> bool:
    return one is None or (other is not None and one > other)


def _is_a_span(row: Row) -> bool:
    return before(row["start_at"], row["end_at"])


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
