"""The job of an import of subscription objects: the lines of its file, a kind after the other, a table at a time.

Each table is one transaction: objects, services, the faults of refused lines, the counts and how far the import has come.
The process that holds the import's row works on it, and the row's lock goes with its connection. When a process dies,
the next one goes on where the last table was committed. A table that failed is halved until the failing line is isolated,
and that line is refused.

Products come first, subscriptions last, whatever the order in the file: what a line refers to is there, or was refused.
The next table is read while the database writes one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from ratemill.catalog.subscriptions import services, writing
from ratemill.catalog.subscriptions.writing import Order
from ratemill.jobs.work import tables
from ratemill.jobs.work.tries import TableTry
from ratemill.reference.subscriptions import lines as subscription_lines
from ratemill.reference.subscriptions.lines import FileLine, Line, LineFault
from ratemill.settings import Settings
from ratemill.states import SubscriptionImportState
from ratemill.store.connections import Connection, Database
from ratemill.store.subscriptions import jobs
from ratemill.store.subscriptions.jobs import LineRefusal, SubscriptionJob
from ratemill.subscription_objects import ObjectKind

LINES_MAX = 8_192  # of one table, a power of two, to be halved
AHEAD_MAX = 8  # imports, each of another owner, of which a table is kept; what another process took up is let go
BYTES_MAX = 4 * 1_024 * 1_024  # of the lines of one table, but that one line may be longer


def run_table(database: Database, settings: Settings, import_number: int, reader: LineReader | None = None) -> bool:
    """Process the next table of an import; return False if it is not its turn, has ended or another process works on it.

    ``reader`` is that of the tables before, which may have read this one already.
    """
    return tables.run(database, settings, _kind(reader or LineReader()), import_number)


def _kind(reader: LineReader) -> tables.JobKind[SubscriptionJob]:
    return tables.JobKind(
        "subscriptions",
        "subscriptions-before-commit",
        "subscriptions-after-commit",
        _begin,
        jobs.hold,
        partial(_next_table, reader),
    )


def _begin(connection: Connection, import_number: int) -> bool:
    job = jobs.hold(connection, import_number)
    return job is not None and (job.state != SubscriptionImportState.PENDING or jobs.begin(connection, job))


def _next_table(
    reader: LineReader, connection: Connection, settings: Settings, job: SubscriptionJob, errors: list[str | None]
) -> bool:
    """Import the next lines; return whether there were none left."""
    tried = TableTry(job.attempts, errors, LINES_MAX)
    error = tried.error or "the process died"
    if tried.is_hopeless:
        jobs.end(connection, job, error)
        return True
    table = reader.table(connection, job, tried.rows_max)
    if table is None:
        return _end(connection, settings, job)
    reader.fetch_ahead(connection, job, table, LINES_MAX)
    if tried.refuses:
        refusals = _refusals(table, error)
    else:
        refusals = _write(connection, settings, job, table, meanwhile=reader.read_ahead)
    jobs.advance(
        connection,
        job,
        kind=table.kind,
        next_line=table.next_line,
        attempts=tried.attempts_left,
        imported=len(table.lines) + len(table.refused) - len(refusals),
        refusals=refusals,
    )
    return False


def _end(connection: Connection, settings: Settings, job: SubscriptionJob) -> bool:
    if settings.subscription_reprocess and not job.dry_run:
        services.reprocess_waiting(connection, job.owner_id, job.import_number, ordered_by=job.created_by)
    jobs.end(connection, job)
    return True


def _write(
    connection: Connection, settings: Settings, job: SubscriptionJob, table: LineTable, *, meanwhile: Callable[[], None]
) -> list[LineRefusal]:
    """Write the lines of a table; return the refusals, also of those that are wrong as a whole."""
    order = Order(
        job.owner_id,
        job.created_by,
        job.import_number,
        upsert=job.upsert,
        dry_run=job.dry_run,
        account_must_exist=settings.account_must_exist,
    )
    faults = table.refused | writing.write_lines(connection, order, table.lines, meanwhile=meanwhile)
    refs = _refs(table) if faults else {}
    return [LineRefusal(number, refs.get(number), _told(found)) for number, found in sorted(faults.items())]


def _told(faults: Sequence[LineFault]) -> list[tuple[str, str]]:
    return [(fault.field, fault.error) for fault in faults]


def _refs(table: LineTable) -> dict[int, str | None]:
    return {each.line_number: each.line.external_ref for each in table.lines}


def _refusals(table: LineTable, error: str) -> list[LineRefusal]:
    refs = _refs(table) | dict.fromkeys(table.refused)
    fault = f"the line could not be processed: {error}"
    return [LineRefusal(number, ref, [("", fault)]) for number, ref in sorted(refs.items())]


class LineTable(NamedTuple):
    """Lines of one kind: those that are whole, and what is wrong with the others by their number."""

    kind: int
    lines: list[FileLine]
    refused: dict[int, list[LineFault]]
    next_line: int


class _Place(NamedTuple):
    import_number: int
    kind: int
    next_line: int
    lines_max: int


class _LineBatch(NamedTuple):
    kind: int
    lines: list[tuple[int, bytes]]


class LineReader:
    """Reads tables of imports; what it read ahead of one it forgets when another table of that one is asked for.

    Lines of an import never change, so it does not matter when they are read.
    """

    def __init__(self) -> None:
        self._ahead: dict[int, tuple[_Place, LineTable | None]] = {}  # by import
        self._fetched: tuple[_Place, _LineBatch | None] | None = None

    def table(self, connection: Connection, job: SubscriptionJob, lines_max: int) -> LineTable | None:
        """Return the next table of a job, None if there are no lines left."""
        place = _Place(job.import_number, job.kind, job.next_line, lines_max)
        self.read_ahead()
        known, table = self._ahead.pop(job.import_number, (None, None))
        if known == place:
            return table
        fetched = _fetch(connection, place)
        return _read(fetched) if fetched else None

    def fetch_ahead(self, connection: Connection, job: SubscriptionJob, table: LineTable, lines_max: int) -> None:
        """Fetch the lines of the table after ``table``."""
        place = _Place(job.import_number, table.kind, table.next_line, lines_max)
        self._fetched = place, _fetch(connection, place)

    def read_ahead(self) -> None:
        """Read what was fetched; asks the database nothing."""
        if self._fetched is None:
            return
        place, fetched = self._fetched
        self._fetched = None
        self._ahead[place.import_number] = place, _read(fetched) if fetched else None
        if len(self._ahead) > AHEAD_MAX:
            del self._ahead[next(iter(self._ahead))]


def _fetch(connection: Connection, place: _Place) -> _LineBatch | None:
    """Return the next lines of a kind, those of the next kind where it has no more."""
    kind, next_line = place.kind, place.next_line
    while kind <= max(ObjectKind):
        lines = jobs.lines(
            connection, place.import_number, kind, next_line, lines_max=place.lines_max, bytes_max=BYTES_MAX
        )
        if lines:
            return _LineBatch(kind, lines)
        kind, next_line = kind + 1, 1
    return None


def _read(fetched: _LineBatch) -> LineTable:
    lines: list[FileLine] = []
    refused: dict[int, list[LineFault]] = {}
    for number, text in fetched.lines:
        line = subscription_lines.read(text)
        if isinstance(line, Line):
            lines.append(FileLine(number, line))
        else:
            refused[number] = line
    return LineTable(fetched.kind, lines, refused, fetched.lines[-1][0] + 1)
