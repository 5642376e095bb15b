"""Subscription objects as they are written, in bulk: found by what names them, inserted, changed.

A kind is its number, 1 to 5. ``trial`` is the number of an import that is a dry run: what it would have made is kept apart,
and found beside what is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any, NamedTuple
from uuid import UUID

from psycopg import Cursor

from ratemill.store import bulk
from ratemill.store.connections import Connection, driver


class Terms(NamedTuple):
    """What of a subscription its rating needs, as table ``subscriptions`` has it."""

    account_id: UUID
    currency: str
    plan_id: UUID
    plan_external_ref: str | None
    offering_external_ref: str | None
    state: str
    started_at: datetime | None
    ended_at: datetime | None


class StoredObject(NamedTuple):
    """An object as it is stored; ``document`` is that of its snapshot, ``object_number`` None where a dry run made it."""

    object_number: int | None
    kind: int
    object_id: UUID
    external_ref: str | None
    account_id: UUID | None
    attributes: str
    import_number: int | None
    line_number: int | None
    snapshot_number: int | None
    document: str | None
    currency: str | None = None
    plan_id: UUID | None = None
    plan_external_ref: str | None = None
    offering_external_ref: str | None = None
    state: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    service_id: int | None = None


class WrittenObject(NamedTuple):
    """An object to be written; ``object_number`` is None for one of a dry run."""

    object_number: int | None
    kind: int
    object_id: UUID
    external_ref: str | None
    account_id: UUID | None
    attributes: str
    snapshot_number: int | None
    import_number: int | None
    line_number: int | None
    terms: Terms | None = None


_OBJECT = tuple(name for name in WrittenObject._fields if name != "terms")
_CHANGED = tuple(name for name in _OBJECT if name not in ("object_number", "kind", "object_id"))
_TERMS = Terms._fields
_of_object = attrgetter(*_OBJECT)
_TRIAL = ("kind", "object_id", "external_ref", "attributes", "line_number")
_ARRAYS = {
    "external_ref": "text[]",
    "account_id": "uuid[]",
    "attributes": "text[]",
    "snapshot_number": "bigint[]",
    "import_number": "bigint[]",
    "line_number": "integer[]",
}
_STORED = """o.object_number, o.kind::integer, o.object_id, o.external_ref, o.account_id, o.attributes, o.import_number,
    o.line_number, o.snapshot_number, n.document, s.currency, s.plan_id, s.plan_external_ref, s.offering_external_ref,
    s.state, s.started_at, s.ended_at, s.service_id"""
_JOINED = """left join subscription_snapshots n on n.snapshot_number = o.snapshot_number
    left join subscriptions s on s.object_number = o.object_number"""


def _stored(_cursor: Cursor[Any]) -> Callable[[Sequence[Any]], StoredObject]:
    """Let rows be objects: their columns are in the order of the fields, the last may be left out."""
    return lambda values: StoredObject(*values)


def find(
    connection: Connection,
    owner_id: int,
    refs: Mapping[int, Iterable[str]],
    ids: Mapping[int, Iterable[UUID]],
    *,
    lock: bool = False,
    trial: int | None = None,
) -> list[StoredObject]:
    """Return the objects that bear these references, by kind, or these ids; ``lock`` keeps others from changing them."""
    named = [(kind, ref) for kind, each in refs.items() for ref in each]
    identified = [(kind, object_id) for kind, each in ids.items() for object_id in each]
    values: dict[str, Any] = {
        "owner_id": owner_id,
        "ref_kinds": [int(kind) for kind, _ in named],
        "refs": [ref for _, ref in named],
        "id_kinds": [int(kind) for kind, _ in identified],
        "ids": [object_id for _, object_id in identified],
        "trial": trial,
    }
    with bulk.looked_up_by_index(connection):
        return list(_found(connection, values, lock=lock, trial=trial))


def _found(connection: Connection, values: dict[str, Any], *, lock: bool, trial: int | None) -> Iterator[StoredObject]:
    locked = "order by o.object_number for update of o" if lock else ""
    with driver(connection).cursor(row_factory=_stored) as cursor:
        if values["refs"]:
            yield from cursor.execute(
                f"""
                with known as materialized (
                    select f.object_number from unnest(%(ref_kinds)s::smallint[], %(refs)s::text[]) v (kind, ref)
                    cross join lateral (
                        select x.object_number from subscription_objects x where x.owner_id = %(owner_id)s
                            and x.kind = v.kind and md5(x.external_ref) = md5(v.ref) and x.external_ref = v.ref offset 0
                    ) f
                )
                select {_STORED} from known join subscription_objects o on o.object_number = known.object_number
                {_JOINED} {locked}
                """,
                values,
            )
        if values["ids"]:
            yield from cursor.execute(
                f"""
                with known as materialized (
                    select f.object_number from unnest(%(id_kinds)s::smallint[], %(ids)s::uuid[]) v (kind, object_id)
                    cross join lateral (
                        select x.object_number from subscription_objects x
                        where x.object_id = v.object_id and x.owner_id = %(owner_id)s and x.kind = v.kind offset 0
                    ) f
                )
                select {_STORED} from known join subscription_objects o on o.object_number = known.object_number
                {_JOINED} {locked}
                """,
                values,
            )
        if trial is not None:
            yield from cursor.execute(
                """
                select null::bigint as object_number, t.kind::integer, t.object_id, t.external_ref, null::uuid as account_id,
                    t.attributes, t.import_number, t.line_number, null::bigint as snapshot_number, t.document
                from unnest(%(ref_kinds)s::smallint[], %(refs)s::text[]) v (kind, ref)
                cross join lateral (
                    select * from subscription_trial_objects x where x.import_number = %(trial)s and x.kind = v.kind
                        and md5(x.external_ref) = md5(v.ref) and x.external_ref = v.ref offset 0
                ) t
                """,
                values,
            )


def find_number(connection: Connection, object_number: int, *, lock: bool = False) -> StoredObject | None:
    """Return an object by its number."""
    with driver(connection).cursor(row_factory=_stored) as cursor:
        statement = f"""select {_STORED} from subscription_objects o {_JOINED}
            where o.object_number = %s {"for update of o" if lock else ""}"""
        return cursor.execute(statement, (object_number,)).fetchone()


def existing_accounts(connection: Connection, owner_id: int, names: Iterable[str]) -> set[str]:
    """Return which of these names are names of accounts."""
    rows = driver(connection).execute(
        "select name from accounts where owner_id = %s and name = any(%s)", (owner_id, list(names))
    )
    return {row[0] for row in rows}


def insert_snapshots(connection: Connection, owner_id: int, documents: Sequence[str]) -> list[int]:
    """Keep snapshots; return their numbers."""
    if not documents:
        return []
    numbers = bulk.new_identities(connection, "subscription_snapshots", "snapshot_number", len(documents))
    rows = ((number, owner_id, document) for number, document in zip(numbers, documents, strict=True))
    bulk.insert_rows(connection, "subscription_snapshots", ("snapshot_number", "owner_id", "document"), rows)
    return numbers


def new_numbers(connection: Connection, count: int) -> list[int]:
    """Return numbers for so many new objects."""
    return bulk.new_identities(connection, "subscription_objects", "object_number", count) if count else []


def insert(connection: Connection, owner_id: int, objects: Sequence[WrittenObject]) -> None:
    """Write new objects, which have their numbers, but for their terms; raise ``Clash`` if a reference is taken."""
    if objects:
        rows = ((owner_id, *_of_object(each)) for each in objects)
        bulk.insert_rows(connection, "subscription_objects", ("owner_id", *_OBJECT), rows)


def insert_terms(
    connection: Connection, owner_id: int, objects: Sequence[WrittenObject], service_of: Mapping[int, int]
) -> None:
    """Write the terms of new subscriptions, with the services that they became, by object number."""
    rows = [
        (owner_id, each.object_number, service_of.get(each.object_number or 0), *each.terms)
        for each in objects
        if each.terms
    ]
    if rows:
        columns = ("owner_id", "object_number", "service_id", *_TERMS)
        bulk.insert_rows(connection, "subscriptions", columns, rows)


def update(connection: Connection, objects: Sequence[WrittenObject]) -> None:
    """Write changed objects and count their revision; raise ``Clash`` if a reference is taken."""
    if not objects:
        return
    assigned = ", ".join(f"{name} = v.{name}" for name in _CHANGED)
    arrays = ", ".join(f"%({name})s::{_ARRAYS[name]}" for name in _CHANGED)
    values = {name: [getattr(each, name) for each in objects] for name in ("object_number", *_CHANGED)}
    with bulk.guarded():
        driver(connection).execute(
            f"""
            update subscription_objects o set revision = o.revision + 1, updated_at = clock_timestamp(), {assigned}
            from unnest(%(object_number)s::bigint[], {arrays}) v (object_number, {", ".join(_CHANGED)})
            where o.object_number = v.object_number
            """,
            values,
        )
    sold = [(each.object_number, each.terms) for each in objects if each.terms]
    if sold:
        assigned = ", ".join(f"{name} = %({name})s" for name in _TERMS)
        with driver(connection).cursor() as cursor:
            cursor.executemany(
                f"update subscriptions set {assigned} where object_number = %(object_number)s",
                [
                    {"object_number": object_number, **{name: getattr(terms, name) for name in _TERMS}}
                    for object_number, terms in sold
                ],
            )


def insert_trial(
    connection: Connection, owner_id: int, trial: int, objects: Iterable[tuple[WrittenObject, str | None]]
) -> None:
    """Keep what a dry run would have written, with the documents of snapshots, instead of what it kept before."""
    kept = [(each, document) for each, document in objects if each.external_ref is not None]
    if not kept:
        return
    with bulk.looked_up_by_index(connection):
        driver(connection).execute(
            """
            delete from subscription_trial_objects where ctid = any(array(
                select t.ctid from unnest(%s::smallint[], %s::text[]) v (kind, ref)
                cross join lateral (
                    select x.ctid from subscription_trial_objects x where x.import_number = %s and x.kind = v.kind
                        and md5(x.external_ref) = md5(v.ref) and x.external_ref = v.ref offset 0
                ) t
            ))
            """,
            ([each.kind for each, _ in kept], [each.external_ref for each, _ in kept], trial),
        )
    rows = ((trial, owner_id, document, *(getattr(each, name) for name in _TRIAL)) for each, document in kept)
    columns = ("import_number", "owner_id", "document", *_TRIAL)
    bulk.insert_rows(connection, "subscription_trial_objects", columns, rows)


def forget_trial(connection: Connection, trial: int) -> None:
    """Forget what a dry run would have written."""
    driver(connection).execute("delete from subscription_trial_objects where import_number = %s", (trial,))
