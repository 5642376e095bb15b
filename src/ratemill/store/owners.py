"""Owners: the tenants to which every row belongs."""

from __future__ import annotations

from ratemill.store.connections import Connection, driver


def ensure(connection: Connection, name: str) -> int:
    """Return the number of the owner of that name; made, with its built-in objects, at first mention."""
    found = driver(connection).execute("select owner_id from owners where name = %s", (name,)).fetchone()
    if found is None:
        found = driver(connection).execute("select create_owner(%s)", (name,)).fetchone()
    return int(found[0]) if found else 0


def find(connection: Connection, name: str) -> int | None:
    """Return the number of the owner of that name, if there is one."""
    found = driver(connection).execute("select owner_id from owners where name = %s", (name,)).fetchone()
    return int(found[0]) if found else None
