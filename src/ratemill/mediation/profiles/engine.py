"""The table engine's word on what a profile hands to it."""

from __future__ import annotations

import polars as pl
from polars.exceptions import PolarsError

_SAMPLE = pl.Series([""])


def pattern_fault(pattern: str) -> str | None:
    """Return what is wrong with a regular expression."""
    try:
        _SAMPLE.str.replace_all(pattern, "")
    except PolarsError as error:
        return f"not a regular expression: {str(error).splitlines()[0][:200]}"
    return None


def reads_what_it_writes(letters: str) -> bool:
    """Say whether a date written in a format can be read back in it."""
    try:
        written = pl.select(pl.datetime(2022, 11, 23, 15, 4, 5, time_zone="UTC").dt.to_string(letters)).to_series()
        read = written.str.to_datetime(letters, strict=False, time_unit="us")
    except (PolarsError, ValueError):
        return False
    return read.null_count() == 0


def knows_zone(zone: str) -> bool:
    """Say whether the engine knows a time zone."""
    try:
        pl.Series([None], dtype=pl.Datetime("us")).dt.replace_time_zone(zone)
    except PolarsError:
        return False
    return True
