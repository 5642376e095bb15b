"""Read stored set-up objects with their lists of references."""

from __future__ import annotations

from typing import Any

from ratemill.setup.declaration import SetupObject
from ratemill.setup.world import Row, World
from ratemill.store import bulk


def read_objects(
    world: World, kind: SetupObject, by: dict[str, list[Any]] | None, *, unset: tuple[str, ...] = ()
) -> list[Row]:
    """Return stored rows of one list with their identity and their lists of references."""
    columns = (kind.identity, *(("built_in",) if kind.owned else ()), *kind.columns)
    owner_id = world.owner_id if kind.owned else None
    rows = bulk.read_rows(world.connection, kind.table, columns, owner_id, by, unset=unset)
    for member in kind.members:
        if member.link is not None:
            link, ids = member.link, [row[kind.identity] for row in rows]
            found = bulk.read_links(world.connection, link.table, link.parent, link.child, ids)
            for row in rows:
                row[member.column] = found.get(row[kind.identity], ())
    return rows
