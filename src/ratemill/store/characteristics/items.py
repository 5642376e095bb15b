"""Items of characteristics as they are written: found by what names them, inserted, updated, linked, deleted.

With an item goes what it names: other items, and the objects that no call creates, which are registered under their kind,
key and value when an item names them for the first time; and the types of its user-defined fields, inferred in the same way.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from time import time_ns
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import errors

from ratemill.store import bulk
from ratemill.store.connections import Connection, driver
from ratemill.store.copying import NULL, copy_lines, escaped

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
    "batch_id",
    "created_by",
    "changed_by",
)
_CHANGED = ("description", "parent_item_id", "document", "batch_id", "changed_at", "changed_by")
_NS_PER_MS = 1_000_000
_RANDOM_BYTES = 10  # of a guid, after its time
_VARIANT = {digit: "89ab"[int(digit, 16) % 4] for digit in "0123456789abcdef"}
_MATCHED = {"description": "description = v.value", "guid": "guid = v.value::uuid", "sid": "item_id = v.value::bigint"}

# A list travels as one JSON text: the driver takes long over lists of texts. What is looked for this way leaves the server
# no choice but the index of it; joined, it would take the items of an owner for few, and read all of them for each table.
_LISTED = "any(array(select json_array_elements_text(%(values)s::json)))"
_OF_OWNER = "owner_id = %(owner_id)s and characteristic = %(characteristic)s"

# Named objects, sent as one JSON text as well.
_NAMED = "(select o ->> 0 as kind, o ->> 1 as key, o ->> 2 as value from json_array_elements(%(objects)s::json) o) v"

# What is added to the items of a recursive query: the parents above them; the components below them.
ABOVE = "select i.parent_item_id from up join characteristic_items i using (item_id) where i.parent_item_id is not null"
OF_BILL = "member ~ '^user[0-9]+BOMHeaders\\['"
BELOW = f"select u.used_item_id from down join characteristic_uses u using (item_id) where u.{OF_BILL}"


FieldTypes = dict[str, tuple[str, bool]]
"""The type of each user-defined field by its name, and whether it is declared."""


@dataclass(frozen=True, slots=True)
class StoredItem:
    """An item as it is stored; ``document`` is the JSON of its members, ``batch_id`` the batch that wrote it last."""

    item_id: int
    guid: str
    document: str
    parent_item_id: int | None
    batch_id: int | None


class NewItem(NamedTuple):
    """An item that is not stored yet."""

    item_id: int
    guid: str
    id: str
    description: str | None
    parent_item_id: int | None
    document: str


@dataclass(frozen=True, slots=True)
class ChangedItem:
    """The columns of an item that are updated; ``batch_id`` is the batch that wrote it last."""

    item_id: int
    description: str | None
    parent_item_id: int | None
    document: str
    batch_id: int | None


class StoredUse(NamedTuple):
    """An item that names another at a member, such as ``user1BOMHeaders[0].user1BOMDetails[2].udKey1Reference``."""

    item_id: int
    member: str
    used_item_id: int


def at_work(connection: Connection, owner_id: int, characteristic: int) -> int | None:
    """Return the batch that is changing a characteristic, and keep any other from beginning in this transaction."""
    statement = "insert into characteristics (owner_id, characteristic) values (%s, %s) on conflict do nothing"
    driver(connection).execute(statement, (owner_id, characteristic))
    statement = "select batch_id from characteristics where owner_id = %s and characteristic = %s for update"
    row = driver(connection).execute(statement, (owner_id, characteristic)).fetchone()
    return row[0] if row else None


def find(
    connection: Connection, owner_id: int, characteristic: int, key: str, values: Iterable[str]
) -> dict[str, list[tuple[int, str]]]:
    """Return the items that bear each of the values under a key (id, guid, sid, description): identity and id.

    A description may be borne by several; a value that cannot be one of its key finds nothing.
    """
    asked = [value for value in set(values) if _can_be(key, value)]
    if not asked:
        return {}
    values = {"values": json.dumps(asked, ensure_ascii=False), "owner_id": owner_id, "characteristic": characteristic}
    if key == "id":
        statement = f"select id, item_id, id from characteristic_items where {_OF_OWNER} and id = {_LISTED}"
    else:
        statement = f"""
            select v.value, i.item_id, i.id from json_array_elements_text(%(values)s::json) v (value)
            cross join lateral (select * from characteristic_items where {_MATCHED[key]} offset 0) i
            where {_OF_OWNER}"""
    rows = driver(connection).execute(statement, values)
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
    return key == "id" or key in _MATCHED


def read(connection: Connection, owner_id: int, characteristic: int, ids: Sequence[str]) -> dict[str, StoredItem]:
    """Return the items of these ids, and keep others from changing them."""
    rows = driver(connection).execute(
        f"""
        select id, item_id, guid::text, document, parent_item_id, batch_id from characteristic_items
        where {_OF_OWNER} and id = {_LISTED} order by item_id for update
        """,
        {"values": json.dumps(ids, ensure_ascii=False), "owner_id": owner_id, "characteristic": characteristic},
    )
    return {row[0]: StoredItem(*row[1:]) for row in rows}


def new_identities(connection: Connection, count: int) -> list[int]:
    """Take so many identities for items that are to be inserted."""
    return bulk.new_identities(connection, "characteristic_items", "item_id", count) if count else []


def new_guids(count: int) -> list[str]:
    """Return guids of version 7: they begin with the time, so that their index grows at its end alone."""
    time, random = f"{time_ns() // _NS_PER_MS:012x}", os.urandom(_RANDOM_BYTES * count).hex()
    starts = range(0, 2 * _RANDOM_BYTES * count, 2 * _RANDOM_BYTES)
    return [
        f"{time[:8]}-{time[8:]}-7{random[at : at + 3]}-{_VARIANT[random[at + 3]]}{random[at + 4 : at + 7]}"
        f"-{random[at + 7 : at + 19]}"
        for at in starts
    ]


def insert(
    connection: Connection,
    items: Sequence[NewItem],
    *,
    owner_id: int,
    characteristic: int,
    batch_id: int | None,
    created_by: str,
) -> None:
    """Write new items: those of a batch by lines, which are fastest; a call, which may not COPY, by a statement."""
    if batch_id is None:
        rows = (
            (i.item_id, owner_id, characteristic, i.guid, i.id, i.description, i.parent_item_id, i.document)
            for i in items
        )
        written = ((*row, None, created_by, created_by) for row in rows)
        bulk.insert_rows(connection, "characteristic_items", _NEW, written)
        return
    author = escaped(created_by)
    lines = (
        f"{i.item_id}\t{owner_id}\t{characteristic}\t{i.guid}\t{escaped(i.id)}\t{escaped(i.description)}\t"
        f"{NULL if i.parent_item_id is None else i.parent_item_id}\t{escaped(i.document)}\t{batch_id}\t{author}\t{author}"
        for i in items
    )
    copy_lines(connection, "characteristic_items", _NEW, lines)


def update(connection: Connection, items: Sequence[ChangedItem], *, changed_at: datetime, changed_by: str) -> None:
    """Update items and count their revision."""
    rows: list[dict[str, Any]] = [
        {
            "item_id": item.item_id,
            "description": item.description,
            "parent_item_id": item.parent_item_id,
            "document": item.document,
            "batch_id": item.batch_id,
            "changed_at": changed_at,
            "changed_by": changed_by,
        }
        for item in items
    ]
    if rows:
        bulk.update_rows(connection, "characteristic_items", "item_id", _CHANGED, rows)


def delete(connection: Connection, item_id: int) -> bool:
    """Delete an item; False if something came to need it meanwhile."""
    try:
        with driver(connection).transaction():
            driver(connection).execute("delete from characteristic_items where item_id = %s", (item_id,))
    except errors.ForeignKeyViolation:
        return False
    return True


def next_numbers(
    connection: Connection, owner_id: int, characteristic: int, count: int, *, batch_id: int | None = None
) -> list[str]:
    """Take the next numbers of a characteristic that are the id of no item, nor of a staged one of the batch."""
    values = {"owner_id": owner_id, "characteristic": characteristic, "batch_id": batch_id}
    statement = f"select next_number from characteristics where {_OF_OWNER} for update"
    row = driver(connection).execute(statement, values).fetchone()
    following, span = (row[0] if row else 1), count
    free: list[str] = []
    while len(free) < count:
        tried = [str(number) for number in range(following, following + span)]
        used = _used_ids(connection, values | {"ids": tried})
        free += [number for number in tried if number not in used][: count - len(free)]
        following, span = following + span, 2 * span
    statement = f"update characteristics set next_number = %(next)s where {_OF_OWNER}"
    driver(connection).execute(statement, values | {"next": int(free[-1]) + 1})
    return free


def _used_ids(connection: Connection, values: dict[str, Any]) -> set[str]:
    rows = driver(connection).execute(
        f"""
        select id from characteristic_items where {_OF_OWNER} and id = any(%(ids)s)
        union all select id from characteristic_staged where batch_id = %(batch_id)s and id = any(%(ids)s)
        """,
        values,
    )
    return {row[0] for row in rows}


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


def insert_uses(connection: Connection, owner_id: int, uses: Iterable[StoredUse]) -> None:
    """Write what items name."""
    rows = ((owner_id, use.item_id, use.member, use.used_item_id) for use in uses)
    bulk.insert_rows(connection, "characteristic_uses", ("owner_id", "item_id", "member", "used_item_id"), rows)


def above(connection: Connection, item_ids: Sequence[int]) -> list[tuple[int, int]]:
    """Return each of the items, and of those above them, with its parent."""
    statement = f"""
        with recursive up as (select unnest(%s::bigint[]) as item_id union {ABOVE})
        select i.item_id, i.parent_item_id from up join characteristic_items i using (item_id)
        where i.parent_item_id is not null"""
    return driver(connection).execute(statement, (list(item_ids),)).fetchall()


def below(connection: Connection, item_ids: Sequence[int]) -> list[tuple[int, str, int]]:
    """Return each of the items, and of the components below them, with a member that names a component, and that."""
    statement = f"""
        with recursive down as (select unnest(%s::bigint[]) as item_id union {BELOW})
        select u.item_id, u.member, u.used_item_id from down join characteristic_uses u using (item_id)
        where u.{OF_BILL}"""
    return driver(connection).execute(statement, (list(item_ids),)).fetchall()


def ids_of(connection: Connection, item_ids: Sequence[int]) -> dict[int, str]:
    """Return the ids of items by their identities."""
    statement = "select item_id, id from characteristic_items where item_id = any(%s)"
    return dict(driver(connection).execute(statement, (list(item_ids),)).fetchall())


def register(connection: Connection, owner_id: int, objects: Iterable[tuple[str, str, str]]) -> None:
    """Register the objects of these kinds, keys and values that are not yet; sorted, so that no two calls deadlock."""
    asked = list(set(objects))
    if asked:
        driver(connection).execute(
            f"""
            insert into named_objects (owner_id, kind, key, value, guid)
            select %(owner_id)s, v.kind, v.key, v.value, gen_random_uuid() from {_NAMED}
            where not exists (select from named_objects o
                where o.owner_id = %(owner_id)s and o.kind = v.kind and o.key = v.key and o.value = v.value)
            order by v.kind, v.key, v.value
            on conflict (owner_id, kind, key, value) do nothing
            """,
            {"owner_id": owner_id, "objects": json.dumps(asked, ensure_ascii=False)},
        )


def registered(
    connection: Connection, owner_id: int, objects: Iterable[tuple[str, str, str]]
) -> set[tuple[str, str, str]]:
    """Return those of the objects that are registered."""
    asked = list(set(objects))
    if not asked:
        return set()
    found = driver(connection).execute(
        f"""
        select o.kind, o.key, o.value from {_NAMED}
        join named_objects o on o.owner_id = %(owner_id)s and o.kind = v.kind and o.key = v.key and o.value = v.value
        """,
        {"owner_id": owner_id, "objects": json.dumps(asked, ensure_ascii=False)},
    )
    return {(row[0], row[1], row[2]) for row in found}


def field_types(connection: Connection, owner_id: int, characteristic: int) -> FieldTypes:
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
