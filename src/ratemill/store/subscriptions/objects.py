"""Subscription objects as they are written, in bulk: found by what names them, inserted, changed.

``trial`` is the number of an import that is a dry run: what it would have made is kept apart,
and found beside what is there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from psycopg import Cursor

from ratemill.store import bulk
from ratemill.store.connections import Connection, driver
from ratemill.subscription_objects import ObjectKind, Snapshot, SubscriptionObject, SubscriptionTerms

_OBJECT = (
    "object_number",
    "kind",
    "object_id",
    "external_ref",
    "account_id",
    "attributes",
    "snapshot_number",
    "import_number",
    "line_number",
)
_CHANGED = tuple(name for name in _OBJECT if name not in ("object_number", "kind", "object_id"))
_TERMS = SubscriptionTerms._fields
_ARRAYS = {
    "external_ref": "text[]",
    "account_id": "uuid[]",
    "attributes": "text[]",
    "snapshot_number": "bigint[]",
    "import_number": "bigint[]",
    "line_number": "integer[]",
}
_STORED = f"""o.object_number, o.kind::integer, o.object_id, o.external_ref, o.account_id, o.attributes, o.snapshot_number,
    o.import_number, o.line_number, n.document, s.service_id, {", ".join(f"s.{name}" for name in _TERMS)}"""
_JOINED = """left join subscription_snapshots n on n.snapshot_number = o.snapshot_number
    left join subscriptions s on s.object_number = o.object_number"""


class _RowReader:
    """Rows with the columns ``_STORED``, those of the terms may be left out, as objects; they share their snapshots."""

    def __init__(self) -> None:
        self._snapshots: dict[int, Snapshot] = {}

    def __call__(self, _cursor: Cursor[Any]) -> Callable[[Sequence[Any]], SubscriptionObject]:
        """Return the row factory of a cursor."""
        return self._object

    def _object(self, row: Sequence[Any]) -> SubscriptionObject:
        object_number, kind, object_id, external_ref, account_id, attributes, snapshot_number, *others = row
        import_number, line_number, document, service_id, *terms = others
        return SubscriptionObject(
            kind=ObjectKind(kind),
            object_id=object_id,
            external_ref=external_ref,
            account_id=account_id,
            attributes=attributes,
            snapshot=None if document is None else self._snapshot(snapshot_number, document),
            import_number=import_number,
            line_number=line_number,
            object_number=object_number,
            terms=SubscriptionTerms(*terms) if terms and terms[0] is not None else None,
            service_id=service_id,
        )

    def _snapshot(self, number: int | None, document: str) -> Snapshot:
        if number is None:
            return Snapshot(document)
        if number not in self._snapshots:
            self._snapshots[number] = Snapshot(document, number)
        return self._snapshots[number]


def _row(subscription_object: SubscriptionObject) -> tuple[Any, ...]:
    """Return the values of the columns ``_OBJECT``."""
    return (
        subscription_object.object_number,
        int(subscription_object.kind),
        subscription_object.object_id,
        subscription_object.external_ref,
        subscription_object.account_id,
        subscription_object.attributes,
        subscription_object.snapshot.number if subscription_object.snapshot else None,
        subscription_object.import_number,
        subscription_object.line_number,
    )


def find(
    connection: Connection,
    owner_id: int,
    refs: Mapping[int, Iterable[str]],
    ids: Mapping[int, Iterable[UUID]],
    *,
    lock: bool = False,
    trial: int | None = None,
) -> list[SubscriptionObject]:
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


def _found(
    connection: Connection, values: dict[str, Any], *, lock: bool, trial: int | None
) -> Iterator[SubscriptionObject]:
    locked = "order by o.object_number for update of o" if lock else ""
    with driver(connection).cursor(row_factory=_RowReader()) as cursor:
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
                    t.attributes, null::bigint as snapshot_number, t.import_number, t.line_number, t.document,
                    null::bigint as service_id
                from unnest(%(ref_kinds)s::smallint[], %(refs)s::text[]) v (kind, ref)
                cross join lateral (
                    select * from subscription_trial_objects x where x.import_number = %(trial)s and x.kind = v.kind
                        and md5(x.external_ref) = md5(v.ref) and x.external_ref = v.ref offset 0
                ) t
                """,
                values,
            )


def find_number(connection: Connection, object_number: int, *, lock: bool = False) -> SubscriptionObject | None:
    """Return an object by its number."""
    with driver(connection).cursor(row_factory=_RowReader()) as cursor:
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


def insert(connection: Connection, owner_id: int, objects: Sequence[SubscriptionObject]) -> None:
    """Write new objects, which have their numbers, but for their terms; raise ``Clash`` if a reference is taken."""
    if objects:
        rows = ((owner_id, *_row(object_)) for object_ in objects)
        bulk.insert_rows(connection, "subscription_objects", ("owner_id", *_OBJECT), rows)


def insert_terms(
    connection: Connection, owner_id: int, objects: Sequence[SubscriptionObject], service_of: Mapping[int, int]
) -> None:
    """Write the terms of new subscriptions, with the services that they became, by object number."""
    rows = [
        (owner_id, object_.object_number, service_of.get(object_.object_number or 0), *object_.terms)
        for object_ in objects
        if object_.terms
    ]
    if rows:
        columns = ("owner_id", "object_number", "service_id", *_TERMS)
        bulk.insert_rows(connection, "subscriptions", columns, rows)


def update(connection: Connection, objects: Sequence[SubscriptionObject]) -> None:
    """Write changed objects and count their revision; raise ``Clash`` if a reference is taken."""
    if not objects:
        return
    assigned = ", ".join(f"{name} = v.{name}" for name in _CHANGED)
    arrays = ", ".join(f"%({name})s::{_ARRAYS[name]}" for name in _CHANGED)
    values = {name: list(column) for name, column in zip(_OBJECT, zip(*map(_row, objects), strict=True), strict=True)}
    with bulk.guarded():
        driver(connection).execute(
            f"""
            update subscription_objects o set revision = o.revision + 1, updated_at = clock_timestamp(), {assigned}
            from unnest(%(object_number)s::bigint[], {arrays}) v (object_number, {", ".join(_CHANGED)})
            where o.object_number = v.object_number
            """,
            values,
        )
    subscriptions = [(object_.object_number, object_.terms) for object_ in objects if object_.terms]
    if subscriptions:
        assigned = ", ".join(f"{name} = %({name})s" for name in _TERMS)
        with driver(connection).cursor() as cursor:
            cursor.executemany(
                f"update subscriptions set {assigned} where object_number = %(object_number)s",
                [{"object_number": object_number, **terms._asdict()} for object_number, terms in subscriptions],
            )


def insert_trial(connection: Connection, owner_id: int, trial: int, objects: Iterable[SubscriptionObject]) -> None:
    """Keep what a dry run would have written, with the documents of snapshots, instead of what it kept before."""
    kept = [object_ for object_ in objects if object_.external_ref is not None]
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
            ([int(each.kind) for each in kept], [each.external_ref for each in kept], trial),
        )
    columns = (
        "import_number",
        "owner_id",
        "document",
        "kind",
        "object_id",
        "external_ref",
        "attributes",
        "line_number",
    )
    rows = (
        (
            trial,
            owner_id,
            each.snapshot.document if each.snapshot else None,
            int(each.kind),
            each.object_id,
            each.external_ref,
            each.attributes,
            each.line_number,
        )
        for each in kept
    )
    bulk.insert_rows(connection, "subscription_trial_objects", columns, rows)


def forget_trial(connection: Connection, trial: int) -> None:
    """Forget what a dry run would have written."""
    driver(connection).execute("delete from subscription_trial_objects where import_number = %s", (trial,))
