"""Raw rows become fields: delimited text, columns of fixed width, JSON objects.

Delimited rows go through a guard over the whole table. Rows without quotes and line breaks, and rows whose quotes
enclose whole fields without a delimiter inside, are split as a table; only what is left goes through the `csv` module
one by one. One element is one record: rows are never joined and split again.
"""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass

import polars as pl

from ratemill.columns import RAW, RECORD
from ratemill.mediation.objects import read_objects
from ratemill.mediation.profiles.declared import Format, Profile
from ratemill.mediation.working import AT, EXTRA, UNKNOWN, FaultTables, absent_if_empty, field_column, text_columns
from ratemill.texts import NUL

_RAW = pl.col("raw")

# The module's own bound on a field, for the whole process: out of the way of the product's, which is checked later.
csv.field_size_limit(1 << 30)


@dataclass(frozen=True, slots=True)
class ParsedRows:
    """The rows that could be cut into fields, and the places of the rows that are headers."""

    rows: pl.DataFrame
    headers: pl.Series


def parse(raw: pl.DataFrame, profile: Profile, faults: FaultTables, unreadable: pl.DataFrame | None) -> ParsedRows:
    """Return the fields of the raw rows, which have a place each (`at`); note the rows that cannot be cut."""
    readable = _readable(raw, faults, unreadable)
    objects = readable["is_object"].fill_null(False) | (profile.format is Format.JSON)
    texts = readable if not objects.any() else readable.filter(~objects)
    parts = []
    if texts.height or not objects.any():
        cut = _columnar if profile.format is Format.COLUMNAR else _delimited
        parts.append(cut(texts, profile, faults))
    headers = _headers(parts[0], profile) if profile.header_row and parts else pl.Series(AT, [], dtype=pl.UInt32)
    if objects.any():
        parts.append(read_objects(readable.filter(objects), profile, faults))
    rows = parts[0] if len(parts) == 1 else pl.concat(parts, how="diagonal").sort(AT)
    if headers.len():
        rows = rows.filter(~pl.col(AT).is_in(headers.implode()))
    return ParsedRows(_within_limits(rows, profile, faults), headers)


def _readable(raw: pl.DataFrame, faults: FaultTables, unreadable: pl.DataFrame | None) -> pl.DataFrame:
    """Take out the rows with characters that no later stage could keep."""
    bad = raw["raw"].str.contains(NUL, literal=True)
    faults.note("row_must_not_contain_nul", raw, bad)
    if unreadable is not None and unreadable.height:
        place = list(RECORD)
        named = unreadable.select(pl.col(name).cast(RAW[name]) for name in place)
        found = raw.select(AT, *place).join(named, on=place, how="semi")
        halves = raw[AT].is_in(found[AT].implode())
        faults.note("row_must_not_contain_lone_surrogates", raw, halves)
        bad = bad | halves
    return raw.filter(~bad) if bad.any() else raw


def _within_limits(rows: pl.DataFrame, profile: Profile, faults: FaultTables) -> pl.DataFrame:
    """Take out the rows with a field that is too long; looks at fields only if a whole row is long enough."""
    limit = faults.limits.field_chars_max
    longest = rows["raw"].str.len_bytes().max()
    if not isinstance(longest, int) or longest <= limit:
        return rows
    bad = pl.repeat(value=False, n=rows.height, dtype=pl.Boolean, eager=True)
    for name in profile.names:
        long = (rows[field_column(name)].str.len_chars() > limit).fill_null(value=False)
        faults.note("field_must_not_be_too_long", rows, long, field=name, value=str(limit))
        bad = bad | long
    extra = (rows[EXTRA].str.len_chars() > limit).fill_null(value=False)
    faults.note("field_must_not_be_too_long", rows, extra, value=str(limit))
    return rows.filter(~(bad | extra))


def _headers(rows: pl.DataFrame, profile: Profile) -> pl.Series:
    """Return the places of first rows whose fields are the names of the fields, as far as the columns are wide."""
    is_label = [
        pl.col(field_column(field.name)).str.strip_chars() == field.name[: field.length] for field in profile.fields
    ]
    return rows.filter(pl.col("row_index") == 1, pl.all_horizontal(is_label))[AT]


# fixed width


def _columnar(rows: pl.DataFrame, profile: Profile, faults: FaultTables) -> pl.DataFrame:
    broken = rows["raw"].str.contains("[\r\n]")
    faults.note("row_must_be_one_line", rows, broken)
    fields = {
        field_column(field.name): absent_if_empty(
            _RAW.str.slice((field.start or 1) - 1, field.length).str.strip_chars()
        )
        for field in profile.fields
    }
    return (rows.filter(~broken) if broken.any() else rows).with_columns(**fields, **_no_extra())


# delimited


def _delimited(rows: pl.DataFrame, profile: Profile, faults: FaultTables) -> pl.DataFrame:
    special = rows["raw"].str.contains(f"[\r\n{re.escape(profile.quote)}]")
    if not special.any():
        return _split(rows, profile, faults)
    odd = rows.filter(special)
    enclosed = odd["raw"].str.contains(_enclosed_pattern(profile)) if profile.quote else special.filter(special) & False
    parts = [
        _split(rows.filter(~special), profile, faults),
        _split(odd.filter(enclosed), profile, faults).with_columns(pl.col("^f:.*$").str.strip_chars(profile.quote)),
        _one_by_one(odd.filter(~enclosed), profile, faults),
    ]
    named = [part.with_columns(absent_if_empty(pl.col("^f:.*$"))) for part in parts]
    return pl.concat(named).sort(AT)


def _enclosed_pattern(profile: Profile) -> str:
    """Match a row each of whose fields is either free of quotes or stands in quotes with nothing special inside."""
    quote, delimiter = re.escape(profile.quote), re.escape(profile.delimiter)
    field = f"(?:{quote}[^{quote}{delimiter}\r\n]*{quote}|[^{quote}{delimiter}\r\n]*)"
    return f"^{field}(?:{delimiter}{field})*$"


def _split(rows: pl.DataFrame, profile: Profile, faults: FaultTables) -> pl.DataFrame:
    """Split rows without special characters; one field more than declared shows the rows that have too many."""
    columns = [field_column(name) for name in profile.names]
    count = len(columns)
    cut = rows["raw"].str.splitn(profile.delimiter, count + 1).struct.unnest()
    few, many = cut.to_series(count - 1).is_null(), cut.to_series(count).is_not_null()
    fields = cut.select(absent_if_empty(pl.nth(range(count)))).rename(
        dict(zip(cut.columns[:count], columns, strict=True))
    )
    whole = rows.hstack(fields).with_columns(**_no_extra())
    if not (few.any() or many.any()):
        return whole
    has = (_RAW.str.count_matches(profile.delimiter, literal=True) + 1).cast(pl.String)
    faults.note("row_has_too_few_fields", rows, few, value=has)
    faults.note("row_has_too_many_fields", rows, many, value=has)
    return whole.filter(~(few | many))


def _one_by_one(rows: pl.DataFrame, profile: Profile, faults: FaultTables) -> pl.DataFrame:
    """Read rows with quotes one by one: where a quote ends can only be told by reading up to it."""
    names = [field_column(name) for name in profile.names]
    read = [_read_row(text, profile) for text in rows["raw"]]
    reasons = pl.Series([each if isinstance(each, str) else None for each in read], dtype=pl.String)
    for reason in reasons.drop_nulls().unique().sort():
        faults.note(reason, rows, (reasons == reason).fill_null(value=False))
    cut = [each for each in read if not isinstance(each, str)]
    rows = rows.filter(reasons.is_null())
    counts = pl.Series([len(each) for each in cut], dtype=pl.Int64)
    faults.note("row_has_too_few_fields", rows, counts < len(names), value=counts.cast(pl.String))
    faults.note("row_has_too_many_fields", rows, counts > len(names), value=counts.cast(pl.String))
    whole = [each for each in cut if len(each) == len(names)]
    fields = text_columns(whole, names)
    return rows.filter(counts == len(names)).hstack(fields).with_columns(**_no_extra())


def _read_row(text: str, profile: Profile) -> list[str] | str:
    """Return the fields of one row, or the reason why it has none."""
    if profile.quote:
        reader = csv.reader([text], delimiter=profile.delimiter, quotechar=profile.quote, strict=True)
    else:
        reader = csv.reader([text], delimiter=profile.delimiter, quoting=csv.QUOTE_NONE, strict=True)
    try:
        rows = list(reader)
    except csv.Error as error:
        return _reason_of(str(error))
    if text.endswith(("\r", "\n")) or len(rows) > 1:
        return "row_must_be_one_line"  # the module takes a line break at the end as the end of the row
    return rows[0] or [""]


def _reason_of(message: str) -> str:
    if "new-line" in message:
        return "row_must_be_one_line"
    return "quote_must_be_closed" if "unexpected end" in message else "quote_must_enclose_the_field"


def _no_extra() -> dict[str, pl.Expr]:
    return {EXTRA: pl.lit(None, pl.String), UNKNOWN: pl.lit(None, pl.String)}
