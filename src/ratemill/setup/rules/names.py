"""Rules of names and trees: a text is in a list once, and the way up a tree ends."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from ratemill.setup.declaration import Entry, Finding
from ratemill.setup.rules.findings import ListRule
from ratemill.setup.world import World
from ratemill.visible import shown


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
