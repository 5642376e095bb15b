"""The one way of items into the store, of one that a call sends or of a table of a batch: read, check, link, write.

What differs stays with the callers. A batch looks among its other items for what the store does not have, and settles its
circles as a whole; a call refuses at once. An item that changes nothing is never refused: it is not checked again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ratemill.reference import json_text
from ratemill.reference.characteristics import circles, references
from ratemill.reference.characteristics import items as item_members
from ratemill.reference.characteristics.circles import BILLS, PARENTS, Ties
from ratemill.reference.characteristics.references import PARENT, ItemReferences, ItemUse, NamedObject
from ratemill.reference.characteristics.values import ItemFault, check_declared, inferred, path_of
from ratemill.reference.json_text import Value
from ratemill.store.characteristics import items
from ratemill.store.characteristics.items import ChangedItem, FieldTypes, NewItem, StoredItem, StoredUse
from ratemill.store.connections import Connection, clock
from ratemill.visible import shown

Members = dict[str, Value]
Links = dict[str, int | None]
"""The items that an item names, by member; None for an item that is not written yet."""

Found = Mapping[tuple[int, str], Mapping[str, Sequence[tuple[int, str]]]]
"""The items of the store that may be meant, identity and id, by characteristic and key, then by value."""


@dataclass(frozen=True, slots=True)
class ItemWriter:
    """Who writes items of which characteristic; ``strict`` refuses references to objects that are not registered.

    ``batch_id`` is the batch that the items come from, None for a call.
    """

    owner_id: int
    characteristic: int
    author: str
    strict: bool
    batch_id: int | None = None
    dry_run: bool = False


class SentItem(NamedTuple):
    """An item as it was sent; ``number`` in its batch, ``at`` the path of the item, such as ``items[3]``; ``id`` as sent.

    ``compact`` is its JSON without blanks, None where only its members tell that. ``warnings`` are those of its receipt.
    """

    number: int
    at: str
    id: str | None
    item: Members
    compact: str | None
    warnings: Sequence[dict[str, str]] = ()


@dataclass(slots=True)
class ItemChange:
    """An item, the members of it that are kept, what is stored of it, and what it becomes: None if nothing changes."""

    sent: SentItem
    members: Members
    stored: StoredItem | None
    merged: Members | None
    names: ItemReferences
    faults: list[ItemFault] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ItemTable:
    """Items, the items of the store that they name, and the types of the user-defined fields."""

    changes: list[ItemChange]
    found: Found
    types: FieldTypes


class ItemArrival(NamedTuple):
    """An item that is to be written under an id; ``item_id`` is None for one that is new in a dry run."""

    change: ItemChange
    id: str
    links: Links
    item_id: int | None


class ItemWriteResult(NamedTuple):
    """What became of an item: created, updated or unchanged; ``types`` are those of its user-defined fields."""

    outcome: str
    guid: str | None
    types: dict[str, str]


@dataclass(slots=True)
class TableWrites:
    """The rows that items come to, and what became of each item; ``late`` are links to items that are written later."""

    types: FieldTypes
    guids: Iterator[str]
    new: list[NewItem] = field(default_factory=list)
    changed: list[ChangedItem] = field(default_factory=list)
    replaced: list[tuple[int, str]] = field(default_factory=list)  # members whose stored links are dropped
    uses: list[StoredUse] = field(default_factory=list)
    late: list[tuple[int, str]] = field(default_factory=list)
    objects: set[NamedObject] = field(default_factory=set)
    inferred: dict[str, str] = field(default_factory=dict)
    outcomes: list[ItemWriteResult] = field(default_factory=list)


# Read


def id_of(item: Members) -> str | None:
    """Return the id that an item is sent with."""
    value = item.get("id")
    return value if isinstance(value, str) else None


_NO_NAMES = ItemReferences([], [])


def change_of(writer: ItemWriter, sent: SentItem, stored: StoredItem | None) -> ItemChange:
    """Return what an item changes of the one that is stored under its id, if there is one."""
    members = item_members.kept(sent.item)
    merged: Members | None = members
    if stored is not None:
        merged = None
        if members is not sent.item or sent.compact != stored.document:
            before = json_text.reread(stored.document)
            merged = item_members.merged(before if isinstance(before, dict) else {}, members)
    names = _NO_NAMES if merged is None else references.names_of(members, writer.characteristic)
    return ItemChange(sent, members, stored, merged, names)


def read(connection: Connection, writer: ItemWriter, sent: Sequence[SentItem]) -> ItemTable:
    """Return what items change of those that are stored, with their faults so far; the stored ones are locked."""
    given = [each.id for each in sent if each.id is not None]
    stored = items.read(connection, writer.owner_id, writer.characteristic, given) if given else {}
    changes = [change_of(writer, each, stored.get(each.id or "")) for each in sent]
    types = items.field_types(connection, writer.owner_id, writer.characteristic)
    table = ItemTable(changes, _find(connection, writer, changes), types)
    _check_fields(table)
    if writer.strict:
        _check_objects(connection, writer, table)
    _check_ambiguous(table)
    return table


def _find(connection: Connection, writer: ItemWriter, changes: Sequence[ItemChange]) -> Found:
    """Return the items of the store that items may name."""
    asked: defaultdict[tuple[int, str], set[str]] = defaultdict(set)
    for change in changes:
        for _, characteristic, key, value in change.names.uses:
            asked[characteristic, key].add(value)
    return {of: items.find(connection, writer.owner_id, *of, values) for of, values in asked.items()}


# Check


def _check_fields(table: ItemTable) -> None:
    """Note a fault for each field that is not of its declared type."""
    declared = {name: kind for name, (kind, is_declared) in table.types.items() if is_declared}
    for change in table.changes if declared else ():
        if change.merged is not None:
            change.faults += check_declared(change.members, declared, change.sent.at)


def _check_objects(connection: Connection, writer: ItemWriter, table: ItemTable) -> None:
    """Note a fault for each object that an item names and that is not registered."""
    asked = {each for change in table.changes for each in change.names.objects}
    known = items.registered(connection, writer.owner_id, asked)
    for change in table.changes:
        for kind, key, value in change.names.objects:
            if (kind, key, value) not in known:
                message = f"nothing of kind {kind} is registered under {key} '{shown(value)}'"
                change.faults.append(ItemFault("reference_not_found", message, change.sent.at))


def _check_ambiguous(table: ItemTable) -> None:
    """Note a fault for each reference that several items answer to."""
    if all(len(found) == 1 for of_key in table.found.values() for found in of_key.values()):
        return
    for change in table.changes:
        for member, characteristic, key, value in change.names.uses:
            if len(table.found[characteristic, key].get(value, ())) > 1:
                change.faults.append(ambiguous(change.sent.at, member, key, value))


def ambiguous(at: str, member: str, key: str, value: str) -> ItemFault:
    """Return that a member of the item at a path names several items."""
    message = f"{shown(member)}: several items have the {key} '{shown(value)}'"
    return ItemFault("reference_ambiguous", message, path_of(at, member))


def not_found(at: str, use: ItemUse, where: str = "") -> ItemFault:
    """Return that a member of the item at a path names no item; ``where`` tells where one was looked for."""
    none = f"no item of characteristic {use.characteristic}"
    message = f"{shown(use.member)}: {none} has the {use.key} '{shown(use.value)}'{where}"
    return ItemFault("reference_not_found", message, path_of(at, use.member))


def of_refused(at: str, use: ItemUse) -> ItemFault:
    """Return that a member of the item at a path names an item that is refused and not stored, perhaps the item itself."""
    message = f"{shown(use.member)} names the {use.key} '{shown(use.value)}' of an item that is refused"
    return ItemFault("reference_refused", message, path_of(at, use.member))


# Bill of materials, and parents


def check_circles(connection: Connection, change: ItemChange, item_id: int, links: Mapping[str, int]) -> None:
    """Note a fault if the parents or the bills of materials of one item lead back to it, as a batch of it alone would."""
    if change.stored is None and item_id not in links.values():
        return  # nothing leads to a new item
    ties: dict[str, Ties] = {}
    if PARENT in links:
        parents = [(item, PARENT, parent) for item, parent in items.above(connection, [links[PARENT]])]
        ties[PARENTS] = _ties(item_id, [links[PARENT]], parents, {PARENT})
    bills = item_members.bills_of(change.members)
    components = [used for member, used in links.items() if _head(member) in bills]
    if components:
        ties[BILLS] = _ties(item_id, components, items.below(connection, components), set(bills))
    held = circles.refused_together((), (), ties)
    for kind, of_kind in held.circles.items():
        for circle in of_kind:
            named = circles.named_of(circle)
            ids = {0: change.sent.id or "?", **items.ids_of(connection, [-each for each in named])}
            member = PARENT if kind == PARENTS else bills[0]
            told = [ids.get(-each, "?") for each in named]
            change.faults.append(circles.fault(kind, circle, told, at=change.sent.at, member=member))


def _ties(item_id: int, sent: Sequence[int], stored: Sequence[tuple[int, str, int]], members: Collection[str]) -> Ties:
    """Return how one item, number 0, leads to others, the negatives of their identities; ``members`` are replaced."""

    def number(item: int) -> int:
        return 0 if item == item_id else -item

    of_store: defaultdict[int, list[int]] = defaultdict(list)
    replaced: defaultdict[int, list[int]] = defaultdict(list)
    for item, member, target in stored:
        ours = item == item_id and _head(member) in members
        (replaced if ours else of_store)[number(item)].append(number(target))
    return Ties({0: [number(target) for target in sent]}, of_store, replaced)


def _head(member: str) -> str:
    """Return the member of an item in which a path begins."""
    return member.partition("[")[0].partition(".")[0]


# Write


def write(
    connection: Connection, writer: ItemWriter, arrivals: Sequence[ItemArrival], types: FieldTypes
) -> TableWrites:
    """Write items that hold, unless it is a dry run; return what became of each."""
    new = 0 if writer.dry_run else sum(1 for arrival in arrivals if arrival.change.stored is None)
    rows = TableWrites(types, iter(items.new_guids(new)))
    for arrival in arrivals:
        _add(rows, writer, arrival)
    if not writer.dry_run:
        owner_id, characteristic = writer.owner_id, writer.characteristic
        if rows.new:
            items.insert(
                connection,
                rows.new,
                owner_id=owner_id,
                characteristic=characteristic,
                batch_id=writer.batch_id,
                created_by=writer.author,
            )
        if rows.changed:
            items.update(connection, rows.changed, changed_at=clock(connection), changed_by=writer.author)
        items.forget_uses(connection, rows.replaced)
        items.insert_uses(connection, owner_id, rows.uses)
        items.register(connection, owner_id, rows.objects)
        items.infer_fields(connection, owner_id, characteristic, rows.inferred)
    return rows


def _add(rows: TableWrites, writer: ItemWriter, arrival: ItemArrival) -> None:
    """Add the rows of an item, and what became of it."""
    change = arrival.change
    types = inferred(change.members)
    stored = change.stored
    if change.merged is None:
        rows.outcomes.append(ItemWriteResult("unchanged", stored.guid if stored else None, types))
        return
    rows.objects.update(change.names.objects)
    for name, kind in types.items():
        if name not in rows.types:
            rows.inferred[name] = kind
    if arrival.item_id is None:
        rows.outcomes.append(ItemWriteResult("created", None, types))
        return
    for member, used in arrival.links.items():
        if used is None:
            rows.late.append((change.sent.number, member))
        elif member != PARENT:
            rows.uses.append(StoredUse(arrival.item_id, member, used))
    parent = arrival.links.get(PARENT)
    if stored is None:
        guid = next(rows.guids)
        document = _document(change, arrival.id)
        description = _description(change.members)
        rows.new.append(NewItem(arrival.item_id, guid, arrival.id, description, parent, document))
        rows.outcomes.append(ItemWriteResult("created", guid, types))
        return
    if PARENT not in change.members:
        parent = stored.parent_item_id
    replaced = [name for name, value in change.members.items() if value is None or isinstance(value, dict | list)]
    rows.replaced += [(arrival.item_id, name) for name in replaced]
    batch_id = stored.batch_id if writer.batch_id is None else writer.batch_id
    document = json_text.write(change.merged)
    rows.changed.append(ChangedItem(arrival.item_id, _description(change.merged), parent, document, batch_id))
    rows.outcomes.append(ItemWriteResult("updated", stored.guid, types))


def _description(members: Members) -> str | None:
    value = members.get("description")
    return value if isinstance(value, str) else None


def members_of_new(change: ItemChange, id_: str) -> Members:
    """Return the members of a new item, with its id first if none was sent."""
    if change.members.get("id") is not None:
        return change.members
    return {"id": id_, **{name: value for name, value in change.members.items() if name != "id"}}


def _document(change: ItemChange, id_: str) -> str:
    """Return the document of a new item: its text as sent, unless not all of it is kept or its id was given here."""
    members = members_of_new(change, id_)
    return change.sent.compact if change.sent.compact and members is change.sent.item else json_text.write(members)
