"""The next table of a job: what every kind of job does around the work on it, so that nothing is lost, or done twice.

That the work begins is written before it, in a transaction of its own: a job whose process dies counts the attempt all the
same. The work, with how far the job has come, is one transaction. A failure is written down and makes the next table
smaller (``tries``); where the database did not answer, it was nobody's fault and counts for nothing.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Literal

from ratemill import logs
from ratemill.errors import Unavailable
from ratemill.intake.faultpoints import Point, die_at
from ratemill.settings import Settings
from ratemill.store.connections import Connection, Database

log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of job: its word in logs, the points where a test lets it die, and what to do with the job of a number.

    ``begin`` writes down that work begins and returns how often it began before, None if it cannot begin. ``work_off`` does
    the next table and returns whether it was the last, None if the job has ended or is in somebody's hands.
    """

    word: Literal["reprocess", "characteristics", "subscriptions"]
    before_commit: Point
    after_commit: Point
    begin: Callable[[Connection, int], int | None]
    work_off: Callable[[Connection, Settings, int], bool | None]
    forget_attempt: Callable[[Connection, int], None]
    note_error: Callable[[Connection, int, str], None]


def run(database: Database, settings: Settings, kind: Kind, number: int) -> bool:
    """Work off the next table of a job; return False if it is not due, has ended or is in somebody's hands."""
    with database.worker() as connection:
        tried_before = kind.begin(connection, number)
    if tried_before is None:
        return False
    try:
        with _uncollected(), database.worker() as connection:
            ended = kind.work_off(connection, settings, number)
            if ended is None:
                return False
            die_at(kind.before_commit, settings)
    except Unavailable:
        with suppress(Unavailable), database.worker() as connection:
            kind.forget_attempt(connection, number)
        raise
    except Exception as error:
        first = tried_before == 0  # the trace is told once, not for every half
        log.warning("table_failed", job=kind.word, number=number, error=repr(error), exc_info=first)
        with database.worker() as connection:
            kind.note_error(connection, number, repr(error))
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
