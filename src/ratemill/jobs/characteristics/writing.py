"""Items of a batch are written, with what became of each: at once, or when the batch is settled."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import NamedTuple

from ratemill.errors import invariant
from ratemill.jobs.characteristics import faults as wrong
from ratemill.jobs.characteristics.reading import BatchItem, items_of
from ratemill.reference import json_text
from ratemill.reference.characteristics import fields as characteristic_fields
from ratemill.reference.characteristics import upserts
from ratemill.reference.characteristics.values import ItemFault
from ratemill.reference.json_text import Value
from ratemill.store.characteristics import fields, items, jobs, named_objects, staging
from ratemill.store.characteristics.fields import Types
from ratemill.store.characteristics.items import ChangedItem, NewItem, StoredItem, StoredUse
from ratemill.store.characteristics.jobs import ItemJob, ItemOutcome
from ratemill.store.characteristics.staging import Faults, WaitingItem
from ratemill.store.connections import Connection, clock
from ratemill.visible import shown

Links = dict[str, int | None]
"""What an item names, by member; None for an item that is not written yet."""


class ItemArrival(NamedTuple):
    """An item whose turn has come: its id and faults (None: it holds), what it names and where it goes.

    ``stored`` is the item of its id in the store, ``item_id`` its identity; both are None for one that is new in a dry run.
    """

    one: BatchItem
    id: str | None
    faults: Faults | None
    links: Links
    objects: Sequence[upserts.NamedObject]
    stored: StoredItem | None
    item_id: int | None


@dataclass(slots=True)
class TableWrites:
    """What a table comes to: rows to write, and what became of each item."""

    known: Types
    guids: Iterator[str]
    new: list[NewItem] = field(default_factory=list)
    changed: list[ChangedItem] = field(default_factory=list)
    members: list[tuple[int, str]] = field(default_factory=list)  # of changed items: what they name there holds no more
    uses: list[StoredUse] = field(default_factory=list)
    late: list[tuple[int, str]] = field(default_factory=list)  # uses of items that are written later
    objects: set[upserts.NamedObject] = field(default_factory=set)
    types: dict[str, str] = field(default_factory=dict)
    outcomes: list[ItemOutcome] = field(default_factory=list)
    unchanged: list[ItemArrival] = field(default_factory=list)


def write(connection: Connection, job: ItemJob, table: Sequence[WaitingItem], *, failure: str | None) -> int:
    """Write the next staged items that hold, and the outcome of each; return the number of the last."""
    read = items_of(connection, job, [waiting.item_number for waiting in table])
    table = table[: len(read)]
    invariant(
        [one.number for one in read] == [waiting.item_number for waiting in table],
        f"batch {job.batch_id} has other items than were staged",
    )
    if failure is not None:
        table = [
            WaitingItem(number, id_, [*(faults or []), wrong.not_processed(wrong.at(job, number), failure)])
            for number, id_, faults in table
        ]
    first, last = read[0].number, read[-1].number
    holding = [waiting for waiting in table if waiting.faults is None]
    stored = items.read(connection, job.owner_id, job.characteristic, [each.id for each in holding if each.id])
    new = [each for each in holding if each.id not in stored]
    taken = items.new_identities(connection, 0 if job.dry_run else len(new))
    item_ids: dict[str | None, int] = {id_: kept.item_id for id_, kept in stored.items()}
    item_ids |= {each.id: item_id for each, item_id in zip(new, taken, strict=False)}
    links = _links(staging.uses(connection, job, first, last), item_ids)
    arrivals = []
    for one, (number, id_, faults) in zip(read, table, strict=True):
        holds = faults is None
        objects = upserts.names_of(one.item, job.characteristic).objects if holds else ()
        kept = stored.get(id_) if holds and id_ is not None else None
        item_id = item_ids.get(id_) if holds else None
        arrivals.append(ItemArrival(one, id_, faults, links.get(number, {}), objects, kept, item_id))
    written = put(connection, job, arrivals, fields.types(connection, job.owner_id, job.characteristic))
    staging.keep_uses(connection, job, first, last, written.late)
    return last


def _links(
    uses: Sequence[tuple[int, str, int | None, str | None]], item_ids: Mapping[str | None, int]
) -> dict[int, Links]:
    """Return what items name, by number and member."""
    links: defaultdict[int, Links] = defaultdict(dict)
    for number, member, item_id, used_id in uses:
        links[number][member] = item_id if item_id is not None else item_ids.get(used_id)
    return links


def put(connection: Connection, job: ItemJob, arrivals: Sequence[ItemArrival], known: Types) -> TableWrites:
    """Write items, unless it is a dry run, and what became of each."""
    new = sum(1 for each in arrivals if each.stored is None)
    written = TableWrites(known, iter(items.new_guids(0 if job.dry_run else new)))
    for each in arrivals:
        _note(written, job, each)
    if not job.dry_run:
        author = job.submitted_by or "?"
        owner_id, characteristic, batch_id = job.owner_id, job.characteristic, job.batch_id
        items.insert(
            connection,
            written.new,
            owner_id=owner_id,
            characteristic=characteristic,
            batch_id=batch_id,
            created_by=author,
        )
        if written.changed:
            items.update(
                connection, written.changed, batch_id=batch_id, changed_at=clock(connection), changed_by=author
            )
        items.forget_uses(connection, written.members)
        items.insert_uses(connection, owner_id, written.uses)
        named_objects.register(connection, owner_id, written.objects)
        fields.infer(connection, owner_id, characteristic, written.types)
    jobs.write_outcomes(connection, job, written.outcomes)
    counts = Counter(one.outcome for one in written.outcomes)
    jobs.count(connection, job.batch_id, counts, sum(len(one.warnings or ()) for one in written.outcomes))
    return written


def _note(written: TableWrites, job: ItemJob, arrival: ItemArrival) -> None:
    """Note what is to be written of an item, and what became of it."""
    one = arrival.one
    warnings = one.warnings
    outcome, guid = "refused", None
    if arrival.faults is None:
        members = upserts.kept(one.item)
        types = characteristic_fields.inferred(members)
        warnings = [
            *warnings,
            *map(asdict, upserts.bill_warnings(members, job.characteristic, one.at)),
            *map(asdict, _of_other_types(types, written.known, one.at)),
        ]
        outcome, guid = _upsert(written, arrival, members)
        if outcome == "unchanged":
            written.unchanged.append(arrival)
        else:
            written.objects.update(arrival.objects)
            for name, kind in types.items():
                if name not in written.known:
                    written.types[name] = kind
    written.outcomes.append(
        ItemOutcome(
            one.page_number, one.item_index, arrival.id or one.id, outcome, guid, arrival.faults, warnings or None
        )
    )


def _upsert(written: TableWrites, arrival: ItemArrival, members: dict[str, Value]) -> tuple[str, str | None]:
    """Note what is to be written of an item that holds; return its outcome and, unless it is new in a dry run, its guid."""
    stored, item_id = arrival.stored, arrival.item_id
    if arrival.id is not None and "id" not in members:
        members = {"id": arrival.id, **members}
    merged: dict[str, Value] | None = members
    if stored is not None:
        merged = _merged(stored, arrival.one, members)
        if merged is None:
            return "unchanged", stored.guid
    if item_id is None or merged is None:
        return "created", None
    for member, used in arrival.links.items():
        if used is None:
            written.late.append((arrival.one.number, member))
        elif member != upserts.PARENT:
            written.uses.append(StoredUse(item_id, member, used))
    parent = arrival.links.get(upserts.PARENT)
    described = merged.get("description")
    description = described if isinstance(described, str) else None
    if stored is None:
        guid = next(written.guids)
        document = _document(arrival.one, members)
        written.new.append(NewItem(item_id, guid, arrival.id or "", description, parent, document))
        return "created", guid
    if upserts.PARENT not in members:
        parent = stored.parent_item_id
    made = [name for name, value in members.items() if value is None or isinstance(value, dict | list)]
    written.members += [(item_id, name) for name in made]
    written.changed.append(ChangedItem(item_id, description, parent, json_text.write(merged)))
    return "updated", stored.guid


def _document(item: BatchItem, members: dict[str, Value]) -> str:
    """Return the document of a new item: its text as sent, unless not all of it is kept or its id was given here."""
    if item.compact is not None and members is item.item:
        return item.compact
    return json_text.write(members)


def _merged(stored: StoredItem, item: BatchItem, members: dict[str, Value]) -> dict[str, Value] | None:
    """Return the members of a stored item with those that were sent; None if nothing changes."""
    if members is item.item and item.compact == stored.document:
        return None
    before = json_text.reread(stored.document)
    return upserts.merged(before if isinstance(before, dict) else {}, members)


def _of_other_types(types: dict[str, str], known: Types, at: str) -> list[ItemFault]:
    """Return a warning for each field whose value is of another type than the first item that bore it."""
    return [
        ItemFault(
            "type_differs",
            f"{shown(name)} was {known[name][0]} in the item that bore it first, here {kind}",
            f"{at}.{name}",
        )
        for name, kind in types.items()
        if name in known and not known[name][1] and kind != known[name][0]
    ]
