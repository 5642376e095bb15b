"""What references point to and no call makes: registered under kind, key and value when it is named for the first time."""

from __future__ import annotations

import json
from collections.abc import Iterable

from ratemill.store.connections import Connection, driver

# Sent as one JSON text: the driver takes long over lists of texts.
_ASKED = "(select o ->> 0 as kind, o ->> 1 as key, o ->> 2 as value from json_array_elements(%(objects)s::json) o) v"


def register(connection: Connection, owner_id: int, objects: Iterable[tuple[str, str, str]]) -> None:
    """Register the objects of these kinds, keys and values that are not yet; sorted, so that nobody deadlocks."""
    asked = list(set(objects))
    if asked:
        driver(connection).execute(
            f"""
            insert into named_objects (owner_id, kind, key, value, guid)
            select %(owner_id)s, v.kind, v.key, v.value, gen_random_uuid() from {_ASKED}
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
        select o.kind, o.key, o.value from {_ASKED}
        join named_objects o on o.owner_id = %(owner_id)s and o.kind = v.kind and o.key = v.key and o.value = v.value
        """,
        {"owner_id": owner_id, "objects": json.dumps(asked, ensure_ascii=False)},
    )
    return {(row[0], row[1], row[2]) for row in found}
