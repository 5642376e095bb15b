"""Claim: which of a submission's records wait, and the raw table that the stages take.

A record waits because nobody has taken its submission yet, or because it was edited and sent in again after it was refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import cast

import polars as pl

from ratemill import columns
from ratemill.records import Elements, Route, read_elements
from ratemill.settings import Settings
from ratemill.store.connections import Connection
from ratemill.store.usage import resubmissions
from ratemill.store.usage.submissions import ClaimedSubmission, unpack
from ratemill.store.usage.suspects import Suspect

REVISIONS = pl.Schema({**columns.RECORD, "revision": pl.Int32})


@dataclass(frozen=True, slots=True)
class WaitingRecords:
    """Waiting records: ``raw`` is as ``columns.RAW`` but for the batch.

    ``unreadable`` names the rows that held half a surrogate pair, ``revisions`` those that were sent in again.
    """

    raw: pl.DataFrame
    unreadable: pl.DataFrame
    revisions: pl.DataFrame


def waiting_rows(connection: Connection, settings: Settings, taken: Iterable[ClaimedSubmission]) -> WaitingRecords:
    """Return the waiting records of the submissions; those that were sent in again are marked as taken."""
    tables, unreadable, revisions = [], [], [pl.DataFrame(schema=REVISIONS)]
    for submission in taken:
        if submission.started_at is not None:
            again = _sent_again(connection, submission, 1, submission.row_count)
            tables.append(again.drop("revision"))
            revisions.append(again.select(REVISIONS.names()))
            continue
        elements = _elements(submission, settings)
        tables.append(_table(submission, elements))
        unreadable += [(submission.submission_id, row) for row in elements.unreadable]
    raw = pl.concat(tables).sort("submission_id", "row_index")
    return WaitingRecords(raw, pl.DataFrame(unreadable, schema=columns.RECORD, orient="row"), pl.concat(revisions))


def suspect_rows(
    connection: Connection, settings: Settings, taken: ClaimedSubmission, suspect: Suspect
) -> WaitingRecords:
    """Return the records of a suspect part, as ``waiting_rows`` does."""
    if suspect.sent_again:
        again = _sent_again(connection, taken, suspect.first_row, suspect.last_row)
        return WaitingRecords(
            again.drop("revision"), pl.DataFrame(schema=columns.RECORD), again.select(REVISIONS.names())
        )
    elements = _elements(taken, settings)
    inside = pl.col("row_index").is_between(suspect.first_row, suspect.last_row)
    unreadable = [(taken.submission_id, row) for row in elements.unreadable]
    return WaitingRecords(
        _table(taken, elements).filter(inside),
        pl.DataFrame(unreadable, schema=columns.RECORD, orient="row").filter(inside),
        pl.DataFrame(schema=REVISIONS),
    )


def _elements(submission: ClaimedSubmission, settings: Settings) -> Elements:
    return read_elements(unpack(submission.body), cast("Route", submission.route), rows_max=settings.request_rows_max)


def _table(submission: ClaimedSubmission, elements: Elements) -> pl.DataFrame:
    return pl.DataFrame({"raw": pl.Series(elements.texts, dtype=pl.String)}).select(
        pl.lit(submission.submission_id, pl.Int64).alias("submission_id"),
        pl.int_range(1, pl.len() + 1, dtype=pl.Int32).alias("row_index"),
        pl.lit(submission.accepted_at, columns.INSTANT).alias("accepted_at"),
        pl.lit(elements.are_objects, pl.Boolean).alias("is_object"),
        "raw",
    )


def _sent_again(connection: Connection, submission: ClaimedSubmission, first_row: int, last_row: int) -> pl.DataFrame:
    rows = resubmissions.take(connection, submission.submission_id, first_row, last_row)
    return pl.DataFrame(
        rows,
        schema={"row_index": pl.Int32, "revision": pl.Int32, "is_object": pl.Boolean, "raw": pl.String},
        orient="row",
    ).select(
        pl.lit(submission.submission_id, pl.Int64).alias("submission_id"),
        "row_index",
        pl.lit(submission.accepted_at, columns.INSTANT).alias("accepted_at"),
        "is_object",
        "raw",
        "revision",
    )
