"""Lists of characteristics: named objects, with the items that each takes in and leaves out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg.rows import class_row

from ratemill.store.connections import Connection, driver
from ratemill.store.policies import OWNER_ENTERED


@dataclass(frozen=True, slots=True)
class List:
    """A list; ``key`` is what it is known by, mostly its description, and ``value`` the text of that."""

    list_id: int
    guid: UUID
    key: str
    value: str
    created_at: datetime
    members: dict[int, bool]  # by item, whether it is left out


def page(connection: Connection, kind: str) -> list[List]:
    """Return all lists of a kind, such as ``user1list``, by what they are known by."""
    statement = f"""
        select o.named_object_id as list_id, o.guid, o.key, o.value, o.created_at, coalesce((
            select jsonb_object_agg(m.item_id, m.excluded) from characteristic_list_members m
            where m.list_id = o.named_object_id), '{{}}') as members
        from named_objects o where o.owner_id = {OWNER_ENTERED} and o.kind = %s order by o.value, o.key"""
    with driver(connection).cursor(row_factory=class_row(List)) as cursor:
        found = cursor.execute(statement, (kind,)).fetchall()
    return [
        List(each.list_id, each.guid, each.key, each.value, each.created_at, _by_number(each.members)) for each in found
    ]


def insert(connection: Connection, owner_id: int, kind: str, description: str) -> UUID | None:
    """Write a new list and return its guid, or None if there is one of that description."""
    statement = """
        insert into named_objects (owner_id, kind, key, value, guid) values (%s, %s, 'description', %s, gen_random_uuid())
        on conflict do nothing returning guid"""
    row = driver(connection).execute(statement, (owner_id, kind, description)).fetchone()
    return row[0] if row else None


def replace_members(connection: Connection, owner_id: int, list_id: int, members: Mapping[int, bool]) -> None:
    """Give a list its items: by item, whether it is left out."""
    driver(connection).execute("delete from characteristic_list_members where list_id = %s", (list_id,))
    statement = """
        insert into characteristic_list_members (list_id, item_id, owner_id, excluded)
        select %s, n.item_id, %s, n.excluded from unnest(%s::bigint[], %s::boolean[]) as n (item_id, excluded)"""
    driver(connection).execute(statement, (list_id, owner_id, list(members), list(members.values())))


def delete(connection: Connection, list_id: int) -> None:
    """Delete a list with what it says of items."""
    driver(connection).execute("delete from characteristic_list_members where list_id = %s", (list_id,))
    driver(connection).execute("delete from named_objects where named_object_id = %s", (list_id,))


def with_item(connection: Connection, item_id: int) -> list[str]:
    """Return what the lists are known by that name an item."""
    statement = """
        select o.value from characteristic_list_members m join named_objects o on o.named_object_id = m.list_id
        where m.item_id = %s order by 1"""
    return [row[0] for row in driver(connection).execute(statement, (item_id,))]


def users(connection: Connection, characteristic: int, texts: Sequence[str], *, limit: int) -> list[str]:
    """Return the ids of the first items whose document has one of these texts in it."""
    statement = f"""
        select i.id from characteristic_items i
        where i.owner_id = {OWNER_ENTERED} and i.characteristic = %s
            and exists (select from unnest(%s::text[]) t where strpos(i.document, t) > 0)
        order by i.id limit %s"""
    return [row[0] for row in driver(connection).execute(statement, (characteristic, list(texts), limit))]


def _by_number(members: Mapping[int, bool]) -> dict[int, bool]:
    return {int(item_id): excluded for item_id, excluded in members.items()}
