"""The ends of records: charges, rating exceptions, refused, duplicates and skipped, written by COPY in one transaction.

Every table comes in with its columns named as in the schema. The order of the writes is the order of the locks: the caller
holds the submissions; duplicate keys come last (``intake/duplicates.py``).
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

import polars as pl

from ratemill.characteristics import NUMBERS, Carried
from ratemill.errors import invariant
from ratemill.states import RatingExceptionState
from ratemill.store.charges import charged_objects
from ratemill.store.charges.charged_objects import ChargedObjects, charged_object_cache
from ratemill.store.connections import Connection, driver
from ratemill.store.usage import carried_items
from ratemill.store.usage.carried_items import ChargedItems, charged_item_cache

_INSTANT_FORMAT = "%Y-%m-%dT%H:%M:%S.%6f+00"
_CARRIED = pl.Struct(dict.fromkeys(NUMBERS, pl.String))


@dataclass(frozen=True, slots=True)
class ChargedCaches:
    """What a process has seen written down as charged."""

    objects: ChargedObjects = field(default_factory=charged_object_cache)
    items: ChargedItems = field(default_factory=charged_item_cache)


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


def note_charged(connection: Connection, owner_id: int, charges: pl.DataFrame, caches: ChargedCaches) -> None:
    """Write down the set-up objects and items that these charges name, so far as they are not known to be charged."""
    named = {column: charges[column].drop_nulls().unique().to_list() for column in charged_objects.TABLES}
    charged_objects.note(connection, owner_id, named, caches.objects)
    carried_items.note_charged(connection, owner_id, _items_named(charges["extension"]), caches.items)


def _items_named(extensions: pl.Series) -> list[Carried]:
    """Return the items that the extensions of charges name, each once."""
    texts = extensions.filter(extensions.str.contains('"characteristic', literal=True))
    if texts.is_empty():
        return []
    members = texts.unique().str.json_decode(_CARRIED)
    return [
        (number, each) for name, number in NUMBERS.items() for each in members.struct.field(name).drop_nulls().unique()
    ]


def take_back(connection: Connection, records: pl.DataFrame) -> int:
    """Delete the charges and rating exceptions of records that this transaction wrote; return how many there were."""
    taken = 0
    for table in ("charges", "rating_exceptions"):
        taken += (
            driver(connection)
            .execute(
                f"delete from {table} t using unnest(%s::bigint[], %s::integer[]) r (submission_id, row_index)"
                " where t.submission_id = r.submission_id and t.row_index = r.row_index",
                (records["submission_id"].to_list(), records["row_index"].to_list()),
            )
            .rowcount
        )
    return taken


def rate_anew(connection: Connection, tried: pl.DataFrame, *, owner_id: int, reprocess_id: int, at: datetime) -> int:
    """Write what came of one more attempt to rate exceptions, and the attempts; return how many exceptions that touched.

    ``tried`` has the columns of ``TRIED``. Where the attempt succeeded, ``kind``, ``reason_id`` and ``value`` are null:
    the exception is done and keeps those of its last failure.
    """
    cursor = driver(connection).cursor()
    cursor.execute(
        "create temporary table if not exists tried (rating_exception_id bigint, kind smallint, reason_id smallint,"
        " value text, account_id bigint, service_id bigint, rate_plan_id bigint) on commit delete rows",
    )
    copy(connection, "tried", tried.select(TRIED.names()))
    values = {
        "owner_id": owner_id,
        "reprocess_id": reprocess_id,
        "at": at,
        "open": RatingExceptionState.OPEN,
        "rated": RatingExceptionState.RATED,
    }
    cursor.execute(
        """
        insert into rating_attempts (owner_id, rating_exception_id, reprocess_id, reason_id, attempted_at)
        select %(owner_id)s, rating_exception_id, %(reprocess_id)s, reason_id, %(at)s from tried
        order by rating_exception_id
        """,
        values,
    )
    cursor.execute(
        """
        update rating_exceptions e set
            state = case when t.reason_id is null then %(rated)s else %(open)s end,
            kind = coalesce(t.kind, e.kind),
            reason_id = coalesce(t.reason_id, e.reason_id),
            value = case when t.reason_id is null then e.value else t.value end,
            account_id = t.account_id, service_id = t.service_id, rate_plan_id = t.rate_plan_id,
            attempts = e.attempts + 1, last_attempt_at = %(at)s, reprocess_id = %(reprocess_id)s
        from tried t where e.rating_exception_id = t.rating_exception_id and e.state = %(open)s
        """,
        values,
    )
    return cursor.rowcount


TRIED = pl.Schema(
    {
        "rating_exception_id": pl.Int64,
        "kind": pl.Int16,
        "reason_id": pl.Int16,
        "value": pl.String,
        "account_id": pl.Int64,
        "service_id": pl.Int64,
        "rate_plan_id": pl.Int64,
    },
)
