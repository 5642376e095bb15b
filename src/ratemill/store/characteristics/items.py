"""Items of characteristics as they are written, in bulk: found by what names them, inserted, changed, linked."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from time import time_ns
from typing import Any, NamedTuple
from uuid import UUID

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
    """What of an item is written anew."""

    item_id: int
    description: str | None
    parent_item_id: int | None
    document: str


class StoredUse(NamedTuple):
    """An item that names another at a member, such as ``user1BOMHeaders[0].user1BOMDetails[2].udKey1Reference``."""

    item_id: int
    member: str
    used_item_id: int


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
    items: Iterable[NewItem],
    *,
    owner_id: int,
    characteristic: int,
    batch_id: int,
    created_by: str,
) -> None:
    """Write new items of a batch."""
    author = escaped(created_by)
    lines = (
        f"{i.item_id}\t{owner_id}\t{characteristic}\t{i.guid}\t{escaped(i.id)}\t{escaped(i.description)}\t"
        f"{NULL if i.parent_item_id is None else i.parent_item_id}\t{escaped(i.document)}\t{batch_id}\t{author}\t{author}"
        for i in items
    )
    copy_lines(connection, "characteristic_items", _NEW, lines)


def update(
    connection: Connection, items: Sequence[ChangedItem], *, batch_id: int, changed_at: datetime, changed_by: str
) -> None:
    """Write changed items of a batch and count their revision."""
    rows: list[dict[str, Any]] = [
        {
            "item_id": item.item_id,
            "description": item.description,
            "parent_item_id": item.parent_item_id,
            "document": item.document,
            "batch_id": batch_id,
            "changed_at": changed_at,
            "changed_by": changed_by,
        }
        for item in items
    ]
    if rows:
        bulk.update_rows(connection, "characteristic_items", "item_id", _CHANGED, rows)


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
