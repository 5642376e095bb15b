"""The job of an import of subscription objects: the lines of its file, a kind after the other, a table at a time.

Each table is one transaction: objects, services, the faults of refused lines, the counts and how far the import has come.
Whoever holds the import's row works on it, and the row's lock goes with its connection; so when a process dies, the next one
goes on where the last table was committed. A table that failed is halved until the guilty line stands alone; that one is
refused.

Products come first, subscriptions last, whatever the order in the file: what a line refers to is there, or was refused.
"""

from __future__ import annotations

from collections.abc import Sequence

from ratemill.jobs import tables
from ratemill.jobs.tries import Try
from ratemill.reference import subscription_lines
from ratemill.reference.subscription_kinds import Kind
from ratemill.reference.subscription_lines import Line, LineFault
from ratemill.reference.subscription_upserts import Numbered
from ratemill.settings import Settings
from ratemill.setup import subscription_services, subscription_writing
from ratemill.setup.subscription_writing import Order
from ratemill.states import SubscriptionImportState
from ratemill.store import subscription_jobs as jobs
from ratemill.store.connections import Connection, Database
from ratemill.store.subscription_jobs import Job, Refusal

LINES_MAX = 2_048  # of one table, a power of two, to be halved; larger ones are hardly faster
BYTES_MAX = 4 * 1_024 * 1_024  # of the lines of one table, but that one line may be longer


def run_table(database: Database, settings: Settings, import_number: int) -> bool:
    """Work off the next table of an import; return False if it is not its turn, has ended or is in somebody's hands."""
    return tables.run(database, settings, _KIND, import_number)


def _begin(connection: Connection, import_number: int) -> int | None:
    job = jobs.hold(connection, import_number)
    if job is None or (job.state == SubscriptionImportState.PENDING and not jobs.begin(connection, job)):
        return None
    jobs.note_attempt(connection, import_number)
    return job.attempts


def _work_off(connection: Connection, settings: Settings, import_number: int) -> bool | None:
    job = jobs.hold(connection, import_number)
    return None if job is None else _next_table(connection, settings, job)


def _next_table(connection: Connection, settings: Settings, job: Job) -> bool:
    """Import the next lines; return whether there were none left."""
    tried = Try(job.attempts - 1, LINES_MAX)
    if tried.is_hopeless:
        jobs.end(connection, job, job.error or "the process died")
        return True
    kind, next_line = job.kind, job.next_line
    while not (table := jobs.lines(connection, job, kind, next_line, lines_max=tried.rows_max, bytes_max=BYTES_MAX)):
        if kind == Kind.SUBSCRIPTION:
            return _end(connection, settings, job)
        kind, next_line = kind + 1, 1
    read = [(number, subscription_lines.read(line)) for number, line in table]
    refusals = _refuse(read)
    if tried.condemns:
        refusals = [Refusal(number, _ref(line), _condemned(job)) for number, line in read]
    else:
        refusals += _write(connection, settings, job, [Numbered(n, line) for n, line in read if isinstance(line, Line)])
    jobs.advance(
        connection,
        job,
        kind=kind,
        next_line=table[-1][0] + 1,
        attempts=max(0, tried.attempts - 1),
        imported=len(table) - len(refusals),
        refusals=refusals,
    )
    return False


def _end(connection: Connection, settings: Settings, job: Job) -> bool:
    if settings.subscription_reprocess and not job.dry_run:
        subscription_services.reprocess_waiting(connection, job.owner_id, job.import_number, ordered_by=job.created_by)
    jobs.end(connection, job)
    return True


def _refuse(read: Sequence[tuple[int, Line | list[LineFault]]]) -> list[Refusal]:
    """Return the refusals of lines that are wrong as a whole."""
    return [Refusal(number, None, _told(faults)) for number, faults in read if isinstance(faults, list)]


def _write(connection: Connection, settings: Settings, job: Job, lines: Sequence[Numbered]) -> list[Refusal]:
    order = Order(
        job.owner_id,
        job.created_by,
        job.import_number,
        upsert=job.upsert,
        dry_run=job.dry_run,
        account_must_exist=settings.account_must_exist,
    )
    faults = subscription_writing.write_lines(connection, order, lines)
    refs = {each.line_number: each.line.external_ref for each in lines}
    return [Refusal(number, refs[number], _told(found)) for number, found in sorted(faults.items())]


def _told(faults: Sequence[LineFault]) -> list[tuple[str, str]]:
    return [(fault.field, fault.error) for fault in faults]


def _ref(line: Line | list[LineFault]) -> str | None:
    return line.external_ref if isinstance(line, Line) else None


def _condemned(job: Job) -> list[tuple[str, str]]:
    return [("", f"the line could not be processed: {job.error or 'the process died'}")]


_KIND = tables.Kind(
    "subscriptions",
    "subscriptions-before-commit",
    "subscriptions-after-commit",
    _begin,
    _work_off,
    jobs.forget_attempt,
    jobs.note_error,
)
