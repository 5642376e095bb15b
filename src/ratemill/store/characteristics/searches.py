"""Items of characteristics as they are read: which of them a filter means, in an order, a page at a time.

What is compared most has a column. Any other member is read out of the document, which costs its reading for each item of
the characteristic.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from psycopg.rows import class_row

from ratemill.comparisons import NO_VALUE, OF_TEXTS, Comparison, Condition, Junction, Operator
from ratemill.store.comparisons import ComparedColumn, Values, bind, condition, joined, not_true, positive, predicate
from ratemill.store.connections import Connection, driver
from ratemill.store.policies import OWNER_ENTERED
from ratemill.store.schema.characteristics import DESCRIPTION_SORTED_CHARS

# Members that are columns of an item {i}, and their expressions.
COLUMNS = {
    "id": "{i}.id",
    "description": "{i}.description",
    "displayName": "coalesce({i}.description, {i}.id)",
    "guid": "{i}.guid::text",
    "sid": "{i}.item_id::text",
    "createdDatetime": "to_char({i}.created_at, 'YYYY-MM-DD\"T\"HH24:MI:SS.MS')",
    "modifiedDatetime": "to_char({i}.changed_at, 'YYYY-MM-DD\"T\"HH24:MI:SS.MS')",
}
_ORDERED = {  # what is sorted by, where that is something else
    "sid": "{i}.item_id",
    "createdDatetime": "{i}.created_at",
    "modifiedDatetime": "{i}.changed_at",
}
_NUMBER = re.compile(r"-?\d{1,100}(\.\d{1,100})?\Z", re.ASCII)
_BIGINT_MAX = 2**63 - 1
DEPTH_MAX = 1_000  # of a hierarchy: what is deeper is no more looked at


@dataclass(frozen=True, slots=True)
class ItemMember:
    """What is compared or sorted by: a member of the item itself, or of its parent.

    ``path`` is a column of ``COLUMNS`` alone, or a path into the document.
    """

    path: tuple[str, ...]
    of_parent: bool = False

    @property
    def is_column(self) -> bool:
        """Whether the field is read from a column."""
        return len(self.path) == 1 and self.path[0] in COLUMNS


ItemCondition: TypeAlias = Condition[ItemMember]


@dataclass(frozen=True, slots=True)
class ItemSearch:
    """The items of a characteristic, of one parent or of a list, that a condition means, in an order; last of all by id."""

    characteristic: int
    condition: ItemCondition | None = None
    order: tuple[tuple[ItemMember, bool], ...] = ()  # a field, and whether it descends
    parent_item_id: int | None = None
    list_id: int | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """An item as it is kept; ``document`` is the JSON of its members, ``level`` 1 for one without a parent."""

    item_id: int
    characteristic: int
    guid: UUID
    id: str
    description: str | None
    parent_item_id: int | None
    document: str
    revision: int
    created_at: datetime
    created_by: str
    changed_at: datetime
    changed_by: str
    level: int


@dataclass(frozen=True, slots=True)
class ReferenceTarget:
    """What a reference of an item points to: the item ``item_id`` at ``member``."""

    user_item_id: int
    member: str
    item_id: int
    characteristic: int
    guid: UUID
    id: str
    description: str | None


_COLUMNS = """i.item_id, i.characteristic, i.guid, i.id, i.description, i.parent_item_id, i.document, i.revision,
    i.created_at, i.created_by, i.changed_at, i.changed_by"""


_BELOW = """select m.item_id from characteristic_list_members m where m.list_id = %(list)s and {}
    union select c.item_id from characteristic_items c join {} b on c.parent_item_id = b.item_id"""
_LISTED = f"""with recursive taken as ({_BELOW.format("not m.excluded", "taken")}), left_out as (
    {_BELOW.format("m.excluded", "left_out")}) select item_id from taken except select item_id from left_out"""


def page(connection: Connection, search: ItemSearch, *, skip: int, top: int) -> tuple[int, list[int]]:
    """Return how many items a search means, and the identities of those of one page."""
    values: Values = {"characteristic": search.characteristic, "skip": skip, "top": top}
    conditions = [f"i.owner_id = {OWNER_ENTERED}", "i.characteristic = %(characteristic)s"]
    if search.parent_item_id is not None:
        values["parent"] = search.parent_item_id
        conditions.append("i.parent_item_id = %(parent)s")
    if search.list_id is not None:
        values["list"] = search.list_id
        conditions.append(f"i.item_id in ({_LISTED})")
    if search.condition is not None:
        conditions.append(_condition(search.condition, values))
    where = " and ".join(conditions)
    keys = [
        (key, "desc nulls last" if down else "asc nulls first")
        for field, down in search.order
        for key in _sorted(field, values)
    ]
    keys.append(("i.id", "asc"))
    if search.condition is None:  # the page comes from the first rows of the order
        order = ", ".join(f"{key} {direction}" for key, direction in keys)
        count = f"select count(*) from characteristic_items i where {where}"
        if search.parent_item_id is None and search.list_id is None:
            count = f"""select coalesce(max(c.item_count), 0) from characteristics c
                where c.owner_id = {OWNER_ENTERED} and c.characteristic = %(characteristic)s"""
        statement = f"""
            select ({count}),
                array(select i.item_id from characteristic_items i where {where}
                    order by {order} limit %(top)s offset %(skip)s)"""
    else:  # what a condition costs is paid once
        named = ", ".join(f"{key} as k{at}" for at, (key, _) in enumerate(keys))
        order = ", ".join(f"k{at} {direction}" for at, (_, direction) in enumerate(keys))
        statement = f"""
            with found as materialized (select i.item_id, {named} from characteristic_items i where {where})
            select (select count(*) from found),
                array(select item_id from found order by {order} limit %(top)s offset %(skip)s)"""
    row = driver(connection).execute(statement, values, prepare=False).fetchone()
    return (int(row[0]), list(row[1])) if row else (0, [])


def fitting(connection: Connection, item_ids: Sequence[int], bytes_max: int) -> list[int]:
    """Return the first of the items for which a page of so many bytes has room; the first always has room.

    Their lengths are read without the texts themselves.
    """
    statement = """
        select item_id from (
            select i.item_id, n.place, octet_length(i.document) as own_bytes,
                sum(octet_length(i.document)) over (order by n.place) as bytes_with
            from unnest(%s::bigint[]) with ordinality as n (item_id, place) join characteristic_items i using (item_id)
        ) p where bytes_with <= greatest(%s, own_bytes) order by place"""
    return [row[0] for row in driver(connection).execute(statement, (list(item_ids), bytes_max))]


def read(connection: Connection, item_ids: Sequence[int]) -> list[Item]:
    """Return the items of these identities, in their order; one that is gone is left out."""
    statement = f"""
        with recursive up as (
            select i.item_id as below, i.parent_item_id, 1 as level
            from characteristic_items i where i.item_id = any(%(ids)s)
            union all
            select up.below, p.parent_item_id, up.level + 1
            from up join characteristic_items p on p.item_id = up.parent_item_id
            where up.level < {DEPTH_MAX}
        ), levels as (select below, max(level) as level from up group by below)
        select {_COLUMNS}, l.level
        from unnest(%(ids)s::bigint[]) with ordinality as n (item_id, place)
        join characteristic_items i on i.item_id = n.item_id
        join levels l on l.below = i.item_id
        order by n.place"""
    with driver(connection).cursor(row_factory=class_row(Item)) as cursor:
        return cursor.execute(statement, {"ids": list(item_ids)}).fetchall()


def find(connection: Connection, characteristic: int, guid: UUID, *, for_update: bool = False) -> int | None:
    """Return the identity of the item of that guid; ``for_update`` keeps others from changing it."""
    lock = "for update" if for_update else ""
    statement = f"select item_id from characteristic_items where guid = %s and characteristic = %s {lock}"
    row = driver(connection).execute(statement, (guid, characteristic)).fetchone()
    return int(row[0]) if row else None


def above(connection: Connection, item_id: int) -> list[int]:
    """Return the identities of the item's parent, of the parent of that, and so on."""
    statement = f"""
        with recursive up as (
            select parent_item_id, 1 as level from characteristic_items where item_id = %s
            union all
            select p.parent_item_id, up.level + 1 from up join characteristic_items p on p.item_id = up.parent_item_id
            where up.level < {DEPTH_MAX}
        )
        select parent_item_id from up where parent_item_id is not null order by level"""
    return [row[0] for row in driver(connection).execute(statement, (item_id,))]


def pointed(connection: Connection, item_ids: Sequence[int]) -> list[ReferenceTarget]:
    """Return which items these items point to, their parents included, member by member."""
    columns = "i.item_id, i.characteristic, i.guid, i.id, i.description"
    statement = f"""
        select u.item_id as user_item_id, u.member, {columns}
        from characteristic_uses u join characteristic_items i on i.item_id = u.used_item_id
        where u.item_id = any(%(ids)s)
        union all
        select c.item_id, 'parentReference', {columns}
        from characteristic_items c join characteristic_items i on i.item_id = c.parent_item_id
        where c.item_id = any(%(ids)s)"""
    with driver(connection).cursor(row_factory=class_row(ReferenceTarget)) as cursor:
        return cursor.execute(statement, {"ids": list(item_ids)}).fetchall()


def users(connection: Connection, item_id: int, *, limit: int) -> tuple[int, list[tuple[int, str, str]]]:
    """Return in how many places other items point to an item, and the first: characteristic, id and member of the user."""
    found = """
        select i.characteristic, i.id, u.member
        from characteristic_uses u join characteristic_items i on i.item_id = u.item_id
        where u.used_item_id = %(item_id)s and u.item_id <> %(item_id)s
        union
        select i.characteristic, i.id, 'parentReference' from characteristic_items i where i.parent_item_id = %(item_id)s"""
    values = {"item_id": item_id, "limit": limit}
    total = driver(connection).execute(f"select count(*) from ({found}) f", values).fetchone()
    first = driver(connection).execute(f"select * from ({found}) f order by 1, 2, 3 limit %(limit)s", values)
    return (int(total[0]) if total else 0), first.fetchall()


def named(
    connection: Connection, names: Iterable[tuple[str, str, str]]
) -> dict[tuple[str, str, str], tuple[int, UUID]]:
    """Return number and guid of the named objects of these kinds, keys and values."""
    asked = list(names)
    if not asked:
        return {}
    statement = """
        select o.kind, o.key, o.value, o.named_object_id, o.guid
        from unnest(%s::text[], %s::text[], %s::text[]) as n (kind, key, value)
        join named_objects o on o.kind = n.kind and o.key = n.key and o.value = n.value"""
    found = driver(connection).execute(statement, tuple(list(column) for column in zip(*asked, strict=True)))
    return {(row[0], row[1], row[2]): (row[3], row[4]) for row in found}


def _condition(part: ItemCondition, values: Values) -> str:
    if isinstance(part, Junction):
        parts = (_condition(each, values) for each in part.parts)
        return f"({joined(parts, any_of=part.operator == 'or')})"
    if not part.member.of_parent:
        return _comparison(part, "i", values)
    if part.operator in NO_VALUE:
        return predicate(part.operator, "i.parent_item_id", "")
    operator, negated = positive(part.operator)
    found = f"""i.parent_item_id in (select p.item_id from characteristic_items p
        where p.owner_id = {OWNER_ENTERED} and p.characteristic = %(characteristic)s
            and {_comparison(replace(part, operator=operator), "p", values)})"""
    return not_true(found) if negated else found


def _comparison(comparison: Comparison[ItemMember], alias: str, values: Values) -> str:
    member = comparison.member
    if comparison.operator in NO_VALUE:
        return predicate(comparison.operator, _expression(member, alias, values), "")
    if not member.is_column:
        return _of_document(comparison, alias, values)
    if (exact := _exact(comparison, alias)) is not None:
        return condition(*exact, values)
    return condition(comparison, ComparedColumn(_expression(member, alias, values), "text", any_case=True), values)


def _of_document(comparison: Comparison[ItemMember], alias: str, values: Values) -> str:
    """Return a comparison of a member of the document, which is read once and, where it cannot hold, not at all."""
    path, (operator, negated) = comparison.member.path, positive(comparison.operator)
    (text,) = comparison.values
    value = bind(text, "text", values)
    is_number = operator not in OF_TEXTS and _NUMBER.match(text)
    is_truth = operator not in OF_TEXTS and text.lower() in ("true", "false")
    tested = predicate(operator, "m #>> '{}'", value, any_case=True)
    if is_number:  # compared as a number with a number, else as a text
        as_number = predicate(operator, "(m #>> '{}')::numeric", f"{value}::numeric")
        tested = f"case when json_typeof(m) = 'number' then {as_number} else {tested} end"
    elif is_truth:
        tested = predicate(operator, "lower(m #>> '{}')", f"lower({value})")
    member = f"{alias}.document::json #> {bind(list(path), 'text[]', values)}"
    found = f"(select {tested} from (select {member} as m offset 0) d)"
    if negated:
        return not_true(found)
    # The document is written without blanks; a search for a text is five times as fast as reading it.
    within = _json(path[0]) + ":" if operator is not Operator.EQ or is_number or is_truth else _json(text)
    return f"(strpos({alias}.document, {bind(within, 'text', values)}) > 0 and {found})"


def _json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _exact(comparison: Comparison[ItemMember], alias: str) -> tuple[Comparison[ItemMember], ComparedColumn] | None:
    """Return the comparison of a column that is no text, if the value is of its kind."""
    column, operator = comparison.member.path[0], comparison.operator
    (text,) = comparison.values
    if column == "guid" and operator in (Operator.EQ, Operator.NOT_EQ):
        try:
            return replace(comparison, values=(UUID(text),)), ComparedColumn(f"{alias}.guid", "uuid")
        except ValueError:
            return None
    if column == "sid" and operator not in OF_TEXTS and text.isascii() and text.isdigit():
        number = int(text.lstrip("0")[:20] or "0")
        if number <= _BIGINT_MAX:
            return replace(comparison, values=(number,)), ComparedColumn(f"{alias}.item_id", "bigint")
    return None


def _expression(field: ItemMember, alias: str, values: Values) -> str:
    if field.is_column:
        return COLUMNS[field.path[0]].format(i=alias)
    return f"({alias}.document::json #>> {bind(list(field.path), 'text[]', values)})"


def _sorted(field: ItemMember, values: Values) -> tuple[str, ...]:
    """Return what stands for a field in an order; a description first by its beginning, by which an index has it."""
    if field.path == ("description",) and not field.of_parent:
        description = 'i.description collate "C"'
        return (f'left(i.description, {DESCRIPTION_SORTED_CHARS}) collate "C"', description)
    alias = "p" if field.of_parent else "i"
    own = _ORDERED.get(field.path[0]) if field.is_column else None
    expression = own.format(i=alias) if own else _expression(field, alias, values)
    if field.of_parent:
        return (f"(select {expression} from characteristic_items p where p.item_id = i.parent_item_id)",)
    return (expression,)
