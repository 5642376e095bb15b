"""Price lists in bulk: the rates of one group, or the patterns of locations, as CSV text laid over what is stored.

A list is a document of one list: it goes through the same rules, all of it or nothing, in force with the commit. Beyond a
document it can change prices at a date, end or delete what it does not name, and make the locations that it names.
A preview does the same in a transaction that may only read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ratemill import logs
from ratemill.errors import BadRequest, Code, Fault, NotFound
from ratemill.periods import write_instant
from ratemill.setup.declaration import Entry
from ratemill.setup.documents.document import Document, read_csv_list
from ratemill.setup.nodes import DocumentFaults
from ratemill.setup.objects.registry import WRITABLE
from ratemill.setup.price_lists.faults import FILE, PriceListFault, refusals
from ratemill.setup.price_lists.successions import Succession, succeed
from ratemill.setup.price_lists.written import written_members, written_values
from ratemill.setup.world import World
from ratemill.setup.writing.apply import (
    CREATED,
    UNCHANGED,
    UPDATED,
    action_of,
    changes_anything,
    check_document,
    key_words,
    no_collection,
    write_document,
)
from ratemill.setup.writing.changes import Author, Log
from ratemill.setup.writing.deleting import wait_for_usage
from ratemill.store import bulk, owners
from ratemill.store.charges import charged_objects
from ratemill.store.connections import Connection, Database, clock
from ratemill.visible import shown

SHOWN_MAX = 100  # of each kind of outcome that are shown one by one; the rest is counted
GROUPS, RATES = WRITABLE["usageRateGroups"], WRITABLE["usageRates"]
LOCATIONS, PATTERNS = WRITABLE["geoTreeLocations"], WRITABLE["geoTreeLocationPatterns"]
_log = logs.get(__name__)

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class PriceList:
    """What is asked: CSV text whose header row names members, and how it meets what is stored.

    ``rate_group`` is the group by identity or name; None: a list of patterns. ``effective`` is the instant from which the
    rows without a start hold, and at which they take the place of what holds then. ``replaces``: what the list does not
    name goes. ``defaults`` stand for empty cells, by member.
    """

    text: str
    rate_group: int | str | None = None
    replaces: bool = False
    effective: datetime | None = None
    defaults: Mapping[str, str] = field(default_factory=dict)
    makes_locations: bool = False


@dataclass(slots=True)
class Part:
    """One kind of outcome: how many, and the first of them."""

    total: int = 0
    items: list[Json] = field(default_factory=list)

    @property
    def has_room(self) -> bool:
        """Whether one more would be shown; counts it."""
        self.total += 1
        return len(self.items) < SHOWN_MAX

    def as_json(self) -> Json:
        """Return the members that are shown of it."""
        return {"totalCount": self.total, "items": self.items}


@dataclass(slots=True)
class PriceListOutcome:
    """What a list did or, as a preview, would do; ``faults`` are all that keep it from doing anything."""

    preview: bool
    rate_group_id: int | None = None
    rows: int = 0
    unchanged: int = 0
    effective: datetime | None = None
    version: int | None = None
    added: Part = field(default_factory=Part)
    changed: Part = field(default_factory=Part)
    removed: Part = field(default_factory=Part)
    refused: Part = field(default_factory=Part)
    warnings: Part = field(default_factory=Part)
    locations_added: Part = field(default_factory=Part)
    faults: list[Fault] = field(default_factory=list)
    refused_lines: set[int] = field(default_factory=set)

    def as_json(self) -> dict[str, Any]:
        """Return the members that are shown of it."""
        return {
            "preview": self.preview,
            "rateGroupId": self.rate_group_id,
            "effective": None if self.effective is None else write_instant(self.effective),
            "rowCount": self.rows,
            "unchangedCount": self.unchanged,
            "added": self.added.as_json(),
            "changed": self.changed.as_json(),
            "removed": self.removed.as_json(),
            "refused": self.refused.as_json(),
            "warnings": self.warnings.as_json(),
            "locationsAdded": self.locations_added.as_json(),
        }


class _PriceListRollback(Exception):
    """Rolls the transaction back; the outcome's faults say why."""


def lay(database: Database, owner_id: int, price_list: PriceList, *, preview: bool, author: Author) -> PriceListOutcome:
    """Lay a price list over the set-up of an owner, or say what that would do.

    Raises ``NotFound`` for a rate group that is not there, ``BadRequest`` for defaults and dates that do not fit the list.
    """
    outcome = PriceListOutcome(preview=preview)
    try:
        with no_collection(), _transaction(database, owner_id, preview=preview) as connection:
            _lay(price_list, World(connection, owner_id), outcome, author)
    except _PriceListRollback:
        pass
    _log.info(
        "price_list_laid",
        owner_id=owner_id,
        by=author.name,
        preview=preview,
        added=outcome.added.total,
        changed=outcome.changed.total,
        removed=outcome.removed.total,
        refused=outcome.refused.total,
    )
    return outcome


@contextmanager
def _transaction(database: Database, owner_id: int, *, preview: bool) -> Iterator[Connection]:
    if preview:
        with database.reader(owner_id) as connection:
            yield connection
        return
    with database.face(owner_id) as connection:
        owners.lock_price_book(connection, owner_id)
        yield connection


def _lay(price_list: PriceList, world: World, outcome: PriceListOutcome, author: Author) -> None:
    faults = DocumentFaults([])
    document = _read(price_list, world, outcome, faults)
    kind = PATTERNS if price_list.rate_group is None else RATES
    rows = document.entries.get(kind.list_name, [])
    outcome.rows = len(rows)
    if price_list.makes_locations:
        document.entries[LOCATIONS.list_name] = _locations(rows)
    gone = (
        _succeed(price_list, world, outcome, document)
        if price_list.rate_group is not None
        else _drop(price_list, world, rows)
    )
    world.removed[kind.list_name] |= gone.deleted.keys()
    faults.found += gone.faults
    if gone.deleted and kind is RATES:
        faults.found += _charged(world, gone.deleted, preview=outcome.preview)
    warnings = check_document(document, world, faults)
    _tell_refused(price_list.text, rows, faults.found, outcome)
    if faults.found and not outcome.preview:
        raise _PriceListRollback
    made: dict[int, int] = {}
    if not outcome.preview:
        made = _write(document, world, faults, gone, outcome, author)
        _tell_refused(price_list.text, rows, faults.found, outcome)
        if faults.found:
            raise _PriceListRollback
    _tell(document, world, outcome, gone, made)
    _tell_warnings(price_list.text, rows, warnings, outcome)


# what the list says


def _read(price_list: PriceList, world: World, outcome: PriceListOutcome, faults: DocumentFaults) -> Document:
    kind = PATTERNS if price_list.rate_group is None else RATES
    defaults = dict(price_list.defaults)
    if price_list.rate_group is None:
        if price_list.effective is not None:
            raise BadRequest("patterns have no dates", code=Code.PARAMETER_NOT_VALID)
    else:
        outcome.rate_group_id, name = _group(world, price_list.rate_group)
        defaults["usageRateGroupName"] = name
    document = read_csv_list(kind, FILE, price_list.text, defaults, faults)
    if price_list.rate_group is not None:
        for entry in document.entries.get(kind.list_name, ()):
            if entry.given.get("rate_group_id") != name and "rate_group_id" not in entry.bad:
                entry.bad |= {"rate_group_id"}
                message = f"the list is of the rate group '{shown(name)}'"
                faults.add(Code.RULE_BROKEN, entry.path("usageRateGroupName"), entry.line, message)
    return document


def _group(world: World, group_key: int | str) -> tuple[int, str]:
    column = "name" if isinstance(group_key, str) else "rate_group_id"
    columns = ("rate_group_id", "name")
    found = bulk.read_rows(world.connection, "rate_groups", columns, world.owner_id, {column: [group_key]})
    if not found:
        raise NotFound(f"there is no rate group '{shown(group_key)}'")
    return found[0]["rate_group_id"], found[0]["name"]


def _locations(rows: list[Entry]) -> list[Entry]:
    """Return an entry for each location that the list names, placed where it does first."""
    made: dict[str, Entry] = {}
    for row in rows:
        name = row.given.get("location_id")
        if name is not None and name not in made:
            made[name] = Entry(LOCATIONS, row.index, row.line, row.file, given={"name": name})
    return list(made.values())


# what goes


def _succeed(price_list: PriceList, world: World, outcome: PriceListOutcome, document: Document) -> Succession:
    """Let rows without a start begin at the effective date, and end what they take the place of."""
    now = clock(world.connection)
    outcome.effective = price_list.effective or (now if price_list.replaces else None)
    if outcome.effective is None:
        return Succession()
    scope = price_list.defaults.get("usageClassName") if price_list.replaces else None
    found = succeed(
        world,
        document.entries.get(RATES.list_name, []),
        outcome.rate_group_id or 0,
        effective=outcome.effective,
        now=now,
        replaces=price_list.replaces,
        usage_class=scope,
    )
    document.entries[RATES.list_name] = [*document.entries.get(RATES.list_name, []), *found.ended]
    return found


def _drop(price_list: PriceList, world: World, rows: list[Entry]) -> Succession:
    """Delete the patterns that a list which replaces them does not name."""
    if not price_list.replaces:
        return Succession()
    named = {row.given.get("name") for row in rows}
    stored = bulk.read_rows(world.connection, PATTERNS.table, (PATTERNS.identity, "name"), world.owner_id)
    return Succession(deleted={row[PATTERNS.identity]: row["name"] for row in stored if row["name"] not in named})


def _charged(world: World, rates: Mapping[int, str], *, preview: bool) -> Iterator[Fault]:
    """Keep rates that have charges although they are of the future: usage may be dated there too."""
    if not preview:
        wait_for_usage(world.connection, world.owner_id or 0, f"{len(rates)} rates that the list replaces")
    for rate_id in sorted(charged_objects.find(world.connection, "rate_id", list(rates))):
        yield Fault(Code.IN_USE, f"the rate '{shown(rates[rate_id])}' ({rate_id}) has charges: end it instead")


def _write(  # noqa: PLR0917 -- what a list did, and by whom
    document: Document,
    world: World,
    faults: DocumentFaults,
    gone: Succession,
    outcome: PriceListOutcome,
    author: Author,
) -> dict[int, int]:
    kind = PATTERNS if outcome.rate_group_id is None else RATES
    if gone.deleted:
        Log(world.connection, author).note_deleted(kind, list(gone.deleted))
        bulk.delete_rows(world.connection, kind.table, kind.identity, list(gone.deleted))
    made = write_document(document, world, faults, author)
    if gone.deleted or changes_anything(document):
        outcome.version = owners.raise_version(world.connection, world.owner_id or 0)
    return made


# what is told


def _tell(document: Document, world: World, outcome: PriceListOutcome, gone: Succession, made: dict[int, int]) -> None:
    ended = {id(entry) for entry in gone.ended}
    for entries in document.entries.values():
        for entry in entries:
            if entry.bad or not entry.identity or (entry.file and entry.line in outcome.refused_lines):
                continue
            if id(entry) in ended:
                if outcome.removed.has_room:
                    outcome.removed.items.append(
                        {
                            "identity": entry.identity,
                            "action": "ended",
                            "key": key_words(entry, world),
                            "before": written_values(entry, ("end",), entry.stored or {}, world),
                            "after": written_values(entry, ("end",), entry.row, world),
                        }
                    )
            else:
                _tell_row(entry, world, outcome, made)
    for identity, words in gone.deleted.items():
        if outcome.removed.has_room:
            outcome.removed.items.append({"identity": identity, "action": "deleted", "key": words})


def _tell_row(entry: Entry, world: World, outcome: PriceListOutcome, made: dict[int, int]) -> None:
    action = action_of(entry)
    if entry.object is LOCATIONS:
        if action == CREATED and outcome.locations_added.has_room:
            outcome.locations_added.items.append({"identity": made.get(entry.identity), "name": entry.row["name"]})
    elif action == UNCHANGED:
        outcome.unchanged += 1
    elif action == CREATED and outcome.added.has_room:
        outcome.added.items.append(
            {
                **_placed(entry, world),
                "identity": made.get(entry.identity),
                "after": written_members(entry, world),
            }
        )
    elif action == UPDATED and outcome.changed.has_room:
        names = [member.name for member in entry.object.members if member.column in entry.changes]
        outcome.changed.items.append(
            {
                **_placed(entry, world),
                "identity": entry.identity,
                "before": written_values(entry, names, entry.stored or {}, world),
                "after": written_values(entry, names, entry.row, world),
            }
        )


def _placed(entry: Entry, world: World) -> Json:
    return {"row": entry.index + 1, "line": entry.line, "key": key_words(entry, world)}


def _tell_refused(text: str, rows: list[Entry], faults: list[Fault], outcome: PriceListOutcome) -> None:
    found = refusals(text, rows, faults)
    outcome.faults = [
        Fault(each.code, f"row {each.row}: {each.message}" if each.row else each.message, each.row, each.field)
        for each in found
    ]
    outcome.refused_lines = {each.line for each in found if each.line is not None}
    outcome.refused = Part(len(found), [_refused(each) for each in found[:SHOWN_MAX]])


def _tell_warnings(text: str, rows: list[Entry], warnings: list[Fault], outcome: PriceListOutcome) -> None:
    found = refusals(text, rows, warnings)
    outcome.warnings = Part(len(found), [_refused(each) for each in found[:SHOWN_MAX]])


def _refused(fault: PriceListFault) -> Json:
    return {
        "row": fault.row,
        "line": fault.line,
        "field": fault.field,
        "value": fault.value,
        "code": fault.code,
        "rule": Code(fault.code).name.lower(),
        "message": fault.message,
    }
