"""Mapping: every target is filled from the fields, as text; null where it is absent.

What the mappings of a row make is bounded, each and together, before it is made; what those of a table make, by ``growth``.
"""

from __future__ import annotations

from collections.abc import Mapping as ByName
from dataclasses import dataclass

import polars as pl

from ratemill.mediation.arithmetic import compute
from ratemill.mediation.bounds import OVERLONG, TOO_LONG, joined_lengths, longest
from ratemill.mediation.growth import size
from ratemill.mediation.profiles.declared import (
    Combine,
    Formula,
    Literal,
    Mapping,
    MapValues,
    Match,
    Origin,
    Profile,
    Source,
)
from ratemill.mediation.profiles.formulas import fields_of, parse_formula
from ratemill.mediation.quantities import read_quantities
from ratemill.mediation.working import AT, FaultTables, RowLimits, absent_if_empty, field_column, lost, target_column

Lists = ByName[str, pl.DataFrame]
Failed = dict[str, pl.Series]  # places of rows
FORMULA_CHARS_MAX = 80  # of what a formula gives: a number, its point and its sign
_NAME = "name"  # the member of a list's entry that a match gives, where the list has it


def map_targets(rows: pl.DataFrame, profile: Profile, lists: Lists, faults: FaultTables) -> tuple[pl.DataFrame, Failed]:
    """Return the rows with a column for each target, and the rows that a mapping could not fill, by target."""
    failed: Failed = {}
    columns: list[pl.Series | pl.Expr] = []
    together = _MappedText.of(rows, profile, faults.limits)
    for each in profile.mapped():
        before = len(faults.found)
        filled = _filled(rows, each, profile, lists, faults)
        texts = rows.select(filled).to_series()
        faults.growth.add_targets(size(texts) * (rows.height if texts.len() < rows.height else 1))
        if together is not None:
            filled = together.take(rows.select(filled).to_series(), faults)
        columns.append(filled.alias(target_column(each.target)))
        if len(faults.found) > before:
            failed[each.target] = pl.concat([found[AT] for found in faults.found[before:]])
    return rows.with_columns(columns), failed


@dataclass(slots=True)
class _MappedText:
    """What the mappings of each row have made so far: a row over the limit gets no more and is refused."""

    rows: pl.DataFrame
    limit: int
    chars: pl.Series

    @classmethod
    def of(cls, rows: pl.DataFrame, profile: Profile, limits: RowLimits) -> _MappedText | None:
        """Return the account of the rows; None if the mappings, each as long as it may be, are within the limit."""
        most = sum(_longest(rows, each.origin, limits.field_chars_max) for each in profile.mapped())
        if most <= limits.record_chars_max:
            return None
        return cls(rows, limits.record_chars_max, pl.zeros(rows.height, dtype=pl.Int64, eager=True))

    def take(self, texts: pl.Series, faults: FaultTables) -> pl.Series:
        """Return the texts of a target, null where they are too much."""
        was_over = self.chars > self.limit
        self.chars += texts.str.len_chars().cast(pl.Int64).fill_null(0)
        over = self.chars > self.limit
        faults.note(TOO_LONG, self.rows, over & ~was_over, value=str(self.limit))
        return pl.select(pl.when(~pl.lit(over)).then(pl.lit(texts))).to_series()


def _longest(rows: pl.DataFrame, origin: Origin, limit: int) -> int:
    """Return a bound on the characters that a mapping makes of any row."""
    match origin:
        case Source(field):
            return longest(rows[field_column(field)])
        case Literal(text):
            return min(len(text), limit)
        case Combine(sources, separator):
            parts = (longest(rows[field_column(source)]) for source in sources)
            return min(sum(parts) + len(separator) * len(sources), limit)
        case Formula():
            return FORMULA_CHARS_MAX
        case _:
            return limit


def sender_name(mapping: Mapping) -> str:
    """Return the name by which the sender knows what fills a target: its field's, else the target's own."""
    match mapping.origin:
        case Source(field):
            return field
        case MapValues(source) | Match(source):
            return source
        case _:
            return mapping.target


def _filled(
    rows: pl.DataFrame, mapping: Mapping, profile: Profile, lists: Lists, faults: FaultTables
) -> pl.Series | pl.Expr:
    origin: Origin = mapping.origin
    match origin:
        case Source(field):
            return pl.col(field_column(field))
        case Literal(text):
            return _repeated(rows, text, mapping.target, faults)
        case Combine():
            return _joined(rows, origin, mapping.target, faults)
        case Formula(text):
            return _computed(rows, text, mapping.target, profile, faults)
        case MapValues():
            return _short_enough(rows, _looked_up(rows, origin, faults), mapping.target, faults)
        case Match():
            return _short_enough(rows, _matched(rows, origin, lists, faults), mapping.target, faults)


def _repeated(rows: pl.DataFrame, text: str, target: str, faults: FaultTables) -> pl.Series | pl.Expr:
    if len(text) <= faults.limits.field_chars_max:
        return pl.lit(text, pl.String)
    return _short_enough(rows, pl.repeat(OVERLONG, rows.height, eager=True), target, faults)


def _joined(rows: pl.DataFrame, origin: Combine, target: str, faults: FaultTables) -> pl.Series:
    limit = faults.limits.field_chars_max
    columns = [rows[field_column(source)] for source in origin.sources]
    separators = len(origin.separator.encode()) * len(columns) * rows.height
    faults.growth.require_targets(sum(map(size, columns)) + separators)
    lengths = joined_lengths(columns, origin.separator, limit)
    parts = [pl.col(column.name) for column in columns]
    if lengths is None:
        return rows.select(absent_if_empty(_concatenated(parts, origin))).to_series()
    over = pl.lit(lengths > limit)
    short = _concatenated([pl.when(~over).then(part) for part in parts], origin)
    joined = rows.select(absent_if_empty(pl.when(over).then(pl.lit(OVERLONG)).otherwise(short))).to_series()
    return _short_enough(rows, joined, target, faults)


def _concatenated(parts: list[pl.Expr], origin: Combine) -> pl.Expr:
    return pl.concat_str(parts, separator=origin.separator, ignore_nulls=True)


def _short_enough(rows: pl.DataFrame, texts: pl.Series, target: str, faults: FaultTables) -> pl.Series:
    """Return the texts of a target, null where they would be too long; note these."""
    over = texts == OVERLONG
    if not over.any():
        return texts
    faults.note(TOO_LONG, rows, over.fill_null(value=False), field=target, value=str(faults.limits.field_chars_max))
    return pl.select(pl.when(pl.lit(texts) != OVERLONG).then(pl.lit(texts))).to_series()


def _looked_up(rows: pl.DataFrame, origin: MapValues, faults: FaultTables) -> pl.Series:
    texts = rows[field_column(origin.source)]
    limit = faults.limits.field_chars_max
    old = pl.Series([pair[0] for pair in origin.values], dtype=pl.String)
    new = pl.Series([_cut(pair[1], limit) for pair in origin.values], dtype=pl.String)
    found = texts.replace_strict(old, new, default=None, return_dtype=pl.String)
    if origin.default is not None:
        found = found.fill_null(_cut(origin.default, limit))
    faults.note("value_must_be_in_map", rows, lost(texts, found), field=origin.source, value=texts)
    return pl.select(absent_if_empty(pl.lit(found))).to_series()


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else OVERLONG


def _matched(rows: pl.DataFrame, origin: Match, lists: Lists, faults: FaultTables) -> pl.Series:
    """Find each text among the members of a list's entries; one that two entries bear is no match."""
    texts = rows[field_column(origin.source)]
    entries = lists.get(origin.list, pl.DataFrame(schema={origin.member: pl.String}))
    if origin.member not in entries.columns:
        entries = pl.DataFrame(schema={origin.member: pl.String})
    given = _NAME if _NAME in entries.columns else origin.member
    named = pl.col(given).cast(pl.String)
    named = pl.when(named.str.len_chars() > faults.limits.field_chars_max).then(pl.lit(OVERLONG)).otherwise(named)
    pairs = entries.select(member=pl.col(origin.member).cast(pl.String), given=named)
    single = pairs.drop_nulls().unique().unique("member", keep="none")
    found = texts.replace_strict(single["member"], single["given"], default=None, return_dtype=pl.String)
    faults.note("match_not_found", rows, lost(texts, found), field=origin.source, value=texts)
    return found


def _computed(rows: pl.DataFrame, text: str, target: str, profile: Profile, faults: FaultTables) -> pl.Series:
    """Compute a formula: absent where an operand is; no result where one is no number."""
    tree = parse_formula(text, profile.field_named)
    operands: dict[str, pl.Series] = {}
    some_absent = some_unread = pl.repeat(value=False, n=rows.height, dtype=pl.Boolean, eager=True)
    for name in dict.fromkeys(fields_of(tree)):
        texts = rows[field_column(name)]
        read = read_quantities(texts)
        for reason, broken in (
            ("value_must_be_a_number", read.not_number),
            ("quantity_has_too_many_places", read.too_many_places),
            ("quantity_has_too_many_digits", read.too_many_digits),
        ):
            faults.note(reason, rows, broken, field=name, value=texts)
        operands[name] = read.value
        some_absent = some_absent | texts.is_null()
        some_unread = some_unread | (read.value.is_null() & texts.is_not_null())
    results = compute(tree, operands, rows.height)
    faults.note("formula_must_have_a_result", rows, results.is_null() & ~some_absent & ~some_unread, field=target)
    return results
