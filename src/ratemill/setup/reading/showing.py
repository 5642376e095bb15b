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


def show(connection: Connection, owner_id: int, each: SetupObject, identities: Sequence[int]) -> dict[int, ObjectView]:
    """Return those of these objects that the owner has, by identity, in the order asked for."""
    rows = pages.read(connection, shape(each), identities) if identities else {}
    return {
        identity: ObjectView(identity, row["revision"], _instance(each, row))
        for identity in identities
        if (row := rows.get(identity)) is not None and row["owner_id"] in (owner_id, None)
    }


def etag(shown: ObjectView) -> str:
    """Return the entity tag of an object: strong, another after each change."""
    return f'"{shown.identity}-{shown.revision}"'


@lru_cache
def shape(each: SetupObject) -> Shape:
    """Return what is read of the table of one kind of object, and of those that it points to."""
    return Shape(
        each.table,
        each.identity,
        tuple(column for column in each.columns if column != each.identity),
        tuple(pointer for member in each.members if (pointer := pointer_of(each, member)) is not None),
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
            for member in each.members
            if member.link is not None
            for target in (BY_LIST[member.target],)
        ),
    )


def pointer_of(each: SetupObject, member: Member) -> Pointer | None:
    """Return how a member points to one other object; None if it does not.

    A virtual one stands in the row of the object that it helps to find: the account in that of the service.
    """
    if member.kind is not MemberKind.REFERENCE or member.target not in BY_LIST:
        return None
    through = None
    if member.virtual:
        helped = next((other for other in each.references if other.within == member.column), None)
        through = pointer_of(each, helped) if helped is not None else None
        if through is None:
            return None
    target = BY_LIST[member.target]
    return Pointer(member.column, target.table, target.identity, target.name_column, through)


def _instance(each: SetupObject, row: Row) -> Json:
    """Return what is shown of a row that was read by ``shape``."""
    instance: Json = {
        "identity": row[each.identity],
        "ownerId": row["owner_id"],
        "ownerName": row[OWNER_NAME],
    }
    document = row[each.document] if each.document else {}
    for name, column, id_name, alias, is_inner, is_plain in _members(each):
        if id_name:
            instance[id_name] = row.get(column)
            instance[name] = row.get(alias)
        else:
            value = document.get(name) if is_inner else row.get(column)
            instance[name] = value if is_plain or value is None else shown_value(value)
    return instance


@lru_cache
def _members(each: SetupObject) -> tuple[tuple[str, str, str, str, bool, bool], ...]:
    """Return of each member its name, column, those of what it refers to, and whether it is inner or shown as it is."""
    return tuple(
        (one.name, one.column, one.id_name, f"{one.column}:name", one.inner, one.kind in _SHOWN_AS_IT_IS)
        for one in each.members
    )
