"""How much longer than its rows the texts of one table become, counted before they are made.

Each text has a bound of its own (``bounds``), but twenty thousand texts of that length fill the memory of a worker. A step
that would make too much raises ``TableTooLarge`` and makes nothing; the caller tries again with fewer rows. Since no row
depends on another, any division gives the same records. A table that cannot be divided has no such bound.

All sizes are in bytes. Texts that a step only refers to, as a mapping from a source does, take no memory until the targets
are joined; so they are counted before that.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from ratemill.errors import TableTooLarge

CHARACTER_BYTES_MAX = 4  # of UTF-8


@dataclass(slots=True)
class Growth:
    """The account of one table: ``rows`` raw rows of ``raw_bytes``; no ``bytes_max`` at all is no bound.

    ``fields`` is how much longer the fields are than they were parsed, ``targets`` how long the targets are.
    """

    rows: int
    raw_bytes: int
    bytes_max: int | None
    fields: int = 0
    targets: int = 0

    @property
    def room(self) -> int | None:
        """Return how many bytes the fields may still gain; None if any number."""
        return None if self.bytes_max is None else self.bytes_max - self.fields

    def require_fields(self, more: int) -> None:
        """Raise ``TableTooLarge`` if the fields have no room for ``more`` bytes."""
        self._require(self.fields + more)

    def add_fields(self, more: int) -> None:
        """Count bytes that the fields gained; they may have lost some."""
        self.require_fields(more)
        self.fields += more

    def require_targets(self, more: int) -> None:
        """Raise ``TableTooLarge`` if the targets have no room for ``more`` bytes, with as many as the raw rows have free."""
        self._require(self.targets + more - self.raw_bytes)

    def add_targets(self, more: int) -> None:
        """Count bytes of another target."""
        self.require_targets(more)
        self.targets += more

    def _require(self, gained: int) -> None:
        if self.bytes_max is not None and gained > self.bytes_max:
            raise TableTooLarge(
                f"{self.rows} rows of {self.raw_bytes} bytes would gain {gained} bytes of text, at most {self.bytes_max} "
                "in one table: fewer rows are tried",
                rows=self.rows,
            )


def size(texts: pl.Series) -> int:
    """Return the bytes of the texts of a column."""
    return int(texts.str.len_bytes().sum())


def is_ascii(texts: pl.Series) -> bool:
    """Return whether each character of a column is one byte."""
    return bool(texts.str.len_bytes().sum() == texts.str.len_chars().sum())
