"""The job of a batch of characteristics: its items are written, or staged, settled, written and linked, a table at a time.

Each table is one transaction: the items, what became of them, the counts and how far the batch has come. The process that
holds the batch's row works on it, and the row's lock goes with its connection. When a process dies, the next one goes on
where the last table was committed. A table that failed is halved until the guilty item stands alone; that one is refused.
"""

from __future__ import annotations

from ratemill.jobs.characteristics.passes import link, stage, write
from ratemill.jobs.characteristics.reading import next_items
from ratemill.jobs.characteristics.settling import settle
from ratemill.jobs.work import tables
from ratemill.jobs.work.tries import TableTry
from ratemill.settings import Settings
from ratemill.states import ImportJobState
from ratemill.store.characteristics import jobs, staging
from ratemill.store.characteristics.jobs import ItemJob
from ratemill.store.connections import Connection, Database

ITEMS_MAX = 4_096  # of one table, a power of two, to be halved; larger ones are hardly faster
DIED = "the process died"

STAGE, SETTLE, WRITE, LINK = 1, 2, 3, 4


def run_table(database: Database, settings: Settings, batch_id: int) -> bool:
    """Work off the next table of a batch; return False if it is not due, has ended or another process works on it."""
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


_KIND = tables.JobKind(
    "characteristics",
    "characteristics-before-commit",
    "characteristics-after-commit",
    _begin,
    jobs.hold,
    _process,
)
