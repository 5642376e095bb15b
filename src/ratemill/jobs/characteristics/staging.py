"""The first pass over a batch: each item by itself.

An item is written at once where all that it names is there. The others are staged with what they name, until it is known
which items of the whole batch hold: what is refused was never there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from ratemill.jobs.characteristics import faults as wrong
from ratemill.jobs.characteristics.reading import BatchItem
from ratemill.jobs.characteristics.writing import ItemArrival, Links, put
from ratemill.reference.characteristics import fields as characteristic_fields
from ratemill.reference.characteristics import upserts
from ratemill.settings import Settings
from ratemill.store.characteristics import fields, items, named_objects, staging
from ratemill.store.characteristics.items import StoredItem
from ratemill.store.characteristics.jobs import ItemJob
from ratemill.store.characteristics.staging import Faults, StagedItem, StagedUse
from ratemill.store.connections import Connection
from ratemill.visible import shown

Found = Mapping[tuple[int, str], Mapping[str, Sequence[tuple[int, str]]]]
"""The items of the store that may be meant, identity and id, by characteristic and key, then by value."""


@dataclass(frozen=True, slots=True)
class _ItemTable:
    """A table of items: what they name, what the store has of that, the items of their ids there, and their faults."""

    items: Sequence[BatchItem]
    names: Sequence[upserts.ItemReferences]
    found: Found
    stored: dict[str, StoredItem]
    faults: defaultdict[int, Faults]


def stage(
    connection: Connection, settings: Settings, job: ItemJob, read: Sequence[BatchItem], *, failure: str | None
) -> None:
    """Write the items of a table that can be written, and stage the others; those at fault bear their faults."""
    if failure is not None:
        refused = [StagedItem(one.number, None, faults=[wrong.not_processed(one.at, failure)]) for one in read]
        staging.stage(connection, job, refused, ())
        return
    names = [upserts.names_of(one.item, job.characteristic) for one in read]
    given = [one.id for one in read]
    stored = items.read(connection, job.owner_id, job.characteristic, [each for each in given if each is not None])
    table = _ItemTable(read, names, _find(connection, job, names), stored, defaultdict(list))
    known = fields.types(connection, job.owner_id, job.characteristic)
    declared = {name: kind for name, (kind, is_declared) in known.items() if is_declared}
    if declared:
        for one in read:
            faults = characteristic_fields.check_declared(one.item, declared, one.at)
            if faults:
                table.faults[one.number] += map(asdict, faults)
    if settings.references_strict:
        _find_unregistered(connection, job, table)
    _find_ambiguous(table)
    ids = _ids(table, staging.taken(connection, job, [each for each in given if each is not None]), job)
    ready = [] if job.dry_run else _ready(connection, job, table, ids)
    written = put(connection, job, ready, known) if ready else None
    done = {arrival.one.number for arrival in ready}
    unchanged = [StagedItem(each.one.number, each.id, written=True) for each in written.unchanged] if written else []
    waiting = [(one, named) for one, named in zip(read, names, strict=True) if one.number not in done]
    staging.stage(
        connection,
        job,
        [*unchanged, *(_staged(one, ids[one.number], table.faults.get(one.number)) for one, _ in waiting)],
        [use for one, named in waiting for use in _staged_uses(one, named, table.found)],
    )


def _find(connection: Connection, job: ItemJob, names: Sequence[upserts.ItemReferences]) -> Found:
    """Return the items of the store that items may name."""
    asked: defaultdict[tuple[int, str], set[str]] = defaultdict(set)
    for named in names:
        for _, characteristic, key, value in named.uses:
            asked[characteristic, key].add(value)
    return {of: items.find(connection, job.owner_id, *of, values) for of, values in asked.items()}


def _find_unregistered(connection: Connection, job: ItemJob, table: _ItemTable) -> None:
    """Note a fault for each object that an item names and that is not registered."""
    asked = {each for named in table.names for each in named.objects}
    known = named_objects.registered(connection, job.owner_id, asked)
    for one, named in zip(table.items, table.names, strict=True):
        for kind, key, value in named.objects:
            if (kind, key, value) not in known:
                message = f"nothing of kind {kind} is registered under {key} '{shown(value)}'"
                table.faults[one.number].append(wrong.fault("reference_not_found", message, one.at))


def _find_ambiguous(table: _ItemTable) -> None:
    """Note a fault for each reference that several items answer to."""
    if all(len(found) == 1 for of_key in table.found.values() for found in of_key.values()):
        return
    for one, named in zip(table.items, table.names, strict=True):
        for member, characteristic, key, value in named.uses:
            if len(table.found[characteristic, key].get(value, ())) > 1:
                table.faults[one.number].append(wrong.ambiguous(one.at, member, key, value))


def _ids(table: _ItemTable, staged: set[str], job: ItemJob) -> dict[int, str | None]:
    """Return the id of each item by its number; None where it has none, and a fault where another item bore it before."""
    taken = staged | {id_ for id_, kept in table.stored.items() if kept.batch_id == job.batch_id}
    ids: dict[int, str | None] = {}
    for one in table.items:
        ids[one.number] = given = one.id
        if given is not None and given in taken:
            message = f"id '{shown(given)}' stands in this batch before: the first holds"
            table.faults[one.number].append(wrong.fault("id_twice_in_batch", message, f"{one.at}.id"))
            ids[one.number] = None
        elif given is not None:
            taken.add(given)
    return ids


def _ready(connection: Connection, job: ItemJob, table: _ItemTable, ids: Mapping[int, str | None]) -> list[ItemArrival]:
    """Return the items that can be written at once: all that they name is there, or stands before them in the table.

    An item of the store that gets another parent, or another bill of materials, has to wait: it may close a circle.
    """
    faults = table.faults
    holding = [
        (one, named, id_)
        for one, named in zip(table.items, table.names, strict=True)
        if (id_ := ids[one.number]) is not None and one.number not in faults
    ]
    new = sum(1 for _, _, id_ in holding if id_ not in table.stored)
    identities = iter(items.new_identities(connection, new))
    there: dict[str, int] = {}  # items that are written with this table, by id
    ready: list[ItemArrival] = []
    for one, (uses, objects), id_ in holding:
        links: Links = {}
        for member, characteristic, key, value in uses:
            known = table.found[characteristic, key].get(value)
            used = known[0][0] if known else None
            if used is None and key == "id" and characteristic == job.characteristic:
                used = there.get(value)
            if used is None:
                break
            links[member] = used
        else:
            stored = table.stored.get(id_)
            if stored is not None and _may_close_a_circle(one, links, stored):
                continue
            item_id = next(identities) if stored is None else stored.item_id
            there[id_] = item_id
            ready.append(ItemArrival(one, id_, None, links, objects, stored, item_id))
    return ready


def _may_close_a_circle(item: BatchItem, links: Links, stored: StoredItem) -> bool:
    if item.compact == stored.document:
        return False
    if upserts.PARENT in item.item and links.get(upserts.PARENT) != stored.parent_item_id:
        return True
    return any(item.item[name] for name in upserts.bills_of(item.item))


def _staged(item: BatchItem, id_: str | None, faults: Faults | None) -> StagedItem:
    description = item.item.get("description")
    return StagedItem(
        item.number,
        id_,
        description if isinstance(description, str) else None,
        upserts.PARENT in item.item and item.item[upserts.PARENT] is None,
        upserts.bills_of(item.item) or None,
        written=False,
        faults=faults or None,
    )


def _staged_uses(item: BatchItem, named: upserts.ItemReferences, found: Found) -> list[StagedUse]:
    """Return what an item names, with the items of the store where they are there."""
    uses = []
    for member, characteristic, key, value in named.uses:
        known = found[characteristic, key].get(value)
        item_id, used_id = known[0] if known else (None, value if key == "id" else None)
        uses.append(StagedUse(item.number, member, characteristic, key, value, item_id, used_id))
    return uses
