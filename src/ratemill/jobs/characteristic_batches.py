"""The job of a batch of characteristics: its items are written, or staged, settled, written and linked, a table at a time.

Each table is one transaction: the items, what became of them, the counts and how far the batch has come. Whoever holds the
batch's row works on it, and the row's lock goes with its connection; so when a process dies, the next one goes on where
the last table was committed. A table that failed is halved until the guilty item stands alone; that one is refused.
"""

from __future__ import annotations

from ratemill.jobs import tables
from ratemill.jobs.characteristic_linking import link
from ratemill.jobs.characteristic_reading import next_items
from ratemill.jobs.characteristic_settling import settle
from ratemill.jobs.characteristic_staging import stage
from ratemill.jobs.characteristic_writing import write
from ratemill.jobs.tries import Try
from ratemill.settings import Settings
from ratemill.states import ImportJobState
from ratemill.store import characteristic_jobs as jobs
from ratemill.store import characteristic_staging as staging
from ratemill.store.characteristic_jobs import Job
from ratemill.store.connections import Connection, Database

ITEMS_MAX = 4_096  # of one table, a power of two, to be halved; larger ones are hardly faster
SETTLE_ATTEMPTS_MAX = 5  # what concerns the whole batch cannot be halved

STAGE, SETTLE, WRITE, LINK = 1, 2, 3, 4


def run_table(database: Database, settings: Settings, batch_id: int) -> bool:
    """Work off the next table of a batch; return False if it is not due, has ended or is in somebody's hands."""
    return tables.run(database, settings, _KIND, batch_id)


def _begin(connection: Connection, batch_id: int) -> int | None:
    job = jobs.hold(connection, batch_id)
    if job is None or (job.state == ImportJobState.SUBMITTED and not jobs.begin(connection, job)):
        return None
    jobs.note_attempt(connection, batch_id)
    return job.attempts


def _work_off(connection: Connection, settings: Settings, batch_id: int) -> bool | None:
    job = jobs.hold(connection, batch_id)
    if job is None:
        return None
    jobs.plan_anew(connection)
    tried = Try(job.attempts - 1, ITEMS_MAX)
    if tried.attempts >= SETTLE_ATTEMPTS_MAX if job.step in (SETTLE, LINK) else tried.is_hopeless:
        return _end(connection, job, job.error or "the process died")
    if job.step == STAGE:
        return _stage(connection, settings, job, tried)
    if job.step == WRITE:
        return _write(connection, job, tried)
    if job.step == LINK:
        return _end(connection, job) if link(connection, job) else _go_on(connection, job, step=LINK)
    settle(connection, job)
    return _go_on(connection, job, step=WRITE)


def _stage(connection: Connection, settings: Settings, job: Job, tried: Try) -> bool:
    read = next_items(connection, job, tried.rows_max)
    if not read:
        return _go_on(connection, job, step=SETTLE)
    stage(connection, settings, job, read, condemned=_condemned(job, tried))
    return _advance(connection, job, tried, last=read[-1].number)


def _write(connection: Connection, job: Job, tried: Try) -> bool:
    table = staging.waiting(connection, job, items_max=tried.rows_max)
    if table:
        last = write(connection, job, table, condemned=_condemned(job, tried))
        return _advance(connection, job, tried, last=last)
    return _end(connection, job) if job.dry_run else _go_on(connection, job, step=LINK)


def _condemned(job: Job, tried: Try) -> str | None:
    return (job.error or "the process died") if tried.condemns else None


def _advance(connection: Connection, job: Job, tried: Try, *, last: int) -> bool:
    """Write down that a table is done; what is left of the attempts keeps the next one small."""
    attempts = max(0, tried.attempts - 1)
    jobs.advance(connection, job.batch_id, step=job.step, next_item=last + 1, attempts=attempts)
    return False


def _go_on(connection: Connection, job: Job, *, step: int) -> bool:
    jobs.advance(connection, job.batch_id, step=step, next_item=0)
    return False


def _end(connection: Connection, job: Job, error: str | None = None) -> bool:
    staging.clear(connection, job)
    jobs.end(connection, job.batch_id, error)
    return True


_KIND = tables.Kind(
    "characteristics",
    "characteristics-before-commit",
    "characteristics-after-commit",
    _begin,
    _work_off,
    jobs.forget_attempt,
    jobs.note_error,
)
