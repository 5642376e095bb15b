"""What a database holds, for who is about to delete it: owners, counts, and when the last request was accepted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from ratemill.store.connections import driver

COUNT_MAX = 1_000_000  # of charges: more are not counted one by one
OWNERS_MAX = 20


@dataclass(frozen=True, slots=True)
class Contents:
    """What a database holds; ``charges`` ends at one more than ``COUNT_MAX``, ``owners`` at ``OWNERS_MAX`` names."""

    owners: tuple[str, ...]
    owner_count: int
    submissions: int
    records: int
    charges: int
    changes: int
    last_accepted_at: datetime | None


def read(connection: Connection) -> Contents:
    """Return what the database holds, of all owners; the connection is a worker's."""
    cursor = driver(connection)
    names = cursor.execute("select name from owners order by owner_id limit %s", (OWNERS_MAX,)).fetchall()
    found = cursor.execute(
        """
        select (select count(*) from owners), count(*), coalesce(sum(row_count), 0)::bigint, max(accepted_at),
            (select count(*) from (select from charges limit %s) counted), (select count(*) from setup_changes)
        from submissions""",
        (COUNT_MAX + 1,),
    ).fetchone()
    owner_count, submissions, records, last, charges, changes = found or (0, 0, 0, None, 0, 0)
    return Contents(tuple(name for (name,) in names), owner_count, submissions, records, charges, changes, last)
