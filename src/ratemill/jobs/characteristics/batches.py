"""The job of a batch of characteristics: its items are written, or staged, settled, written and linked, a table at a time.

Each table is one transaction: the items, what became of them, the counts and how far the batch has come. The process that
holds the batch's row works on it, and the row's lock goes with its connection. When a process dies, the next one goes on
where the last table was committed. A table that failed is halved until the failing item is alone; that one is refused.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from itertools import islice

from ratemill.catalog.characteristics import writing
from ratemill.jobs.characteristics.passes import link, next_items, stage, write
from ratemill.jobs.work import tables
from ratemill.jobs.work.tries import TableTry
from ratemill.reference.characteristics import circles as characteristic_circles
from ratemill.reference.characteristics.circles import BILLS, PARENTS, CircleFindings, Ties
from ratemill.reference.characteristics.references import PARENT, ItemUse
from ratemill.reference.characteristics.values import ItemFault
from ratemill.settings import Settings
from ratemill.states import ImportJobState
from ratemill.store.characteristics import jobs, staging
from ratemill.store.characteristics.jobs import ItemJob
from ratemill.store.characteristics.staging import Faults, StagedUse
from ratemill.store.connections import Connection, Database

ITEMS_MAX = 4_096  # of one table, a power of two, to be halved; larger ones are hardly faster
DIED = "the process died"

FAULTS_MAX = 5_000  # written by one statement

STAGE, SETTLE, WRITE, LINK = 1, 2, 3, 4


def run_table(database: Database, settings: Settings, batch_id: int) -> bool:
    """Process the next table of a batch; return False if it is not due, has ended or another process works on it."""
    return tables.run(database, settings, _KIND, batch_id)


def _begin(connection: Connection, batch_id: int) -> bool:
    job = jobs.hold(connection, batch_id)
    return job is not None and (job.state != ImportJobState.SUBMITTED or jobs.begin(connection, job))


def _process(connection: Connection, settings: Settings, job: ItemJob, errors: list[str | None]) -> bool:
    jobs.plan_anew(connection)
    tried = TableTry(job.attempts, errors, ITEMS_MAX)
    if tried.breaks_step if job.step in (SETTLE, LINK) else tried.is_hopeless:
        return _end(connection, job, tried.error or DIED)
    if job.step == STAGE:
        return _stage(connection, settings, job, tried)
    if job.step == WRITE:
        return _write(connection, job, tried)
    if job.step == LINK:
        return _end(connection, job) if link(connection, job) else _go_on(connection, job, step=LINK)
    settle(connection, job)
    return _go_on(connection, job, step=WRITE)


def _stage(connection: Connection, settings: Settings, job: ItemJob, tried: TableTry) -> bool:
    read = next_items(connection, job, tried.rows_max)
    if not read:
        return _go_on(connection, job, step=SETTLE)
    stage(connection, settings, job, read, failure=_failure_of(tried))
    return _advance(connection, job, tried, last=read[-1].number)


def _write(connection: Connection, job: ItemJob, tried: TableTry) -> bool:
    table = staging.waiting(connection, job, items_max=tried.rows_max)
    if table:
        last = write(connection, job, table, failure=_failure_of(tried))
        return _advance(connection, job, tried, last=last)
    return _end(connection, job) if job.dry_run else _go_on(connection, job, step=LINK)


def _failure_of(tried: TableTry) -> str | None:
    return (tried.error or DIED) if tried.refuses else None


def _advance(connection: Connection, job: ItemJob, tried: TableTry, *, last: int) -> bool:
    """Write down that a table is done; what is left of the attempts keeps the next one small."""
    jobs.advance(connection, job.batch_id, step=job.step, next_item=last + 1, attempts=tried.attempts_left)
    return False


def _go_on(connection: Connection, job: ItemJob, *, step: int) -> bool:
    jobs.advance(connection, job.batch_id, step=step, next_item=0)
    return False


def _end(connection: Connection, job: ItemJob, error: str | None = None) -> bool:
    staging.clear(connection, job)
    jobs.end(connection, job.batch_id, error)
    return True


# Settle: which items of the whole batch hold, over numbers alone


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


_KIND = tables.JobKind(
    "characteristics",
    "characteristics-before-commit",
    "characteristics-after-commit",
    _begin,
    jobs.hold,
    _process,
)
