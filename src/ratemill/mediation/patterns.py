"""What a profile hands to the table engine and must not fail there: regular expressions, date formats, time zones."""

from __future__ import annotations

import polars as pl
from polars.exceptions import PolarsError

from ratemill.periods import read_zone

_SAMPLE = pl.Series([""])


def pattern_fault(pattern: str) -> str | None:
    """Return what is wrong with a regular expression of the engine's kind (no look-around, no back-references)."""
    try:
        _SAMPLE.str.replace_all(pattern, "")
    except PolarsError as error:
        return f"not a regular expression: {str(error).splitlines()[0][:200]}"
    return None


def date_format_fault(form: str) -> str | None:
    """Return what is wrong with a date format: it must give a date, and read what it writes."""
    try:
        written = pl.select(pl.datetime(2022, 11, 23, 15, 4, 5, time_zone="UTC").dt.to_string(form)).to_series()
        read = written.str.to_datetime(form, strict=False, time_unit="us")
    except (PolarsError, ValueError):
        return f"'{form}' is no date format"
    return None if read.null_count() == 0 else f"'{form}' is no date format"


def zone_fault(zone: str) -> str | None:
    """Return what is wrong with the name of a time zone."""
    try:
        read_zone(zone)
        pl.Series([None], dtype=pl.Datetime("us")).dt.replace_time_zone(zone)
    except (ValueError, PolarsError):
        return f"'{zone}' is no time zone"
    return None
