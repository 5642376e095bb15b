"""How the next table of a job is taken, by how work on it ended before: halved until the failing row is isolated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ratemill.intake.attempts import DEATHS_ALONE_MAX, FAILURES_ALONE_MAX

DEATHS_MAX = 30  # of a step that cannot be halved; it takes longer than a row, so chance hits it more often


@dataclass(frozen=True, slots=True)
class TableTry:
    """The next table of at most ``whole`` rows, a power of two.

    ``attempts`` is what an earlier table left: it keeps this one small. ``errors`` are the attempts since that table was
    committed, in order: the error of each, None where the process died.
    """

    attempts: int
    errors: Sequence[str | None]
    whole: int

    @property
    def total(self) -> int:
        """Return how many attempts the size of the next table goes by."""
        return self.attempts + len(self.errors)

    @property
    def error(self) -> str | None:
        """Return the last error."""
        return next((error for error in reversed(self.errors) if error is not None), None)

    @property
    def rows_max(self) -> int:
        """Return how many rows to take."""
        return self._rows_max(self.total)

    @property
    def refuses(self) -> bool:
        """Return whether the row that is alone failed often enough to be refused."""
        return self._failed(1)

    @property
    def is_hopeless(self) -> bool:
        """Return whether even refusing the row has failed often enough."""
        return self._failed(2)

    @property
    def breaks_step(self) -> bool:
        """Return whether a step that cannot be halved failed often enough to give up the job."""
        return len(self._with_error) >= 2 * FAILURES_ALONE_MAX + 1 or len(self.errors) >= DEATHS_MAX

    @property
    def attempts_left(self) -> int:
        """Return what a committed table leaves to the next: it is at least twice as large, or alone and untried."""
        return min(max(0, self.total - 1), self._alone_from)

    @property
    def _alone_from(self) -> int:
        return self.whole.bit_length()  # one attempt at the whole, one at each half, then one row

    @property
    def _with_error(self) -> list[str]:
        return [error for error in self.errors if error is not None]

    def _rows_max(self, attempts: int) -> int:
        return max(1, self.whole >> max(0, attempts - 1))  # the first failure may have been the world's

    def _failed(self, times: int) -> bool:
        alone = [error for number, error in enumerate(self.errors) if self._rows_max(self.attempts + number) == 1]
        failures = sum(error is not None for error in alone)
        return failures >= times * FAILURES_ALONE_MAX or len(alone) - failures >= times * DEATHS_ALONE_MAX
