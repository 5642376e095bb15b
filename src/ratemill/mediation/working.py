"""The working table of a call, and the faults that its rows gather on their way.

A row of the working table is named by `at`, its place among the raw rows in order of (submission, row). Fields and
targets are columns of text, null where absent: `f:Value` is a field, `t:value` a target.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl

from ratemill.mediation.growth import Growth
from ratemill.reasons import IMPORT

AT = "at"
EXTRA = "extra"  # members of a JSON object that are no fields: the inside of a compact JSON object
UNKNOWN = "unknown"  # the first of those members

# The parts of the faults' table; `place` is the order in which they were found.
FAULTS = pl.Schema({AT: pl.UInt32, "reason_id": pl.Int16, "place": pl.Int32, "field": pl.String, "value": pl.String})


@dataclass(frozen=True, slots=True)
class RowLimits:
    """What a row may have at most, in characters, and how much of a value a fault shows.

    ``record_chars_max`` bounds what the mappings of one row make together; ``growth_bytes_max`` by how many bytes the texts
    of a whole table may outgrow its rows, if the table can be divided (``growth``).
    """

    field_chars_max: int = 64 * 1024
    record_chars_max: int = 1024 * 1024
    value_chars_max: int = 200
    growth_bytes_max: int = 64 * 1024 * 1024


@dataclass(slots=True)
class FaultTables:
    """Every fault that is found, gathered as small tables, and the account of the table's growth."""

    limits: RowLimits
    growth: Growth
    found: list[pl.DataFrame] = field(default_factory=list)

    def note(
        self,
        reason: str,
        rows: pl.DataFrame,
        broken: pl.Series | None,
        *,
        field: str | None = None,
        value: pl.Series | pl.Expr | str | None = None,
    ) -> None:
        """Note that the ``rows`` where ``broken`` is true break the rule; ``value`` is what they had there.

        No ``broken`` at all says that none does.
        """
        if broken is None or not broken.any():
            return
        guilty = rows.filter(broken)
        if isinstance(value, pl.Series):
            shown: pl.Series | pl.Expr = value.filter(broken)
        else:
            shown = value if isinstance(value, pl.Expr) else pl.lit(value, pl.String)
        self.found.append(
            guilty.select(AT, value=shown).select(
                pl.col(AT),
                reason_id=pl.lit(IMPORT[reason].id, pl.Int16),
                place=pl.lit(len(self.found), pl.Int32),
                field=pl.lit(field, pl.String),
                value=pl.col("value").str.slice(0, self.limits.value_chars_max),
            )
        )

    def table(self) -> pl.DataFrame:
        """Return all faults, for each row in the order of the rules."""
        if not self.found:
            return pl.DataFrame(schema=FAULTS)
        faults = pl.concat(self.found).sort(AT, "reason_id", "place")
        return faults.unique([AT, "reason_id", "field"], keep="first", maintain_order=True)


def field_column(name: str) -> str:
    """Return the column of a field."""
    return f"f:{name}"


def target_column(name: str) -> str:
    """Return the column of a target."""
    return f"t:{name}"


def absent_if_empty(columns: pl.Expr) -> pl.Expr:
    """Return the texts with empty ones null: an empty text is an absent one."""
    return pl.when(columns != "").then(columns)


def lost(before: pl.Series, after: pl.Series) -> pl.Series | None:
    """Return where a step left nothing of a text; none if nowhere, which the counts of nulls tell at once."""
    if before.null_count() == after.null_count():
        return None
    return after.is_null() & before.is_not_null()


def text_columns(rows: Sequence[Sequence[str | None]], names: Sequence[str]) -> pl.DataFrame:
    """Return a table of texts from rows that were read one by one, turned at once into columns."""
    columns = zip(*rows, strict=True) if rows else ([] for _ in names)
    return pl.DataFrame([pl.Series(name, column, dtype=pl.String) for name, column in zip(names, columns, strict=True)])
