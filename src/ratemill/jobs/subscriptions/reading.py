"""The lines of an import of subscription objects as its job takes them: the next table is read while one is written."""

from __future__ import annotations

from typing import NamedTuple

from ratemill.reference.subscriptions import lines as subscription_lines
from ratemill.reference.subscriptions.lines import FileLine, Line, LineFault
from ratemill.store.connections import Connection
from ratemill.store.subscriptions import jobs
from ratemill.store.subscriptions.jobs import SubscriptionJob
from ratemill.subscription_objects import ObjectKind

AHEAD_MAX = 8  # imports, each of another owner, of which a table is kept; what another process took up is let go
BYTES_MAX = 4 * 1_024 * 1_024  # of the lines of one table, but that one line may be longer


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


class _LineRead(NamedTuple):
    kind: int
    lines: list[tuple[int, bytes]]


class LineReader:
    """Reads tables of imports; what it read ahead of one it forgets when another table of that one is asked for.

    Lines of an import never change, so it does not matter when they are read.
    """

    def __init__(self) -> None:
        self._ahead: dict[int, tuple[_Place, LineTable | None]] = {}  # by import
        self._fetched: tuple[_Place, _LineRead | None] | None = None

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


def _fetch(connection: Connection, place: _Place) -> _LineRead | None:
    """Return the next lines of a kind, those of the next kind where it has no more."""
    kind, next_line = place.kind, place.next_line
    while kind <= max(ObjectKind):
        lines = jobs.lines(
            connection, place.import_number, kind, next_line, lines_max=place.lines_max, bytes_max=BYTES_MAX
        )
        if lines:
            return _LineRead(kind, lines)
        kind, next_line = kind + 1, 1
    return None


def _read(fetched: _LineRead) -> LineTable:
    lines: list[FileLine] = []
    refused: dict[int, list[LineFault]] = {}
    for number, text in fetched.lines:
        line = subscription_lines.read(text)
        if isinstance(line, Line):
            lines.append(FileLine(number, line))
        else:
            refused[number] = line
    return LineTable(fetched.kind, lines, refused, fetched.lines[-1][0] + 1)
