"""Conduct: take a table of waiting records through mediation and rating, and write every end in one transaction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import polars as pl

from ratemill import columns, reasons
from ratemill.errors import invariant
from ratemill.heartbeat import beat
from ratemill.intake.caches import RatingCaches
from ratemill.intake.claim import WaitingRecords
from ratemill.intake.duplicates import DuplicateCheck, leave_keys, sort_out
from ratemill.intake.faultpoints import die_at
from ratemill.mediation.mediate import MediationResult, begin, finish, refuse
from ratemill.mediation.working import RowLimits
from ratemill.rating.rate import RatingResult, rate
from ratemill.settings import Settings
from ratemill.setup.in_force.book import SetupSnapshot, WorkerFeed
from ratemill.setup.in_force.holders import holders_of
from ratemill.setup.in_force.mediation_setup import items_named
from ratemill.store.charges import duplicate_keys, outcomes
from ratemill.store.connections import Connection, clock
from ratemill.store.usage import batches, submissions

BATCH_ROWS_MAX = 1_000

_KIND_OF_REASON = {reason.id: reason.kind for reason in reasons.RATING_REASONS}
_SPAN_COUNTS = {
    "rows_skipped": "skipped",
    "rows_duplicate": "duplicate",
    "rows_refused": "refused",
    "rows_rated": "rated",
    "rows_excepted": "excepted",
}


@dataclass(frozen=True, slots=True)
class Work:
    """Waiting records of one feed, all of one owner; ``stage`` is told the stage that begins.

    The feed, and all that is read in ``setup``, are of one state of the set-up.
    """

    feed: WorkerFeed
    setup: SetupSnapshot
    waiting: WaitingRecords
    caches: RatingCaches
    stage: Callable[[str], None] = lambda _: None


@dataclass(frozen=True, slots=True)
class TableOutcomes:
    """Where the records of a table ended, each exactly once."""

    skipped: pl.DataFrame
    refused: pl.DataFrame
    check: DuplicateCheck
    rated: RatingResult


def conduct(connection: Connection, settings: Settings, work: Work) -> None:
    """Work off every record of ``work`` on one connection, whose transaction holds the submissions; the caller commits."""
    beat()
    raw = _cut(connection, work)
    work.stage("mediation")
    mediated = _mediate(settings, work, raw)
    beat()
    die_at("after-mediate", settings)
    found = sort_out(connection, work.feed.feed_id, mediated)
    usage = mediated.usage.join(found.duplicates, on=columns.RECORD_NAMES, how="anti", maintain_order="left")
    work.stage("rating")
    holders = holders_of(work.setup, usage["usage_identifier"], work.caches.holders)
    beat()
    rated = rate(usage, work.setup.book, holders)
    beat()
    die_at("after-rate", settings)
    write_ends(connection, settings, work, raw, TableOutcomes(mediated.skipped, mediated.refused, found, rated))
    die_at("before-commit", settings)


def refuse_work(connection: Connection, settings: Settings, work: Work, *, stage: str, error: str) -> None:
    """Make exceptions of the records of ``work``, on which ``stage`` failed again and again."""
    raw = _cut(connection, work)
    nothing = TableOutcomes(_empty(columns.SKIPPED), _empty(columns.REFUSED), _nothing_found(), _nothing_rated())
    if stage == "mediation":
        write_ends(
            connection, settings, work, raw, replace(nothing, refused=refuse(raw, "could_not_be_processed", error))
        )
        return
    mediated = _mediate(settings, work, raw)
    found = sort_out(connection, work.feed.feed_id, mediated)
    usage = mediated.usage.join(found.duplicates, on=columns.RECORD_NAMES, how="anti", maintain_order="left")
    excepted = replace(nothing.rated, exceptions=_excepted(usage, error))
    write_ends(connection, settings, work, raw, TableOutcomes(mediated.skipped, mediated.refused, found, excepted))


def write_ends(connection: Connection, settings: Settings, work: Work, raw: pl.DataFrame, ends: TableOutcomes) -> None:
    """Write the ends of ``raw``, the counts of its batches, and what of its submissions waits no more.

    The snapshot of the set-up ends here: nothing more is read in it.
    """
    work.setup.end()
    feed = work.feed
    owned = [pl.lit(feed.owner_id, pl.Int32).alias("owner_id")]
    fed = [*owned, pl.lit(feed.feed_id, pl.Int32).alias("feed_id")]
    at = pl.lit(clock(connection), columns.INSTANT)
    beat()
    charges = ends.rated.charges.with_columns(*fed, pl.lit(0, pl.Int16).alias("entry"), at.alias("rated_at"))
    first = [pl.col("reason_id").alias("first_reason_id"), at.alias("excepted_at")]
    exceptions = ends.rated.exceptions.with_columns(*fed, _kind(), *first, at.alias("last_attempt_at"))
    outcomes.copy(connection, "skipped", ends.skipped.with_columns(*owned))
    refused = _revised(ends.refused, work.waiting.revisions)
    outcomes.copy(connection, "import_exceptions", refused.with_columns(*fed, at.alias("excepted_at")))
    outcomes.copy(connection, "rating_exceptions", exceptions)
    outcomes.copy(connection, "charges", charges, midway=lambda: die_at("mid-copy", settings))
    outcomes.note_charged(connection, feed.owner_id, charges, work.caches.charged)
    beat()
    ends = _leave_keys(connection, feed.feed_id, ends)
    batch = raw.select(*columns.RECORD_NAMES, "batch_id")
    outcomes.copy(
        connection, "duplicates", ends.check.duplicates.join(batch, on=columns.RECORD_NAMES).with_columns(*owned)
    )
    spans = count_spans(raw, ends)
    outcomes.copy(connection, "batch_spans", spans.with_columns(*owned))
    _finish(connection, raw)


def _leave_keys(connection: Connection, feed_id: int, ends: TableOutcomes) -> TableOutcomes:
    """Load the duplicate keys, and take back the ends of records that another worker imported meanwhile."""
    check, late = leave_keys(connection, feed_id, ends.check)
    if late.is_empty():
        return replace(ends, check=check)
    taken = outcomes.take_back(connection, late)
    invariant(taken == late.height, f"{taken} ends were taken back of {late.height} records")
    rated = RatingResult(
        ends.rated.charges.join(late, on=columns.RECORD_NAMES, how="anti"),
        ends.rated.exceptions.join(late, on=columns.RECORD_NAMES, how="anti"),
    )
    return replace(ends, check=check, rated=rated)


def count_spans(raw: pl.DataFrame, ends: TableOutcomes) -> pl.DataFrame:
    """Return what each batch took of each submission, with the count of each end; every record must have exactly one."""
    named = {
        "skipped": ends.skipped,
        "duplicate": ends.check.duplicates,
        "refused": ends.refused,
        "rated": ends.rated.charges.filter(pl.col("run") == 1),
        "excepted": ends.rated.exceptions,
    }
    ended = pl.concat(
        [
            table.select("submission_id", "row_index", pl.lit(end).alias("end"), _usage_at(table))
            for end, table in named.items()
        ],
    )
    invariant(
        ended.height == raw.height
        and ended.join(raw, on=["submission_id", "row_index"], how="semi").height == raw.height,
        f"{raw.height} records came to {ended.height} ends",
    )
    invariant(ended.select("submission_id", "row_index").is_unique().all(), "a record came to two ends")
    return (
        raw.join(ended, on=["submission_id", "row_index"])
        .group_by("batch_id", "submission_id")
        .agg(
            pl.col("row_index").min().alias("first_row"),
            pl.col("row_index").max().alias("last_row"),
            pl.len().alias("rows_received"),
            *[(pl.col("end") == end).sum().alias(name) for name, end in _SPAN_COUNTS.items()],
            pl.col("usage_at").min().alias("first_usage_at"),
            pl.col("usage_at").max().alias("last_usage_at"),
        )
        .with_columns((pl.col("rows_rated") + pl.col("rows_excepted")).alias("rows_imported"))
        .sort("batch_id", "submission_id")
    )


def _usage_at(table: pl.DataFrame) -> pl.Expr:
    return pl.col("usage_at") if "usage_at" in table.columns else pl.lit(None, columns.INSTANT).alias("usage_at")


def _mediate(settings: Settings, work: Work, raw: pl.DataFrame) -> MediationResult:
    feed = work.feed
    begun = begin(
        raw,
        feed.profile,
        lists=feed.lists,
        unreadable=work.waiting.unreadable,
        limits=RowLimits(field_chars_max=settings.field_chars_max, growth_bytes_max=settings.worker_growth_bytes_max),
    )
    return finish(
        begun,
        usage_classes=work.setup.book.classes.select("usage_class", "usage_class_id"),
        items=items_named(work.setup.connection, feed.owner_id, begun),
    )


def _revised(refused: pl.DataFrame, revisions: pl.DataFrame) -> pl.DataFrame:
    """Say which revision of its row each of the refused is; the row as it first came is revision 1."""
    joined = refused.join(revisions, on=["submission_id", "row_index"], how="left", maintain_order="left")
    return joined.with_columns(pl.col("revision").fill_null(1))


def _excepted(usage: pl.DataFrame, error: str) -> pl.DataFrame:
    found = [pl.lit(None, pl.Int64).alias(name) for name in ("account_id", "service_id", "rate_plan_id")]
    reason = pl.lit(reasons.RATING["could_not_be_processed"].id, pl.Int16).alias("reason_id")
    excepted = usage.with_columns(reason, pl.lit(error).alias("value"), *found)
    return columns.check(excepted, columns.RATING_EXCEPTIONS, stage="quarantine")


def _nothing_found() -> DuplicateCheck:
    return DuplicateCheck(_empty(duplicate_keys.DUPLICATES), _empty(columns.KEYS))


def _nothing_rated() -> RatingResult:
    return RatingResult(_empty(columns.CHARGES), _empty(columns.RATING_EXCEPTIONS))


def _empty(schema: pl.Schema) -> pl.DataFrame:
    return pl.DataFrame(schema=schema)


def _cut(connection: Connection, work: Work) -> pl.DataFrame:
    """Give each record the number of the batch that takes it."""
    numbers = batches.insert(
        connection,
        count=-(-work.waiting.raw.height // BATCH_ROWS_MAX),
        owner_id=work.feed.owner_id,
        feed_id=work.feed.feed_id,
        data_profile_id=work.feed.data_profile_id,
        profile_version=work.feed.profile_version,
        book_version=work.setup.position.version,
    )
    batch = pl.Series("batch_id", numbers, pl.Int64)
    cut = work.waiting.raw.with_columns(
        batch.gather(pl.int_range(work.waiting.raw.height, eager=True) // BATCH_ROWS_MAX)
    )
    return columns.check(cut, columns.RAW, stage="the cut into batches")


def _kind() -> pl.Expr:
    return pl.col("reason_id").replace_strict(_KIND_OF_REASON, return_dtype=pl.Int16).alias("kind")


def _finish(connection: Connection, raw: pl.DataFrame) -> None:
    done = raw.group_by("submission_id").len().sort("submission_id")
    touched = submissions.finish(connection, done["submission_id"].to_list(), done["len"].to_list())
    invariant(touched == done.height, f"{touched} submissions were finished, not {done.height}")
