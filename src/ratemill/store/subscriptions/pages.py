"""Subscription objects as they are read: one by its id, a page of a kind; and how one is taken away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg.rows import class_row

from ratemill.comparisons import Comparison
from ratemill.store.comparisons import ComparedColumn, Values, conditions
from ratemill.store.connections import Connection, driver


@dataclass(frozen=True, slots=True)
class ShownObject:
    """An object with what it became; ``document`` is that of its snapshot, the rest from ``state`` on a subscription's."""

    object_number: int
    kind: int
    object_id: UUID
    external_ref: str | None
    attributes: str
    document: str | None
    import_id: UUID | None
    line_number: int | None
    created_at: datetime
    updated_at: datetime
    read_at: datetime
    state: str | None
    plan_id: UUID | None
    started_at: datetime | None
    ended_at: datetime | None
    account_name: str | None
    service_name: str | None


_COLUMNS = """o.object_number, o.kind::integer, o.object_id, o.external_ref, o.attributes, n.document, i.import_id,
    o.line_number, o.created_at, o.updated_at, now() as read_at, s.state, s.plan_id, s.started_at, s.ended_at,
    a.name as account_name, v.name as service_name"""
_JOINED = """left join subscription_snapshots n on n.snapshot_number = o.snapshot_number
    left join subscription_imports i on i.import_number = o.import_number
    left join subscriptions s on s.object_number = o.object_number
    left join services v on v.service_id = s.service_id
    left join accounts a on a.account_id = v.account_id"""

# What a list may be filtered by. The database reads no JSON in which a text holds the character NUL.
FIELDS = {
    "id": ComparedColumn("o.object_id", "uuid"),
    "external_ref": ComparedColumn("o.external_ref", "text", "md5(o.external_ref)", "text"),
    "name": ComparedColumn(
        r"case when o.attributes not like '%%\\u0000%%' then o.attributes::json ->> 'name' end", "text"
    ),
    "created_at": ComparedColumn("o.created_at", "timestamptz"),
    "updated_at": ComparedColumn("o.updated_at", "timestamptz"),
}
ACCOUNT_FIELDS = {**FIELDS, "account_id": ComparedColumn("o.account_id", "uuid")}


def find(
    connection: Connection, owner_id: int, kind: int, object_id: UUID, *, lock: bool = False
) -> ShownObject | None:
    """Return the object of a kind with that id; ``lock`` keeps others from changing it."""
    with driver(connection).cursor(row_factory=class_row(ShownObject)) as cursor:
        statement = f"""select {_COLUMNS} from subscription_objects o {_JOINED}
            where o.object_id = %s and o.kind = %s and o.owner_id = %s {"for update of o" if lock else ""}"""
        return cursor.execute(statement, (object_id, kind, owner_id)).fetchone()


def page(
    connection: Connection,
    owner_id: int,
    kind: int,
    comparisons: Sequence[Comparison[str]],
    columns: Mapping[str, ComparedColumn],
    *,
    offset: int,
    limit: int,
    bytes_max: int,
) -> tuple[list[ShownObject], int]:
    """Return a page of the objects of a kind, the first made first, and how many there are.

    The page ends before ``limit`` at so many bytes, but never before its first object.
    """
    values: Values = {"owner_id": owner_id, "kind": kind, "offset": offset, "limit": limit, "bytes_max": bytes_max}
    where = conditions(comparisons, columns, values)
    clause = f"from subscription_objects o where o.owner_id = %(owner_id)s and o.kind = %(kind)s and {where}"
    total = driver(connection).execute(f"select count(*) {clause}", values).fetchone()
    with driver(connection).cursor(row_factory=class_row(ShownObject)) as cursor:
        statement = f"""
            with listed as (select o.object_number, o.snapshot_number, octet_length(o.attributes) as own_bytes {clause}
                order by o.object_number limit %(limit)s offset %(offset)s),
            sized as (select l.object_number, l.own_bytes + coalesce(octet_length(n.document), 0) as all_bytes
                from listed l left join subscription_snapshots n using (snapshot_number)),
            placed as (select object_number, all_bytes, sum(all_bytes) over (order by object_number) as bytes_with
                from sized)
            select {_COLUMNS} from placed p join subscription_objects o using (object_number) {_JOINED}
            where p.bytes_with <= greatest(%(bytes_max)s, p.all_bytes) order by o.object_number"""
        return cursor.execute(statement, values).fetchall(), (total[0] if total else 0)


def cancel(connection: Connection, object_number: int, at: datetime) -> None:
    """Let a subscription end at once; one that ended before keeps its end."""
    driver(connection).execute(
        "update subscriptions set state = 'canceled', ended_at = least(ended_at, %s) where object_number = %s",
        (at, object_number),
    )
    driver(connection).execute(
        """update subscription_objects set revision = revision + 1, updated_at = clock_timestamp()
        where object_number = %s""",
        (object_number,),
    )


def delete(connection: Connection, object_number: int) -> None:
    """Take an object away; its snapshot stays, for others may share it."""
    driver(connection).execute("delete from subscription_objects where object_number = %s", (object_number,))
