"""What a document meets: the stored objects that it touches, with its own entries laid over them.

Identities of objects that the document makes are below zero until they are written.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from ratemill.store import bulk, owners
from ratemill.store.connections import Connection, clock
from ratemill.store.setup import accounts

Row = dict[str, Any]
Sheet = tuple[int, int]  # a rate group and a usage class
RATE_PLACES = ("rate_id", "rate_group_id", "usage_class_id", "location_id", "location_group_id", "start_at", "end_at")
_US_PER_MS = 1_000


class World:
    """Rows by list and identity, stored ones as this transaction read them; ``owner_id`` is None for one still unmade.

    ``writes`` says whether anything may come of it: a dry run waits for nobody.
    """

    def __init__(self, connection: Connection, owner_id: int | None, *, writes: bool = True) -> None:
        self.connection = connection
        self.owner_id = owner_id
        self.writes = writes
        self.rows: defaultdict[str, dict[int, Row]] = defaultdict(dict)
        self.by_key: defaultdict[str, dict[tuple[Any, ...], int]] = defaultdict(dict)
        self.removed: defaultdict[str, set[int]] = defaultdict(
            set
        )  # stored objects that will be gone: no rule sees them
        self.unsure: set[int] = set()  # entries that could not be read whole: no neighbour is compared with them
        self._last = 0

    def row(self, list_name: str, identity: int | None) -> Row | None:
        """Return the row of one object of a list as it will be."""
        return None if identity is None else self.rows[list_name].get(identity)

    def name(self, list_name: str, identity: int | None) -> str | None:
        """Return the name of one object of a list."""
        row = self.row(list_name, identity)
        return None if row is None else row["name"]

    def new_identity(self) -> int:
        """Return an identity for an object that is not written yet."""
        self._last -= 1
        return self._last

    def now(self) -> datetime:
        """Return the time by the database's clock, in whole milliseconds."""
        now = clock(self.connection)
        return now.replace(microsecond=now.microsecond // _US_PER_MS * _US_PER_MS)

    def charged_accounts(self, account_ids: Iterable[int]) -> set[int]:
        """Return which of these accounts have charges, and so keep their currency; none gets its first one meanwhile."""
        if self.writes and self.owner_id is not None:
            owners.wait_for_usage(self.connection, self.owner_id, accepts=False)
        return accounts.charged(self.connection, list(account_ids))

    def stored_members(self, location_group_ids: set[int]) -> dict[int, set[int]]:
        """Return the stored locations of location groups."""
        found = bulk.read_links(
            self.connection, "location_group_members", "location_group_id", "location_id", list(location_group_ids)
        )
        return {location_group_id: set(found.get(location_group_id, ())) for location_group_id in location_group_ids}

    def rates_at_location_groups(self, sheets: set[Sheet]) -> dict[int, Row]:
        """Return the rates of these groups and classes that hold at location groups, by identity, as they will be."""
        ids = {name: [sheet[at] for sheet in sheets] for at, name in enumerate(("rate_group_id", "usage_class_id"))}
        stored: list[Row] = []
        if sheets and self.owner_id is not None:
            stored = bulk.read_rows(
                self.connection, "rates", RATE_PLACES, self.owner_id, ids, filled=("location_group_id",)
            )
        removed = self.removed["usageRates"]
        rows = {row["rate_id"]: row for row in stored if row["rate_id"] not in removed} | self.rows["usageRates"]
        return {
            identity: row
            for identity, row in rows.items()
            if row.get("location_group_id") is not None
            and row.get("location_id") is None
            and (row["rate_group_id"], row["usage_class_id"]) in sheets
        }

    def stored_rows(self, table: str, columns: tuple[str, ...], column: str, ids: Iterable[int]) -> list[Row]:
        """Return the stored rows of ``table`` that refer to one of ``ids`` by ``column``."""
        known = [id_ for id_ in ids if id_ > 0]
        if not known or self.owner_id is None:
            return []
        return bulk.read_rows(self.connection, table, columns, self.owner_id, {column: known})
