"""The loop of a process that works: one step after another until it is told to stop.

It moves the heartbeat, pauses when there is no work or the database is away, and settles the attempts at the end. What a
step is, the process itself defines: a worker takes a table of usage, a runner a table of each job.
"""

from __future__ import annotations

from contextlib import suppress
from threading import Event
from typing import Protocol

from ratemill import heartbeat, logs
from ratemill.errors import DatabaseAway, Unavailable

AWAY_S = 0.5  # between two tries to reach a database that is away

log = logs.get(__name__)


class Steps(Protocol):
    """The work of a process, a step at a time."""

    @property
    def pause_s(self) -> float:
        """Return the time to the next look for work, after a step that found none."""

    def step(self) -> bool:
        """Do the next work; return whether there was any."""

    def settle(self) -> None:
        """Write how the attempts ended that could not be written yet; raise ``Unavailable`` if they still cannot."""


def run(work: Steps, stopping: Event) -> None:
    """Take steps until ``stopping`` is set; a database that does not answer is waited for."""
    while not stopping.is_set():
        try:
            heartbeat.beat()
            worked = work.step()
        except DatabaseAway:  # the database handle logs it
            stopping.wait(AWAY_S)
            continue
        except Unavailable as error:
            log.warning("step_put_off", error=str(error))
            worked = False
        if not worked:
            stopping.wait(work.pause_s)
    with suppress(Unavailable):
        work.settle()  # else the table that was stopped would count as a death
