"""Which set-up objects have a charge: written with the first one, so that a delete need not search the charges.

A process keeps what it has seen here, so that a table of charges usually costs no statement at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from psycopg import sql

from ratemill.caches import Cache
from ratemill.errors import invariant
from ratemill.store.connections import Connection, driver

# By the column of a charge, the table of what it refers to; in this order, so that no two workers wait for each other.
TABLES = {
    "usage_class_id": "usage_classes",
    "rate_plan_id": "rate_plans",
    "rate_group_id": "rate_groups",
    "rate_id": "rates",
    "location_id": "locations",
}
COLUMNS = {table: column for column, table in TABLES.items()}

KNOWN_MAX = 1_000_000  # objects kept of all owners, about 60 MB
OWNERS_MAX = 10_000  # of which they are kept

ChargedObjects = Cache[tuple[int, str], frozenset[int]]
"""By owner and column, the objects that are written down and committed."""


def charged_object_cache() -> ChargedObjects:
    """Return an empty cache for the objects that are written down."""
    return Cache(entries_max=OWNERS_MAX * len(TABLES), weight_max=KNOWN_MAX, weigh=len)


def note(connection: Connection, owner_id: int, charged: Mapping[str, Sequence[int]], cache: ChargedObjects) -> None:
    """Write down that these objects, by the columns of ``TABLES``, are charged; raise if one is gone."""
    for column in TABLES:
        known = cache.get((owner_id, column)) or frozenset()
        new = sorted(set(charged[column]) - known)
        if new:
            noted = _noted(connection, column, new)
            committed = frozenset(object_id for object_id, is_committed in noted.items() if is_committed)
            if committed:
                cache.put((owner_id, column), committed if len(known) > KNOWN_MAX else known | committed)
            _add(connection, owner_id, column, [each for each in new if each not in noted])


def find(connection: Connection, column: str, object_ids: Sequence[int]) -> set[int]:
    """Return which of these objects are charged."""
    statement = "select object_id from charged_objects where charge_column = %s and object_id = any(%s)"
    return {row[0] for row in driver(connection).execute(statement, (column, list(object_ids)))}


def _noted(connection: Connection, column: str, object_ids: list[int]) -> dict[int, bool]:
    """Return which of these are written down, and whether for good: what this transaction wrote may be rolled back."""
    statement = (
        "select object_id, xmin is distinct from pg_current_xact_id_if_assigned()::xid from charged_objects "
        "where charge_column = %s and object_id = any(%s)"
    )
    return dict(driver(connection).execute(statement, (column, object_ids)).fetchall())


def _add(connection: Connection, owner_id: int, column: str, object_ids: list[int]) -> None:
    if not object_ids:
        return
    known = sql.SQL("select {0} from {1} where {0} = any(%s)").format(
        sql.Identifier(column), sql.Identifier(TABLES[column])
    )
    there = driver(connection).execute(known, (object_ids,)).fetchall()
    invariant(len(there) == len(object_ids), f"an object was deleted while it was charged: {column}")
    driver(connection).execute(
        "insert into charged_objects (owner_id, charge_column, object_id) select %s, %s, unnest(%s::bigint[])"
        " on conflict do nothing",
        (owner_id, column, object_ids),
    )
