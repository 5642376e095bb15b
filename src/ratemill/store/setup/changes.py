"""The log of what was changed in the set-up: rows are added, read, and never changed."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal

from psycopg import sql
from psycopg.rows import class_row

from ratemill.pages import Page, Paging
from ratemill.store import bulk
from ratemill.store.connections import Connection, driver
from ratemill.store.filters import parameters, where
from ratemill.store.setup.pages import Pointer, PointerList, Row, Shape, alias_of, beside, column_of, joined

_LOOKED_UP_MAX = 10_000  # objects that are looked up one by one; for more the planner may read the whole table
_FEW_MAX = 1_000  # changed objects that a plan for few does for
_MEMBERS_MAX = 45  # members of one call of the function that builds JSON; it takes 100 arguments
_COLUMNS = (
    "owner_id",
    "changed_at",
    "changed_by",
    "via",
    "list",
    "object_id",
    "key_words",
    "action",
    "before",
    "after",
)


@dataclass(frozen=True, slots=True)
class SetupChange:
    """One change of one object; ``before`` is None for a new one, ``after`` for one that was deleted."""

    setup_change_id: int
    owner_id: int
    changed_at: datetime
    changed_by: str
    via: str
    list: str
    object_id: int
    key_words: str
    action: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class SetupChangeFilters:
    """Which changes; None asks for nothing. Times are [from, to)."""

    list: str | None = None
    object_id: int | None = None
    changed_by: str | None = None
    action: str | None = None
    from_at: datetime | None = None
    to_at: datetime | None = None


_CONDITIONS = {
    "list": "list = %(list)s",
    "object_id": "object_id = %(object_id)s",
    "changed_by": "changed_by = %(changed_by)s",
    "action": "action = %(action)s",
    "from_at": "changed_at >= %(from_at)s",
    "to_at": "changed_at < %(to_at)s",
}


@dataclass(frozen=True, slots=True, eq=False)
class Instance:
    """How an object is written as JSON: each member with the statement of its value; ``words`` are those of its key.

    ``keyless`` stands for the words where there are none. There is one of each kind of object: statements are kept by it.

    The database writes it, so that the log of hundreds of thousands of rows never travels.
    """

    shape: Shape
    members: tuple[tuple[str, sql.Composable], ...]
    words: tuple[sql.Composable, ...]
    keyless: str = ""


@dataclass(frozen=True, slots=True)
class ChangeOrigin:
    """When objects of one list are changed, by whom and via what."""

    at: datetime
    by: str
    via: str
    list: str


def read(connection: Connection, instance: Instance, object_ids: Sequence[int]) -> dict[int, str]:
    """Return objects as they are now, each as the text of its JSON."""
    if not object_ids:
        return {}
    identity = column_of("t", instance.shape.identity)
    statement = sql.SQL("select {0}, ({1})::text from {2} where {0} = any(%s)").format(
        identity, _as_json(instance), joined(instance.shape)
    )
    return dict(driver(connection).execute(statement, (list(object_ids),)).fetchall())


def note(
    connection: Connection,
    instance: Instance,
    changing: ChangeOrigin,
    object_ids: Sequence[int],
    before: dict[int, str],
) -> None:
    """Add the changes of objects as they are now: updated those in ``before``, which has what they were, created others."""
    _add(
        connection,
        instance,
        "case when v.before is null then 'created' else 'updated' end, v.before::json, {after}",
        {**_of(changing), "ids": list(object_ids), "before": [before.get(object_id) for object_id in object_ids]},
    )


def change(
    connection: Connection, instance: Instance, changing: ChangeOrigin, columns: Sequence[str], rows: list[Row]
) -> None:
    """Write ``columns`` of changed rows and the changes that this makes, in one statement.

    What the rows were is put beside what they become where they lie: of a price list that is a hundred megabytes.
    """
    shape, is_one = instance.shape, len(rows) == 1
    listed = bulk.values_by_column(shape.table, [shape.identity, *columns], rows)
    values = {name: given[0] for name, given in listed.items()} if is_one else listed
    # Nobody knows how many rows come out of the two parts: joined row by row, 10,000 take 16 s of reading what they were.
    many = len(rows) > _FEW_MAX
    with bulk.guarded():
        if many:
            driver(connection).execute("set local enable_nestloop = off")
        driver(connection).execute(
            _changing(instance, tuple(columns), is_one=is_one),
            {**values, **_of(changing)},
            prepare=None if is_one else False,
        )
        if many:
            driver(connection).execute("set local enable_nestloop = on")


@lru_cache(maxsize=1_024)
def _changing(instance: Instance, columns: tuple[str, ...], *, is_one: bool) -> bytes:
    """Return the statement of ``change``; that of one row is planned once, which takes longer than it runs."""
    shape, identity = instance.shape, sql.Identifier(instance.shape.identity)
    sought = sql.SQL("= %({})s::bigint" if is_one else "= any(%({})s::bigint[])").format(sql.SQL(shape.identity))
    return (
        sql.SQL(
            "with seen as materialized (select t.{identity}, {as_json} as before from {stored}"
            " where t.{identity} {sought}), changed as ({update} returning t.*) "
            "insert into setup_changes ({columns}) select t.owner_id, %(at)s, %(by)s, %(via)s, %(list)s, t.{identity}, "
            "{words}, 'updated', seen.before, {as_json} "
            "from {made} join seen on seen.{identity} = t.{identity}"
        )
        .format(
            identity=identity,
            sought=sought,
            as_json=_as_json(instance),
            stored=joined(shape),
            made=joined(shape, "changed"),
            update=bulk.update_statement(shape.table, shape.identity, columns, is_one=is_one),
            columns=sql.SQL(", ").join(sql.Identifier(name) for name in _COLUMNS),
            words=_words(instance),
        )
        .as_bytes(None)
    )


def note_deleted(connection: Connection, instance: Instance, changing: ChangeOrigin, object_ids: Sequence[int]) -> None:
    """Add the changes of objects that are about to be deleted."""
    known = {**_of(changing), "ids": list(object_ids), "before": [None] * len(object_ids)}
    _add(connection, instance, "'deleted', {after}, null", known)


def _of(changing: ChangeOrigin) -> dict[str, Any]:
    return {"at": changing.at, "by": changing.by, "via": changing.via, "list": changing.list}


def _add(connection: Connection, instance: Instance, ending: str, known: dict[str, Any]) -> None:
    count = len(known["ids"])
    if count == 1:
        first = {**known, "ids": known["ids"][0], "before": known["before"][0]}
        driver(connection).execute(_adding(instance, ending, "one"), first)
        return
    # Few are looked up one by one and logged in their order; more come as they lie, for sorting texts takes long.
    few = count <= _LOOKED_UP_MAX
    # Planned with its values: it may be one object of a million.
    with bulk.looked_up_by_index(connection) if few else nullcontext():
        driver(connection).execute(_adding(instance, ending, "few" if few else "many"), known, prepare=False)


@lru_cache(maxsize=1_024)
def _adding(instance: Instance, ending: str, number: Literal["one", "few", "many"]) -> bytes:
    sources = {
        "one": "(select %(before)s::text as before) v cross join {table} where {identity} = %(ids)s::bigint",
        "few": (
            "unnest(%(ids)s::bigint[], %(before)s::text[]) with ordinality v (object_id, before, place) cross join lateral"
            " (select * from {own} x where x.{key} = v.object_id offset 0) t {beside} order by v.place"
        ),
        "many": (
            "unnest(%(ids)s::bigint[], %(before)s::text[]) v (object_id, before) join {table} on v.object_id = {identity}"
        ),
    }
    shape = instance.shape
    source = sql.SQL(sources[number]).format(
        table=joined(shape),
        identity=column_of("t", shape.identity),
        own=sql.Identifier(shape.table),
        key=sql.Identifier(shape.identity),
        beside=beside(shape),
    )
    statement = sql.SQL(
        "insert into setup_changes ({columns}) select t.owner_id, %(at)s, %(by)s, %(via)s, %(list)s, {identity}, "
        "{words}, {ending} from {source}"
    ).format(
        columns=sql.SQL(", ").join(sql.Identifier(name) for name in _COLUMNS),
        identity=column_of("t", shape.identity),
        words=_words(instance),
        ending=sql.SQL(ending).format(after=_as_json(instance)),
        source=source,
    )
    return statement.as_bytes(None)


def _words(instance: Instance) -> sql.Composable:
    """Return the statement of the words of a key."""
    words = sql.SQL("concat_ws(' / ', {})").format(sql.SQL(", ").join(instance.words))
    if not instance.keyless:
        return words
    return sql.SQL("coalesce(nullif({}, ''), {})").format(words, sql.Literal(instance.keyless))


def _as_json(instance: Instance) -> sql.Composable:
    """Return the statement of the JSON; a function has room for so many members only.

    ``json`` is text, in the order of the members, and made in a third of the time of ``jsonb``; only that can be joined.
    """
    parts = [instance.members[at : at + _MEMBERS_MAX] for at in range(0, len(instance.members), _MEMBERS_MAX)]
    pairs = [
        sql.SQL(", ").join(sql.SQL("{}, {}").format(sql.Literal(name), value) for name, value in part) for part in parts
    ]
    if len(pairs) == 1:
        return sql.SQL("json_build_object({})").format(*pairs)
    whole = sql.SQL(" || ").join(sql.SQL("jsonb_build_object({})").format(pair) for pair in pairs)
    return sql.SQL("({})::json").format(whole)


# How the values of members are stated


def plain(column: sql.Composable) -> sql.Composable:
    """Return a value that JSON writes as it is."""
    return column


def digits(column: sql.Composable) -> sql.Composable:
    """Return a number as the text of its digits."""
    return sql.SQL("trim_scale({})::text").format(column)


def instant(column: sql.Composable) -> sql.Composable:
    """Return an instant in UTC with milliseconds."""
    return sql.SQL("to_char({} at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')").format(column)


def own(column: str) -> sql.Composable:
    """Return a column of the object's own table."""
    return column_of("t", column)


def inner(document: str, name: str) -> sql.Composable:
    """Return a member of the object's document."""
    return sql.SQL("{} -> {}").format(own(document), sql.Literal(name))


def owner_name() -> sql.Composable:
    """Return the name of the object's owner."""
    return column_of("o", "name")


def pointed(shape: Shape, pointer: Pointer | None) -> tuple[sql.Composable, sql.Composable]:
    """Return the identity and the name of what a reference leads to."""
    if pointer is None:
        return sql.SQL("null::bigint"), sql.SQL("null::text")
    name = column_of(alias_of(shape, pointer), pointer.name) if pointer.name else sql.SQL("null::text")
    beside = "t" if pointer.through is None else alias_of(shape, pointer.through)
    return column_of(beside, pointer.column), name


def pointed_list(shape: Shape, pointer_list: PointerList) -> tuple[sql.Composable, sql.Composable]:
    """Return the identities and the names of what a list of references leads to."""
    statement = sql.SQL(
        "coalesce((select jsonb_agg(c.{shown} order by l.position) from {link} l join {table} c on c.{identity} = l.{child}"
        " where l.{parent} = t.{own}), '[]')"
    )
    names = {
        "link": sql.Identifier(pointer_list.link),
        "table": sql.Identifier(pointer_list.table),
        "identity": sql.Identifier(pointer_list.identity),
        "child": sql.Identifier(pointer_list.child),
        "parent": sql.Identifier(pointer_list.parent),
        "own": sql.Identifier(shape.identity),
    }
    ids, shown = (
        statement.format(shown=sql.Identifier(one), **names) for one in (pointer_list.identity, pointer_list.name)
    )
    return ids, shown


def find(connection: Connection, owner_id: int, setup_change_id: int) -> SetupChange | None:
    """Return one change."""
    cursor = driver(connection).cursor(row_factory=class_row(SetupChange))
    statement = f"select setup_change_id, {', '.join(_COLUMNS)} from setup_changes where owner_id = %s"
    return cursor.execute(f"{statement} and setup_change_id = %s", (owner_id, setup_change_id)).fetchone()


def page(connection: Connection, owner_id: int, filters: SetupChangeFilters, paging: Paging) -> Page[SetupChange]:
    """Return a page of changes, the newest first."""
    asked = f"owner_id = %(owner_id)s and {where(filters, _CONDITIONS)}"
    known = {**parameters(filters), "owner_id": owner_id, "offset": paging.offset, "size": paging.rows_max}
    cursor = driver(connection).cursor(row_factory=class_row(SetupChange))
    statement = f"select setup_change_id, {', '.join(_COLUMNS)} from setup_changes where {asked}"
    rows = cursor.execute(
        f"{statement} order by setup_change_id desc offset %(offset)s limit %(size)s", known
    ).fetchall()
    total = None
    if paging.with_total:
        counted = driver(connection).execute(f"select count(*) from setup_changes where {asked}", known).fetchone()
        total = int(counted[0]) if counted else 0
    return Page(rows, total)


@dataclass(frozen=True, slots=True)
class ListChanges:
    """What became of one list since a change: how many changes, and the number of the last one of the owner."""

    rows: int
    created: int
    deleted: int
    last: int


def last(connection: Connection, owner_id: int) -> int:
    """Return the number of the newest change of an owner; 0 if there is none."""
    statement = "select coalesce(max(setup_change_id), 0) from setup_changes where owner_id = %s"
    row = driver(connection).execute(statement, (owner_id,)).fetchone()
    return int(row[0]) if row else 0


def since(
    connection: Connection, owner_id: int, list_name: str, setup_change_id: int, *, most: int
) -> ListChanges | None:
    """Return what became of a list after a change; None if the owner has more than ``most`` changes after it."""
    statement = """
        select count(*), count(*) filter (where list = %(list)s),
            count(*) filter (where list = %(list)s and action = 'created'),
            count(*) filter (where list = %(list)s and action = 'deleted'), coalesce(max(setup_change_id), %(after)s)
        from (select setup_change_id, list, action from setup_changes
            where owner_id = %(owner_id)s and setup_change_id > %(after)s order by setup_change_id limit %(limit)s) c"""
    known = {"list": list_name, "after": setup_change_id, "owner_id": owner_id, "limit": most + 1}
    row = driver(connection).execute(statement, known).fetchone()
    return None if row is None or row[0] > most else ListChanges(*row[1:])


ChangedIds = dict[tuple[str, str], list[int]]
"""The objects that changed, by list and action."""


def changed_ids(
    connection: Connection, owner_id: int, lists: Sequence[str], *, after: int, most: int
) -> ChangedIds | None:
    """Return which objects of ``lists`` changed after a change; None if there are more than ``most`` such changes.

    A transaction that changes the set-up holds the owner's price book, so what is committed later has a higher number.
    """
    statement = """
        select list, action, object_id from setup_changes
        where owner_id = %s and setup_change_id > %s and list = any(%s) order by setup_change_id limit %s"""
    rows = driver(connection).execute(statement, (owner_id, after, list(lists), most + 1)).fetchall()
    if len(rows) > most:
        return None
    found: ChangedIds = {}
    for list_name, action, object_id in rows:
        found.setdefault((list_name, action), []).append(object_id)
    return found
