"""The log of what calls changed in characteristics: rows are added, read, and never changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from psycopg.rows import class_row

from ratemill.store.connections import Connection, driver
from ratemill.store.filters import parameters, where
from ratemill.store.policies import OWNER_ENTERED

Object = Literal["item", "list", "field"]


@dataclass(frozen=True, slots=True)
class CharacteristicChange:
    """One change of one object; ``before`` and ``after`` are its JSON, None where there was or is nothing."""

    change_id: int
    characteristic: int
    changed_at: datetime
    changed_by: str
    object: str
    object_id: int
    name: str
    action: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class CharacteristicChangeFilters:
    """Which changes of a characteristic; None asks for nothing. Times are [from, to)."""

    characteristic: int
    object: str | None = None
    name: str | None = None
    action: str | None = None
    changed_by: str | None = None
    from_at: datetime | None = None
    to_at: datetime | None = None


_CONDITIONS = {
    "characteristic": f"c.owner_id = {OWNER_ENTERED} and c.characteristic = %(characteristic)s",
    "object": "c.object = %(object)s",
    "name": "c.name = %(name)s",
    "action": "c.action = %(action)s",
    "changed_by": "c.changed_by = %(changed_by)s",
    "from_at": "c.changed_at >= %(from_at)s",
    "to_at": "c.changed_at < %(to_at)s",
}
_BYTES = "coalesce(octet_length(c.before), 0) + coalesce(octet_length(c.after), 0)"
_COLUMNS = ", ".join(f"c.{name}" for name in CharacteristicChange.__dataclass_fields__)


def note(
    connection: Connection,
    owner_id: int,
    characteristic: int,
    *,
    object_: Object,
    object_id: int,
    name: str,
    by: str,
    before: str | None,
    after: str | None,
) -> None:
    """Add a change: created if there was nothing before, deleted if there is nothing after, else updated."""
    action = "created" if before is None else "deleted" if after is None else "updated"
    driver(connection).execute(
        """
        insert into characteristic_changes
            (owner_id, characteristic, changed_by, object, object_id, name, action, before, after)
        values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
        """,
        (owner_id, characteristic, by, object_, object_id, name, action, before, after),
    )


def page(
    connection: Connection, filters: CharacteristicChangeFilters, *, skip: int, top: int, bytes_max: int
) -> tuple[int, list[CharacteristicChange]]:
    """Return how many changes there are, and one page of them, the newest first; it ends early at so many bytes."""
    asked = where(filters, _CONDITIONS)
    known = {**parameters(filters), "skip": skip, "top": top, "bytes_max": bytes_max}
    total = driver(connection).execute(f"select count(*) from characteristic_changes c where {asked}", known).fetchone()
    with driver(connection).cursor(row_factory=class_row(CharacteristicChange)) as cursor:
        cursor.execute(
            f"""
            with listed as (select c.change_id, {_BYTES} as own_bytes from characteristic_changes c where {asked}
                order by c.change_id desc limit %(top)s offset %(skip)s),
            placed as (select change_id, own_bytes, sum(own_bytes) over (order by change_id desc) as bytes_with
                from listed)
            select {_COLUMNS} from placed p join characteristic_changes c using (change_id)
            where p.bytes_with <= greatest(%(bytes_max)s, p.own_bytes) order by c.change_id desc""",
            known,
        )
        return (int(total[0]) if total else 0), cursor.fetchall()
