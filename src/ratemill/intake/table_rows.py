"""How many records of a feed one table takes, while its profile makes more text of them than a table may have.

Each worker learns this for itself and forgets it: a larger table is tried again now and then.
"""

from __future__ import annotations

from dataclasses import dataclass, field

COMMITS_MIN = (
    32  # tables between two attempts at a larger one, which costs what mediation has done until it is rolled back
)


@dataclass(slots=True)
class TableRows:
    """The bounds of feeds whose last table was too large: records, and tables committed since."""

    _rows: dict[int, int] = field(default_factory=dict)
    _commits: dict[int, int] = field(default_factory=dict)

    def of(self, feed_id: int, rows_max: int) -> int:
        """Return how many records a table of the feed takes, at most ``rows_max``."""
        return min(rows_max, self._rows.get(feed_id, rows_max))

    def halve(self, feed_id: int, rows: int) -> None:
        """Let the next tables of a feed have half as many records as the one that was too large."""
        self._rows[feed_id] = max(1, rows // 2)
        self._commits[feed_id] = 0

    def note_commit(self, feed_id: int) -> None:
        """Count a table of a feed; after ``COMMITS_MIN`` of them the bound is dropped."""
        if feed_id not in self._rows:
            return
        self._commits[feed_id] += 1
        if self._commits[feed_id] >= COMMITS_MIN:
            del self._rows[feed_id], self._commits[feed_id]
