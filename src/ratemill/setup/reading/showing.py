"""Set-up objects as the wire shows them: identity, owner, then the members in their order, each reference by id and name.

Members that are not set are null. Amounts, prices and quantities are texts, times are UTC with milliseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ratemill.setup.declaration import Member, MemberKind, SetupObject
from ratemill.setup.objects.registry import BY_LIST
from ratemill.setup.values import shown_value
from ratemill.store.connections import Connection
from ratemill.store.setup import pages
from ratemill.store.setup.pages import OWNER_NAME, Pointer, PointerList, Row, Shape

_SHOWN_AS_IT_IS = (MemberKind.TEXT, MemberKind.CHOICE, MemberKind.BOOL)
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ObjectView:
    """One object as the wire shows it, with the count of its changes."""

    identity: int
    revision: int
    instance: Json


def show(connection: Connection, owner_id: int, kind: SetupObject, identities: Sequence[int]) -> dict[int, ObjectView]:
    """Return those of these objects that the owner has, by identity, in the order asked for."""
    rows = pages.read(connection, shape(kind), identities) if identities else {}
    return {
        identity: ObjectView(identity, row["revision"], _instance(kind, row))
        for identity in identities
        if (row := rows.get(identity)) is not None and row["owner_id"] in (owner_id, None)
    }


def etag(view: ObjectView) -> str:
    """Return the entity tag of an object: strong, another after each change."""
    return f'"{view.identity}-{view.revision}"'


@lru_cache
def shape(kind: SetupObject) -> Shape:
    """Return what is read of the table of one kind of object, and of those that it points to."""
    return Shape(
        kind.table,
        kind.identity,
        tuple(column for column in kind.columns if column != kind.identity),
        tuple(pointer for member in kind.members if (pointer := pointer_of(kind, member)) is not None),
        tuple(
            PointerList(
                member.column,
                target.table,
                target.identity,
                target.name_column or target.identity,
                member.link.table,
                member.link.parent,
                member.link.child,
            )
            for member in kind.members
            if member.link is not None
            for target in (BY_LIST[member.target],)
        ),
    )


def pointer_of(kind: SetupObject, member: Member) -> Pointer | None:
    """Return how a member points to one other object; None if it does not.

    A virtual one stands in the row of the object that it helps to find: the account in that of the service.
    """
    if member.kind is not MemberKind.REFERENCE or member.target not in BY_LIST:
        return None
    through = None
    if member.virtual:
        helped = next((other for other in kind.references if other.within == member.column), None)
        through = pointer_of(kind, helped) if helped is not None else None
        if through is None:
            return None
    target = BY_LIST[member.target]
    return Pointer(member.column, target.table, target.identity, target.name_column, through)


def _instance(kind: SetupObject, row: Row) -> Json:
    """Return what is shown of a row that was read by ``shape``."""
    instance: Json = {
        "identity": row[kind.identity],
        "ownerId": row["owner_id"],
        "ownerName": row[OWNER_NAME],
    }
    document = row[kind.document] if kind.document else {}
    for name, column, id_name, alias, is_inner, is_plain in _members(kind):
        if id_name:
            instance[id_name] = row.get(column)
            instance[name] = row.get(alias)
        else:
            value = document.get(name) if is_inner else row.get(column)
            instance[name] = value if is_plain or value is None else shown_value(value)
    return instance


@lru_cache
def _members(kind: SetupObject) -> tuple[tuple[str, str, str, str, bool, bool], ...]:
    """Return of each member its name, column, those of what it refers to, and whether it is inner or shown as it is."""
    return tuple(
        (one.name, one.column, one.id_name, f"{one.column}:name", one.inner, one.kind in _SHOWN_AS_IT_IS)
        for one in kind.members
    )
