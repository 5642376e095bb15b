"""Validation: the texts of the targets become the typed columns of a usage record, or break numbered rules."""

from __future__ import annotations

from collections.abc import Mapping as ByName
from dataclasses import dataclass
from decimal import Decimal

import polars as pl

from ratemill.mediation.dates import read_dates
from ratemill.mediation.mapping import Failed, sender_name
from ratemill.mediation.profiles.declared import Mapping, Profile
from ratemill.mediation.profiles.targets import (
    COLUMN_OF,
    DATE,
    FLAGS,
    IDENTIFIER_TYPE,
    IDENTIFIER_TYPE_UNKNOWN,
    REQUIRED,
    USAGE_CLASS,
    VALUE,
)
from ratemill.mediation.quantities import read_quantities
from ratemill.mediation.working import AT, EXTRA, UNKNOWN, FaultTables, field_column, lost, target_column

# The spellings that come by the million; any other is looked at again in small letters.
_TRUE, _FALSE = ("True", "true", "TRUE", "1"), ("False", "false", "FALSE", "0")


Items = ByName[str, pl.Series]
"""The ids of items that exist, of each characteristic by the name of its target."""


@dataclass(frozen=True, slots=True)
class Validator:
    """Checks the rows of one call and makes their columns."""

    profile: Profile
    usage_classes: pl.DataFrame
    items: Items
    faults: FaultTables

    def usage(self, rows: pl.DataFrame, failed: Failed) -> pl.DataFrame:
        """Return the rows with the columns of a usage record, null where a rule is broken; note what is broken.

        ``failed`` are the rows that a mapping could not fill: they are not also said to lack the target's value.
        """
        self.required_fields(rows)
        self.unknown_members(rows)
        mapped = {each.target: each for each in self.profile.mapped()}
        for target in REQUIRED:
            texts = rows[target_column(target)]
            if not texts.null_count():
                continue
            absent = texts.is_null()
            if target in failed:
                absent = absent & ~rows[AT].is_in(failed[target].implode())
            self.faults.note("field_is_required", rows, absent, field=sender_name(mapped[target]))
        self.required_items(rows, mapped)
        columns = [self.column(rows, mapped.get(target), target) for target in COLUMN_OF]
        return rows.with_columns(columns).with_columns(_extension(self.profile), self.usage_class_id(rows))

    def required_fields(self, rows: pl.DataFrame) -> None:
        """Note the rows without a field that the profile requires."""
        for field in self.profile.fields:
            if field.required:
                absent = rows[field_column(field.name)].is_null()
                self.faults.note("field_is_required", rows, absent, field=field.name)

    def unknown_members(self, rows: pl.DataFrame) -> None:
        """Note the JSON objects with a member that is no field, if the profile refuses them."""
        if self.profile.unknown_keys_refused:
            unknown = rows[UNKNOWN]
            self.faults.note("key_must_be_known", rows, unknown.is_not_null(), value=unknown)

    def required_items(self, rows: pl.DataFrame, mapped: ByName[str, Mapping]) -> None:
        """Note the rows that name an item which does not exist, of a characteristic whose items must."""
        for target in self.profile.required_characteristics:
            texts = rows[target_column(target)]
            known = self.items.get(target, pl.Series(dtype=pl.String))
            unknown = (~texts.is_in(known.implode())).fill_null(value=False)
            field = sender_name(mapped[target])
            self.faults.note("characteristic_item_not_found", rows, unknown, field=field, value=texts)

    def column(self, rows: pl.DataFrame, mapping: Mapping | None, target: str) -> pl.Series | pl.Expr:
        """Return the column of one target."""
        name = COLUMN_OF[target]
        if mapping is None:
            empty = {IDENTIFIER_TYPE: pl.lit(IDENTIFIER_TYPE_UNKNOWN), **dict.fromkeys(FLAGS, pl.lit(value=False))}
            return empty.get(target, pl.lit(None, pl.String)).alias(name)
        texts = rows[target_column(target)]
        if target == DATE:
            return self.dates(rows, texts, mapping).alias(name)
        if target == VALUE:
            return self.quantities(rows, texts, mapping).alias(name)
        if target in FLAGS:
            return self.flags(rows, texts, mapping).alias(name)
        return (texts.fill_null(IDENTIFIER_TYPE_UNKNOWN) if target == IDENTIFIER_TYPE else texts).alias(name)

    def dates(self, rows: pl.DataFrame, texts: pl.Series, mapping: Mapping) -> pl.Series:
        """Return the instants; note what is no date, and what is too old to be checked."""
        read = read_dates(texts, self.profile.time_zone)
        self.faults.note("value_must_be_a_date", rows, lost(texts, read), field=sender_name(mapping), value=texts)
        days = self.profile.duplicate_window_days
        if days is not None:
            old = (read < rows["accepted_at"].dt.offset_by(f"-{days}d")).fill_null(value=False)
            self.faults.note("older_than_duplicate_window", rows, old, field=sender_name(mapping), value=str(days))
        return read

    def quantities(self, rows: pl.DataFrame, texts: pl.Series, mapping: Mapping) -> pl.Series:
        """Return the exact numbers; note what is none, has too many digits or is below zero."""
        read, name = read_quantities(texts), sender_name(mapping)
        self.faults.note("value_must_be_a_number", rows, read.not_number, field=name, value=texts)
        self.faults.note("quantity_has_too_many_places", rows, read.too_many_places, field=name, value=texts)
        self.faults.note("quantity_has_too_many_digits", rows, read.too_many_digits, field=name, value=texts)
        least = read.value.min()
        if not self.profile.credits_allowed and isinstance(least, Decimal) and least < 0:
            negative = texts.str.starts_with("-") & (read.value < Decimal(0))
            self.faults.note("quantity_must_not_be_negative", rows, negative, field=name, value=texts)
        return read.value

    def flags(self, rows: pl.DataFrame, texts: pl.Series, mapping: Mapping) -> pl.Series:
        """Return true and false, absent ones as false; note what is neither."""
        read = _flags(texts)
        if lost(texts, read) is not None:
            read = _flags(texts.str.to_lowercase())
        self.faults.note(
            "value_must_be_true_or_false", rows, lost(texts, read), field=sender_name(mapping), value=texts
        )
        return read.fill_null(value=False)

    def usage_class_id(self, rows: pl.DataFrame) -> pl.Series:
        """Return the ids of the usage classes, found by their exact names."""
        mapping = next(each for each in self.profile.mapped() if each.target == USAGE_CLASS)
        texts, classes = rows[target_column(USAGE_CLASS)], self.usage_classes
        found = texts.replace_strict(
            classes["usage_class"], classes["usage_class_id"], default=None, return_dtype=pl.Int32
        )
        self.faults.note("usage_class_not_found", rows, lost(texts, found), field=sender_name(mapping), value=texts)
        return found.alias("usage_class_id")


def _flags(texts: pl.Series) -> pl.Series:
    return pl.select(
        pl.when(pl.lit(texts).is_in(_TRUE))
        .then(pl.lit(value=True))
        .when(pl.lit(texts).is_in(_FALSE))
        .then(pl.lit(value=False))
    ).to_series()


def _extension(profile: Profile) -> pl.Expr:
    """Return the targets without a column, and what a JSON object had beside its fields, as a compact JSON object."""
    others = [each.target for each in profile.mapped() if each.target not in COLUMN_OF]
    members = [_member(target) for target in others]
    inside = pl.concat_str([*members, pl.col(EXTRA)], separator=",", ignore_nulls=True)
    return pl.when(inside != "").then(pl.concat_str(pl.lit("{"), inside, pl.lit("}"))).alias("extension")


def _member(target: str) -> pl.Expr:
    column = pl.col(target_column(target))
    written = pl.struct(column.alias(target)).struct.json_encode()
    return pl.when(column.is_not_null()).then(written.str.head(-1).str.slice(1))
