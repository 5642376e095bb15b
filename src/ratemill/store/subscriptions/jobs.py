"""Imports of subscription objects as jobs: whose turn it is, who is at work, how far it has come, what was wrong.

An import's row is its job (decision 5). One import of an owner is at work at a time, the others wait in the order in which
they came.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

from psycopg.rows import class_row

from ratemill.store import bulk
from ratemill.store.connections import Connection, driver
from ratemill.store.subscriptions import objects
from ratemill.store.subscriptions.imports import PLURALS


@dataclass(frozen=True, slots=True)
class SubscriptionJob:
    """An import as the work that it orders; (``kind``, ``next_line``) is where its next table begins."""

    import_number: int
    owner_id: int
    import_id: UUID
    state: str
    upsert: bool
    dry_run: bool
    created_by: str
    kind: int
    next_line: int
    attempts: int
    error: str | None


@dataclass(frozen=True, slots=True)
class LineRefusal:
    """What was wrong with a line: each fault is a field and an error."""

    line_number: int
    external_ref: str | None
    faults: Sequence[tuple[str, str]]


_COLUMNS = ", ".join(SubscriptionJob.__dataclass_fields__)
_FAULT = ("import_number", "owner_id", "line_number", "position", "error_id", "field", "error", "external_ref")


def due(connection: Connection) -> list[int]:
    """Return the imports that may be worked on now: of each owner the one at work, else the first that waits."""
    rows = driver(connection).execute(
        """
        select distinct on (owner_id) import_number from subscription_imports where state in ('pending', 'started')
        order by owner_id, state = 'started' desc, import_number
        """
    )
    return [row[0] for row in rows]


def hold(connection: Connection, import_number: int) -> SubscriptionJob | None:
    """Lock an import that waits or is at work; None if it has ended, or another process holds it."""
    with driver(connection).cursor(row_factory=class_row(SubscriptionJob)) as cursor:
        cursor.execute(
            f"""select {_COLUMNS} from subscription_imports
            where import_number = %s and state in ('pending', 'started') for update skip locked""",
            (import_number,),
        )
        return cursor.fetchone()


def begin(connection: Connection, job: SubscriptionJob) -> bool:
    """Let an import that is held be the one at work; return whether its turn has come."""
    # Nobody else begins one of this owner's meanwhile: an import may become visible after one with a higher number.
    driver(connection).execute("select from owners where owner_id = %s for no key update", (job.owner_id,))
    begun = driver(connection).execute(
        """
        update subscription_imports i set state = 'started', started_at = clock_timestamp(), updated_at = clock_timestamp()
        where i.import_number = %s and not exists (select from subscription_imports o where o.owner_id = i.owner_id
            and (o.state = 'started' or (o.state = 'pending' and o.import_number < i.import_number)))
        """,
        (job.import_number,),
    )
    return begun.rowcount == 1


def lines(
    connection: Connection, import_number: int, kind: int, next_line: int, *, lines_max: int, bytes_max: int
) -> list[tuple[int, bytes]]:
    """Return the next lines of a kind with their numbers: as many as allowed, and one at least if there is one."""
    rows = driver(connection).execute(
        """
        select line_number, line from (
            select line_number, line, sum(octet_length(line)) over (order by line_number) - octet_length(line) as before
            from (
                select line_number, line from subscription_import_lines
                where import_number = %(import_number)s and kind = %(kind)s and line_number >= %(next_line)s
                order by line_number limit %(lines_max)s
            ) n
        ) w where before < %(bytes_max)s order by line_number
        """,
        {
            "import_number": import_number,
            "kind": kind,
            "next_line": next_line,
            "lines_max": lines_max,
            "bytes_max": bytes_max,
        },
        binary=True,
    )
    return rows.fetchall()


def advance(
    connection: Connection,
    job: SubscriptionJob,
    *,
    kind: int,
    next_line: int,
    attempts: int,
    imported: int,
    refusals: Sequence[LineRefusal],
) -> None:
    """Write down what was wrong with the lines of a table, how many were imported, and where the next table begins."""
    counted = f"{PLURALS[kind - 1]}_imported = {PLURALS[kind - 1]}_imported + %(imported)s," if kind else ""
    _write(connection, job, refusals)
    driver(connection).execute(
        f"""
        update subscription_imports set {counted} lines_refused = lines_refused + %(refused)s, faults = faults + %(faults)s,
            kind = %(kind)s, next_line = %(next_line)s, attempts = %(attempts)s, error = null,
            updated_at = clock_timestamp()
        where import_number = %(import_number)s
        """,
        {
            "imported": imported,
            "refused": len(refusals),
            "faults": sum(len(refusal.faults) for refusal in refusals),
            "kind": kind,
            "next_line": next_line,
            "attempts": attempts,
            "import_number": job.import_number,
        },
    )


def _write(connection: Connection, job: SubscriptionJob, refusals: Iterable[LineRefusal]) -> None:
    rows = [
        (job.import_number, job.owner_id, refusal.line_number, position, uuid4(), field, error, refusal.external_ref)
        for refusal in refusals
        for position, (field, error) in enumerate(refusal.faults, 1)
    ]
    if rows:
        bulk.insert_rows(connection, "subscription_import_errors", _FAULT, rows)


def failed_lines(
    connection: Connection, import_number: int, refs: Mapping[int, Iterable[str]]
) -> dict[tuple[int, str], int]:
    """Return the first line of an import that was refused, by the kind and the reference that it bears."""
    kinds = [int(kind) for kind, each in refs.items() for _ in each]
    named = [ref for each in refs.values() for ref in each]
    if not named:
        return {}
    # The faults of the import are read once, whatever the planner thinks of how many there are. Planned with its values:
    # only a list that is known is looked up by hash.
    rows = driver(connection).execute(
        """
        with failed as materialized (
            select line_number, external_ref from subscription_import_errors
            where import_number = %(import_number)s and position = 1 and external_ref = any(%(refs)s::text[])
        )
        select l.kind, f.external_ref, min(f.line_number)
        from failed f join subscription_import_lines l on l.import_number = %(import_number)s
            and l.kind = any(%(kinds)s::smallint[]) and l.line_number = f.line_number
        group by l.kind, f.external_ref
        """,
        {"refs": named, "kinds": sorted(set(kinds)), "import_number": import_number},
        prepare=False,
    )
    return {(kind, ref): line_number for kind, ref, line_number in rows}


def end(connection: Connection, job: SubscriptionJob, error: str | None = None) -> None:
    """End an import: it was worked through, or it broke with an error."""
    objects.forget_trial(connection, job.import_number)
    driver(connection).execute(
        """
        update subscription_imports set state = case when %(error)s::text is null then 'success' else 'failed' end,
            error = %(error)s, finished_at = clock_timestamp(), updated_at = clock_timestamp()
        where import_number = %(import_number)s
        """,
        {"error": error, "import_number": job.import_number},
    )
