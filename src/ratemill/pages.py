"""Pages: which part of a list is asked for, and the part that is given.

A page ends before its rows do where they are long: at so many bytes. The page then says how many of its rows have been
given, and the same page is asked for again without them. So nothing is left out, and nothing comes twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

PAGE_ROWS_MAX = 10_000  # a reader that wants more asks for the next page
PAGE_BYTES_MAX = 16 * 1024 * 1024  # at which a page ends before its rows do, unless a setting says otherwise
_OFFSET_MAX = 2**62  # beyond any list, and inside what the database counts with

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Paging:
    """Which page: ``number`` from 1, ``size`` rows; ``with_total`` also counts the whole list.

    ``skip`` rows of the page were given before. It ends at ``bytes_max``, but never before its first row.
    """

    number: int = 1
    size: int = 20
    with_total: bool = True
    skip: int = 0
    bytes_max: int = PAGE_BYTES_MAX

    @property
    def offset(self) -> int:
        """How many rows of the list stand before those to give."""
        return min((self.number - 1) * self.size + self.skip, _OFFSET_MAX)

    @property
    def rows_max(self) -> int:
        """How many rows are still to be given of the page."""
        return max(0, self.size - self.skip)


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """The rows of one page, none past the end; ``total`` is None unless it was asked for.

    ``is_cut``: the page ended at its bytes, and there are further rows of it.
    """

    rows: list[Row]
    total: int | None
    is_cut: bool = False
