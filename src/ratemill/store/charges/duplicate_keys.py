"""Duplicate keys: one of every imported record of a feed that checks duplicates, found and left in the order of the index.

Keys go in sorted, so that two workers with the same keys wait for each other and never deadlock. Looking first and then
loading by COPY costs a quarter less than an insert that lets conflicts pass. A look-up is one step down the index for each
key, whatever the planner thinks of tables that it has no statistics of: that is what LATERAL with a limit is for.
"""

from __future__ import annotations

import polars as pl
from psycopg import errors

from ratemill.columns import RECORD_NAMES
from ratemill.errors import invariant
from ratemill.store.charges.outcomes import copy
from ratemill.store.connections import Connection, driver

DUPLICATES = pl.Schema(
    {"submission_id": pl.Int64, "row_index": pl.Int32, "of_submission_id": pl.Int64, "of_row_index": pl.Int32},
)

_FIND = """
    select i.position, k.submission_id, k.row_index
    from unnest(%s::date[], %s::uuid[]) with ordinality as i (usage_on, key_hash, position)
    cross join lateral (
        select submission_id, row_index from duplicate_keys k
        where k.feed_id = %s and k.usage_on = i.usage_on and k.key_hash = i.key_hash limit 1
    ) k
"""


def load(connection: Connection, feed_id: int, keys: pl.DataFrame) -> pl.DataFrame:
    """Insert keys, each once, that were not there a moment ago; return those that another worker has left meanwhile.

    Waits for workers that are inserting one of them at this moment.
    """
    late = pl.DataFrame(schema=DUPLICATES)
    fresh = keys.sort("usage_on", "key_hash")
    while not _load(connection, feed_id, fresh):
        found = find(connection, feed_id, fresh)
        invariant(not found.is_empty(), "a duplicate key was refused that nobody has")
        late = pl.concat([late, found])
        fresh = fresh.join(found, on=RECORD_NAMES, how="anti", maintain_order="left")
    return late


def find(connection: Connection, feed_id: int, keys: pl.DataFrame) -> pl.DataFrame:
    """Return those of the keys (``columns.KEYS``) that are there, each with the record that left it (``DUPLICATES``)."""
    days, hashes = (_array(keys[name].cast(pl.String)) for name in ("usage_on", "key_hash"))
    found = pl.DataFrame(
        driver(connection).execute(_FIND, (days, hashes, feed_id)).fetchall(),
        schema={"position": pl.Int64, "of_submission_id": pl.Int64, "of_row_index": pl.Int32},
        orient="row",
    )
    records = keys.select(RECORD_NAMES).with_columns(position=pl.int_range(1, pl.len() + 1, dtype=pl.Int64))
    return records.join(found, on="position").select(DUPLICATES.names())


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
