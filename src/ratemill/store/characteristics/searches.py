"""Items of characteristics as they are read: which of them a filter means, in an order, a page at a time.

What is compared most has a column. Any other member is read out of the document, which costs its reading for each item of
the characteristic.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias
from uuid import UUID

from psycopg.rows import class_row

from ratemill.store.connections import Connection, driver
from ratemill.store.policies import OWNER_ENTERED
from ratemill.store.schema.characteristics import DESCRIPTION_SORTED_CHARS

Values = dict[str, Any]

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
_OPERATORS = {
    "eq": "{e} = {v}",
    "ne": "{e} is distinct from {v}",
    "lt": "{e} < {v}",
    "le": "{e} <= {v}",
    "gt": "{e} > {v}",
    "ge": "{e} >= {v}",
    "contains": "strpos(lower({e}), lower({v})) > 0",
    "startswith": "starts_with(lower({e}), lower({v}))",
    "endswith": "right(lower({e}), length(lower({v}))) = lower({v})",
}
_ORDERING = {"eq", "ne", "lt", "le", "gt", "ge"}
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


@dataclass(frozen=True, slots=True)
class Comparison:
    """A field, an operator and a value; None is compared by ``eq`` and ``ne`` only, and is what is not there."""

    field: ItemMember
    operator: str
    value: str | None


@dataclass(frozen=True, slots=True)
class Junction:
    """Conditions of which all must hold, or any."""

    operator: Literal["and", "or"]
    parts: tuple[Condition, ...]


Condition: TypeAlias = "Comparison | Junction"


@dataclass(frozen=True, slots=True)
class ItemSearch:
    """The items of a characteristic, of one parent or of a list, that a condition means, in an order; last of all by id."""

    characteristic: int
    condition: Condition | None = None
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


def _condition(condition: Condition, values: Values) -> str:
    if isinstance(condition, Junction):
        return "(" + f" {condition.operator} ".join(_condition(part, values) for part in condition.parts) + ")"
    if not condition.field.of_parent:
        return _comparison(condition, "i", values)
    if condition.value is None:
        return f"i.parent_item_id is {'null' if condition.operator == 'eq' else 'not null'}"
    negated = condition.operator == "ne"
    tested = Comparison(condition.field, "eq", condition.value) if negated else condition
    found = f"""select p.item_id from characteristic_items p
        where p.owner_id = {OWNER_ENTERED} and p.characteristic = %(characteristic)s
            and {_comparison(tested, "p", values)}"""
    return (
        f"(i.parent_item_id is null or i.parent_item_id not in ({found}))"
        if negated
        else f"i.parent_item_id in ({found})"
    )


def _comparison(comparison: Comparison, alias: str, values: Values) -> str:
    field, operator, value = comparison.field, comparison.operator, comparison.value
    if value is None:
        return f"{_expression(field, alias, values)} is {'null' if operator == 'eq' else 'not null'}"
    if not field.is_column:
        return _member(comparison, alias, values)
    exact = _exact(field.path[0], operator, value, alias, values)
    return exact or f"({_OPERATORS[operator].format(e=_expression(field, alias, values), v=_value(value, values))})"


def _member(comparison: Comparison, alias: str, values: Values) -> str:
    """Return a comparison of a member of the document, which is read once and, where it cannot hold, not at all."""
    field, operator, value = comparison.field, comparison.operator, comparison.value or ""
    written, test = _value(value, values), _OPERATORS[operator]
    is_number = operator in _ORDERING and _NUMBER.match(value)
    is_truth = operator in _ORDERING and value.lower() in ("true", "false")
    member = f"{alias}.document::json #> {_value(list(field.path), values)}::text[]"
    if is_number:  # compared as a number with a number, else as a text
        as_number = test.format(e="(m #>> '{}')::numeric", v=f"{written}::numeric")
        as_text = test.format(e="m #>> '{}'", v=written)
        tested = f"case when json_typeof(m) = 'number' then {as_number} else {as_text} end"
    elif is_truth:
        tested = test.format(e="lower(m #>> '{}')", v=f"lower({written})")
    else:
        tested = test.format(e="m #>> '{}'", v=written)
    found = f"(select {tested} from (select {member} as m offset 0) d)"
    if operator == "ne":
        return found
    # The document is written without blanks; a search for a text is five times as fast as reading it.
    within = _json(field.path[0]) + ":" if operator != "eq" or is_number or is_truth else _json(value)
    return f"(strpos({alias}.document, {_value(within, values)}) > 0 and {found})"


def _json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _exact(column: str, operator: str, value: str, alias: str, values: Values) -> str | None:
    """Return a comparison of a column that is no text, if the value is of its kind."""
    if column == "guid" and operator in ("eq", "ne"):
        try:
            return "(" + _OPERATORS[operator].format(e=f"{alias}.guid", v=_value(UUID(value), values)) + ")"
        except ValueError:
            return None
    if (
        column == "sid"
        and operator in _ORDERING
        and value.isascii()
        and value.isdigit()
        and int(value[:20]) <= _BIGINT_MAX
    ):
        return "(" + _OPERATORS[operator].format(e=f"{alias}.item_id", v=_value(int(value), values)) + ")"
    return None


def _expression(field: ItemMember, alias: str, values: Values) -> str:
    if field.is_column:
        return COLUMNS[field.path[0]].format(i=alias)
    return f"({alias}.document::json #>> {_value(list(field.path), values)}::text[])"


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


def _value(value: object, values: Values) -> str:
    name = f"v{len(values)}"
    values[name] = value
    return f"%({name})s" if not isinstance(value, str) else f"%({name})s::text"
