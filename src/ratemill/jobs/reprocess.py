"""Reprocess: rate the stored usage records of open exceptions anew, by today's set-up as of their usage date.

An order is worked off a table at a time, each in one transaction: charges, exceptions, attempts, counts and how far the
order has come. The process that holds the order's row works on it, and the row's lock goes with its connection. When a
process dies, the next one goes on where the last table was committed. A table that failed is halved until the failing record
stands alone; that one stays open, with the error.
"""

from __future__ import annotations

from functools import partial

import polars as pl

from ratemill import columns, reasons
from ratemill.errors import invariant
from ratemill.intake.caches import RatingCaches
from ratemill.jobs.work import tables
from ratemill.jobs.work.tries import TableTry
from ratemill.rating.rate import RatingResult, rate
from ratemill.settings import Settings
from ratemill.setup.in_force.book import setup_snapshot
from ratemill.setup.in_force.holders import holders_of
from ratemill.store.charges import outcomes, reprocesses
from ratemill.store.charges.reprocesses import Reprocess
from ratemill.store.connections import Connection, Database, clock
from ratemill.store.usage import batches, submissions

ROWS_MAX = 4_096  # a power of two, to be halved; larger tables are hardly faster, and hold their submissions longer

_USAGE = [(name, pl.String() if name == "quantity" else kind) for name, kind in columns.USAGE.items()]
EXCEPTIONS = pl.Schema([("rating_exception_id", pl.Int64()), ("feed_id", pl.Int32()), *_USAGE])

_KIND_OF_REASON = {reason.id: reason.kind for reason in reasons.RATING_REASONS}
_COULD_NOT_BE_PROCESSED = reasons.RATING["could_not_be_processed"].id


def run_table(database: Database, settings: Settings, reprocess_id: int, caches: RatingCaches) -> bool:
    """Process the next table of an order; return False if it is not due, has ended or another process works on it."""
    return tables.run(database, settings, _kind(caches), reprocess_id)


def _kind(caches: RatingCaches) -> tables.JobKind[Reprocess]:
    return tables.JobKind(
        "reprocess",
        "reprocess-before-commit",
        "reprocess-after-commit",
        _begin,
        reprocesses.hold,
        partial(_process, caches),
    )


def _begin(connection: Connection, reprocess_id: int) -> bool:
    """Let an order begin; one for later is matched when its time has come."""
    order = reprocesses.hold(connection, reprocess_id)
    if order is None:
        return False
    if order.started_at is None:
        if order.scheduled_at > order.created_at:
            reprocesses.match(connection, order)
        reprocesses.begin(connection, reprocess_id)
    return True


def _process(
    caches: RatingCaches, connection: Connection, _settings: Settings, order: Reprocess, errors: list[str | None]
) -> bool:
    return _next_table(connection, order, TableTry(order.attempts, errors, ROWS_MAX), caches)


def _next_table(connection: Connection, order: Reprocess, tried: TableTry, caches: RatingCaches) -> bool:
    """Rate the next exceptions of an order and write what came of it; return whether they were the last."""
    chosen = reprocesses.next_exceptions(connection, order, rows_max=tried.rows_max)
    submissions.lock_all(connection, sorted({submission_id for _, submission_id in chosen}))
    taken = reprocesses.take(connection, order, [rating_exception_id for rating_exception_id, _ in chosen])
    exceptions = pl.DataFrame(taken, schema=EXCEPTIONS, orient="row").with_columns(
        pl.col("quantity").cast(columns.QUANTITY)
    )
    rated = _refuse(exceptions, tried.error) if tried.refuses else _rate(connection, order.owner_id, exceptions, caches)
    if not exceptions.is_empty():
        _write(connection, order, exceptions, rated, caches)
    ended = len(chosen) < tried.rows_max
    reprocesses.advance(
        connection,
        order.reprocess_id,
        last_exception_id=chosen[-1][0] if chosen else order.until_exception_id,
        rows_rated=rated.charges.height,
        rows_failed=rated.exceptions.height,
        attempts=tried.attempts_left,
        ended=ended,
    )
    return ended


def _rate(connection: Connection, owner_id: int, exceptions: pl.DataFrame, caches: RatingCaches) -> RatingResult:
    usage = exceptions.select(columns.USAGE.names())
    with setup_snapshot(connection, owner_id, caches.setup) as setup:
        return rate(usage, setup.book, holders_of(setup, usage["usage_identifier"], caches.holders))


def _refuse(exceptions: pl.DataFrame, error: str | None) -> RatingResult:
    """Let the record that failed alone be an exception of our own failure."""
    found = [pl.lit(None, pl.Int64).alias(name) for name in ("account_id", "service_id", "rate_plan_id")]
    reason = pl.lit(_COULD_NOT_BE_PROCESSED, pl.Int16).alias("reason_id")
    failed = exceptions.with_columns(reason, pl.lit(error or "the process died").alias("value"), *found)
    nothing = pl.DataFrame(schema=columns.CHARGES)
    return RatingResult(nothing, columns.check(failed, columns.RATING_EXCEPTIONS, stage="reprocess"))


def _write(
    connection: Connection, order: Reprocess, exceptions: pl.DataFrame, rated: RatingResult, caches: RatingCaches
) -> None:
    """Write charges, attempts, what became of the exceptions, and the counts of their batches."""
    at = clock(connection)
    named = exceptions.select(*columns.RECORD_NAMES, "rating_exception_id", "feed_id")
    charges = rated.charges.join(named, on=columns.RECORD_NAMES, maintain_order="left")
    failed = rated.exceptions.join(named, on=columns.RECORD_NAMES, maintain_order="left")
    done = [pl.lit(None, outcomes.TRIED[name]).alias(name) for name in ("kind", "reason_id", "value")]
    kind = pl.col("reason_id").replace_strict(_KIND_OF_REASON, return_dtype=pl.Int16).alias("kind")
    tried = pl.concat(
        [table.select(outcomes.TRIED.names()) for table in (charges.with_columns(*done), failed.with_columns(kind))]
    )
    invariant(tried.height == exceptions.height, f"{exceptions.height} exceptions came to {tried.height} attempts")
    touched = outcomes.rate_anew(connection, tried, owner_id=order.owner_id, reprocess_id=order.reprocess_id, at=at)
    invariant(touched == tried.height, f"{tried.height} exceptions were tried, {touched} changed")
    made = [
        pl.lit(order.owner_id, pl.Int32).alias("owner_id"),
        pl.lit(0, pl.Int16).alias("entry"),
        pl.lit(at, columns.INSTANT).alias("rated_at"),
    ]
    outcomes.copy(connection, "charges", charges.drop("rating_exception_id").with_columns(*made))
    outcomes.note_charged(connection, order.owner_id, charges, caches.charged)
    _count(connection, rated.charges)


def _count(connection: Connection, charges: pl.DataFrame) -> None:
    spans = charges.group_by("batch_id", "submission_id").len().sort("batch_id", "submission_id")
    touched = batches.rate_excepted(
        connection, *(spans[name].to_list() for name in ("batch_id", "submission_id", "len"))
    )
    invariant(touched == spans.height, f"{spans.height} spans have fewer exceptions, {touched} were found")
