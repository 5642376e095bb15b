"""Write-offs: who gave up a record, when and why."""

from __future__ import annotations

from ratemill.store.connections import Connection, driver


def insert(
    connection: Connection, *, submission_id: int, row_index: int, owner_id: int, note: str | None, created_by: str
) -> None:
    """Write down that a record is given up."""
    driver(connection).execute(
        """
        insert into write_offs (submission_id, row_index, owner_id, note, created_by) values (%s, %s, %s, %s, %s)
        """,
        (submission_id, row_index, owner_id, note, created_by),
    )
