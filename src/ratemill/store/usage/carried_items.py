"""The items that usage carries: which of them exist, what they are, and which are named by a charge.

Usage names an item by the number of its characteristic and its id, also before the item is imported or after it is gone.
What a charge names is written down with the first such charge, so that a delete need not search the charges. A process
keeps what it has seen written down.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from uuid import UUID

from ratemill.caches import Cache
from ratemill.characteristics import Carried
from ratemill.store.connections import Connection, driver
from ratemill.store.policies import OWNER_ENTERED

KNOWN_MAX = 500_000  # kept of all owners, about 100 MB; one owner's are forgotten together
OWNERS_MAX = 10_000  # of which they are kept

ChargedItems = Cache[int, frozenset[Carried]]
"""By owner, the items that are written down and committed."""


def charged_item_cache() -> ChargedItems:
    """Return an empty cache for the items that are written down."""
    return Cache(entries_max=OWNERS_MAX, weight_max=KNOWN_MAX, weigh=len)


@dataclass(frozen=True, slots=True)
class CarriedItem:
    """An item by the number of its characteristic and the id that a record names; the rest is None if there is none."""

    characteristic: int
    id: str
    guid: UUID | None = None
    description: str | None = None


def existing(connection: Connection, owner_id: int, named: Collection[Carried]) -> set[Carried]:
    """Return which of the items an owner has."""
    if not named:
        return set()
    rows = driver(connection).execute(
        """
        select i.characteristic, i.id from unnest(%s::smallint[], %s::text[]) as n (characteristic, id)
        join characteristic_items i on i.owner_id = %s and i.characteristic = n.characteristic and i.id = n.id
        """,
        (*_columns(named), owner_id),
    )
    return set(rows.fetchall())


def described(connection: Connection, named: Collection[Carried]) -> dict[Carried, CarriedItem]:
    """Return what the items are that the connection's owner has."""
    if not named:
        return {}
    rows = driver(connection).execute(
        f"""
        select i.characteristic, i.id, i.guid, i.description
        from unnest(%s::smallint[], %s::text[]) as n (characteristic, id)
        join characteristic_items i on i.owner_id = {OWNER_ENTERED}
            and i.characteristic = n.characteristic and i.id = n.id
        """,
        _columns(named),
    )
    return {(row[0], row[1]): CarriedItem(*row) for row in rows}


def note_charged(connection: Connection, owner_id: int, named: Iterable[Carried], cache: ChargedItems) -> None:
    """Write down that charges name these items, whether they exist or not."""
    known = cache.get(owner_id) or frozenset()
    new = sorted(set(named) - known)
    if not new:
        return
    rows = driver(connection).execute(
        """
        select n.characteristic, n.id from unnest(%s::smallint[], %s::text[]) as n (characteristic, id)
        join charged_items c on c.owner_id = %s and c.characteristic = n.characteristic and c.id_digest = md5(n.id)::uuid
        where c.xmin is distinct from pg_current_xact_id_if_assigned()::xid
        """,
        (*_columns(new), owner_id),
    )
    committed = frozenset(rows.fetchall())
    if committed:
        cache.put(owner_id, committed if len(known) > KNOWN_MAX else known | committed)
    # In one order for all, so that no two workers wait for each other.
    driver(connection).execute(
        """
        insert into charged_items (owner_id, characteristic, id)
        select %s, n.characteristic, n.id from unnest(%s::smallint[], %s::text[]) as n (characteristic, id)
        on conflict do nothing
        """,
        (owner_id, *_columns([each for each in new if each not in committed])),
    )


def charged(connection: Connection, owner_id: int, named: Collection[Carried]) -> set[Carried]:
    """Return which of these items a charge of an owner names.

    A caller that asks in order to delete an item first waits for usage under way (``owners.wait_for_usage``), which may be
    about to name it.
    """
    if not named:
        return set()
    rows = driver(connection).execute(
        """
        select n.characteristic, n.id from unnest(%s::smallint[], %s::text[]) as n (characteristic, id)
        join charged_items c on c.owner_id = %s and c.characteristic = n.characteristic and c.id_digest = md5(n.id)::uuid
        """,
        (*_columns(named), owner_id),
    )
    return set(rows.fetchall())


def _columns(named: Collection[Carried]) -> tuple[list[int], list[str]]:
    return [number for number, _ in named], [each for _, each in named]
