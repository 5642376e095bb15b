"""The ends of records: charges, rating exceptions, refused, duplicates and skipped, written by COPY in one transaction.

Every table comes in with its columns named as in the schema. The order of the writes is the order of the locks: the caller
holds the submissions, then come duplicate keys, then the rest.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import polars as pl

from ratemill.errors import invariant
from ratemill.store.connections import Connection, driver

# Returns the records whose key was there before. EXCEPT, because it is never planned as a loop within a loop.
_INSERT_FRESH = """
    with fresh as (
        insert into duplicate_keys (feed_id, usage_on, key_hash, submission_id, row_index)
        select %s, usage_on, key_hash, submission_id, row_index from incoming_keys order by usage_on, key_hash
        on conflict do nothing
        returning submission_id, row_index
    )
    select submission_id, row_index from incoming_keys except select submission_id, row_index from fresh
"""
_INSTANT_FORMAT = "%Y-%m-%dT%H:%M:%S.%6f+00"


def copy(connection: Connection, table: str, rows: pl.DataFrame, *, midway: Callable[[], None] | None = None) -> None:
    """COPY ``rows`` into ``table``; ``midway`` is called when half of the bytes are sent."""
    if rows.is_empty():
        return
    text = io.BytesIO()
    rows.write_csv(text, include_header=False, datetime_format=_INSTANT_FORMAT)
    data = text.getbuffer()
    half = len(data) // 2
    cursor = driver(connection).cursor()
    with cursor.copy(f"copy {table} ({', '.join(rows.columns)}) from stdin (format csv)") as sink:
        sink.write(data[:half])
        if midway:
            midway()
        sink.write(data[half:])
    invariant(cursor.rowcount == rows.height, f"{cursor.rowcount} of {rows.height} rows reached {table}")


def insert_keys(connection: Connection, feed_id: int, keys: pl.DataFrame) -> pl.DataFrame:
    """Insert the duplicate keys that are new and return the others, each with the record that it repeats.

    ``keys`` has the columns of ``columns.KEYS``, each key once. Returns ``submission_id, row_index, of_submission_id,
    of_row_index``. The keys go in sorted, so that two workers with the same keys wait for each other and never deadlock.
    """
    cursor = driver(connection).cursor()
    cursor.execute(
        "create temporary table if not exists incoming_keys "
        "(submission_id bigint, row_index integer, usage_on date, key_hash uuid) on commit delete rows",
    )
    copy(connection, "incoming_keys", keys)
    known = cursor.execute(_INSERT_FRESH, (feed_id,)).fetchall()
    record = {name: keys.schema[name] for name in ("submission_id", "row_index")}
    repeated = keys.join(pl.DataFrame(known, schema=record, orient="row"), on=list(record), how="semi")
    return _repeated_records(connection, feed_id, repeated)


def _repeated_records(connection: Connection, feed_id: int, repeated: pl.DataFrame) -> pl.DataFrame:
    """Return each record of ``repeated`` with the one that left its key before."""
    if repeated.is_empty():
        return pl.DataFrame(schema=DUPLICATES)
    rows = (
        driver(connection)
        .execute(
            """
            select i.submission_id, i.row_index, k.submission_id, k.row_index
            from unnest(%s::bigint[], %s::integer[], %s::date[], %s::uuid[])
                as i (submission_id, row_index, usage_on, key_hash)
            join duplicate_keys k on k.feed_id = %s and k.usage_on = i.usage_on and k.key_hash = i.key_hash
            """,
            (*(repeated[name].to_list() for name in ("submission_id", "row_index", "usage_on", "key_hash")), feed_id),
        )
        .fetchall()
    )
    found = pl.DataFrame(rows, schema=DUPLICATES, orient="row")
    invariant(found.height == repeated.height, f"{repeated.height} keys were there before, {found.height} were found")
    return found


DUPLICATES = pl.Schema(
    {"submission_id": pl.Int64, "row_index": pl.Int32, "of_submission_id": pl.Int64, "of_row_index": pl.Int32},
)
