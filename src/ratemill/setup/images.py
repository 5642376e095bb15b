"""What an object is before and after a change, as the wire shows it, from its entry: without reading it back.

To read back what was just written takes longer than to write it, where a list has hundreds of thousands of rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal

from ratemill.setup.declaration import Entry, Kind, SetupObject
from ratemill.setup.showing import Shown, instance_of
from ratemill.setup.world import Row, World
from ratemill.store.setup_pages import OWNER_NAME

_EXACT = (Kind.PRICE, Kind.QUANTITY)


def has_images(each: SetupObject) -> bool:
    """Whether an entry says all that is shown: no member is in another table or in a document."""
    return each.owned and not each.document and not any(member.virtual or member.link for member in each.members)


def after_images(
    each: SetupObject, entries: list[Entry], world: World, written: Mapping[int, int], owner_name: str
) -> Iterator[tuple[int, Shown]]:
    """Yield each entry as it is when written, by its identity."""
    for entry in entries:
        identity = written.get(entry.identity, entry.identity)
        yield identity, _image(each, entry.row, identity, world, written, owner_name)


def before_images(
    each: SetupObject, entries: list[Entry], world: World, owner_name: str
) -> Iterator[tuple[int, Shown]]:
    """Yield each stored entry as it was, if it refers to what it refers to still: other names may be unknown here."""
    references = {member.column for member in each.references}
    for entry in entries:
        if entry.stored is not None and references.isdisjoint(entry.changes):
            yield entry.identity, _image(each, entry.stored, entry.identity, world, {}, owner_name)


def _image(  # noqa: PLR0917 -- a row, and what its identities stand for
    each: SetupObject, row: Row, identity: int, world: World, written: Mapping[int, int], owner_name: str
) -> Shown:
    shown: Row = {each.identity: identity, "owner_id": world.owner_id, OWNER_NAME: owner_name}
    for member in each.members:
        value = row.get(member.column)
        if member.is_reference and value is not None:
            shown[f"{member.column}:name"] = world.name(member.target, value)
            value = written.get(value, value)
        elif member.kind in _EXACT and value is not None:
            value = Decimal(value)
        shown[member.column] = value
    return Shown(identity, 0, instance_of(each, shown))
