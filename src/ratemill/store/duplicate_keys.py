"""Duplicate keys: one of every imported record of a feed that checks duplicates, found and left in the order of the index.

Keys go in sorted, so that two workers with the same keys wait for each other and never deadlock. Looking first and then
loading by COPY costs a quarter less than an insert that lets conflicts pass; only where another worker inserts one of the
same keys at that moment is the insert needed. Every look-up is one step down the index for each key, whatever the planner
thinks of tables that it has no statistics of: that is what LATERAL with a limit is for.
"""

from __future__ import annotations

import polars as pl
from psycopg import errors

from ratemill.errors import invariant
from ratemill.store.connections import Connection, driver
from ratemill.store.outcomes import copy

DUPLICATES = pl.Schema(
    {"submission_id": pl.Int64, "row_index": pl.Int32, "of_submission_id": pl.Int64, "of_row_index": pl.Int32},
)
_RECORD = ["submission_id", "row_index"]

_FIND = """
    select i.position, k.submission_id, k.row_index
    from unnest(%s::date[], %s::uuid[]) with ordinality as i (usage_on, key_hash, position)
    cross join lateral (
        select submission_id, row_index from duplicate_keys k
        where k.feed_id = %s and k.usage_on = i.usage_on and k.key_hash = i.key_hash limit 1
    ) k
"""
_INSERT_FRESH = """
    insert into duplicate_keys (feed_id, usage_on, key_hash, submission_id, row_index)
    select %s, usage_on, key_hash, submission_id, row_index from incoming_keys order by usage_on, key_hash
    on conflict do nothing
"""


def insert(connection: Connection, feed_id: int, keys: pl.DataFrame) -> pl.DataFrame:
    """Insert the keys that are new and return the others, each with the record that it repeats (``DUPLICATES``).

    ``keys`` has the columns of ``columns.KEYS``, each key once.
    """
    ordered = keys.sort("usage_on", "key_hash")
    repeated = _find(connection, feed_id, ordered)
    fresh = ordered.join(repeated, on=_RECORD, how="anti", maintain_order="left")
    if not _load(connection, feed_id, fresh):
        repeated = pl.concat([repeated, _insert_what_is_new(connection, feed_id, fresh)])
    return repeated


def _find(connection: Connection, feed_id: int, keys: pl.DataFrame) -> pl.DataFrame:
    """Return those of the keys that are there, each with the record that left it, unless that is the record itself."""
    days, hashes = (_array(keys[name].cast(pl.String)) for name in ("usage_on", "key_hash"))
    found = pl.DataFrame(
        driver(connection).execute(_FIND, (days, hashes, feed_id)).fetchall(),
        schema={"position": pl.Int64, "of_submission_id": pl.Int64, "of_row_index": pl.Int32},
        orient="row",
    )
    records = keys.select(_RECORD).with_columns(position=pl.int_range(1, pl.len() + 1, dtype=pl.Int64))
    itself = (pl.col("submission_id") == pl.col("of_submission_id")) & (pl.col("row_index") == pl.col("of_row_index"))
    return records.join(found, on="position").filter(~itself).select(DUPLICATES.names())


def _array(texts: pl.Series) -> str:
    return "{" + str(texts.str.join(",").item()) + "}"


def _load(connection: Connection, feed_id: int, fresh: pl.DataFrame) -> bool:
    """COPY the keys in; False, and nothing is in, if another worker has inserted one of them meanwhile."""
    try:
        with driver(connection).transaction():
            copy(connection, "duplicate_keys", fresh.select(pl.lit(feed_id).alias("feed_id"), pl.all()))
    except errors.UniqueViolation:
        return False
    return True


def _insert_what_is_new(connection: Connection, feed_id: int, keys: pl.DataFrame) -> pl.DataFrame:
    cursor = driver(connection).cursor()
    cursor.execute(
        "create temporary table if not exists incoming_keys "
        "(submission_id bigint, row_index integer, usage_on date, key_hash uuid) on commit delete rows",
    )
    copy(connection, "incoming_keys", keys)
    inserted = cursor.execute(_INSERT_FRESH, (feed_id,)).rowcount
    repeated = _find(connection, feed_id, keys)
    invariant(
        inserted + repeated.height == keys.height,
        f"{keys.height} keys became {inserted} fresh and {repeated.height} known",
    )
    return repeated
