"""The second pass over a batch: which of its items hold, for the whole batch at once and over numbers alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from itertools import islice

from ratemill.catalog.characteristics import writing
from ratemill.reference.characteristics import circles as characteristic_circles
from ratemill.reference.characteristics.circles import BILLS, PARENTS, CircleFindings, Ties
from ratemill.reference.characteristics.upserts import PARENT, ItemUse
from ratemill.reference.characteristics.values import ItemFault
from ratemill.store.characteristics import staging
from ratemill.store.characteristics.jobs import ItemJob
from ratemill.store.characteristics.staging import Faults, StagedUse
from ratemill.store.connections import Connection

FAULTS_MAX = 5_000  # written by one statement


def settle(connection: Connection, job: ItemJob) -> None:
    """Settle which items hold: what is named in the batch only, what leads back to itself, numbers for ids."""
    for many in staging.find_described(connection, job):
        fault = writing.ambiguous(_at(job, many.item_number), many.member, many.key, many.value)
        staging.add_faults(connection, job, {many.item_number: [asdict(fault)]})
    staging.find_written(connection, job)
    held = characteristic_circles.refused_together(
        staging.faulty(connection, job),
        staging.named_ahead(connection, job),
        {PARENTS: _parents(connection, job), BILLS: _bills(connection, job)},
    )
    if held.refused:
        _add_faults(connection, job, _of_circles(connection, job, held))
        lost = list(staging.lost_uses(connection, job, sorted(held.refused)))
        _add_faults(connection, job, ((use.item_number, _lost(job, use, of_refused)) for use, of_refused in lost))
    if not job.dry_run:
        staging.number_items(connection, job)


def _parents(connection: Connection, job: ItemJob) -> Ties:
    sent = {item: [] if parent is None else [parent] for item, parent in staging.parents(connection, job)}
    stored: dict[int, list[int]] = {}
    replaced: dict[int, list[int]] = {}
    for item, parent in staging.stored_parents(connection, job):
        (replaced if item in sent else stored)[item] = [parent]
    return Ties(sent, stored, replaced)


def _bills(connection: Connection, job: ItemJob) -> Ties:
    sent: defaultdict[int, list[int]] = defaultdict(list)
    for item, component in staging.bills(connection, job):
        sent[item].append(component)
    stored: defaultdict[int, list[int]] = defaultdict(list)
    replaced: defaultdict[int, list[int]] = defaultdict(list)
    for item, component, is_replaced in staging.stored_bills(connection, job) if sent else ():
        (replaced if is_replaced else stored)[item].append(component)
    return Ties(sent, stored, replaced)


def _of_circles(connection: Connection, job: ItemJob, held: CircleFindings) -> Iterator[tuple[int, ItemFault]]:
    """Yield a fault for each item of the batch in a circle."""
    for kind, of_kind in held.circles.items():
        for circle in of_kind:
            refused = [number for number in circle if number in held.refused]
            members = staging.billed(connection, job, refused) if kind == BILLS else dict.fromkeys(refused, PARENT)
            ids = staging.ids_of(connection, job, characteristic_circles.named_of(circle))
            for number in refused:
                where, member = _at(job, number), members.get(number, "")
                yield number, characteristic_circles.fault(kind, circle, ids, at=where, member=member)


def _lost(job: ItemJob, use: StagedUse, of_refused: bool) -> ItemFault:
    where = _at(job, use.item_number)
    named = ItemUse(use.member, use.characteristic, use.key, use.value)
    if of_refused:
        return writing.of_refused(where, named)
    return writing.not_found(
        where, named, " in this batch or before" if use.characteristic == job.characteristic else " there"
    )


def _at(job: ItemJob, number: int) -> str:
    """Return the path of an item in its page, by its number in the batch."""
    return f"items[{number % job.page_size}]"


def _add_faults(connection: Connection, job: ItemJob, found: Iterable[tuple[int, ItemFault]]) -> None:
    """Write faults that were found, some thousand at a time."""
    waiting = iter(found)
    while part := list(islice(waiting, FAULTS_MAX)):
        by_number: defaultdict[int, Faults] = defaultdict(list)
        for number, fault in part:
            by_number[number].append(asdict(fault))
        staging.add_faults(connection, job, by_number)
