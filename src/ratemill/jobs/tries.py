"""How the next table of a job is taken, by how often work on it failed: halved until what is guilty stands alone."""

from __future__ import annotations

from dataclasses import dataclass

ATTEMPTS_ALONE_MAX = 2  # a single row is tried twice, so that a power cut condemns nobody


@dataclass(frozen=True, slots=True)
class Try:
    """The next table, by how often work began since the last one was committed; ``whole`` is a power of two."""

    attempts: int
    whole: int

    @property
    def _halvings(self) -> int:
        return max(0, self.attempts - 1)  # the first failure may have been the world's

    @property
    def _halvings_max(self) -> int:
        return self.whole.bit_length() - 1

    @property
    def rows_max(self) -> int:
        """How many rows to take."""
        return max(1, self.whole >> self._halvings)

    @property
    def condemns(self) -> bool:
        """Whether the row that stands alone failed often enough."""
        return self._halvings >= self._halvings_max + ATTEMPTS_ALONE_MAX

    @property
    def is_hopeless(self) -> bool:
        """Whether even a condemned row does not help."""
        return self._halvings >= self._halvings_max + 2 * ATTEMPTS_ALONE_MAX
