"""The quantity rounding rule, in integers of the quantity's last place."""

from __future__ import annotations

import polars as pl

ZERO = pl.lit(0, dtype=pl.Int128)
ONE = pl.lit(1, dtype=pl.Int128)


def round_magnitude(magnitude: pl.Expr) -> pl.Expr:
    """Return the rounded magnitude: 0 stays 0, up to the minimum the minimum, above it whole increments more.

    The increments are counted from the minimum; an increment of 0 leaves the quantity exact.
    """
    minimum, increment = pl.col("rounding_minimum"), pl.col("rounding_increment")
    divisor = pl.when(increment == ZERO).then(ONE).otherwise(increment)
    increments = (magnitude - minimum + divisor - ONE) // divisor
    return (
        pl.when(magnitude == ZERO)
        .then(ZERO)
        .otherwise(pl.when(magnitude <= minimum).then(minimum).otherwise(minimum + increments * divisor))
    )
