"""No index refuses a row: each holds the longest texts that its columns may have.

An entry of a B-tree ends at 2,704 bytes, and one over a text of any length refuses the row of a longer one. A column below
has a bound that is checked before a row is written; every other text may be as long as a field of usage.
"""

import re
from functools import cache
from random import Random

import pytest
from psycopg import sql

from ratemill.errors import UnstorableData
from ratemill.intake.accept import IDEMPOTENCY_KEY_CHARS_MAX
from ratemill.reference.characteristics import values as item_values
from ratemill.reference.characteristics.values import ID_CHARS_MAX, NAME_CHARS_MAX, REFERENCE_CHARS_MAX, REFERENCE_KEYS
from ratemill.settings import Settings
from ratemill.setup.declaration import MemberKind
from ratemill.setup.objects.registry import BASE_UNITS, OBJECTS, OWNERS
from ratemill.store.charges import rating_exceptions, reprocesses
from ratemill.store.connections import Connection, Database, driver

WORDS_CHARS_MAX = 64  # of what the code alone writes: the name of a table, of a column or of a list
PLACE_CHARS_MAX = 2 * NAME_CHARS_MAX + 64  # of a place in an item: a lookup, its row and a field of the row
BOUNDS = {
    "alembic_version.version_num": 32,
    "characteristic_batches.idempotency_key": IDEMPOTENCY_KEY_CHARS_MAX,
    "characteristic_fields.name": item_values.DECLARED_NAME_CHARS_MAX,
    "characteristic_items.id": ID_CHARS_MAX,
    "characteristic_staged.id": ID_CHARS_MAX,
    "characteristic_staged_uses.member": PLACE_CHARS_MAX,
    "characteristic_uses.member": PLACE_CHARS_MAX,
    "charged_objects.charge_column": WORDS_CHARS_MAX,
    "import_files.name": ID_CHARS_MAX,
    "named_objects.key": max(map(len, REFERENCE_KEYS)),
    "named_objects.kind": NAME_CHARS_MAX,
    "named_objects.value": REFERENCE_CHARS_MAX,
    "setup_changes.list": WORDS_CHARS_MAX,
    "submissions.idempotency_key": IDEMPOTENCY_KEY_CHARS_MAX,
}
# What else is of no fixed size, and small: a digest of 32 bytes, an amount of few digits.
SMALL = {"tokens.secret_sha256", "rates.amount"}
TEXTS = ("text", "character varying")
VALUES = {
    "bytea": "\\x" + "f0" * 32,
    "timestamp with time zone": "2026-01-01 00:00:00.123456+00",
    "uuid": "3f1c2a64-6d2e-4a6e-9f0b-2c7a8b1d4e55",
}

INDEXES = """
    select i.indexrelid::regclass::text, i.indrelid::regclass::text, pg_get_indexdef(i.indexrelid),
        array_agg(a.attname::text order by a.attnum),
        array_agg(regexp_replace(format_type(a.atttypid, null), ' without.*', '') order by a.attnum)
    from pg_index i join pg_class t on t.oid = i.indrelid and t.relnamespace = 'public'::regnamespace
    join (
        select indexrelid, unnest(indkey::int[]) as number from pg_index
        union
        select objid, refobjsubid from pg_depend where classid = 'pg_class'::regclass and refclassid = classid
    ) d on d.indexrelid = i.indexrelid
    join pg_attribute a on a.attrelid = i.indrelid and a.attnum = d.number and d.number > 0
    group by 1, 2, 3 having bool_or(a.attlen = -1) order by 1
"""


def declared() -> dict[str, int]:
    """Return how long the texts of set-up objects may be."""
    members = [
        (each, member)
        for each in (BASE_UNITS, OWNERS, *OBJECTS)
        for member in each.members
        if member.kind in (MemberKind.TEXT, MemberKind.CHOICE)
    ]
    return {
        f"{each.table}.{member.column}": member.chars_max
        for each, member in members
        if not (member.virtual or member.inner)
    }


@cache
def longest(chars: int) -> str:
    """Return a text that no compression makes short, of characters of four bytes each."""
    return "".join(map(chr, Random(chars).choices(range(0x20000, 0x2A6D0), k=chars)))


def write_longest(connection: Connection, table: str, definition: str, types: dict[str, str]) -> None:
    """Write the longest texts to an empty copy of a table that has one of its indexes."""
    run = driver(connection).execute
    copy = sql.SQL("create temporary table probe (like {} including generated) on commit drop")
    run(copy.format(sql.Identifier(table)))
    columns = run(
        "select attname, attgenerated <> '', attnotnull from pg_attribute where attrelid = 'probe'::regclass and attnum > 0"
    ).fetchall()
    for column, _, required in columns:
        if required:
            run(sql.SQL("alter table probe alter column {} drop not null").format(sql.Identifier(column)))
    index = re.sub(r"INDEX \S+ ON \S+ USING", "INDEX ON probe USING", definition)
    run(re.sub(r" WHERE .*", "", index).encode())
    generated = {column for column, is_generated, _ in columns if is_generated}
    bounds = declared() | BOUNDS
    field_chars = Settings.model_fields["field_chars_max"].default
    row = {
        column: longest(bounds.get(f"{table}.{column}", field_chars)) if kind in TEXTS else VALUES.get(kind, "1")
        for column, kind in types.items()
        if column not in generated
    }
    names, values = sql.SQL(", ").join(map(sql.Identifier, row)), sql.SQL(", ").join(map(sql.Literal, row.values()))
    run(sql.SQL("insert into probe ({}) values ({})").format(names, values))


def test_every_index_holds_the_longest_texts_of_its_columns(database: Database):
    with database.schema_owner() as connection:
        found = driver(connection).execute(INDEXES).fetchall()
    assert len(found) > 30
    refused = {}
    for name, table, definition, columns, kinds in found:
        types = dict(zip(columns, kinds, strict=True))
        unknown = {each for each, kind in types.items() if kind in ("bytea", "jsonb", "json", "numeric")}
        assert {f"{table}.{each}" for each in unknown} <= SMALL, name
        try:
            with database.schema_owner() as connection:
                write_longest(connection, table, definition, types)
        except UnstorableData as error:
            refused[name] = str(error)
    assert refused == {}


def test_a_bound_is_of_a_column_in_an_index(database: Database):
    with database.schema_owner() as connection:
        found = driver(connection).execute(INDEXES).fetchall()
    assert set(BOUNDS) | SMALL <= {f"{table}.{column}" for _, table, _, columns, _ in found for column in columns}


def planned(connection: Connection, statement: str, values: dict[str, object]) -> str:
    """Return how PostgreSQL finds the rows of a statement if it can use an index."""
    driver(connection).execute("set local enable_seqscan = off")
    return "\n".join(row[0] for row in driver(connection).execute(f"explain {statement}", values))


@pytest.mark.parametrize("operator", ["eq", "in"])
def test_an_order_finds_exceptions_by_the_index_over_digests(database: Database, operator: str):
    search = [{"name": "usage_identifier", "operator": operator, "values": ["648-688-4180"]}]
    condition, values = reprocesses._condition({"condition": "and", "search": search})
    with database.face(1) as connection:
        plan = planned(connection, f"select from rating_exceptions e where {condition}", values)
    assert "usage_identifier_digest = " in plan.partition("Index Cond:")[2].partition("Filter:")[0], plan


def test_a_search_finds_exceptions_by_the_index_over_digests(database: Database):
    condition = rating_exceptions._CONDITIONS["usage_identifier"]
    with database.face(1) as connection:
        statement = f"select from rating_exceptions e where {condition}"
        plan = planned(connection, statement, {"usage_identifier": "648-688-4180"})
    assert "usage_identifier_digest = " in plan.partition("Index Cond:")[2].partition("Filter:")[0], plan
