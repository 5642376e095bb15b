"""Usage feeds: one by its name or number, as requests and workers ask for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from psycopg.rows import class_row

from ratemill.store.connections import Connection, driver
from ratemill.store.policies import OWNER_ENTERED
from ratemill.texts import without_nul

ID_MAX = 9_223_372_036_854_775_807  # of a bigint: a longer row of digits is no number of a feed


@dataclass(frozen=True, slots=True)
class Feed:
    """A feed with its data profile in the version in force."""

    feed_id: int
    owner_id: int
    name: str
    api_name: str | None
    enabled: bool
    data_profile_id: int
    data_profile_name: str
    data_profile_version: int


@dataclass(frozen=True, slots=True)
class FeedDocument(Feed):
    """A feed with the document of its data profile."""

    document: dict[str, Any]


_COLUMNS = """f.feed_id, f.owner_id, f.name, f.api_name, f.enabled, f.data_profile_id, p.name as data_profile_name,
    p.version as data_profile_version"""
_TABLES = "feeds f join data_profiles p using (data_profile_id)"


def find(connection: Connection, name_or_id: str) -> Callable[[], Feed | None]:
    """Ask for the feed that a request of the owner means whose rows are seen; what is returned reads the answer.

    All digits, its number comes first; else API name, then name, whatever the case.
    """
    number = int(name_or_id) if _is_number(name_or_id) else None
    statement = f"""
        select {_COLUMNS} from {_TABLES}
        where f.owner_id = {OWNER_ENTERED}
            and (f.feed_id = %(number)s or lower(f.api_name) = lower(%(name)s) or lower(f.name) = lower(%(name)s))
        order by f.feed_id is distinct from %(number)s, lower(f.api_name) is distinct from lower(%(name)s)
        limit 1"""
    values = {"number": number, "name": without_nul(name_or_id)}
    cursor = driver(connection).cursor(row_factory=class_row(Feed))
    return cursor.execute(statement, values).fetchone


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= len(str(ID_MAX)) and int(text) <= ID_MAX


def owner_of(connection: Connection, feed_id: int) -> int:
    """Return the number of the owner of a feed."""
    row = driver(connection).execute("select owner_id from feeds where feed_id = %s", (feed_id,)).fetchone()
    if row is None:
        raise LookupError(f"there is no feed {feed_id}")
    return int(row[0])


def read_with_document(connection: Connection, feed_id: int) -> FeedDocument | None:
    """Return a feed with the document of its data profile, both of one instant."""
    statement = f"select {_COLUMNS}, p.document from {_TABLES} where f.feed_id = %s"
    with driver(connection).cursor(row_factory=class_row(FeedDocument)) as cursor:
        return cursor.execute(statement, (feed_id,)).fetchone()
