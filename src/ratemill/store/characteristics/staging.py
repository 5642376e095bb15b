"""The items of a batch while its job is at work: staged with what they name, settled, written, linked.

The items that the first pass wrote are not among them: they are in the store already, and bear the number of the batch.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import uuid4

from psycopg import sql

from ratemill.store import bulk
from ratemill.store.characteristics import items
from ratemill.store.characteristics.jobs import ItemJob
from ratemill.store.connections import Connection, driver

FETCHED_ROWS = 10_000
_STAGED = ("batch_id", "owner_id", "item_number", "id", "description", "parent_cleared", "bills", "written", "faults")
_USES = ("batch_id", "owner_id", "item_number", "member", "characteristic", "key", "value", "used_item_id", "used_id")
_PARENT = "parentReference"

Faults = list[dict[str, str]]

# A use whose item is in the batch and not in the store has no used_item_id; `t` is the item that it names, if it is there.
_NAMED = """
    from characteristic_staged_uses u left join characteristic_staged t
        on t.batch_id = u.batch_id and t.id = u.used_id and u.characteristic = %(characteristic)s
    where u.batch_id = %(batch_id)s"""

# The item that a use names by its id. Joined instead, all items of the owner would be read, for they are taken for few.
_BY_ID = """(select i.item_id from characteristic_items i
    where i.owner_id = u.owner_id and i.characteristic = u.characteristic and i.id = u.used_id)"""


class StagedUse(NamedTuple):
    """An item that a staged one names; ``used_item_id`` where it was found in the store, ``used_id`` its id if known."""

    item_number: int
    member: str
    characteristic: int
    key: str
    value: str
    used_item_id: int | None
    used_id: str | None


@dataclass(frozen=True, slots=True)
class StagedItem:
    """A staged item by its number in the batch; ``faults`` None while it holds.

    ``bills`` are the members with bills of materials that were sent, which take the place of those that are stored.
    """

    item_number: int
    id: str | None
    description: str | None = None
    parent_cleared: bool = False
    bills: list[str] | None = None
    written: bool = False
    faults: Faults | None = None


class WaitingItem(NamedTuple):
    """A staged item that is not written yet."""

    item_number: int
    id: str | None
    faults: Faults | None


def taken(connection: Connection, job: ItemJob, ids: Sequence[str]) -> set[str]:
    """Return those of the ids that staged items of the batch bear already."""
    statement = """select id from characteristic_staged
        where batch_id = %s and id = any(array(select json_array_elements_text(%s::json)))"""
    rows = driver(connection).execute(statement, (job.batch_id, json.dumps(ids, ensure_ascii=False)))
    return {row[0] for row in rows}


def stage(connection: Connection, job: ItemJob, staged: Iterable[StagedItem], uses: Iterable[StagedUse]) -> None:
    """Write the items of one table, and what they name."""
    of = job.batch_id, job.owner_id
    rows = ((*of, i.item_number, i.id, i.description, i.parent_cleared, i.bills, i.written, i.faults) for i in staged)
    bulk.insert_rows(connection, "characteristic_staged", _STAGED, rows)
    named = ((*of, u.item_number, u.member, u.characteristic, u.key, u.value, u.used_item_id, u.used_id) for u in uses)
    bulk.insert_rows(connection, "characteristic_staged_uses", _USES, named)


def add_faults(connection: Connection, job: ItemJob, faults: Mapping[int, Faults]) -> None:
    """Write faults that were found behind those that the items have."""
    rows = [{"item_number": number, "faults": found} for number, found in faults.items()]
    for first in range(0, len(rows), FETCHED_ROWS):
        driver(connection).execute(
            """
            update characteristic_staged s set faults = coalesce(s.faults, '[]') || v.faults
            from json_to_recordset(%s::json) v (item_number bigint, faults jsonb)
            where s.batch_id = %s and s.item_number = v.item_number
            """,
            (json.dumps(rows[first : first + FETCHED_ROWS], ensure_ascii=False), job.batch_id),
        )


def find_described(connection: Connection, job: ItemJob) -> list[StagedUse]:
    """Let each use by a description that the store did not know name the item of the batch that bears it.

    Returns the uses whose description several items bear.
    """
    found = driver(connection).execute(
        """
        with open as (
            select * from characteristic_staged_uses where batch_id = %(batch_id)s and key = 'description'
                and used_item_id is null and characteristic = %(characteristic)s
        ), bearing as (
            select u.item_number, u.member, t.id from open u join characteristic_staged t
                on t.batch_id = u.batch_id and t.description = u.value and t.id is not null
            union
            select u.item_number, u.member, i.id from open u cross join lateral (
                select * from characteristic_items where description = u.value offset 0) i
            where i.owner_id = u.owner_id and i.characteristic = u.characteristic
        ), named as (
            select item_number, member, min(id) as id, count(*) as items from bearing group by item_number, member
        ), settled as (
            update characteristic_staged_uses u set used_id = n.id from named n
            where u.batch_id = %(batch_id)s and u.item_number = n.item_number and u.member = n.member
        )
        select u.item_number, u.member, u.characteristic, u.key, u.value, u.used_item_id, u.used_id
        from named n join open u using (item_number, member) where n.items > 1
        """,
        _of(job),
    )
    return [StagedUse(*row) for row in found]


def find_written(connection: Connection, job: ItemJob) -> None:
    """Let each use of an item that was not in the store when it was read name it, if it has been written since."""
    driver(connection).execute(
        f"""
        update characteristic_staged_uses u set used_item_id = {_BY_ID}
        where u.batch_id = %s and u.used_item_id is null and u.used_id is not null
        """,
        (job.batch_id,),
    )


def number_items(connection: Connection, job: ItemJob) -> None:
    """Give each item without an id, and without a fault, the next number of its characteristic that is no item's id."""
    rows = driver(connection).execute(
        "select item_number from characteristic_staged where batch_id = %s and id is null and faults is null order by 1",
        (job.batch_id,),
    )
    waiting = [row[0] for row in rows]
    if not waiting:
        return
    given = items.next_numbers(connection, job.owner_id, job.characteristic, len(waiting), batch_id=job.batch_id)
    driver(connection).execute(
        """
        update characteristic_staged s set id = v.id from unnest(%s::bigint[], %s::text[]) v (item_number, id)
        where s.batch_id = %s and s.item_number = v.item_number
        """,
        (waiting, given, job.batch_id),
    )


def faulty(connection: Connection, job: ItemJob) -> list[int]:
    """Return the numbers of the items that are refused by now, for faults of their own or what they name is nowhere."""
    rows = driver(connection).execute(
        f"""
        select item_number from characteristic_staged where batch_id = %(batch_id)s and faults is not null
        union select u.item_number {_NAMED} and u.used_item_id is null and t.item_number is null
        """,
        _of(job),
    )
    return [row[0] for row in rows]


def named_ahead(connection: Connection, job: ItemJob) -> Iterator[tuple[int, int]]:
    """Yield each item with one that it names and that is in the batch only."""
    yield from _streamed(
        connection,
        f"select u.item_number, t.item_number {_NAMED} and u.used_item_id is null and t.item_number is not null",
        _of(job),
    )


def parents(connection: Connection, job: ItemJob) -> Iterator[tuple[int, int | None]]:
    """Yield each item that names a parent in the batch or the store, or that none any more (None).

    An item of the store that is not in the batch is the negative of its identity.
    """
    yield from _streamed(
        connection,
        f"""
        select u.item_number, coalesce(t.item_number, -u.used_item_id) {_NAMED} and u.member = '{_PARENT}'
            and (t.item_number is not null or u.used_item_id is not null)
        union all select item_number, null from characteristic_staged where batch_id = %(batch_id)s and parent_cleared
        """,
        _of(job),
    )


def stored_parents(connection: Connection, job: ItemJob) -> Iterator[tuple[int, int]]:
    """Yield, for the parents that are named and all above them, each item with its parent in the store."""
    yield from _streamed(
        connection,
        f"""
        with recursive up as (
            select coalesce(u.used_item_id, f.item_id) as item_id
            from characteristic_staged_uses u left join characteristic_items f on u.used_item_id is null
                and f.owner_id = u.owner_id and f.characteristic = u.characteristic and f.id = u.used_id
            where u.batch_id = %(batch_id)s and u.member = '{_PARENT}' and coalesce(u.used_item_id, f.item_id) is not null
            union {items.ABOVE}
        )
        select coalesce(t.item_number, -i.item_id), coalesce(p.item_number, -i.parent_item_id)
        from up join characteristic_items i using (item_id) join characteristic_items o on o.item_id = i.parent_item_id
        left join characteristic_staged t on t.batch_id = %(batch_id)s and t.id = i.id
        left join characteristic_staged p on p.batch_id = %(batch_id)s and p.id = o.id
        """,
        _of(job),
    )


def bills(connection: Connection, job: ItemJob) -> Iterator[tuple[int, int]]:
    """Yield each staged item with a component of its bills of materials, both numbered as in ``parents``."""
    yield from _streamed(
        connection,
        f"""
        select u.item_number, coalesce(t.item_number, -u.used_item_id) {_NAMED} and u.{items.OF_BILL}
            and (t.item_number is not null or u.used_item_id is not null)
        """,
        _of(job),
    )


def stored_bills(connection: Connection, job: ItemJob) -> Iterator[tuple[int, int, bool]]:
    """Yield, for the components that are named and all below them, each item with a component that it has in the store.

    The third says whether the batch puts another bill in the place of that one.
    """
    yield from _streamed(
        connection,
        f"""
        with recursive down as (
            select used_item_id as item_id from characteristic_staged_uses
            where batch_id = %(batch_id)s and {items.OF_BILL} and used_item_id is not null
            union {items.BELOW}
        )
        select coalesce(t.item_number, -i.item_id), coalesce(p.item_number, -o.item_id),
            coalesce(split_part(u.member, '[', 1) = any(t.bills), false)
        from down join characteristic_uses u using (item_id)
        join characteristic_items i using (item_id) join characteristic_items o on o.item_id = u.used_item_id
        left join characteristic_staged t on t.batch_id = %(batch_id)s and t.id = i.id
            and i.characteristic = %(characteristic)s
        left join characteristic_staged p on p.batch_id = %(batch_id)s and p.id = o.id
            and o.characteristic = %(characteristic)s
        where u.{items.OF_BILL}
        """,
        _of(job),
    )


def billed(connection: Connection, job: ItemJob, numbers: Sequence[int]) -> dict[int, str]:
    """Return the first member with bills of materials of staged items."""
    statement = "select item_number, bills[1] from characteristic_staged where batch_id = %s and item_number = any(%s)"
    return dict(driver(connection).execute(statement, (job.batch_id, list(numbers))).fetchall())


def lost_uses(connection: Connection, job: ItemJob, refused: Sequence[int]) -> Iterator[tuple[StagedUse, bool]]:
    """Yield each use that leads nowhere, and whether it names a refused item of the batch."""
    rows = _streamed(
        connection,
        f"""
        select u.item_number, u.member, u.characteristic, u.key, u.value, u.used_item_id, u.used_id,
            t.item_number is not null
        {_NAMED} and u.used_item_id is null and (t.item_number is null
            or t.item_number in (select unnest(%(refused)s::bigint[])))
        order by u.item_number, u.member
        """,
        _of(job) | {"refused": list(refused)},
    )
    for *use, of_refused in rows:
        yield StagedUse(*use), of_refused


def ids_of(connection: Connection, job: ItemJob, nodes: Sequence[int]) -> list[str]:
    """Return the ids of items of the batch, and of the store for negative numbers, in their order."""
    found = dict(
        driver(connection)
        .execute(
            """
            select item_number, id from characteristic_staged where batch_id = %(batch_id)s and item_number = any(%(nodes)s)
            union all select -item_id, id from characteristic_items where item_id = any(%(stored)s)
            """,
            _of(job) | {"nodes": list(nodes), "stored": [-node for node in nodes if node < 0]},
        )
        .fetchall()
    )
    return [found.get(node) or "?" for node in nodes]


def waiting(connection: Connection, job: ItemJob, *, items_max: int) -> list[WaitingItem]:
    """Return the next items that are not written yet, in their order."""
    rows = driver(connection).execute(
        """
        select item_number, id, faults from characteristic_staged
        where batch_id = %s and item_number >= %s and not written order by item_number limit %s
        """,
        (job.batch_id, job.next_item, items_max),
    )
    return [WaitingItem(*row) for row in rows]


def uses(connection: Connection, job: ItemJob, first: int, last: int) -> list[tuple[int, str, int | None, str | None]]:
    """Return what the items from one number to another name: number, member, the item if it is stored, and its id."""
    rows = driver(connection).execute(
        f"""
        select u.item_number, u.member, coalesce(u.used_item_id, {_BY_ID}), u.used_id
        from characteristic_staged_uses u where u.batch_id = %s and u.item_number between %s and %s
        """,
        (job.batch_id, first, last),
    )
    return rows.fetchall()


def keep_uses(connection: Connection, job: ItemJob, first: int, last: int, late: Sequence[tuple[int, str]]) -> None:
    """Take the uses of the items from one number to another away, but for those that are to be linked later."""
    driver(connection).execute(
        """
        delete from characteristic_staged_uses u where batch_id = %s and item_number between %s and %s
        and not exists (select from unnest(%s::bigint[], %s::text[]) l (n, m) where l.n = u.item_number and l.m = u.member)
        """,
        (job.batch_id, first, last, [number for number, _ in late], [member for _, member in late]),
    )


def late_uses(connection: Connection, job: ItemJob, *, rows_max: int) -> list[tuple[int, str, int | None, int | None]]:
    """Return uses that could not be linked when their item was written: number, member, the item and what it names."""
    rows = driver(connection).execute(
        f"""
        select u.item_number, u.member, (
            select o.item_id from characteristic_items o
            where o.owner_id = %(owner_id)s and o.characteristic = %(characteristic)s and o.id = (
                select s.id from characteristic_staged s where s.batch_id = %(batch_id)s and s.item_number = u.item_number)
        ), {_BY_ID}
        from characteristic_staged_uses u where u.batch_id = %(batch_id)s
        order by u.item_number, u.member limit %(rows_max)s
        """,
        _of(job) | {"rows_max": rows_max},
    )
    return rows.fetchall()


def drop_uses(connection: Connection, job: ItemJob, linked: Sequence[tuple[int, str]]) -> None:
    """Take away uses, by number and member."""
    driver(connection).execute(
        """
        delete from characteristic_staged_uses u using unnest(%s::bigint[], %s::text[]) l (n, m)
        where u.batch_id = %s and u.item_number = l.n and u.member = l.m
        """,
        ([number for number, _ in linked], [member for _, member in linked], job.batch_id),
    )


def clear(connection: Connection, job: ItemJob) -> None:
    """Take away what was staged of a batch."""
    for table in ("characteristic_staged_uses", "characteristic_staged"):
        statement = sql.SQL("delete from {} where batch_id = %s").format(sql.Identifier(table))
        driver(connection).execute(statement, (job.batch_id,))


def _streamed(connection: Connection, statement: str, values: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a statement without holding all of them."""
    with driver(connection).cursor(f"staged_{uuid4().hex}", binary=True) as cursor:
        cursor.itersize = FETCHED_ROWS
        cursor.execute(statement, values)
        yield from cursor


def _of(job: ItemJob) -> dict[str, Any]:
    return {"batch_id": job.batch_id, "owner_id": job.owner_id, "characteristic": job.characteristic}
