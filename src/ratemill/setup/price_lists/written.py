"""The members of an entry as the wire writes them: names for identities, prices and times as texts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ratemill.setup.declaration import Entry, Member, MemberKind
from ratemill.setup.objects.registry import BY_LIST
from ratemill.setup.reading.stored import read_objects
from ratemill.setup.values import shown_value
from ratemill.setup.world import Row, World


def written_members(entry: Entry, world: World) -> dict[str, Any]:
    """Return the members of an object that are set."""
    found = written_values(
        entry, [member.name for member in entry.object.members if not member.virtual], entry.row, world
    )
    return {name: value for name, value in found.items() if value is not None}


def written_values(entry: Entry, names: Iterable[str], row: Row, world: World) -> dict[str, Any]:
    """Return some members of a row of the entry's list, those that are not set as None."""
    members = (member for member in entry.object.members if member.name in set(names))
    return {member.name: _written(member, row.get(member.column), world) for member in members}


def _written(member: Member, value: Any, world: World) -> Any:  # noqa: ANN401 - the member makes the type
    if value is None:
        return None
    if member.kind is MemberKind.REFERENCE:
        return _name(member, value, world)
    shown = shown_value(value)
    return str(shown) if member.kind in (MemberKind.PRICE, MemberKind.QUANTITY) else shown


def _name(member: Member, identity: int, world: World) -> str | None:
    """Return the name of what is referred to; what the list did not touch is read."""
    if world.row(member.target, identity) is None and identity > 0:
        target = BY_LIST[member.target]
        for row in read_objects(world, target, {target.identity: [identity]}):
            world.rows[member.target][identity] = row
    return world.name(member.target, identity)
