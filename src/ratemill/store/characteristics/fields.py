"""The user-defined fields of characteristics: what is declared, and what the first item told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from ratemill.store.connections import Connection, driver
from ratemill.store.policies import OWNER_ENTERED


@dataclass(frozen=True, slots=True)
class CharacteristicField:
    """A field of a characteristic; ``type`` is one of ``values.TYPES`` or ``lookup``."""

    field_id: int
    characteristic: int
    name: str
    type: str
    declared: bool
    created_at: datetime


def page(connection: Connection, characteristic: int) -> list[CharacteristicField]:
    """Return all fields of a characteristic, by name."""
    statement = f"""
        select field_id, characteristic, name, type, declared, created_at from characteristic_fields
        where owner_id = {OWNER_ENTERED} and characteristic = %s order by name"""
    with driver(connection).cursor(row_factory=class_row(CharacteristicField)) as cursor:
        return cursor.execute(statement, (characteristic,)).fetchall()


def declare(connection: Connection, owner_id: int, characteristic: int, name: str, type_: str) -> None:
    """Give a field its type, whether it is known or new."""
    statement = """
        insert into characteristic_fields (owner_id, characteristic, name, type, declared) values (%s, %s, %s, %s, true)
        on conflict (owner_id, characteristic, name) do update set type = excluded.type, declared = true"""
    driver(connection).execute(statement, (owner_id, characteristic, name, type_))


def remove(connection: Connection, characteristic: int, name: str) -> bool:
    """Forget a field; return whether there was one."""
    statement = f"""
        delete from characteristic_fields where owner_id = {OWNER_ENTERED} and characteristic = %s and name = %s"""
    return driver(connection).execute(statement, (characteristic, name)).rowcount > 0


def bearers(connection: Connection, characteristic: int, name: str, json_type: str | None) -> int:
    """Return how many items have a value in a field; with ``json_type``, those whose value is of another."""
    other = "" if json_type is None else "and json_typeof(i.document::json -> %(name)s) <> %(json_type)s"
    statement = f"""
        select count(*) from characteristic_items i
        where i.owner_id = {OWNER_ENTERED} and i.characteristic = %(characteristic)s
            and strpos(i.document, %(name)s) > 0
            and coalesce(json_typeof(i.document::json -> %(name)s), 'null') <> 'null' {other}"""
    values = {"characteristic": characteristic, "name": name, "json_type": json_type}
    row = driver(connection).execute(statement, values, prepare=False).fetchone()
    return int(row[0]) if row else 0
