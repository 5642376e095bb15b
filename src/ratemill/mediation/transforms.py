"""Field transforms: what is done to the text of a field, in order, before anything else looks at it.

A transform that cannot read a text leaves it as it was, and the row breaks that transform's rule; but a row that the
filter does not let through breaks none. The same holds for one that would make the text too long (``bounds``). Absent
texts stay absent, and a text that becomes empty is absent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from ratemill.mediation import bounds
from ratemill.mediation.conditions import holds
from ratemill.mediation.dates import LOCAL, bounded, in_utc, write_dates
from ratemill.mediation.growth import CHARACTER_BYTES_MAX, is_ascii, size
from ratemill.mediation.profiles.declared import (
    Case,
    Conditional,
    DateForm,
    Field,
    Profile,
    Regex,
    Substitute,
    TimeForm,
    Transform,
    Trim,
)
from ratemill.mediation.profiles.patterns import engine_format
from ratemill.mediation.working import FaultTables, absent_if_empty, field_column, lost

_TIME_OF_DAY = r"^\s*([0-9]{1,2}):([0-9]{2})(?::([0-9]{2})(?:\.[0-9]{1,9})?)?\s*(?:([aApP])\.?[mM]\.?)?\s*$"
_DATE, _TIME = "value_must_be_a_date", "value_must_be_a_time"


@dataclass(slots=True)
class _FieldText:
    """A field on its way: its texts, and the rows in which a transform could not read them, by reason."""

    texts: pl.Series
    unread: dict[str, pl.Series]


def transform(rows: pl.DataFrame, profile: Profile, faults: FaultTables) -> pl.DataFrame:
    """Return the rows with the fields transformed and defaults filled in, in the order of the fields."""
    for field in profile.fields:
        if field.transforms:
            rows = _transform_field(rows, field, profile, faults)
        if field.default is not None:
            rows = _fill(rows, field.name, field.default, faults)
    return rows


def _fill(rows: pl.DataFrame, name: str, default: str, faults: FaultTables) -> pl.DataFrame:
    limit = faults.limits.field_chars_max
    if len(default) <= limit:
        texts = rows[field_column(name)]
        faults.growth.add_fields(texts.null_count() * len(default.encode()))
        return rows.with_columns(texts.fill_null(default))
    faults.note(bounds.TOO_LONG, rows, rows[field_column(name)].is_null(), field=name, value=str(limit))
    return rows


def _transform_field(rows: pl.DataFrame, field: Field, profile: Profile, faults: FaultTables) -> pl.DataFrame:
    column = field_column(field.name)
    limit = faults.limits.field_chars_max
    done = _apply(rows, column, field.transforms, profile, faults)
    for reason, unread in done.unread.items():
        value = pl.lit(str(limit)) if reason == bounds.TOO_LONG else pl.col(column)
        faults.note(reason, rows, unread, field=field.name, value=value)
    return rows.with_columns(done.texts.alias(column))


def _apply(
    rows: pl.DataFrame, column: str, transforms: tuple[Transform, ...], profile: Profile, faults: FaultTables
) -> _FieldText:
    """Apply transforms to a column of ``rows``; none makes a text, or all together, longer than they may be."""
    unread: dict[str, pl.Series] = {}
    for each in transforms:
        gained_before, size_before = faults.growth.fields, size(rows[column])
        done = _step(rows, column, each, profile, faults)
        faults.growth.fields = gained_before
        faults.growth.add_fields(size(done.texts) - size_before)
        for reason, where in done.unread.items():
            unread[reason] = unread[reason] | where if reason in unread else where
        texts = pl.select(absent_if_empty(pl.lit(done.texts))).to_series()
        rows = rows.with_columns(texts.alias(column))
    return _FieldText(rows[column], unread)


def _step(  # noqa: PLR0911 - one for each kind
    rows: pl.DataFrame, column: str, step: Transform, profile: Profile, faults: FaultTables
) -> _FieldText:
    texts, limit, room = rows[column], faults.limits.field_chars_max, faults.growth.room
    match step:
        case Trim():
            return _FieldText(texts.str.strip_chars(), {})
        case Case(to):
            changed = {
                "upper": texts.str.to_uppercase,
                "lower": texts.str.to_lowercase,
                "title": texts.str.to_titlecase,
            }
            made = changed[to]()  # at most three characters of one
            return _cased(texts, made, limit)
        case Substitute(old, new):
            lengths = bounds.substituted_lengths(texts, old, new, limit, room)
            return _bounded(texts, lengths, lambda kept: kept.str.replace_all(old, new, literal=True), new, faults)
        case Regex(pattern, replacement):
            lengths = bounds.replaced_lengths(texts, pattern, replacement, limit, room)
            return _bounded(
                texts, lengths, lambda kept: kept.str.replace_all(pattern, replacement), replacement, faults
            )
        case DateForm(form, zone):
            return _read(texts, _dates(texts, form, zone or profile.time_zone), _DATE)
        case TimeForm():
            return _read(texts, _times(texts), _TIME)
        case Conditional():
            return _branch(rows, column, step, profile, faults)


def _cased(texts: pl.Series, made: pl.Series, limit: int) -> _FieldText:
    """Return the changed texts that are short enough; a letter becomes three at most."""
    changed, over = bounds.within(texts, made.str.len_chars(), lambda _: made, limit)
    return _FieldText(changed, {} if over is None else {bounds.TOO_LONG: over})


def _bounded(
    texts: pl.Series, lengths: pl.Series | None, change: Callable[[pl.Series], pl.Series], new: str, faults: FaultTables
) -> _FieldText:
    """Change the texts whose results, with ``new`` in them, are short enough; no lengths at all say that all are."""
    if lengths is None:
        return _FieldText(change(texts), {})
    limit = faults.limits.field_chars_max
    character = 1 if new.isascii() and is_ascii(texts) else CHARACTER_BYTES_MAX
    results = int(lengths.filter(lengths <= limit).sum()) * character
    faults.growth.require_fields(results - size(texts.filter(lengths <= limit)))
    changed, over = bounds.within(texts, lengths, change, limit)
    return _FieldText(changed, {} if over is None else {bounds.TOO_LONG: over})


def _read(texts: pl.Series, read: pl.Series, reason: str) -> _FieldText:
    unread = lost(texts, read)
    return _FieldText(read, {}) if unread is None else _FieldText(read.fill_null(texts), {reason: unread})


def _dates(texts: pl.Series, form: str, zone: str) -> pl.Series:
    """Read dates of a format; the engine takes second 60 for the next minute, which no date here may be."""
    read = texts.str.to_datetime(engine_format(form), time_unit="us", strict=False)
    read = pl.select(pl.when(~pl.lit(texts).str.contains(":60", literal=True)).then(read)).to_series()
    column = bounded(pl.col(read.name))
    instants = in_utc(column, zone) if read.dtype == LOCAL else column.dt.convert_time_zone("UTC")
    return read.to_frame().select(write_dates(bounded(instants))).to_series()


def _times(texts: pl.Series) -> pl.Series:
    """Read times of day: up to 23:59:59, or up to 12:59:59 with am or pm."""
    parts = texts.to_frame("text").select(pl.col("text").str.extract_groups(_TIME_OF_DAY)).unnest("text")
    hour, minute = pl.col("1").cast(pl.Int32), pl.col("2").cast(pl.Int32)
    second, half = pl.col("3").fill_null("00").cast(pl.Int32), pl.col("4").str.to_lowercase()
    of_day = pl.when(half.is_null()).then(hour).otherwise(hour % 12 + pl.when(half == "p").then(12).otherwise(0))
    right = pl.when(half.is_null()).then(hour.is_between(0, 23)).otherwise(hour.is_between(1, 12))
    right = right & minute.is_between(0, 59) & second.is_between(0, 59)
    two = [part.cast(pl.String).str.pad_start(2, "0") for part in (of_day, minute, second)]
    return parts.select(pl.when(right).then(pl.concat_str(two, separator=":"))).to_series()


def _branch(rows: pl.DataFrame, column: str, step: Conditional, profile: Profile, faults: FaultTables) -> _FieldText:
    """Do one or the other: a condition sees the fields before this one transformed, those after it as parsed."""
    when = holds(step.when, rows)
    then = _apply(rows, column, step.then, profile, faults)
    otherwise = _apply(rows, column, step.otherwise, profile, faults)
    unread = {reason: where & when for reason, where in then.unread.items()}
    for reason, where in otherwise.unread.items():
        unread[reason] = (unread[reason] | (where & ~when)) if reason in unread else where & ~when
    return _FieldText(then.texts.zip_with(when, otherwise.texts), unread)
