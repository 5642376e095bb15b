"""Pages: which part of a list is asked for, and the part that is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

PAGE_ROWS_MAX = 10_000  # a reader that wants more asks for the next page
_OFFSET_MAX = 2**62  # beyond any list, and inside what the database counts with

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Paging:
    """Which page: ``number`` from 1, ``size`` rows; ``with_total`` also counts the whole list."""

    number: int = 1
    size: int = 20
    with_total: bool = True

    @property
    def offset(self) -> int:
        """How many rows stand before the page."""
        return min((self.number - 1) * self.size, _OFFSET_MAX)


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """The rows of one page, none past the end; ``total`` is None unless it was asked for."""

    rows: list[Row]
    total: int | None
