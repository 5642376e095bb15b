"""The details of set-up objects: their parts, and what they list, as the wire shows them."""

from __future__ import annotations

from collections.abc import Sequence

from ratemill.comparisons import Comparison, Operator
from ratemill.pages import Paging
from ratemill.setup.declaration import Member, SetupObject
from ratemill.setup.objects.registry import BY_LIST, children
from ratemill.setup.reading import searching
from ratemill.setup.reading.long_lists import LongLists
from ratemill.setup.reading.searching import SetupQuery
from ratemill.setup.reading.showing import Json, ObjectView, show
from ratemill.store.connections import Connection
from ratemill.store.setup import searches

PARTS_OF_ONE_MAX = 1_000  # parts shown of one object, beside their total
PARTS_OF_EACH_MAX = 100  # parts shown of each object of a page


def details(
    connection: Connection,
    owner_id: int,
    kind: SetupObject,
    views: Sequence[ObjectView],
    *,
    parts_max: int,
    lists: LongLists,
) -> dict[int, Json]:
    """Return the details of each object by identity: ``{list: {totalCount, items}}``.

    With ``detail_first`` they are the members of the first part, with ``totalCount`` and ``items`` beside them, and
    empty without parts; a part does not name the owner again.
    """
    found: dict[int, Json] = {one.identity: {} for one in views}
    for list_name, parts in _lists(connection, owner_id, kind, views, parts_max=parts_max, lists=lists).items():
        for identity, (total, items) in parts.items():
            if kind.detail_first:
                rows = [_without_owner(item) for item in items]
                found[identity] = {**rows[0], "totalCount": total, "items": rows} if rows else {}
            else:
                found[identity][list_name] = {"totalCount": total, "items": items}
    return found


def _without_owner(instance: Json) -> Json:
    """Leave out the owner, which is that of the whole."""
    return {name: value for name, value in instance.items() if name not in ("ownerId", "ownerName")}


def _lists(
    connection: Connection,
    owner_id: int,
    kind: SetupObject,
    views: Sequence[ObjectView],
    *,
    parts_max: int,
    lists: LongLists,
) -> dict[str, dict[int, tuple[int, list[Json]]]]:
    found: dict[str, dict[int, tuple[int, list[Json]]]] = {}
    identities = [one.identity for one in views]
    for child, member in children(kind):
        found[child.list_name] = _parts(
            connection, owner_id, child, member, identities=identities, parts_max=parts_max, lists=lists
        )
    for member in kind.members:
        if member.link is not None:
            listed = {one.identity: one.instance[member.id_name] for one in views}
            counted = {identity: (len(ids), ids[:parts_max]) for identity, ids in listed.items()}
            found[member.target] = _shown(connection, owner_id, BY_LIST[member.target], counted)
    return found


def _parts(
    connection: Connection,
    owner_id: int,
    child: SetupObject,
    member: Member,
    *,
    identities: list[int],
    parts_max: int,
    lists: LongLists,
) -> dict[int, tuple[int, list[Json]]]:
    """Return how many parts each object has, and the first of them; the total of one with many is kept."""
    if len(identities) == 1:
        asked = SetupQuery((Comparison(searching.fields(child)[member.id_name], Operator.EQ, (identities[0],)),))
        page = searching.page_within(connection, owner_id, child, asked, Paging(size=parts_max), lists=lists)
        return {identities[0]: (page.total or 0, [one.instance for one in page.rows])}
    counted = searches.parts(
        connection, child.table, child.identity, column=member.column, whole_ids=identities, limit=parts_max
    )
    return _shown(connection, owner_id, child, counted)


def _shown(
    connection: Connection, owner_id: int, child: SetupObject, counted: dict[int, tuple[int, list[int]]]
) -> dict[int, tuple[int, list[Json]]]:
    wanted = sorted({one for _, ids in counted.values() for one in ids})
    known = show(connection, owner_id, child, wanted)
    return {
        identity: (total, [known[one].instance for one in ids if one in known])
        for identity, (total, ids) in counted.items()
    }
