"""One item of a characteristic created, changed or deleted by a call of its own; batches have ``characteristic_items``."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from psycopg import errors

from ratemill.store.connections import Connection, driver

_FOUND_BY = {"id": "i.id = n.value", "description": "i.description = n.value"}


@dataclass(frozen=True, slots=True)
class Kept:
    """What is written of an item; ``document`` is its JSON."""

    document: str
    description: str | None
    parent_item_id: int | None


def lock(connection: Connection, owner_id: int, characteristic: int) -> int | None:
    """Let nobody else change items of a characteristic until this transaction ends; return the batch that does, if any."""
    values = (owner_id, characteristic)
    driver(connection).execute(
        "insert into characteristics (owner_id, characteristic) values (%s, %s) on conflict do nothing", values
    )
    statement = "select batch_id from characteristics where owner_id = %s and characteristic = %s for update"
    row = driver(connection).execute(statement, values).fetchone()
    return row[0] if row else None


def next_id(connection: Connection, owner_id: int, characteristic: int) -> str:
    """Return the next number of a characteristic that no item bears as its id, and count on from it."""
    statement = """
        with recursive tried as (
            select next_number as number from characteristics where owner_id = %(owner)s and characteristic = %(number)s
            union all
            select t.number + 1 from tried t where exists (select from characteristic_items i
                where i.owner_id = %(owner)s and i.characteristic = %(number)s and i.id = t.number::text)
        )
        update characteristics set next_number = (select max(number) + 1 from tried)
        where owner_id = %(owner)s and characteristic = %(number)s returning next_number - 1"""
    row = driver(connection).execute(statement, {"owner": owner_id, "number": characteristic}).fetchone()
    return str(row[0]) if row else ""


def insert(
    connection: Connection, owner_id: int, characteristic: int, id_: str, kept: Kept, *, author: str
) -> int | None:
    """Write a new item and return its identity, or None if the id is taken."""
    statement = """
        insert into characteristic_items
            (owner_id, characteristic, guid, id, description, parent_item_id, document, created_by, changed_by)
        values (%s, %s, gen_random_uuid(), %s, %s, %s, %s, %s, %s)
        on conflict (owner_id, characteristic, id) do nothing returning item_id"""
    values = (owner_id, characteristic, id_, kept.description, kept.parent_item_id, kept.document, author, author)
    row = driver(connection).execute(statement, values).fetchone()
    return int(row[0]) if row else None


def update(connection: Connection, item_id: int, kept: Kept, author: str) -> None:
    """Write an item anew, as its next revision."""
    statement = """
        update characteristic_items set description = %s, parent_item_id = %s, document = %s, changed_by = %s,
            revision = revision + 1, changed_at = clock_timestamp()
        where item_id = %s"""
    driver(connection).execute(statement, (kept.description, kept.parent_item_id, kept.document, author, item_id))


def delete(connection: Connection, item_id: int) -> bool:
    """Delete an item; False if something came to need it meanwhile."""
    try:
        with driver(connection).transaction():
            driver(connection).execute("delete from characteristic_items where item_id = %s", (item_id,))
    except errors.ForeignKeyViolation:
        return False
    return True


def resolve(
    connection: Connection, owner_id: int, uses: Sequence[tuple[int, str, str]]
) -> dict[tuple[int, str, str], list[int]]:
    """Return the items that each characteristic, key (id, guid, sid, description) and value names: at most two of them."""
    found: dict[tuple[int, str, str], list[int]] = {}
    for key in sorted({use[1] for use in uses}):
        asked = [use for use in uses if use[1] == key]
        test = _FOUND_BY.get(key) or {"guid": "i.guid = n.value::uuid", "sid": "i.item_id = n.value::bigint"}.get(key)
        if test is None:
            continue
        statement = f"""
            select n.characteristic, n.value, array(
                select i.item_id from characteristic_items i
                where i.owner_id = %s and i.characteristic = n.characteristic and {test} order by i.item_id limit 2)
            from unnest(%s::smallint[], %s::text[]) as n (characteristic, value)"""
        values = (owner_id, [use[0] for use in asked], [use[2] for use in asked])
        for characteristic, value, ids in driver(connection).execute(statement, values):
            found[characteristic, key, value] = ids
    return found


def replace_uses(
    connection: Connection, owner_id: int, item_id: int, members: Collection[str], uses: Mapping[str, int]
) -> None:
    """Write down the items that these members, the first part of a path, name now: identities by the whole path."""
    driver(connection).execute(
        "delete from characteristic_uses where item_id = %s and substring(member from '^[^.[]+') = any(%s)",
        (item_id, list(members)),
    )
    if uses:
        statement = """
            insert into characteristic_uses (item_id, member, owner_id, used_item_id)
            select %s, n.member, %s, n.used from unnest(%s::text[], %s::bigint[]) as n (member, used)"""
        driver(connection).execute(statement, (item_id, owner_id, list(uses), list(uses.values())))


def register(connection: Connection, owner_id: int, names: Collection[tuple[str, str, str]]) -> None:
    """Write down the named objects of these kinds, keys and values that are not known yet."""
    if not names:
        return
    kinds, keys, values = zip(*sorted(set(names)), strict=True)
    statement = """
        insert into named_objects (owner_id, kind, key, value, guid)
        select %s, n.kind, n.key, n.value, gen_random_uuid()
        from unnest(%s::text[], %s::text[], %s::text[]) as n (kind, key, value)
        on conflict do nothing"""
    driver(connection).execute(statement, (owner_id, list(kinds), list(keys), list(values)))
