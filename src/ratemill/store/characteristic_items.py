"""Items of characteristics as they are written, in bulk: found by what names them, inserted, changed, linked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from ratemill.store import setup_objects
from ratemill.store.connections import Connection, driver

_SID_MAX = 2**63 - 1
_NEW = (
    "item_id",
    "owner_id",
    "characteristic",
    "guid",
    "id",
    "description",
    "parent_item_id",
    "document",
    "created_by",
    "changed_by",
)
_CHANGED = ("description", "parent_item_id", "document", "changed_at", "changed_by")
_MATCHED = {
    "id": "i.id = v.value",
    "description": "i.description = v.value",
    "guid": "i.guid = v.value::uuid",
    "sid": "i.item_id = v.value::bigint",
}


@dataclass(frozen=True, slots=True)
class StoredItem:
    """An item as it is stored; ``document`` is the JSON of its members."""

    item_id: int
    guid: UUID
    document: str
    parent_item_id: int | None


@dataclass(frozen=True, slots=True)
class NewItem:
    """An item that is not stored yet."""

    item_id: int
    guid: UUID
    id: str
    description: str | None
    parent_item_id: int | None
    document: str


@dataclass(frozen=True, slots=True)
class ChangedItem:
    """What of an item is written anew."""

    item_id: int
    description: str | None
    parent_item_id: int | None
    document: str


@dataclass(frozen=True, slots=True)
class Use:
    """An item that names another at a member, such as ``user1BOMHeaders[0].user1BOMDetails[2].udKey1Reference``."""

    item_id: int
    member: str
    used_item_id: int


def find(
    connection: Connection, owner_id: int, characteristic: int, key: str, values: Sequence[str]
) -> dict[str, list[tuple[int, str]]]:
    """Return the items that bear each of the values under a key (id, guid, sid, description): identity and id.

    A description may be borne by several; a value that cannot be one of its key finds nothing.
    """
    asked = [value for value in set(values) if _can_be(key, value)]
    if not asked:
        return {}
    rows = driver(connection).execute(
        f"""
        select v.value, i.item_id, i.id from unnest(%s::text[]) v (value) join characteristic_items i on {_MATCHED[key]}
        where i.owner_id = %s and i.characteristic = %s
        """,
        (asked, owner_id, characteristic),
    )
    found: dict[str, list[tuple[int, str]]] = {}
    for value, item_id, id_ in rows:
        found.setdefault(value, []).append((item_id, id_))
    return found


def _can_be(key: str, value: str) -> bool:
    if key == "sid":
        return value.isascii() and value.isdigit() and int(value[:20]) <= _SID_MAX
    if key == "guid":
        try:
            UUID(value)
        except ValueError:
            return False
    return key in _MATCHED


def read(connection: Connection, owner_id: int, characteristic: int, ids: Sequence[str]) -> dict[str, StoredItem]:
    """Return the items of these ids, and keep others from changing them."""
    rows = driver(connection).execute(
        """
        select id, item_id, guid, document, parent_item_id from characteristic_items
        where owner_id = %s and characteristic = %s and id = any(%s) order by item_id for update
        """,
        (owner_id, characteristic, list(ids)),
    )
    return {row[0]: StoredItem(*row[1:]) for row in rows}


def new_identities(connection: Connection, count: int) -> list[int]:
    """Take so many identities for items that are to be inserted."""
    return setup_objects.new_identities(connection, "characteristic_items", "item_id", count)


def insert(
    connection: Connection, items: Iterable[NewItem], *, owner_id: int, characteristic: int, created_by: str
) -> None:
    """Write new items; raise ``Clash`` if somebody else wrote one of that id just now."""
    rows = (
        (
            i.item_id,
            owner_id,
            characteristic,
            i.guid,
            i.id,
            i.description,
            i.parent_item_id,
            i.document,
            *2 * (created_by,),
        )
        for i in items
    )
    setup_objects.insert_rows(connection, "characteristic_items", _NEW, rows)


def update(connection: Connection, items: Sequence[ChangedItem], *, changed_at: datetime, changed_by: str) -> None:
    """Write changed items and count their revision."""
    rows: list[dict[str, Any]] = [
        {
            "item_id": item.item_id,
            "description": item.description,
            "parent_item_id": item.parent_item_id,
            "document": item.document,
            "changed_at": changed_at,
            "changed_by": changed_by,
        }
        for item in items
    ]
    if rows:
        setup_objects.update_rows(connection, "characteristic_items", "item_id", _CHANGED, rows)


def set_parents(connection: Connection, parents: Mapping[int, int]) -> None:
    """Write the parent of each item."""
    driver(connection).execute(
        """
        update characteristic_items i set parent_item_id = v.parent_item_id
        from unnest(%s::bigint[], %s::bigint[]) v (item_id, parent_item_id) where i.item_id = v.item_id
        """,
        (list(parents), list(parents.values())),
    )


def forget_uses(connection: Connection, members: Iterable[tuple[int, str]]) -> None:
    """Take away what items name in members of these names, such as ``user1BOMHeaders``, wherever in them."""
    named = list(members)
    if named:
        driver(connection).execute(
            """
            delete from characteristic_uses u using unnest(%s::bigint[], %s::text[]) v (item_id, name)
            where u.item_id = v.item_id and split_part(split_part(u.member, '.', 1), '[', 1) = v.name
            """,
            ([item_id for item_id, _ in named], [name for _, name in named]),
        )


def insert_uses(connection: Connection, owner_id: int, uses: Iterable[Use]) -> None:
    """Write what items name."""
    rows = ((owner_id, use.item_id, use.member, use.used_item_id) for use in uses)
    setup_objects.insert_rows(
        connection, "characteristic_uses", ("owner_id", "item_id", "member", "used_item_id"), rows
    )


def register(connection: Connection, owner_id: int, objects: Iterable[tuple[str, str, str]]) -> None:
    """Register the objects of these kinds, keys and values that are not yet; sorted, so that nobody deadlocks."""
    rows = sorted(set(objects))
    if rows:
        kinds, keys, values = (list(column) for column in zip(*rows, strict=True))
        driver(connection).execute(
            """
            insert into named_objects (owner_id, kind, key, value, guid)
            select %s, kind, key, value, guid from unnest(%s::text[], %s::text[], %s::text[], %s::uuid[])
                v (kind, key, value, guid)
            where not exists (select from named_objects o
                where o.owner_id = %s and o.kind = v.kind and o.key = v.key and o.value = v.value)
            on conflict (owner_id, kind, key, value) do nothing
            """,
            (owner_id, kinds, keys, values, [uuid4() for _ in rows], owner_id),
        )


def registered(
    connection: Connection, owner_id: int, objects: Iterable[tuple[str, str, str]]
) -> set[tuple[str, str, str]]:
    """Return those of the objects that are registered."""
    rows = list(set(objects))
    if not rows:
        return set()
    kinds, keys, values = (list(column) for column in zip(*rows, strict=True))
    found = driver(connection).execute(
        """
        select o.kind, o.key, o.value from unnest(%s::text[], %s::text[], %s::text[]) v (kind, key, value)
        join named_objects o on o.owner_id = %s and o.kind = v.kind and o.key = v.key and o.value = v.value
        """,
        (kinds, keys, values, owner_id),
    )
    return {(row[0], row[1], row[2]) for row in found}


def fields(connection: Connection, owner_id: int, characteristic: int) -> dict[str, tuple[str, bool]]:
    """Return type of each user-defined field of a characteristic, and whether it is declared."""
    statement = "select name, type, declared from characteristic_fields where owner_id = %s and characteristic = %s"
    return {row[0]: (row[1], row[2]) for row in driver(connection).execute(statement, (owner_id, characteristic))}


def infer_fields(connection: Connection, owner_id: int, characteristic: int, types: Mapping[str, str]) -> None:
    """Write the fields that are not known yet."""
    names = sorted(types)
    if names:
        driver(connection).execute(
            """
            insert into characteristic_fields (owner_id, characteristic, name, type)
            select %s, %s, name, type from unnest(%s::text[], %s::text[]) v (name, type)
            on conflict (owner_id, characteristic, name) do nothing
            """,
            (owner_id, characteristic, names, [types[name] for name in names]),
        )
