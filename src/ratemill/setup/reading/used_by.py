"""Where a set-up object is used: every object that points to it."""

from __future__ import annotations

from dataclasses import dataclass

from ratemill.comparisons import Comparison, Operator
from ratemill.pages import Paging
from ratemill.setup.declaration import SetupObject
from ratemill.setup.objects.registry import referring
from ratemill.setup.reading import searching
from ratemill.setup.reading.long_lists import LongLists
from ratemill.setup.reading.searching import SetupQuery
from ratemill.setup.reading.showing import Json, ObjectView
from ratemill.store.connections import Connection

USERS_MAX = 100  # users shown of each kind, beside their total


@dataclass(frozen=True, slots=True)
class User:
    """One object that points to another, the member by which it does, and its key in words."""

    object: SetupObject
    identity: int
    words: str
    member: str


@dataclass(frozen=True, slots=True)
class Users:
    """How many objects of one kind point to an object by one member, and the first of them."""

    object: SetupObject
    member: str
    total: int
    first: list[User]


def used_by(connection: Connection, owner_id: int, kind: SetupObject, identity: int, lists: LongLists) -> list[Users]:
    """Return who uses an object, by kind and member; kinds without a user are left out."""
    found = []
    for other, member in referring(kind):
        asked = SetupQuery((Comparison(searching.fields(other)[member.id_name], Operator.EQ, (identity,)),))
        page = searching.page_within(connection, owner_id, other, asked, Paging(size=USERS_MAX), lists=lists)
        if page.rows:
            first = [User(other, one.identity, key_words(other, one), member.name) for one in page.rows]
            found.append(Users(other, member.name, page.total or 0, first))
    return found


def key_words(kind: SetupObject, view: ObjectView) -> str:
    """Return the key of an object in words: names, not identities."""
    instance: Json = view.instance
    words = [instance[member.name] for member in kind.key_members]
    return " / ".join(str(one) for one in words if one is not None)
