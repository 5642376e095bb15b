"""Attempts at work: begun after the lock, finished by the commit, and settled by what ended them if it was not the commit.

The work has one transaction, which holds its locks. That it begins is written on a second connection and committed before
the work runs, so a process that is killed leaves the row behind. The commit of the work deletes it. If the work raises:

- the texts of the table would take too much memory: the row is deleted, for that says nothing about a record;
- the database was away, or another transaction was in the way: the row is deleted, now or before this process begins
  anything else;
- the machine was short of memory or disk, a statement reached a limit or was refused for what it is: the row stays with the
  error, in doubt. Such a record is refused only if it fails again after others passed;
- anything else: the row stays, with the error.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID, uuid4

from ratemill import logs
from ratemill.errors import StatementDefect, StatementLimit, TableTooLarge, Unavailable, invariant
from ratemill.store import work_attempts
from ratemill.store.connections import Connection, Database
from ratemill.store.work_attempts import NewAttempt

FAILURES_ALONE_MAX = (
    2  # what failed alone with an error did so on its own account; twice, in case it was a fault of ours
)
# A death says little: an operator may kill workers at random. The work on one record takes well under a tenth of the time
# between two such kills, so ten in a row on the same record are not chance.
DEATHS_ALONE_MAX = 10

log = logs.get(__name__)


class Trial:
    """One transaction of work, and the attempt that it makes."""

    def __init__(self, database: Database, connection: Connection) -> None:
        self.connection = connection
        self.attempt_id: UUID | None = None
        self._database = database

    def begin(self, attempt: NewAttempt) -> None:
        """Write that the work begins. Its rows must be locked by now: only who holds them works on them."""
        invariant(self.attempt_id is None, "two attempts were begun in one transaction")
        # Known before it is written: if the answer to the commit is lost, the row may be there and has to be settled.
        self.attempt_id = uuid4()
        with self._database.worker() as connection:
            work_attempts.begin(connection, self.attempt_id, attempt)

    def note_stage(self, stage: str) -> None:
        """Write which stage begins."""
        if self.attempt_id is not None:
            with self._database.worker() as connection:
                work_attempts.note_stage(connection, self.attempt_id, stage)

    def finish(self) -> None:
        """Let the commit that follows take the attempt with it."""
        if self.attempt_id is not None:
            work_attempts.finish(self.connection, self.attempt_id)


class WorkAttempts:
    """The attempts of one process, with those whose end could not be written yet."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._unsettled: list[tuple[UUID, BaseException]] = []

    @contextmanager
    def transaction(self) -> Iterator[Trial]:
        """Yield a transaction for one table of work; whatever ends it, the attempt is settled."""
        trial: Trial | None = None
        try:
            with self._database.worker() as connection:
                trial = Trial(self._database, connection)
                yield trial
                trial.finish()
        except BaseException as error:
            if trial is not None and trial.attempt_id is not None and is_failure(error):
                self._end(trial.attempt_id, error)
            raise

    def settle(self) -> None:
        """Write the ends that could not be written; raise ``Unavailable`` if they still cannot."""
        while self._unsettled:
            self._write(*self._unsettled[0])
            del self._unsettled[0]

    def _end(self, attempt_id: UUID, error: BaseException) -> None:
        try:
            self._write(attempt_id, error)
        except Unavailable:
            self._unsettled.append((attempt_id, error))

    def _write(self, attempt_id: UUID, error: BaseException) -> None:
        in_doubt = is_in_doubt(error)
        with self._database.worker() as connection:
            if isinstance(error, (Unavailable, TableTooLarge)) and not in_doubt:
                work_attempts.forget(connection, attempt_id)
            else:
                work_attempts.note_error(connection, attempt_id, repr(error), in_doubt=in_doubt)


def is_in_doubt(error: BaseException | None) -> bool:
    """Return whether the server or the machine is at least as likely the cause as the record."""
    return isinstance(error, (StatementLimit, StatementDefect, MemoryError, OSError))


def is_failure(error: BaseException) -> bool:
    """Return whether the work failed; a panic of the table engine is one, though no ``Exception``."""
    return isinstance(error, Exception) or type(error).__module__ == "pyo3_runtime"
