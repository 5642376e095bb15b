"""The stage as a whole: raw rows become usage records with their duplicate keys, skipped rows and refused rows.

Parse, filter, map and transform, validate, duplicate keys. Every row ends in exactly one of usage, skipped and refused;
no row stops another, and what becomes of a row does not depend on the rows beside it (but for the envelope `request`).
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from ratemill.columns import REFUSED, SKIPPED, USAGE, check
from ratemill.errors import invariant
from ratemill.mediation.conditions import holds
from ratemill.mediation.growth import Growth, size
from ratemill.mediation.keys import keys_of
from ratemill.mediation.mapping import Failed, Lists, map_targets
from ratemill.mediation.parse import parse
from ratemill.mediation.profiles.declared import Profile
from ratemill.mediation.transforms import transform
from ratemill.mediation.validate import Items, Validator
from ratemill.mediation.working import AT, FAULTS, FaultTables, RowLimits, target_column
from ratemill.reasons import IMPORT
from ratemill.texts import NUL, REPLACEMENT

_LIMITS = RowLimits()
_NO_LISTS: Lists = {}
_NO_ITEMS: Items = {}


@dataclass(frozen=True, slots=True)
class MediationResult:
    """What became of the raw rows of one call, each table sorted by (submission, row)."""

    usage: pl.DataFrame
    keys: pl.DataFrame
    skipped: pl.DataFrame
    refused: pl.DataFrame


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A dry run: the fields as parsed, the targets as mapped (both text), and what becomes of the rows."""

    parsed: pl.DataFrame
    mapped: pl.DataFrame
    mediated: MediationResult


@dataclass(frozen=True, slots=True)
class MappedRows:
    """Raw rows with their targets filled, as text, and not yet validated; to be ended once, by ``finish`` or ``show``."""

    profile: Profile
    raw: pl.DataFrame
    parsed: pl.DataFrame
    mapped: pl.DataFrame
    skipped: pl.Series
    uncut: list[pl.DataFrame]
    failed: Failed
    faults: FaultTables

    def items_named(self) -> dict[str, pl.Series]:
        """Return the ids of the items that the rows name and that must exist, by the target of their characteristic."""
        targets = self.profile.required_characteristics
        return {target: self.mapped[target_column(target)].drop_nulls().unique().sort() for target in targets}


@dataclass(frozen=True, slots=True)
class _RowOutcomes:
    """The rows at the end; ``rows`` are the typed rows that the filter let through."""

    begun: MappedRows
    rows: pl.DataFrame
    faults: pl.DataFrame


def mediate(
    raw: pl.DataFrame,
    profile: Profile,
    *,
    usage_classes: pl.DataFrame,
    lists: Lists = _NO_LISTS,
    items: Items = _NO_ITEMS,
    limits: RowLimits = _LIMITS,
    unreadable: pl.DataFrame | None = None,
) -> MediationResult:
    """Return what becomes of raw rows (``columns.RAW``), all of them of one version of one profile.

    ``usage_classes`` has usage_class and usage_class_id; ``lists`` are the lists that a match of the profile looks in;
    ``items`` are the ids of items that exist, at least of those that the rows name and the profile requires to exist;
    ``unreadable`` (submission_id, row_index) names rows whose text had lone surrogates, replaced by now. With the
    envelope `request` all rows of a submission must be in one call. Raises ``TableTooLarge`` if fewer rows must be taken.
    """
    begun = begin(raw, profile, lists=lists, limits=limits, unreadable=unreadable)
    return finish(begun, usage_classes=usage_classes, items=items)


def rehearse(
    raw: pl.DataFrame,
    profile: Profile,
    *,
    usage_classes: pl.DataFrame,
    lists: Lists = _NO_LISTS,
    items: Items = _NO_ITEMS,
    limits: RowLimits = _LIMITS,
    unreadable: pl.DataFrame | None = None,
) -> Rehearsal:
    """Show raw rows on their way, step by step; takes what ``mediate`` takes."""
    begun = begin(raw, profile, lists=lists, limits=limits, unreadable=unreadable)
    return show(begun, usage_classes=usage_classes, items=items)


def begin(
    raw: pl.DataFrame,
    profile: Profile,
    *,
    lists: Lists = _NO_LISTS,
    limits: RowLimits = _LIMITS,
    unreadable: pl.DataFrame | None = None,
) -> MappedRows:
    """Take raw rows as far as their targets, for who must first find out which of the items exist that they name."""
    raw = _placed(raw)
    faults = FaultTables(limits, _growth(raw, profile, limits))
    parsed = parse(raw, profile, faults, unreadable)
    uncut = [*faults.found]
    rows = transform(parsed.rows, profile, faults)
    skipped = parsed.headers
    if profile.filter:
        passes = holds(profile.filter, rows)
        skipped = pl.concat([skipped, rows[AT].filter(~passes)])
        rows = rows.filter(passes)
    mapped, failed = map_targets(rows, profile, lists, faults)
    return MappedRows(profile, raw, parsed.rows, mapped, skipped, uncut, failed, faults)


def finish(begun: MappedRows, *, usage_classes: pl.DataFrame, items: Items = _NO_ITEMS) -> MediationResult:
    """Return what becomes of rows that were begun; ``usage_classes`` and ``items`` as ``mediate`` takes them."""
    return _ended(_run(begun, usage_classes, items))


def show(begun: MappedRows, *, usage_classes: pl.DataFrame, items: Items = _NO_ITEMS) -> Rehearsal:
    """Show rows that were begun on their way; ``usage_classes`` and ``items`` as ``mediate`` takes them."""
    ended = _ended(_run(begun, usage_classes, items))
    return Rehearsal(_shown(begun.parsed, "f:"), _shown(begun.mapped, "t:"), ended)


def refuse(raw: pl.DataFrame, reason: str, value: str | None = None, *, limits: RowLimits = _LIMITS) -> pl.DataFrame:
    """Return raw rows as refused ones, for a reason that a caller found: `could_not_be_processed`."""
    rows = _placed(raw)
    faults = FaultTables(limits, Growth(rows.height, size(rows["raw"]), None))
    faults.note(reason, rows, rows[AT].is_not_null(), value=value)
    return check(_refused(rows, faults.table()), REFUSED, stage="mediation")


def _growth(raw: pl.DataFrame, profile: Profile, limits: RowLimits) -> Growth:
    """Return the account of a table's growth; one row, or one request that must be in one call, has no bound."""
    is_divisible = raw.height > 1 and not (profile.request_envelope and raw["submission_id"].n_unique() == 1)
    return Growth(raw.height, size(raw["raw"]), limits.growth_bytes_max if is_divisible else None)


def _placed(raw: pl.DataFrame) -> pl.DataFrame:
    return raw.sort("submission_id", "row_index").with_row_index(AT)


def _shown(rows: pl.DataFrame, prefix: str) -> pl.DataFrame:
    texts = [name for name in rows.columns if name.startswith(prefix)]
    return rows.select("submission_id", "row_index", *texts).rename(
        {
            name: name.removeprefix(prefix)
            for name in texts
            if name.removeprefix(prefix) not in {"submission_id", "row_index"}
        }
    )


def _run(begun: MappedRows, usage_classes: pl.DataFrame, items: Items) -> _RowOutcomes:
    profile, skipped = begun.profile, begun.skipped
    typed = Validator(profile, usage_classes, items, begun.faults).usage(begun.mapped, begun.failed)
    table = begun.faults.table()
    if skipped.len():
        # A row that the filter did not let through breaks no rule of a transform.
        table = table.filter(~pl.col(AT).is_in(skipped.implode()))
    invariant(all(not part[AT].is_in(skipped.implode()).any() for part in begun.uncut), "a row is skipped and refused")
    if profile.request_envelope:
        table = _whole_requests(begun.raw, table, skipped)
    return _RowOutcomes(begun, typed, table)


def _whole_requests(raw: pl.DataFrame, faults: pl.DataFrame, skipped: pl.Series) -> pl.DataFrame:
    """Refuse every row of a submission that has a refused one, but for those that were skipped."""
    if not faults.height:
        return faults
    guilty = raw.filter(pl.col(AT).is_in(faults[AT].implode()))
    first = guilty.group_by("submission_id").agg(first=pl.col("row_index").min())
    others = raw.join(first, on="submission_id").filter(
        ~pl.col(AT).is_in(guilty[AT].implode()) & ~pl.col(AT).is_in(skipped.implode())
    )
    reason = IMPORT["another_row_of_the_request_was_refused"]
    added = others.select(
        pl.col(AT),
        reason_id=pl.lit(reason.id, pl.Int16),
        place=pl.lit(0, pl.Int32),
        field=pl.lit(None, pl.String),
        value=pl.col("first").cast(pl.String),
    )
    return pl.concat([faults, added.match_to_schema(FAULTS)]).sort(AT, "reason_id", "place")


def _ended(run: _RowOutcomes) -> MediationResult:
    rows, raw, gone = run.rows, run.begun.raw, run.begun.skipped
    if run.faults.height:
        rows = rows.filter(~pl.col(AT).is_in(run.faults[AT].implode()))
    skipped = raw.filter(pl.col(AT).is_in(gone.implode())) if gone.len() else None
    refused = _refused(raw, run.faults) if run.faults.height else None
    ends = sum(part.height for part in (rows, skipped, refused) if part is not None)
    invariant(ends == raw.height, f"{raw.height} rows came to {ends} ends")
    return MediationResult(
        usage=check(rows, USAGE, stage="mediation"),
        keys=keys_of(rows, run.begun.profile),
        skipped=pl.DataFrame(schema=SKIPPED) if skipped is None else check(skipped, SKIPPED, stage="mediation"),
        refused=pl.DataFrame(schema=REFUSED) if refused is None else check(refused, REFUSED, stage="mediation"),
    )


def _refused(raw: pl.DataFrame, faults: pl.DataFrame) -> pl.DataFrame:
    each = pl.struct(reason="reason_id", field="field", value="value").struct.json_encode()
    rows = faults.group_by(AT, maintain_order=True).agg(
        pl.col("reason_id", "field", "value").first(),
        faults=pl.concat_str(pl.lit("["), each.str.join(","), pl.lit("]")),
    )
    shown = pl.col("raw").str.replace_all(NUL, REPLACEMENT, literal=True)
    guilty = raw.filter(pl.col(AT).is_in(rows[AT].implode()))  # both in order of their places
    return guilty.hstack(rows.drop(AT)).with_columns(raw=shown)
