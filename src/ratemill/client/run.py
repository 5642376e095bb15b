"""One import of a file: go on where an earlier run ended, or begin, then send what is missing and wait for the end.

Usage, items and subscription data are imported in these steps. Each kind of file defines what the journal notes of it, how
its records are sent and what an answer means.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from threading import Event
from time import monotonic
from typing import Generic, Protocol, TypeVar

from ratemill.client.calls import LOOK_S, Json
from ratemill.client.errors import ChangedFile, Rejection


class ImportResult(Protocol):
    """What an import came to, as far as it has come."""

    already_imported: bool

    @property
    def is_good(self) -> bool:
        """Return whether every record that was sent is in, or would be."""

    def as_json(self) -> Json:
        """Return the result as the command line prints it."""


Begun = TypeVar("Begun")
Result = TypeVar("Result", bound=ImportResult)
Shown = TypeVar("Shown")


@dataclass(slots=True)
class ImportMonitor(Generic[Result]):
    """How an import is followed and stopped.

    ``sent`` and ``processed`` get how much was answered, or processed by the server, and of how much; None if that is not
    known.
    """

    result: Result
    sent: Callable[[int, int | None], None] = lambda _done, _total: None
    processed: Callable[[int, int | None], None] = lambda _done, _total: None
    stopping: Event = field(default_factory=Event)
    die_at: str = ""


class ImportSteps(Protocol[Begun, Result]):
    """The steps of an import of one kind of file; ``Begun`` is an import as the journal has it."""

    monitor: ImportMonitor[Result]

    def resume(self) -> Begun | None:
        """Return the import of the same content that can go on, or that is not to be repeated."""

    def begin(self) -> Begun:
        """Begin an import, and note that before anything is sent."""

    def take(self, begun: Begun) -> bool:
        """Take what earlier runs came to into the result; return whether nothing is left to do."""

    def send(self, begun: Begun) -> None:
        """Send what the server does not have; note each answer."""

    def finish(self, begun: Begun) -> None:
        """Wait for the end, and note it."""


def run_import(steps: ImportSteps[Begun, Result]) -> Result:
    """Import a file and return the result, which the monitor has even if an error is raised."""
    result = steps.monitor.result
    begun = steps.resume() or steps.begin()
    result.already_imported = steps.take(begun)
    if not result.already_imported:
        steps.send(begun)
        steps.finish(begun)
    return result


def look_until_ended(look: Callable[[], Shown], has_ended: Callable[[Shown], bool], stopping: Event) -> Shown:
    """Look at something that is under way until it has ended; return what was seen last."""
    while True:
        looked_at = monotonic()
        shown = look()
        if has_ended(shown):
            return shown
        if stopping.wait(max(0.0, LOOK_S - (monotonic() - looked_at))):
            raise KeyboardInterrupt


def look_up(look: Callable[[], Shown], kind: str, number: object, *, again: bool) -> Shown | None:
    """Return what the server shows of something begun earlier; None if it does not have it and a new one is wanted."""
    try:
        return look()
    except Rejection as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise
        if again:
            return None
        raise ChangedFile(
            f"the server does not know the {kind} {number} that the journal says was begun: it is another server, "
            f"or another owner's token. Begin a new {kind} with --again",
        ) from error
