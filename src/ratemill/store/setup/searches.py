"""Which set-up objects are meant: by comparisons of their members, in an order, a page at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from psycopg import sql
from sqlalchemy import UniqueConstraint

from ratemill.comparisons import NO_VALUE, Comparison, Operator
from ratemill.store.comparisons import Values, bound, joined, not_true, positive, predicate
from ratemill.store.connections import Connection, driver
from ratemill.store.schema.tables import metadata
from ratemill.store.setup.pages import Pointer, PointerList

_BY_TARGET_ROWS_MAX = 10_000  # a later page in the order of names is sorted for
_NAMES_MAX = 2_000  # names gone through for a page in their order, before all is sorted
_SETTLED_MAX = 1_000  # identities that a name may stand for before it is left to the database
# Tables whose rows are counted by these columns already: where that stands, and in which column.
_COUNTED = {"rates": ("rate_counts", "rates", frozenset({"rate_group_id", "usage_class_id"}))}
# Columns with an index of each owner's rows in their order, and operators that hold for one end of it: True where the last.
_IN_ORDER = {"rates": frozenset({"amount"})}
_AT_ONE_END = {Operator.LT: False, Operator.LT_EQ: False, Operator.GT: True, Operator.GT_EQ: True}
_FROM_END_MAX = 20_000  # rows gone through from that end before all are counted


@dataclass(frozen=True, slots=True)
class SearchColumn:
    """What may be compared: a column of type ``type``, or the identity or name of what it points to."""

    column: str
    type: str
    pointer: Pointer | None = None
    pointers: PointerList | None = None
    by_name: bool = False


ColumnComparison: TypeAlias = Comparison[SearchColumn]


@dataclass(frozen=True, slots=True)
class ObjectSearch:
    """The rows of one table and owner for which all comparisons hold, or any; in the order of fields, then by identity."""

    table: str
    identity: str
    owner_id: int
    comparisons: tuple[ColumnComparison, ...] = ()
    any_of: bool = False
    order: tuple[tuple[SearchColumn, bool], ...] = ()  # a field, and whether it descends

    @property
    def is_owned(self) -> bool:
        """Whether the rows belong to owners."""
        return "owner_id" in metadata.tables[self.table].c

    @property
    def key(self) -> tuple[object, ...]:
        """Return what tells the rows of one search from those of another."""
        return (self.table, self.owner_id, repr(self.comparisons), self.any_of)


@dataclass(frozen=True, slots=True)
class Walk:
    """How a page is reached: so many rows skipped from the beginning, or backwards from the end.

    ``place`` is an identity to begin behind, or, backwards, with; only in the order of identities.
    """

    limit: int
    skipped: int
    backwards: bool = False
    place: int | None = None


def settled(connection: Connection, search: ObjectSearch) -> ObjectSearch:
    """Return the search with the identities of what its comparisons name: the planner then knows how many rows they mean."""
    return replace(search, comparisons=tuple(_settled(connection, each) for each in search.comparisons))


def _settled(connection: Connection, comparison: ColumnComparison) -> ColumnComparison:
    """Return a comparison by name, or through another table, as one of a column; as it is if that means many."""
    field, (operator, negated) = comparison.member, positive(comparison.operator)
    pointer = field.pointer
    if pointer is None or not (field.by_name or pointer.through) or operator in NO_VALUE:
        return comparison
    values: Values = {"limit": _SETTLED_MAX + 1}
    value = bound(comparison, field.type, values)
    if pointer.through is None:
        table, identity, column = pointer.table, pointer.identity, pointer.column
        tested = predicate(operator, _quoted("s", pointer.name or pointer.identity), value)
    else:
        table, identity, column = pointer.through.table, pointer.through.identity, pointer.through.column
        own = _quoted("s", pointer.column)
        tested = _named(own, pointer, operator, value) if field.by_name else predicate(operator, own, value)
    statement = sql.SQL("select s.{} from {} s where {} limit %(limit)s").format(
        sql.Identifier(identity), sql.Identifier(table), sql.SQL(tested)
    )
    found = [row[0] for row in driver(connection).execute(statement, values)]
    if len(found) > _SETTLED_MAX:
        return comparison
    return Comparison(SearchColumn(column, "bigint"), Operator.NOT_IN if negated else Operator.IN, tuple(found))


def count(connection: Connection, search: ObjectSearch) -> int:
    """Return how many rows a search finds."""
    if (few := _count_from_end(connection, search)) is not None:
        return few
    values: Values = {}
    counted: sql.Composable = sql.SQL("count(*)")
    if _is_counted(search):
        table, rows, _ = _COUNTED[search.table]
        search, counted = replace(search, table=table), sql.SQL("coalesce(sum(t.{}), 0)").format(sql.Identifier(rows))
    statement = sql.SQL("select {} from {} t where {}").format(
        counted, sql.Identifier(search.table), _conditions(search, values)
    )
    row = driver(connection).execute(statement, values, prepare=False).fetchone()
    return int(row[0]) if row else 0


def _count_from_end(connection: Connection, search: ObjectSearch) -> int | None:
    """Return how many rows are above or below a bound, going from that end; None if there are many, or more is asked.

    Row-level security lets an index give the order of numbers but not compare them: that could tell of others' rows.
    """
    if len(search.comparisons) != 1:
        return None
    (each,) = search.comparisons
    if each.operator not in _AT_ONE_END or each.member.column not in _IN_ORDER.get(search.table, ()):
        return None
    values: Values = {"owner_id": search.owner_id, "most": _FROM_END_MAX}
    statement = sql.SQL(
        "select count(*) filter (where {holds}) from (select t.{column} from {table} t where t.owner_id = %(owner_id)s"
        " order by t.{column} {direction} limit %(most)s) t"
    ).format(
        holds=sql.SQL(_holds(search, each, values)),
        column=sql.Identifier(each.member.column),
        table=sql.Identifier(search.table),
        direction=sql.SQL("desc" if _AT_ONE_END[each.operator] else "asc"),
    )
    row = driver(connection).execute(statement, values, prepare=False).fetchone()
    found = int(row[0]) if row else 0
    return found if found < _FROM_END_MAX else None


def _is_counted(search: ObjectSearch) -> bool:
    """Whether all that is compared is what the rows are counted by."""
    _, _, columns = _COUNTED.get(search.table, ("", "", frozenset()))
    fields = [each.member for each in search.comparisons]
    return bool(columns) and all(
        field.column in columns and field.pointers is None and (field.pointer is None or field.pointer.through is None)
        for field in fields
    )


def identities(connection: Connection, search: ObjectSearch, walk: Walk) -> list[int]:
    """Return the identities of one page, in the order of the search."""
    if walk.limit <= 0:
        return []
    if (found := _by_target(connection, search, walk)) is not None:
        return found
    values: Values = {"limit": walk.limit, "offset": walk.skipped, "place": walk.place}
    ordered, joined = _order(search, backwards=walk.backwards)
    beyond: sql.Composable = sql.SQL("")
    if walk.place is not None:
        operator = sql.SQL("<=" if walk.backwards else ">")
        beyond = sql.SQL(" and t.{} {} %(place)s").format(sql.Identifier(search.identity), operator)
    statement = sql.SQL("select t.{} from {} t {} where {}{} order by {} limit %(limit)s offset %(offset)s").format(
        sql.Identifier(search.identity),
        sql.Identifier(search.table),
        sql.SQL(" ").join(joined),
        _conditions(search, values),
        beyond,
        sql.SQL(", ").join(ordered),
    )
    found = [row[0] for row in driver(connection).execute(statement, values, prepare=False)]  # planned with its values
    return found[::-1] if walk.backwards else found


def _by_target(connection: Connection, search: ObjectSearch, walk: Walk) -> list[int] | None:
    """Return a page of all rows in the order of a name that they point to, by going from name to name.

    The planner would sort all of them. None if that does not do: the page is late, or not within the first names.
    """
    rows = walk.skipped + walk.limit
    if len(search.order) != 1 or search.comparisons or walk.backwards or rows > _BY_TARGET_ROWS_MAX:
        return None
    field, descends = search.order[0]
    pointer = field.pointer
    if pointer is None or not field.by_name or pointer.through is not None or not _has_unique_name(pointer):
        return None
    names = {
        "own": sql.Identifier(search.identity),
        "table": sql.Identifier(search.table),
        "column": sql.Identifier(pointer.column),
        "target": sql.Identifier(pointer.table),
        "identity": sql.Identifier(pointer.identity),
        "name": sql.Identifier(pointer.name or pointer.identity),
        "direction": sql.SQL("desc" if descends else "asc"),
    }
    values = {"owner_id": search.owner_id, "rows": rows, "names": _NAMES_MAX}
    if descends and _has_unset(connection, names, values):
        return None  # these come first
    statement = sql.SQL(
        "select r.{own} from (select x.{identity}, x.{name} from {target} x where x.owner_id = %(owner_id)s "
        "order by x.{name} {direction} limit %(names)s) x cross join lateral (select t.{own} from {table} t "
        "where t.owner_id = %(owner_id)s and t.{column} = x.{identity} order by t.{own} {direction} limit %(rows)s) r "
        "order by x.{name} {direction}, r.{own} {direction} limit %(rows)s"
    ).format(**names)
    found = [row[0] for row in driver(connection).execute(statement, values, prepare=False)]
    return found[walk.skipped :] if len(found) == rows else None


def _has_unique_name(pointer: Pointer) -> bool:
    constraints = metadata.tables[pointer.table].constraints
    unique = [set(each.columns.keys()) for each in constraints if isinstance(each, UniqueConstraint)]
    return {"owner_id", pointer.name} in unique


def _has_unset(connection: Connection, names: dict[str, sql.Composable], values: dict[str, Any]) -> bool:
    statement = sql.SQL("select exists (select from {table} t where t.owner_id = %(owner_id)s and t.{column} is null)")
    row = driver(connection).execute(statement.format(**names), values).fetchone()
    return bool(row and row[0])


def identities_after(connection: Connection, search: ObjectSearch, identity: int, limit: int) -> list[int]:
    """Return up to ``limit`` identities above one, in their order."""
    values: Values = {"after": identity, "limit": limit}
    statement = sql.SQL("select t.{0} from {1} t where {2} and t.{0} > %(after)s order by 1 limit %(limit)s").format(
        sql.Identifier(search.identity), sql.Identifier(search.table), _conditions(search, values)
    )
    return [row[0] for row in driver(connection).execute(statement, values)]


def parts(
    connection: Connection, table: str, identity: str, *, column: str, whole_ids: Sequence[int], limit: int
) -> dict[int, tuple[int, list[int]]]:
    """Return for each object how many rows of ``table`` say that they are parts of it, and the first of them."""
    statement = sql.SQL(
        "select w.id, (select count(*) from {0} t where t.{2} = w.id),"
        " array(select t.{1} from {0} t where t.{2} = w.id order by t.{1} limit %(limit)s)"
        " from unnest(%(ids)s::bigint[]) w (id)"
    ).format(sql.Identifier(table), sql.Identifier(identity), sql.Identifier(column))
    found = driver(connection).execute(statement, {"limit": limit, "ids": list(whole_ids)})
    return {whole_id: (total, children) for whole_id, total, children in found}


def _conditions(search: ObjectSearch, values: Values) -> sql.Composable:
    whole = joined((_holds(search, each, values) for each in search.comparisons), any_of=search.any_of)
    if not search.is_owned:
        return sql.SQL(whole)
    values["owner_id"] = search.owner_id
    return sql.SQL(f"t.owner_id = %(owner_id)s and ({whole})")


def _holds(search: ObjectSearch, comparison: ColumnComparison, values: Values) -> str:
    operator, negated = positive(comparison.operator)
    tested = _points(search, comparison.member, operator, bound(comparison, comparison.member.type, values))
    return not_true(tested) if negated else f"({tested})"


def _points(search: ObjectSearch, field: SearchColumn, operator: Operator, value: str) -> str:
    """Return the test of what a field points to, as one of the column that points there."""
    if field.pointers is not None:
        return _through_list(search, field, field.pointers, operator, value)
    pointer = field.pointer
    if pointer is None:
        return predicate(operator, _quoted("t", field.column), value)
    through = pointer.through
    column = _quoted("t" if through is None else "s", pointer.column)
    tested = predicate(operator, column, value)
    if field.by_name and operator not in NO_VALUE:
        tested = _named(column, pointer, operator, value)
    if through is None:
        return tested
    return _among(_quoted("t", through.column), "s", through.identity, through.table, tested)


def _through_list(
    search: ObjectSearch, field: SearchColumn, pointer_list: PointerList, operator: Operator, value: str
) -> str:
    child = _quoted("l", pointer_list.child)
    if operator in NO_VALUE:
        tested = "true"
    elif field.by_name:
        tested = _named(child, pointer_list, operator, value)
    else:
        tested = predicate(operator, child, value)
    found = _among(_quoted("t", search.identity), "l", pointer_list.parent, pointer_list.link, tested)
    return f"not {found}" if operator is Operator.IS_NULL else found


def _named(column: str, target: Pointer | PointerList, operator: Operator, value: str) -> str:
    tested = predicate(operator, _quoted("x", target.name or target.identity), value)
    return _among(column, "x", target.identity, target.table, tested)


def _among(expression: str, alias: str, column: str, table: str, condition: str) -> str:
    """Return the test that an expression is among the values of a column of those rows that a condition means."""
    return f"{expression} = any(array(select {_quoted(alias, column)} from {_quoted(table)} {alias} where {condition}))"


def _quoted(*names: str) -> str:
    return sql.Identifier(*names).as_string()


def _order(search: ObjectSearch, *, backwards: bool) -> tuple[list[sql.Composable], list[sql.Composable]]:
    ordered: list[sql.Composable] = []
    joined: list[sql.Composable] = []
    descends = False
    for at, (field, descends) in enumerate(search.order):
        expression = _order_expression(field, at, joined)
        ordered.append(_directed(expression, descends=descends != backwards))
    ordered.append(_directed(sql.Identifier("t", search.identity), descends=descends != backwards))
    return ordered, joined


def _directed(expression: sql.Composable, *, descends: bool) -> sql.Composable:
    return sql.SQL("{} desc").format(expression) if descends else expression


def _order_expression(field: SearchColumn, at: int, joined: list[sql.Composable]) -> sql.Composable:
    pointer = field.pointer
    if pointer is None:
        return sql.Identifier("t", field.column)
    beside = "t"
    if pointer.through is not None:
        beside = f"s{at}"
        joined.append(_left_join(pointer.through, beside, "t"))
    if not field.by_name:
        return sql.Identifier(beside, pointer.column)
    joined.append(_left_join(pointer, f"x{at}", beside))
    return sql.Identifier(f"x{at}", pointer.name or pointer.identity)


def _left_join(pointer: Pointer, alias: str, beside: str) -> sql.Composable:
    return sql.SQL("left join {} {} on {} = {}").format(
        sql.Identifier(pointer.table),
        sql.Identifier(alias),
        sql.Identifier(alias, pointer.identity),
        sql.Identifier(beside, pointer.column),
    )
