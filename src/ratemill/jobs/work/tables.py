"""The next table of a job: what every kind of job does around the work on it, so that nothing is lost or done twice.

The work, with how far the job has come, is one transaction, which locks the job first. The attempt is written after that
and ends with the commit (``intake/attempts.py``). A failure makes the next table smaller (``tries``); where the database was
away, nothing counts.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar
from weakref import WeakKeyDictionary

from ratemill import logs
from ratemill.errors import Unavailable
from ratemill.intake.attempts import WorkAttempts, is_failure, is_in_doubt
from ratemill.intake.faultpoints import Point, die_at
from ratemill.settings import Settings
from ratemill.store import work_attempts
from ratemill.store.connections import Connection, Database
from ratemill.store.work_attempts import NewAttempt

log = logs.get(__name__)

_attempts: WeakKeyDictionary[Database, WorkAttempts] = WeakKeyDictionary()


class LockedJob(Protocol):
    """The row of a job that the transaction holds."""

    @property
    def owner_id(self) -> int:
        """Return whose job it is."""


J = TypeVar("J", bound=LockedJob)


@dataclass(frozen=True, slots=True)
class JobKind(Generic[J]):
    """A kind of job: its word in logs, the points where a test lets it die, and what to do with the job of a number.

    ``begin`` lets a job begin that waits and returns whether its turn has come. ``hold`` locks the job; None if it has ended
    or another process holds it. ``process`` does the next table, given the errors of the attempts at it, and returns whether
    it was the last.
    """

    word: Literal["reprocess", "characteristics", "subscriptions"]
    before_commit: Point
    after_commit: Point
    begin: Callable[[Connection, int], bool]
    hold: Callable[[Connection, int], J | None]
    process: Callable[[Connection, Settings, J, list[str | None]], bool]


def settle(database: Database) -> None:
    """Write how the attempts of this process ended where the database was away; ``Unavailable`` if it still is."""
    _attempts.setdefault(database, WorkAttempts(database)).settle()


def run(database: Database, settings: Settings, kind: JobKind[J], number: int) -> bool:
    """Process the next table of a job; return False if it is not due, has ended or another process holds it."""
    attempts = _attempts.setdefault(database, WorkAttempts(database))
    attempts.settle()
    with database.worker() as connection:
        if not kind.begin(connection, number):
            return False
    tried_before = 0
    try:
        with _uncollected(), attempts.transaction() as trial:
            job = kind.hold(trial.connection, number)
            if job is None:
                return False
            errors = work_attempts.of_job(trial.connection, kind.word, number)
            tried_before = len(errors)
            trial.begin(NewAttempt(kind.word, job.owner_id, [number]))
            ended = kind.process(trial.connection, settings, job, errors)
            work_attempts.clear_job(trial.connection, kind.word, number)
            die_at(kind.before_commit, settings)
    except BaseException as error:
        if isinstance(error, Unavailable) or not is_failure(error):
            raise
        first = tried_before == 0  # the trace is logged once, not for every half
        log.warning("table_failed", job=kind.word, number=number, error=repr(error), exc_info=first)
        if is_in_doubt(error):
            raise Unavailable(f"the server or the machine may be the cause: {error!r}") from error
        return True
    die_at(kind.after_commit, settings)
    if ended:
        log.info("job_ended", job=kind.word, number=number)
    return True


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keep the collector from walking all that a table is made of, again and again; a table makes no circles to speak of."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
