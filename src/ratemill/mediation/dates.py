"""Texts become instants in UTC: strictly, so that no date rolls over into another.

A text without a zone is local time in the profile's zone. Where a clock that was set back shows the time twice, the
earlier holds; where it was set forward and never showed the time, the offset from before the change holds.
"""

from __future__ import annotations

import polars as pl

LOCAL = pl.Datetime("us")
_CLOCK = "[0-2][0-9]:[0-5][0-9]"
# The form that most senders use; what it leaves open (months, hours over 23) the engine's strict reading settles.
_USUAL = rf"^[12][0-9]{{3}}-[0-9]{{2}}-[0-9]{{2}}T{_CLOCK}:[0-5][0-9](?:\.[0-9]{{1,6}})?Z?$"
# Date, hours and minutes, seconds, fraction of up to nine digits, zone.
_OFFSET = "[Zz]|[+-](?:[01][0-9]|2[0-3])(?::?[0-5][0-9])?"
_ISO = (
    r"^([0-9]{4}-[0-9]{2}-[0-9]{2})"
    rf"(?:[Tt ]({_CLOCK})(?::([0-5][0-9])(?:[.,]([0-9]{{1,9}}))?)?(?: ?({_OFFSET}))?)?$"
)
_FRACTION_AT = len("2022-05-01T01:01:00.")
_SHORTFALL = pl.Series([10 ** (6 - digits) for digits in range(7)])  # what so many digits lack to be microseconds
_SECONDS = "%Y-%m-%dT%H:%M:%S"
_YEARS = (1, 9999)


def read_dates(texts: pl.Series, zone: str) -> pl.Series:
    """Return the instants of ISO 8601 texts, null where a text is none; places beyond microseconds are cut off."""
    usual = texts.str.contains(_USUAL)
    if zone != "UTC":
        usual = usual & ~texts.str.ends_with("Z")
    frame = pl.DataFrame({"text": texts})
    if usual.all():  # absent texts are null here and count for nothing
        return frame.select(_usual(zone)).to_series()
    indexed = frame.with_columns(usual=usual).with_row_index("row")
    parts = [
        indexed.filter(pl.col("usual") | pl.col("usual").is_null()).select("row", at=_usual(zone)),
        indexed.filter(~pl.col("usual")).select("row", at=_any_iso(zone)),
    ]
    return pl.concat(parts).sort("row")["at"]


def _usual(zone: str) -> pl.Expr:
    text = pl.col("text")
    fraction = text.str.slice(_FRACTION_AT, 6).str.strip_chars_end("Z")
    shortfall = pl.lit(_SHORTFALL).gather(fraction.str.len_bytes())
    micros = (fraction.cast(pl.Int64, strict=False) * shortfall).fill_null(0)
    return in_utc(_local(text.str.head(_FRACTION_AT - 1), micros), zone)


def _any_iso(zone: str) -> pl.Expr:
    parts = pl.col("text").str.extract_groups(_ISO).struct
    clock = pl.concat_str(parts["2"].fill_null("00:00"), parts["3"].fill_null("00"), separator=":")
    micros = parts["4"].str.pad_end(6, "0").str.head(6).cast(pl.Int64).fill_null(0)
    local = _local(pl.concat_str(parts["1"], clock, separator="T"), micros)
    offset = parts["5"].str.replace(":", "", literal=True).str.to_uppercase().replace("Z", "+0000")
    minutes = offset.str.slice(1, 2).cast(pl.Int64) * 60 + offset.str.slice(3, 2).replace("", "0").cast(pl.Int64)
    ahead = pl.when(offset.str.starts_with("-")).then(-minutes).otherwise(minutes)
    zoned = (local - pl.duration(minutes=ahead)).dt.replace_time_zone("UTC")
    return bounded(pl.when(offset.is_null()).then(in_utc(local, zone)).otherwise(zoned))


def _local(seconds: pl.Expr, micros: pl.Expr) -> pl.Expr:
    return seconds.str.to_datetime(_SECONDS, time_unit="us", strict=False) + pl.duration(microseconds=micros)


def in_utc(local: pl.Expr, zone: str) -> pl.Expr:
    """Return the instants of local times in a zone."""
    if zone == "UTC":
        return local.dt.replace_time_zone("UTC")
    day = pl.duration(days=1)
    shown = local.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null").dt.convert_time_zone("UTC")
    before = (local - day).dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
    return shown.fill_null(before.dt.convert_time_zone("UTC") + day)


def bounded(instants: pl.Expr) -> pl.Expr:
    """Return times, null where the year is not within 1 to 9999: no other part of the product could hold them."""
    return pl.when(instants.dt.year().is_between(*_YEARS)).then(instants)


def write_dates(instants: pl.Expr) -> pl.Expr:
    """Write instants in UTC as ISO 8601 with microseconds and ``Z``."""
    return instants.dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")
