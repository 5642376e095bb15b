"""The log of what was changed in the set-up: rows are added, read, and never changed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.rows import class_row

from ratemill.pages import Page, Paging
from ratemill.store import setup_objects
from ratemill.store.connections import Connection, driver
from ratemill.store.filters import parameters, where

_COLUMNS = (
    "owner_id",
    "changed_at",
    "changed_by",
    "via",
    "list",
    "object_id",
    "key_words",
    "action",
    "before",
    "after",
)


@dataclass(frozen=True, slots=True)
class SetupChange:
    """One change of one object; ``before`` is None for a new one, ``after`` for one that was deleted."""

    setup_change_id: int
    owner_id: int
    changed_at: datetime
    changed_by: str
    via: str
    list: str
    object_id: int
    key_words: str
    action: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class ChangeFilters:
    """Which changes; None asks for nothing. Times are [from, to)."""

    list: str | None = None
    object_id: int | None = None
    changed_by: str | None = None
    action: str | None = None
    from_at: datetime | None = None
    to_at: datetime | None = None


_CONDITIONS = {
    "list": "list = %(list)s",
    "object_id": "object_id = %(object_id)s",
    "changed_by": "changed_by = %(changed_by)s",
    "action": "action = %(action)s",
    "from_at": "changed_at >= %(from_at)s",
    "to_at": "changed_at < %(to_at)s",
}


def insert(connection: Connection, changes: Iterable[tuple[Any, ...]]) -> None:
    """Add changes: owner, time, by whom and via what, list, object, its key in words, action, before, after."""
    setup_objects.insert_rows(connection, "setup_changes", _COLUMNS, changes)


def find(connection: Connection, owner_id: int, setup_change_id: int) -> SetupChange | None:
    """Return one change."""
    cursor = driver(connection).cursor(row_factory=class_row(SetupChange))
    statement = f"select setup_change_id, {', '.join(_COLUMNS)} from setup_changes where owner_id = %s"
    return cursor.execute(f"{statement} and setup_change_id = %s", (owner_id, setup_change_id)).fetchone()


def page(connection: Connection, owner_id: int, filters: ChangeFilters, paging: Paging) -> Page[SetupChange]:
    """Return a page of changes, the newest first."""
    asked = f"owner_id = %(owner_id)s and {where(filters, _CONDITIONS)}"
    known = {**parameters(filters), "owner_id": owner_id, "offset": paging.offset, "size": paging.size}
    cursor = driver(connection).cursor(row_factory=class_row(SetupChange))
    statement = f"select setup_change_id, {', '.join(_COLUMNS)} from setup_changes where {asked}"
    rows = cursor.execute(
        f"{statement} order by setup_change_id desc offset %(offset)s limit %(size)s", known
    ).fetchall()
    total = None
    if paging.with_total:
        counted = driver(connection).execute(f"select count(*) from setup_changes where {asked}", known).fetchone()
        total = int(counted[0]) if counted else 0
    return Page(rows, total)
