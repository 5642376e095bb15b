"""Mapping: every target is filled from the fields, as text; null where it is absent."""

from __future__ import annotations

from collections.abc import Mapping as ByName

import polars as pl

from ratemill.mediation.arithmetic import compute
from ratemill.mediation.declared import Combine, Formula, Literal, Mapping, MapValues, Match, Origin, Profile, Source
from ratemill.mediation.formulas import fields_of, parse_formula
from ratemill.mediation.quantities import read_quantities
from ratemill.mediation.working import AT, Faults, absent_if_empty, field_column, lost, target_column

Lists = ByName[str, pl.DataFrame]
Failed = dict[str, pl.Series]  # places of rows
_NAME = "name"  # the member of a list's entry that a match gives, where the list has it


def map_targets(rows: pl.DataFrame, profile: Profile, lists: Lists, faults: Faults) -> tuple[pl.DataFrame, Failed]:
    """Return the rows with a column for each target, and the rows that a mapping could not fill, by target."""
    failed: Failed = {}
    columns: list[pl.Series | pl.Expr] = []
    for each in profile.mapped():
        before = len(faults.found)
        columns.append(_filled(rows, each, profile, lists, faults).alias(target_column(each.target)))
        if len(faults.found) > before:
            failed[each.target] = pl.concat([found[AT] for found in faults.found[before:]])
    return rows.with_columns(columns), failed


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
    rows: pl.DataFrame, mapping: Mapping, profile: Profile, lists: Lists, faults: Faults
) -> pl.Series | pl.Expr:
    origin: Origin = mapping.origin
    match origin:
        case Source(field):
            return pl.col(field_column(field))
        case Literal(text):
            return pl.lit(text, pl.String)
        case Combine(sources, separator):
            joined = pl.concat_str([field_column(each) for each in sources], separator=separator, ignore_nulls=True)
            return absent_if_empty(joined)
        case Formula(text):
            return _computed(rows, text, mapping.target, profile, faults)
        case MapValues():
            return _looked_up(rows, origin, faults)
        case Match():
            return _matched(rows, origin, lists, faults)


def _looked_up(rows: pl.DataFrame, origin: MapValues, faults: Faults) -> pl.Series:
    texts = rows[field_column(origin.source)]
    old, new = (pl.Series([pair[side] for pair in origin.values], dtype=pl.String) for side in (0, 1))
    found = texts.replace_strict(old, new, default=None, return_dtype=pl.String)
    if origin.default is not None:
        found = found.fill_null(origin.default)
    faults.note("value_must_be_in_map", rows, lost(texts, found), field=origin.source, value=texts)
    return pl.select(absent_if_empty(pl.lit(found))).to_series()


def _matched(rows: pl.DataFrame, origin: Match, lists: Lists, faults: Faults) -> pl.Series:
    """Find each text among the members of a list's entries; one that two entries bear is no match."""
    texts = rows[field_column(origin.source)]
    entries = lists.get(origin.list, pl.DataFrame(schema={origin.member: pl.String}))
    if origin.member not in entries.columns:
        entries = pl.DataFrame(schema={origin.member: pl.String})
    given = _NAME if _NAME in entries.columns else origin.member
    pairs = entries.select(member=pl.col(origin.member).cast(pl.String), given=pl.col(given).cast(pl.String))
    single = pairs.drop_nulls().unique().unique("member", keep="none")
    found = texts.replace_strict(single["member"], single["given"], default=None, return_dtype=pl.String)
    faults.note("match_not_found", rows, lost(texts, found), field=origin.source, value=texts)
    return found


def _computed(rows: pl.DataFrame, text: str, target: str, profile: Profile, faults: Faults) -> pl.Series:
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
