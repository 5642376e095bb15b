"""How the demo shows a step: a head, the command to see the same oneself, and facts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ratemill.client.calls import Json
from ratemill.printing import print_line


class DemoFailure(Exception):
    """Something that the demo shows is not as it must be; names the record."""


@dataclass(slots=True)
class Transcript:
    """What was printed so far."""

    steps: int = 0

    def head(self, title: str, *commands: str) -> None:
        """Begin a step, with the commands that show the same."""
        self.steps += 1
        self.say()
        self.say(f"{self.steps}. {title}")
        for command in commands:
            self.say(f"   $ {command}")

    def say(self, text: str = "") -> None:
        """Print a line."""
        print_line(text)

    def facts(self, *lines: str) -> None:
        """Print the facts of a step."""
        for line in lines:
            self.say(f"   {line}")


def total(histories: Iterable[Json], member: str) -> int:
    """Return the sum of one count over requests."""
    return sum(int(history[member]) for history in histories)


def counts(histories: list[Json]) -> str:
    """Write where the records of requests ended."""
    names = {
        "imported": "importCount",
        "skipped": "importSkipRecordCount",
        "duplicate": "importDuplicateCount",
        "refused": "importExceptionCount",
    }
    ends = [f"{name} {count:,}" for name, member in names.items() if (count := total(histories, member))]
    rated, unrated = total(histories, "ratedCount"), total(histories, "ratingExceptionCount")
    received = total(histories, "recordCount")
    return f"received {received:,} = {' + '.join(ends)}; of these rated {rated:,}, rating exceptions {unrated:,}"


def hold(holds: bool, what: str) -> None:
    """Raise ``DemoFailure`` unless something is as it must be."""
    if not holds:
        raise DemoFailure(what)
