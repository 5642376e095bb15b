"""The passes over a batch that go table by table: its items are read again from its pages, then staged, written, linked.

Staging writes an item at once where all that it names is there. The others are staged with what they name, until it is
known which items of the whole batch hold (``batches.settle``); then they are written, and last linked with those that were
written after them. Reading, checks and rows are those of an item that a call sends (``catalog/characteristics/writing.py``).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import islice

from ratemill import logs
from ratemill.catalog.characteristics import writing
from ratemill.catalog.characteristics.writing import (
    Found,
    ItemArrival,
    ItemChange,
    ItemTable,
    ItemWriter,
    Links,
    SentItem,
)
from ratemill.errors import invariant
from ratemill.reference import json_text
from ratemill.reference.characteristics import items as item_members
from ratemill.reference.characteristics.references import PARENT
from ratemill.reference.characteristics.values import ItemFault
from ratemill.settings import Settings
from ratemill.store.characteristics import items, jobs, staging
from ratemill.store.characteristics.items import FieldTypes, StoredItem, StoredUse
from ratemill.store.characteristics.jobs import ItemJob, ItemOutcome, StoredPage
from ratemill.store.characteristics.staging import Faults, StagedItem, StagedUse, WaitingItem
from ratemill.store.connections import Connection
from ratemill.visible import shown

TEXT_BYTES_MAX = 32 * 1024 * 1024  # of the pages that are open at once, as sent; the first is opened whatever its size
LINKS_MAX = 20_000  # of one transaction: rows of numbers

log = logs.get(__name__)


def _writer(job: ItemJob, *, strict: bool) -> ItemWriter:
    return ItemWriter(
        job.owner_id,
        job.characteristic,
        job.submitted_by or "?",
        strict=strict,
        batch_id=job.batch_id,
        dry_run=job.dry_run,
    )


# Read


def next_items(connection: Connection, job: ItemJob, items_max: int) -> list[SentItem]:
    """Return the next items of a batch; none if there are no more."""
    pages = jobs.pages(connection, job, items_max=items_max)
    return list(islice(_items_of(pages, job, None), items_max))


def items_of(connection: Connection, job: ItemJob, numbers: Sequence[int]) -> list[SentItem]:
    """Return the items of these numbers, in order; if they are large only the first of them."""
    pages = jobs.pages_of(connection, job, numbers)
    return list(_items_of(pages, job, set(numbers)))


def _items_of(pages: Iterable[StoredPage], job: ItemJob, wanted: Container[int] | None) -> Iterator[SentItem]:
    opened = 0
    for page in pages:
        text = page.items
        opened += len(text)
        if opened > TEXT_BYTES_MAX and opened > len(text):
            return
        warnings = _by_index(page.warnings)
        first = page.page_number * job.page_size
        for index, each in enumerate(json_text.elements(text)):
            number = first + index
            if number >= job.next_item if wanted is None else number in wanted:
                yield _read(number, index, each.decode(), warnings.get(index, []))


def _read(number: int, index: int, text: str, warnings: Faults) -> SentItem:
    compact = json_text.compact(text)
    item = json_text.reread(compact or text)
    invariant(isinstance(item, dict), f"item {number} of a batch is no object")
    members = item if isinstance(item, dict) else {}
    return SentItem(number, f"items[{index}]", writing.id_of(members), members, compact, warnings)


def _by_index(warnings: Iterable[dict[str, str]]) -> dict[int, Faults]:
    """Return the warnings of a page by the item that they are about."""
    found: defaultdict[int, Faults] = defaultdict(list)
    for warning in warnings:
        index, closed, _ = warning.get("property", "").removeprefix("items[").partition("]")
        if closed and index.isdigit():
            found[int(index)].append(warning)
    return found


# Stage


def stage(
    connection: Connection, settings: Settings, job: ItemJob, sent: Sequence[SentItem], *, failure: str | None
) -> None:
    """Write the items of a table that can be written, and stage the others, with the faults of those at fault."""
    if failure is not None:
        refused = [StagedItem(each.number, None, faults=[_not_processed(each, failure)]) for each in sent]
        staging.stage(connection, job, refused, ())
        return
    writer = _writer(job, strict=settings.references_strict)
    table = writing.read(connection, writer, sent)
    given = [each.id for each in sent if each.id is not None]
    ids = _ids(table, staging.taken(connection, job, given), job)
    ready = _ready(connection, job, table, ids)
    if ready:
        _write(connection, writer, job, ready, table.types)
    done = {arrival.change.sent.number for arrival in ready}
    unchanged = [
        StagedItem(each.change.sent.number, each.id, written=True) for each in ready if each.change.merged is None
    ]
    waiting = [change for change in table.changes if change.sent.number not in done]
    staging.stage(
        connection,
        job,
        [*unchanged, *(_staged(change, ids[change.sent.number]) for change in waiting)],
        [use for change in waiting for use in _staged_uses(change, table.found)],
    )


def _ids(table: ItemTable, staged: set[str], job: ItemJob) -> dict[int, str | None]:
    """Return the id of each item by its number; None where it has none, and a fault where another item had it before."""
    taken = staged | {
        change.sent.id
        for change in table.changes
        if change.sent.id is not None and change.stored is not None and change.stored.batch_id == job.batch_id
    }
    ids: dict[int, str | None] = {}
    for change in table.changes:
        sent = change.sent
        ids[sent.number] = given = sent.id
        if given is not None and given in taken:
            message = f"id '{shown(given)}' stands in this batch before: the first holds"
            change.faults.append(ItemFault("id_twice_in_batch", message, f"{sent.at}.id"))
            ids[sent.number] = None
        elif given is not None:
            taken.add(given)
    return ids


def _ready(connection: Connection, job: ItemJob, table: ItemTable, ids: Mapping[int, str | None]) -> list[ItemArrival]:
    """Return the items that can be written at once: all that they name is there, or stands before them in the table.

    An item of the store that gets another parent, or another bill of materials, has to wait: it may close a circle. One
    that changes nothing has not, whatever it names. In a dry run all the others wait, for none of them is ever there.
    """
    holding = [
        (change, id_)
        for change in table.changes
        if (id_ := ids[change.sent.number]) is not None
        and not change.faults
        and (change.merged is None or not job.dry_run)
    ]
    identities = iter(items.new_identities(connection, sum(1 for change, _ in holding if change.stored is None)))
    there: dict[str, int] = {}  # items that are written with this table, by id
    ready: list[ItemArrival] = []
    for change, id_ in holding:
        links: Links = {}
        for member, characteristic, key, value in change.names.uses:
            known = table.found[characteristic, key].get(value)
            used = known[0][0] if known else None
            if used is None and key == "id" and characteristic == job.characteristic:
                used = there.get(value)
            if used is None:
                break
            links[member] = used
        else:
            stored = change.stored
            if stored is not None and _may_close_a_circle(change, links, stored):
                continue
            item_id = next(identities) if stored is None else stored.item_id
            there[id_] = item_id
            ready.append(ItemArrival(change, id_, links, item_id))
    return ready


def _may_close_a_circle(change: ItemChange, links: Links, stored: StoredItem) -> bool:
    if change.merged is None:
        return False
    if PARENT in change.members and links.get(PARENT) != stored.parent_item_id:
        return True
    return any(change.members[name] for name in item_members.bills_of(change.members))


def _staged(change: ItemChange, id_: str | None) -> StagedItem:
    members = change.members
    description = members.get("description")
    return StagedItem(
        change.sent.number,
        id_,
        description if isinstance(description, str) else None,
        PARENT in members and members[PARENT] is None,
        item_members.bills_of(members) or None,
        written=False,
        faults=[asdict(fault) for fault in change.faults] or None,
    )


def _staged_uses(change: ItemChange, targets: Found) -> list[StagedUse]:
    """Return what an item names, with the items of the store where they are there."""
    uses = []
    for member, characteristic, key, value in change.names.uses:
        known = targets[characteristic, key].get(value)
        item_id, used_id = known[0] if known else (None, value if key == "id" else None)
        uses.append(StagedUse(change.sent.number, member, characteristic, key, value, item_id, used_id))
    return uses


# Write


def write(connection: Connection, job: ItemJob, table: Sequence[WaitingItem], *, failure: str | None) -> int:
    """Write the next staged items that hold, and the outcome of each; return the number of the last."""
    sent = items_of(connection, job, [waiting.item_number for waiting in table])
    table = table[: len(sent)]
    invariant(
        [each.number for each in sent] == [waiting.item_number for waiting in table],
        f"batch {job.batch_id} has other items than were staged",
    )
    first, last = sent[0].number, sent[-1].number
    refused = {
        each.number: ItemOutcome(
            *divmod(each.number, job.page_size),
            id=waiting.id or each.id,
            outcome="refused",
            guid=None,
            errors=[*(waiting.faults or []), *([] if failure is None else [_not_processed(each, failure)])],
            warnings=list(each.warnings) or None,
        )
        for each, waiting in zip(sent, table, strict=True)
        if failure is not None or waiting.faults is not None
    }
    holding = [(each, waiting.id) for each, waiting in zip(sent, table, strict=True) if each.number not in refused]
    writer = _writer(job, strict=False)
    stored = items.read(connection, job.owner_id, job.characteristic, [id_ for _, id_ in holding if id_])
    new = [id_ for _, id_ in holding if id_ not in stored]
    taken = items.new_identities(connection, 0 if job.dry_run else len(new))
    item_ids: dict[str | None, int] = {id_: known.item_id for id_, known in stored.items()}
    item_ids |= dict(zip(new, taken, strict=False))
    links = _links(staging.uses(connection, job, first, last), item_ids)
    arrivals = [
        ItemArrival(
            writing.change_of(writer, each, stored.get(id_ or "")),
            id_ or "",
            links.get(each.number, {}),
            item_ids.get(id_),
        )
        for each, id_ in holding
    ]
    types = items.field_types(connection, job.owner_id, job.characteristic)
    late = _write(connection, writer, job, arrivals, types, refused=refused)
    staging.keep_uses(connection, job, first, last, late)
    return last


def _links(
    uses: Sequence[tuple[int, str, int | None, str | None]], item_ids: Mapping[str | None, int]
) -> dict[int, Links]:
    """Return what items name, by number and member."""
    links: defaultdict[int, Links] = defaultdict(dict)
    for number, member, item_id, used_id in uses:
        links[number][member] = item_id if item_id is not None else item_ids.get(used_id)
    return links


def _write(
    connection: Connection,
    writer: ItemWriter,
    job: ItemJob,
    arrivals: Sequence[ItemArrival],
    types: FieldTypes,
    *,
    refused: Mapping[int, ItemOutcome] | None = None,
) -> list[tuple[int, str]]:
    """Write items that hold, and what became of each, next to those that are refused; return the links for later."""
    rows = writing.write(connection, writer, arrivals, types)
    outcomes = list((refused or {}).values())
    for arrival, (outcome, guid, own_types) in zip(arrivals, rows.outcomes, strict=True):
        sent = arrival.change.sent
        warnings = [
            *sent.warnings,
            *map(asdict, item_members.bill_warnings(arrival.change.members, job.characteristic, sent.at)),
            *map(asdict, _of_other_types(own_types, types, sent.at)),
        ]
        page_number, index = divmod(sent.number, job.page_size)
        outcomes.append(ItemOutcome(page_number, index, arrival.id or sent.id, outcome, guid, None, warnings or None))
    jobs.write_outcomes(connection, job, outcomes)
    counts = Counter(each.outcome for each in outcomes)
    jobs.count(connection, job.batch_id, counts, sum(len(each.warnings or ()) for each in outcomes))
    return rows.late


def _of_other_types(own_types: Mapping[str, str], types: FieldTypes, at: str) -> Iterable[ItemFault]:
    """Yield a warning for each field whose value is of another type than in the first item that had it."""
    for name, kind in own_types.items():
        if name in types and not types[name][1] and kind != types[name][0]:
            message = f"{shown(name)} was {types[name][0]} in the item that bore it first, here {kind}"
            yield ItemFault("type_differs", message, f"{at}.{name}")


def _not_processed(sent: SentItem, error: str) -> dict[str, str]:
    """Return that our work failed on an item."""
    return asdict(ItemFault("could_not_be_processed", f"the item could not be processed: {error}", sent.at))


# Link


def link(connection: Connection, job: ItemJob) -> bool:
    """Link the next items with those that were written after them; return whether these were the last."""
    late = staging.late_uses(connection, job, rows_max=LINKS_MAX)
    found = [
        (number, member, item, used) for number, member, item, used in late if item is not None and used is not None
    ]
    if len(found) < len(late):
        log.warning("characteristics_gone", batch_id=job.batch_id, uses=len(late) - len(found))
    uses = [StoredUse(item, member, used) for _, member, item, used in found if member != PARENT]
    items.insert_uses(connection, job.owner_id, uses)
    items.set_parents(connection, {item: used for _, member, item, used in found if member == PARENT})
    staging.drop_uses(connection, job, [(number, member) for number, member, *_ in late])
    return len(late) < LINKS_MAX
