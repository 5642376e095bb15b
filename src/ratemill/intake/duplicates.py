"""Duplicates: of equal records the first stays, and the others name it.

Keys are looked for before rating and loaded last of all, just before the commit: a worker that holds an equal record waits
for as long as that takes, not while a whole table is rated and written. What the other has committed by then is taken back
here and becomes a duplicate.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from ratemill.columns import KEYS, RECORD_NAMES
from ratemill.mediation.mediate import MediationResult
from ratemill.store.charges import duplicate_keys
from ratemill.store.connections import Connection

KEY = ["usage_on", "key_hash"]


@dataclass(frozen=True, slots=True)
class DuplicateCheck:
    """The duplicates of a table (``store.duplicate_keys.DUPLICATES``), and the keys that its other records leave."""

    duplicates: pl.DataFrame
    fresh: pl.DataFrame


def sort_out(connection: Connection, feed_id: int, mediated: MediationResult) -> DuplicateCheck:
    """Find the duplicates of a table within itself and among all records before it."""
    if mediated.keys.is_empty():
        return DuplicateCheck(pl.DataFrame(schema=duplicate_keys.DUPLICATES), pl.DataFrame(schema=KEYS))
    first = mediated.keys.unique(KEY, keep="first", maintain_order=True)
    within = (
        mediated.keys.join(first.select(*KEY, of_submission_id="submission_id", of_row_index="row_index"), on=KEY)
        .filter(pl.struct(RECORD_NAMES) != pl.struct(submission_id="of_submission_id", row_index="of_row_index"))
        .select(duplicate_keys.DUPLICATES.names())
    )
    before = duplicate_keys.find(connection, feed_id, first.sort(KEY))
    fresh = first.join(before, on=RECORD_NAMES, how="anti", maintain_order="left")
    return DuplicateCheck(_with(within, before), fresh)


def leave_keys(connection: Connection, feed_id: int, check: DuplicateCheck) -> tuple[DuplicateCheck, pl.DataFrame]:
    """Load the keys of the records that stay; return what is sorted out now, and the records that no longer stay."""
    if check.fresh.is_empty():
        return check, check.fresh.select(RECORD_NAMES)
    late = duplicate_keys.load(connection, feed_id, check.fresh)
    fresh = check.fresh.join(late, on=RECORD_NAMES, how="anti", maintain_order="left")
    return DuplicateCheck(_with(check.duplicates, late), fresh), late.select(RECORD_NAMES)


def _with(duplicates: pl.DataFrame, more: pl.DataFrame) -> pl.DataFrame:
    """Add ``more`` duplicates; those that named one of them name what that one repeats."""
    first = more.select(
        of_submission_id="submission_id",
        of_row_index="row_index",
        first_submission_id="of_submission_id",
        first_row_index="of_row_index",
    )
    named = duplicates.join(first, on=["of_submission_id", "of_row_index"], how="left").select(
        *RECORD_NAMES,
        pl.coalesce("first_submission_id", "of_submission_id").alias("of_submission_id"),
        pl.coalesce("first_row_index", "of_row_index").alias("of_row_index"),
    )
    return pl.concat([named, more])
