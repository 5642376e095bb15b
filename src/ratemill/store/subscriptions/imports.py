"""Imports of subscription data: a file's lines and the row of its import are kept, listed and shown.

How its job goes on is ``jobs``'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg import errors
from psycopg.rows import class_row

from ratemill.comparisons import Comparison
from ratemill.store.comparisons import ComparedColumn, Values, conditions
from ratemill.store.connections import Connection, driver

PLURALS = ("products", "plans", "subscribers", "offerings", "subscriptions")  # kinds 1 to 5

PORTION_LINES_MAX = 2_000  # lines of one statement
PORTION_BYTES_MAX = 1024 * 1024  # of the lines of one statement, but that one line may be longer


@dataclass(frozen=True, slots=True)
class SubscriptionImport:
    """One import: what was asked, how far it has come, and its counts by kind."""

    import_number: int
    owner_id: int
    import_id: UUID
    external_ref: str | None
    state: str
    upsert: bool
    dry_run: bool
    created_by: str
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    lines: int
    lines_refused: int
    faults: int
    products_uploaded: int
    plans_uploaded: int
    subscribers_uploaded: int
    offerings_uploaded: int
    subscriptions_uploaded: int
    products_imported: int
    plans_imported: int
    subscribers_imported: int
    offerings_imported: int
    subscriptions_imported: int
    error: str | None

    @property
    def uploaded(self) -> tuple[int, ...]:
        """Return how many lines bear each type, kinds 1 to 5."""
        return tuple(getattr(self, f"{plural}_uploaded") for plural in PLURALS)

    @property
    def imported(self) -> tuple[int, ...]:
        """Return how many lines of each type were imported, kinds 1 to 5."""
        return tuple(getattr(self, f"{plural}_imported") for plural in PLURALS)


@dataclass(frozen=True, slots=True)
class LineError:
    """One thing wrong with one line; ``field`` is empty where the line as a whole is at fault."""

    error_id: UUID
    line_number: int
    error: str
    field: str
    external_ref: str | None
    created_at: datetime


_COLUMNS = ", ".join(SubscriptionImport.__dataclass_fields__)
_ERROR_COLUMNS = ", ".join(LineError.__dataclass_fields__)

# What a list may be filtered by.
IMPORT_FIELDS = {
    "id": ComparedColumn("import_id", "uuid"),
    "external_ref": ComparedColumn("external_ref", "text", "md5(external_ref)", "text"),
    "status": ComparedColumn("state", "text"),
    "created_at": ComparedColumn("created_at", "timestamptz"),
    "updated_at": ComparedColumn("updated_at", "timestamptz"),
    "started_at": ComparedColumn("started_at", "timestamptz"),
    "finished_at": ComparedColumn("finished_at", "timestamptz"),
}
ERROR_FIELDS = {
    "line_number": ComparedColumn("line_number", "integer"),
    "field": ComparedColumn("field", "text"),
    "external_ref": ComparedColumn("external_ref", "text"),
}


def insert(
    connection: Connection,
    *,
    owner_id: int,
    import_id: UUID,
    external_ref: str | None,
    upsert: bool,
    dry_run: bool,
    created_by: str,
    lines: int,
    uploaded: Mapping[int, int],
) -> int | None:
    """Order an import; return its number, or None if one that has not ended has the same reference."""
    counts = [uploaded.get(kind, 0) for kind in range(1, len(PLURALS) + 1)]
    counted = ", ".join(f"{plural}_uploaded" for plural in PLURALS)
    try:
        row = (
            driver(connection)
            .execute(
                f"""
                insert into subscription_imports
                    (owner_id, import_id, external_ref, upsert, dry_run, created_by, lines, {counted})
                values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) returning import_number
                """,
                (owner_id, import_id, external_ref, upsert, dry_run, created_by, lines, *counts),
            )
            .fetchone()
        )
    except errors.UniqueViolation:
        return None
    return row[0] if row else None


def is_taken(connection: Connection, external_ref: str, *, but: int) -> bool:
    """Return whether any other import of the owner has that reference."""
    statement = """select exists (select from subscription_imports where md5(external_ref) = md5(%s)
        and external_ref = %s and import_number <> %s)"""
    row = driver(connection).execute(statement, (external_ref, external_ref, but)).fetchone()
    return bool(row and row[0])


def add_lines(
    connection: Connection, owner_id: int, import_number: int, lines: Iterable[tuple[int, int, bytes]]
) -> None:
    """Keep the lines of an import, each with its kind and number."""
    statement = """
        insert into subscription_import_lines (import_number, owner_id, kind, line_number, line)
        select %s, %s, * from unnest(%b::smallint[], %b::integer[], %b::bytea[])
        """
    for portion in _portions(lines):
        kinds, numbers, texts = (list(each) for each in zip(*portion, strict=True))
        driver(connection).execute(statement, (import_number, owner_id, kinds, numbers, texts))


def _portions(lines: Iterable[tuple[int, int, bytes]]) -> Iterator[list[tuple[int, int, bytes]]]:
    portion: list[tuple[int, int, bytes]] = []
    size = 0
    for line in lines:
        if portion and (len(portion) == PORTION_LINES_MAX or size + len(line[2]) > PORTION_BYTES_MAX):
            yield portion
            portion, size = [], 0
        portion.append(line)
        size += len(line[2])
    if portion:
        yield portion


def find_number(connection: Connection, import_number: int) -> SubscriptionImport:
    """Return the import of that number, which is there."""
    with driver(connection).cursor(row_factory=class_row(SubscriptionImport)) as cursor:
        statement = f"select {_COLUMNS} from subscription_imports where import_number = %s"
        found = cursor.execute(statement, (import_number,)).fetchone()
    if found is None:
        raise LookupError(import_number)
    return found


def find(connection: Connection, import_id: UUID) -> SubscriptionImport | None:
    """Return an import by its id."""
    with driver(connection).cursor(row_factory=class_row(SubscriptionImport)) as cursor:
        statement = f"select {_COLUMNS} from subscription_imports where import_id = %s"
        return cursor.execute(statement, (import_id,)).fetchone()


def page(
    connection: Connection, owner_id: int, comparisons: Sequence[Comparison[str]], *, offset: int, limit: int
) -> tuple[list[SubscriptionImport], int]:
    """Return a page of imports, the newest first, and how many there are."""
    values: Values = {"owner_id": owner_id, "offset": offset, "limit": limit}
    where = conditions(comparisons, IMPORT_FIELDS, values)
    clause = f"from subscription_imports where owner_id = %(owner_id)s and {where}"
    total = driver(connection).execute(f"select count(*) {clause}", values).fetchone()
    with driver(connection).cursor(row_factory=class_row(SubscriptionImport)) as cursor:
        statement = f"""select {_COLUMNS} {clause} order by created_at desc, import_id desc
            limit %(limit)s offset %(offset)s"""
        return cursor.execute(statement, values).fetchall(), (total[0] if total else 0)


def errors_page(
    connection: Connection, import_number: int, comparisons: Sequence[Comparison[str]], *, offset: int, limit: int
) -> tuple[list[LineError], int]:
    """Return a page of what was wrong with lines, by line, and how many faults there are."""
    values: Values = {"import_number": import_number, "offset": offset, "limit": limit}
    where = conditions(comparisons, ERROR_FIELDS, values)
    clause = f"from subscription_import_errors where import_number = %(import_number)s and {where}"
    total = driver(connection).execute(f"select count(*) {clause}", values).fetchone()
    with driver(connection).cursor(row_factory=class_row(LineError)) as cursor:
        statement = f"""select {_ERROR_COLUMNS} {clause} order by line_number, position
            limit %(limit)s offset %(offset)s"""
        return cursor.execute(statement, values).fetchall(), (total[0] if total else 0)


def refused_lines(connection: Connection, import_number: int, *, after: int) -> list[tuple[int, bytes]]:
    """Return the next lines that were refused, by number, as they came; one at least, unless there is none."""
    rows = driver(connection).execute(
        """
        select line_number, line from (
            select l.line_number, l.line, sum(length(l.line)) over (order by l.line_number) - length(l.line) as before
            from subscription_import_lines l
            join (
                select distinct line_number from subscription_import_errors
                where import_number = %(number)s and line_number > %(after)s order by line_number limit %(lines_max)s
            ) e using (line_number)
            where l.import_number = %(number)s
        ) n where before < %(bytes_max)s order by line_number
        """,
        {
            "number": import_number,
            "after": after,
            "lines_max": PORTION_LINES_MAX,
            "bytes_max": PORTION_BYTES_MAX,
        },
    )
    return [(number, bytes(line)) for number, line in rows]
