"""The second pass over a batch: which of its items hold, for the whole batch at once and over numbers alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from ratemill.jobs.characteristics import faults as wrong
from ratemill.reference.characteristics import circles as characteristic_circles
from ratemill.reference.characteristics.circles import CircleFindings, Ties
from ratemill.reference.characteristics.upserts import PARENT
from ratemill.store.characteristics import staging
from ratemill.store.characteristics.jobs import ItemJob
from ratemill.store.characteristics.staging import Faults, StagedUse
from ratemill.store.connections import Connection
from ratemill.visible import shown as cut

FAULTS_MAX = 5_000  # written by one statement
CIRCLE_SHOWN_MAX = 10  # items of a circle that a message names

_PARENTS, _BILLS = "parents", "bills"


def settle(connection: Connection, job: ItemJob) -> None:
    """Settle which items hold: what is named in the batch only, what leads back to itself, numbers for ids."""
    for many in staging.find_described(connection, job):
        where = wrong.at(job, many.item_number)
        fault = wrong.ambiguous(where, many.member, many.key, many.value)
        staging.add_faults(connection, job, {many.item_number: [fault]})
    staging.find_written(connection, job)
    held = characteristic_circles.refused_together(
        staging.faulty(connection, job),
        staging.named_ahead(connection, job),
        {_PARENTS: _parents(connection, job), _BILLS: _bills(connection, job)},
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


def _of_circles(connection: Connection, job: ItemJob, held: CircleFindings) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield a fault for each item of the batch in a circle."""
    for kind, circles in held.circles.items():
        for circle in circles:
            guilty = [number for number in circle if number in held.refused]
            members = staging.billed(connection, job, guilty) if kind == _BILLS else {}
            way = _way(connection, job, circle)
            for number in guilty:
                member = members.get(number) if kind == _BILLS else PARENT
                what = "the parents run" if kind == _PARENTS else "the bills of materials lead"
                where = f"{wrong.at(job, number)}.{member}"
                yield number, wrong.fault(f"{kind}_in_a_circle", f"{what} in a circle: {way}", where)


def _way(connection: Connection, job: ItemJob, circle: Sequence[int]) -> str:
    """Return how a circle leads from its first item back to it, by ids."""
    shown = staging.ids_of(connection, job, [*circle[:CIRCLE_SHOWN_MAX], circle[0]])
    middle = ["…"] if len(circle) > CIRCLE_SHOWN_MAX else []
    return " → ".join([*(f"'{cut(each)}'" for each in shown[:-1]), *middle, f"'{cut(shown[-1])}'"])


def _lost(job: ItemJob, use: StagedUse, of_refused: bool) -> dict[str, str]:
    where = f"{wrong.at(job, use.item_number)}.{use.member}"
    if of_refused:
        message = f"{cut(use.member)} names the {use.key} '{cut(use.value)}' of an item that is refused"
        return wrong.fault("reference_refused", message, where)
    whose = "in this batch or before" if use.characteristic == job.characteristic else "there"
    none = f"no item of characteristic {use.characteristic}"
    message = f"{cut(use.member)}: {none} has the {use.key} '{cut(use.value)}' {whose}"
    return wrong.fault("reference_not_found", message, where)


def _add_faults(connection: Connection, job: ItemJob, found: Iterable[tuple[int, dict[str, str]]]) -> None:
    """Write faults that were found, some thousand at a time."""
    waiting = iter(found)
    while part := list(islice(waiting, FAULTS_MAX)):
        by_number: defaultdict[int, Faults] = defaultdict(list)
        for number, fault in part:
            by_number[number].append(fault)
        staging.add_faults(connection, job, by_number)
