"""The details of set-up objects: their parts, and what they list, as the wire shows them."""

from __future__ import annotations

from collections.abc import Sequence

from ratemill.setup.declaration import SetupObject
from ratemill.setup.registry import BY_LIST, children
from ratemill.setup.showing import Json, Shown, show
from ratemill.store import setup_searches
from ratemill.store.connections import Connection

PARTS_OF_ONE_MAX = 1_000  # parts shown of one object, beside their total
PARTS_OF_EACH_MAX = 100  # parts shown of each object of a page


def details(
    connection: Connection, owner_id: int, each: SetupObject, shown: Sequence[Shown], parts_max: int
) -> dict[int, Json]:
    """Return the details of each object by identity: ``{list: {totalCount, items}}``.

    With ``detail_first`` they are the members of the first part, with ``totalCount`` and ``items`` beside them, and
    empty without parts.
    """
    found: dict[int, Json] = {one.identity: {} for one in shown}
    for list_name, lists in _lists(connection, owner_id, each, shown, parts_max).items():
        for identity, (total, items) in lists.items():
            if each.detail_first:
                found[identity] = {**items[0], "totalCount": total, "items": items} if items else {}
            else:
                found[identity][list_name] = {"totalCount": total, "items": items}
    return found


def _lists(
    connection: Connection, owner_id: int, each: SetupObject, shown: Sequence[Shown], parts_max: int
) -> dict[str, dict[int, tuple[int, list[Json]]]]:
    lists: dict[str, dict[int, tuple[int, list[Json]]]] = {}
    identities = [one.identity for one in shown]
    for child, member in children(each):
        counted = setup_searches.parts(
            connection, child.table, child.identity, column=member.column, whole_ids=identities, limit=parts_max
        )
        lists[child.list_name] = _shown(connection, owner_id, child, counted)
    for member in each.members:
        if member.link is not None:
            listed = {one.identity: one.instance[member.id_name] for one in shown}
            counted = {identity: (len(ids), ids[:parts_max]) for identity, ids in listed.items()}
            lists[member.target] = _shown(connection, owner_id, BY_LIST[member.target], counted)
    return lists


def _shown(
    connection: Connection, owner_id: int, child: SetupObject, counted: dict[int, tuple[int, list[int]]]
) -> dict[int, tuple[int, list[Json]]]:
    wanted = sorted({one for _, ids in counted.values() for one in ids})
    known = show(connection, owner_id, child, wanted)
    return {
        identity: (total, [known[one].instance for one in ids if one in known])
        for identity, (total, ids) in counted.items()
    }
