"""The stage as a whole: raw rows become usage records with their duplicate keys, skipped rows and refused rows.

Parse, filter, map and transform, validate, duplicate keys. Every row ends in exactly one of usage, skipped and refused;
no row stops another, and what becomes of a row does not depend on the rows beside it (but for the envelope `request`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from ratemill.columns import REFUSED, SKIPPED, USAGE, check
from ratemill.errors import invariant
from ratemill.mediation.conditions import holds
from ratemill.mediation.declared import Profile
from ratemill.mediation.keys import keys_of
from ratemill.mediation.mapping import map_targets
from ratemill.mediation.parse import parse
from ratemill.mediation.transforms import transform
from ratemill.mediation.validate import Validator
from ratemill.mediation.working import AT, FAULTS, Faults, Limits
from ratemill.reasons import IMPORT

__all__ = ["Limits", "Mediated", "Rehearsal", "mediate", "refuse", "rehearse"]

_LIMITS = Limits()
_NO_LISTS: Mapping[str, pl.DataFrame] = {}
_REPLACEMENT = "\ufffd"


@dataclass(frozen=True, slots=True)
class Mediated:
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
    mediated: Mediated


@dataclass(frozen=True, slots=True)
class _Given:
    """What a call was given beside the rows."""

    profile: Profile
    usage_classes: pl.DataFrame
    lists: Mapping[str, pl.DataFrame]
    limits: Limits
    unreadable: pl.DataFrame | None


@dataclass(frozen=True, slots=True)
class _Run:
    """The rows after each step; ``rows`` are the typed rows that the filter let through."""

    raw: pl.DataFrame
    parsed: pl.DataFrame
    mapped: pl.DataFrame
    rows: pl.DataFrame
    skipped: pl.Series
    faults: pl.DataFrame


def mediate(
    raw: pl.DataFrame,
    profile: Profile,
    *,
    usage_classes: pl.DataFrame,
    lists: Mapping[str, pl.DataFrame] = _NO_LISTS,
    limits: Limits = _LIMITS,
    unreadable: pl.DataFrame | None = None,
) -> Mediated:
    """Return what becomes of raw rows (``columns.RAW``), all of them of one version of one profile.

    ``usage_classes`` has usage_class and usage_class_id; ``lists`` are the lists that a match of the profile looks in;
    ``unreadable`` (submission_id, row_index) names rows whose text had lone surrogates, replaced by now. With the
    envelope `request` all rows of a submission must be in one call.
    """
    return _ended(_run(raw, _Given(profile, usage_classes, lists, limits, unreadable)), profile)


def rehearse(
    raw: pl.DataFrame,
    profile: Profile,
    *,
    usage_classes: pl.DataFrame,
    lists: Mapping[str, pl.DataFrame] = _NO_LISTS,
    limits: Limits = _LIMITS,
    unreadable: pl.DataFrame | None = None,
) -> Rehearsal:
    """Show raw rows on their way, step by step; takes what ``mediate`` takes."""
    run = _run(raw, _Given(profile, usage_classes, lists, limits, unreadable))
    return Rehearsal(_shown(run.parsed, "f:"), _shown(run.mapped, "t:"), _ended(run, profile))


def refuse(raw: pl.DataFrame, reason: str, value: str | None = None, *, limits: Limits = _LIMITS) -> pl.DataFrame:
    """Return raw rows as refused ones, for a reason that a caller found: `could_not_be_processed`."""
    faults, rows = Faults(limits), _placed(raw)
    faults.note(reason, rows, rows[AT].is_not_null(), value=value)
    return check(_refused(rows, faults.table()), REFUSED, stage="mediation")


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


def _run(raw: pl.DataFrame, given: _Given) -> _Run:
    profile, faults = given.profile, Faults(given.limits)
    raw = _placed(raw)
    parsed = parse(raw, profile, faults, given.unreadable)
    uncut = [*faults.found]
    rows = transform(parsed.rows, profile, faults)
    skipped = parsed.headers
    if profile.filter:
        passes = holds(profile.filter, rows)
        skipped = pl.concat([skipped, rows[AT].filter(~passes)])
        rows = rows.filter(passes)
    mapped, failed = map_targets(rows, profile, given.lists, faults)
    typed = Validator(profile, given.usage_classes, faults).usage(mapped, failed)
    table = faults.table()
    if skipped.len():
        # A row that the filter did not let through breaks no rule of a transform.
        table = table.filter(~pl.col(AT).is_in(skipped.implode()))
    invariant(all(not part[AT].is_in(skipped.implode()).any() for part in uncut), "a row is skipped and refused")
    if profile.request_envelope:
        table = _whole_requests(raw, table, skipped)
    return _Run(raw, parsed.rows, mapped, typed, skipped, table)


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


def _ended(run: _Run, profile: Profile) -> Mediated:
    rows = run.rows
    if run.faults.height:
        rows = rows.filter(~pl.col(AT).is_in(run.faults[AT].implode()))
    skipped = run.raw.filter(pl.col(AT).is_in(run.skipped.implode())) if run.skipped.len() else None
    refused = _refused(run.raw, run.faults) if run.faults.height else None
    ends = sum(part.height for part in (rows, skipped, refused) if part is not None)
    invariant(ends == run.raw.height, f"{run.raw.height} rows came to {ends} ends")
    return Mediated(
        usage=check(rows, USAGE, stage="mediation"),
        keys=keys_of(rows, profile),
        skipped=pl.DataFrame(schema=SKIPPED) if skipped is None else check(skipped, SKIPPED, stage="mediation"),
        refused=pl.DataFrame(schema=REFUSED) if refused is None else check(refused, REFUSED, stage="mediation"),
    )


def _refused(raw: pl.DataFrame, faults: pl.DataFrame) -> pl.DataFrame:
    each = pl.struct(reason="reason_id", field="field", value="value").struct.json_encode()
    rows = faults.group_by(AT, maintain_order=True).agg(
        pl.col("reason_id", "field", "value").first(),
        faults=pl.concat_str(pl.lit("["), each.str.join(","), pl.lit("]")),
    )
    shown = pl.col("raw").str.replace_all("\x00", _REPLACEMENT, literal=True)
    guilty = raw.filter(pl.col(AT).is_in(rows[AT].implode()))  # both in order of their places
    return guilty.hstack(rows.drop(AT)).with_columns(raw=shown)
