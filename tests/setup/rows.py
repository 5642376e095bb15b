"""What a test sees of a database: how many rows of which transactions, how many numbers given out."""

from __future__ import annotations

from ratemill.store.connections import Database
from ratemill.store.policies import tables_with_owner

Seen = dict[str, tuple[object, ...]]


def rows_of(database: Database, *, with_locks: bool = False) -> Seen:
    """Return count and newest transaction of every table, with its row locks if asked."""
    with database.worker() as connection:
        seen: Seen = {}
        for table in [*tables_with_owner(), "owners"]:
            locks = "sum(xmax::text::bigint)" if with_locks else "0"
            columns = f"count(*), max(xmin::text::bigint), {locks}"
            seen[table] = tuple(connection.exec_driver_sql(f"select {columns} from {table}").one())
        return seen


def numbers_given_out(database: Database) -> dict[str, int | None]:
    """Return the last number of every sequence."""
    with database.schema_owner() as connection:
        rows = connection.exec_driver_sql(
            "select sequencename, last_value from pg_sequences where schemaname = 'public'"
        )
        return {row[0]: row[1] for row in rows}
