"""Which rate holds for a sheet, at a node, at an instant: one binary search over all rates of the book.

A *sheet* is what one rate group asks for one usage class. On one sheet, at one node, the rates' spans do not overlap
(the checks refuse a book where they do), so each rate is a stretch of one line of whole numbers: sheet, node and time
packed into 64 bits, where the time is the number of starts and ends of the book that have passed.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from ratemill.errors import invariant

_KEY_MAX = 2**63 - 1
# An empty stretch before every key, so that each key has one before it.
_BEFORE_ALL = pl.DataFrame({"start": [-1], "end": [-1], "rate": [-1]})


@dataclass(frozen=True, slots=True)
class Timeline:
    """The stretches, sorted: ``starts`` and ``ends`` on the packed line and the ``rates`` (their row in the terms)."""

    epochs: pl.Series  # the instants at which something starts or ends, sorted
    nodes: int
    starts: pl.Series
    ends: pl.Series
    rates: pl.Series

    def epochs_of(self, instants: pl.Series) -> pl.Series:
        """Return how many instants of the book have passed at each of ``instants``."""
        return self.epochs.search_sorted(instants, side="right").cast(pl.Int64)

    def rates_at(self, sheets: pl.Series, nodes: pl.Series, epochs: pl.Series) -> pl.Series:
        """Return the rate that holds on each sheet, at its node and time; null where none does."""
        keys = (sheets * self.nodes + nodes) * _epoch_count(self.epochs) + epochs
        before = self.starts.search_sorted(keys, side="right").cast(pl.Int64) - 1
        holds = self.ends.gather(before) > keys
        return self.rates.gather(before).set(~holds, None)


def _epoch_count(epochs: pl.Series) -> int:
    """Return how many numbers an epoch can have: none passed, each passed, and one for an open end."""
    return len(epochs) + 2


def compile_timeline(stretches: pl.DataFrame, *, sheets: int, nodes: int) -> Timeline:
    """Return the timeline of ``stretches``: sheet, node, start_at, end_at, rate; null times are open."""
    epochs = pl.concat([stretches["start_at"], stretches["end_at"]]).drop_nulls().unique().sort()
    count = _epoch_count(epochs)
    invariant(sheets * nodes * count <= _KEY_MAX, "the price book has more sheets, places and dates than 64 bits hold")
    line = (pl.col("sheet") * nodes + pl.col("node")) * count
    packed = (
        stretches.with_columns(
            start=line + _epoch_number(stretches["start_at"], epochs, absent=0),
            end=line + _epoch_number(stretches["end_at"], epochs, absent=count - 1),
        )
        .filter(pl.col("start") < pl.col("end"))
        .sort("start")
        .select("start", "end", "rate")
    )
    whole = pl.concat([_BEFORE_ALL, packed])
    return Timeline(epochs=epochs, nodes=nodes, starts=whole["start"], ends=whole["end"], rates=whole["rate"])


def _epoch_number(instants: pl.Series, epochs: pl.Series, *, absent: int) -> pl.Series:
    passed = epochs.search_sorted(instants.fill_null(strategy="zero"), side="right").cast(pl.Int64)
    return pl.select(pl.when(instants.is_null()).then(absent).otherwise(passed)).to_series()
