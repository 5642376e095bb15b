"""One item of a characteristic created, changed or deleted by a call of its own; batches have ``items``."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import errors

from ratemill.store.connections import Connection, driver


@dataclass(frozen=True, slots=True)
class ItemDocument:
    """What is written of an item; ``document`` is its JSON."""

    document: str
    description: str | None
    parent_item_id: int | None


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
    connection: Connection, owner_id: int, characteristic: int, id_: str, kept: ItemDocument, *, author: str
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


def update(connection: Connection, item_id: int, kept: ItemDocument, author: str) -> None:
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
