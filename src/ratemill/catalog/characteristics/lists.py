"""Lists of a characteristic: sets of items, known by a description.

A list takes in items with everything below them and leaves out others with everything below those; what comes to stand below
one later is in it too. A list that an item names is there from then on, empty until a call sets its members.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ratemill.catalog.characteristics import items as characteristics
from ratemill.catalog.characteristics.changes import ChangeNote
from ratemill.catalog.characteristics.items import (
    Collection,
    CollectionQuery,
    Members,
    part,
    read_object,
    reference_to,
    write_local,
)
from ratemill.errors import BadRequest, Code, Conflict, Fault, NotFound
from ratemill.reference import json_text
from ratemill.reference.characteristics.references import list_kind
from ratemill.reference.characteristics.values import DESCRIPTION_CHARS_MAX, REFERENCE_CHARS_MAX, ItemFault, key_of
from ratemill.reference.json_text import Number, Value
from ratemill.store.characteristics import items
from ratemill.store.characteristics import lists as store
from ratemill.store.characteristics import searches as readings
from ratemill.store.characteristics.lists import List
from ratemill.store.connections import Connection, Database
from ratemill.visible import shown as cut

MEMBERS = ("_type", "displayName", "guid", "sid", "description", "includedItems", "excludedItems", "createdDatetime")
LIST_ITEMS_MAX = 10_000  # that a list names; what is below them has no bound
USERS_NAMED_MAX = 20  # that a refusal to delete names


@dataclass(frozen=True, slots=True)
class ListResult:
    """A list as it is now, and what is worth a warning."""

    members: Members
    warnings: list[ItemFault]


def page(database: Database, owner_id: int, number: int, query: CollectionQuery) -> Collection:
    """Return the lists of a characteristic that are asked for; raise ``BadRequest``."""
    with database.reader(owner_id) as connection:
        return part(_shown(connection, number, store.page(connection, list_kind(number))), query, MEMBERS)


def find(database: Database, owner_id: int, number: int, guid: str) -> Members:
    """Return one list; raise ``NotFound``."""
    with database.reader(owner_id) as connection:
        return _shown(connection, number, [_find(connection, number, guid)])[0]


def members(database: Database, owner_id: int, number: int, guid: str, query: CollectionQuery) -> Collection:
    """Return the items that are in a list now; raise ``NotFound``, ``BadRequest``."""
    with database.reader(owner_id) as connection:
        list_id = _find(connection, number, guid).list_id
        return characteristics.of_list(connection, number, list_id, query)


def create(database: Database, owner_id: int, number: int, body: bytes, *, by: str) -> ListResult:
    """Make a list; raise ``BadRequest``, or ``Conflict`` if there is one of that description."""
    sent, warnings = read_object(body, MEMBERS)
    description = sent.get("description")
    with database.face(owner_id) as connection:
        items.at_work(connection, owner_id, number)
        naming = _ListMembers(connection, owner_id, number)
        naming.faults += _description_faults(description)
        known = naming.members(sent, {})
        guid = store.insert(connection, owner_id, list_kind(number), str(description))
        if guid is None:
            raise _conflict("description_taken", f"there is a list '{cut(description)}' already", "description")
        made = _find(connection, number, str(guid))
        store.replace_members(connection, owner_id, made.list_id, known)
        made = _find(connection, number, str(guid))
        _note(ChangeNote(connection, owner_id, number, by), None, made)
        return ListResult(_shown(connection, number, [made])[0], warnings)


def update(database: Database, owner_id: int, number: int, guid: str, *, body: bytes, by: str) -> ListResult:
    """Say anew what is in a list, as far as it is sent; raise ``NotFound``, ``BadRequest``, ``Conflict``."""
    sent, warnings = read_object(body, MEMBERS)
    with database.face(owner_id) as connection:
        items.at_work(connection, owner_id, number)
        found = _find(connection, number, guid)
        told = sent.get("description", found.value)
        if told != found.value:
            raise _conflict("description_must_stay", f"items know the list by '{cut(found.value)}'", "description")
        known = _ListMembers(connection, owner_id, number).members(sent, found.members)
        store.replace_members(connection, owner_id, found.list_id, known)
        made = _find(connection, number, guid)
        _note(ChangeNote(connection, owner_id, number, by), found, made)
        return ListResult(_shown(connection, number, [made])[0], warnings)


def delete(database: Database, owner_id: int, number: int, guid: str, *, by: str) -> None:
    """Delete a list that no item names; raise ``NotFound``, ``Conflict``."""
    with database.face(owner_id) as connection:
        items.at_work(connection, owner_id, number)
        found = _find(connection, number, guid)
        by_guid = json_text.write({"guid": str(found.guid)})[1:-1]
        named = f'ListReference":{json_text.write({found.key: found.value})}'
        users = store.users(connection, number, [named, by_guid], limit=USERS_NAMED_MAX)
        if users:
            faults = [
                Fault(Code.IN_USE, f"user{number} '{cut(user)}' names it", field="", word="in_use") for user in users
            ]
            raise Conflict(faults=faults)
        _note(ChangeNote(connection, owner_id, number, by), found, None)
        store.delete(connection, found.list_id)


def _note(noting: ChangeNote, before: List | None, after: List | None) -> None:
    """Add the change of a list to the log, by those of its members that a caller set."""
    known = after or before
    if known is None:
        return
    told = [_told(noting.connection, noting.number, each) if each else None for each in (before, after)]
    noting.note("list", known.list_id, known.value, *told)


def _told(connection: Connection, number: int, item_list: List) -> Members:
    shown = _shown(connection, number, [item_list])[0]
    return {name: shown[name] for name in (item_list.key, "includedItems", "excludedItems")}


def _find(connection: Connection, number: int, guid: str) -> List:
    for each in store.page(connection, list_kind(number)):
        if str(each.guid) == guid.lower():
            return each
    raise NotFound(f"user{number} has no list of the guid '{cut(guid)}'", code=Code.OBJECT_NOT_FOUND)


def _description_faults(description: Value) -> list[Fault]:
    longest = min(DESCRIPTION_CHARS_MAX, REFERENCE_CHARS_MAX)
    if type(description) is str and 0 < len(description) <= longest and description.isprintable():
        return []
    return [_fault("description", f"description is required: a text of 1 to {longest} characters that can be seen")]


class _ListMembers:
    """What of a list's items is sent, and what is wrong with it."""

    def __init__(self, connection: Connection, owner_id: int, number: int) -> None:
        self._connection, self._owner_id, self._number = connection, owner_id, number
        self.faults: list[Fault] = []

    def members(self, sent: Members, before: dict[int, bool]) -> dict[int, bool]:
        """Return what a list takes in and leaves out after a change; raise ``BadRequest`` with every fault."""
        found: dict[int, bool] = {}
        for member, excluded in (("includedItems", False), ("excludedItems", True)):
            if member not in sent:
                found |= {item_id: each for item_id, each in before.items() if each is excluded}
                continue
            for item_id, at in self._named(member, sent[member]):
                if item_id in found:
                    self.faults.append(_fault(at, f"{at} stands in the list before"))
                found[item_id] = excluded
        if self.faults:
            raise BadRequest(faults=self.faults)
        return found

    def _named(self, member: str, sent: Value) -> list[tuple[int, str]]:
        if sent is None:
            return []
        if not isinstance(sent, list) or len(sent) > LIST_ITEMS_MAX:
            self.faults.append(_fault(member, f"{member} must be a list of up to {LIST_ITEMS_MAX} references"))
            return []
        named: list[tuple[int, str]] = []
        keys = [key_of(each) if isinstance(each, dict) else None for each in sent]
        known = {key: self._find(key, keys) for key in {key[0] for key in keys if key}}
        for index, key in enumerate(keys):
            at = f"{member}[{index}]"
            found = known[key[0]].get(key[1], []) if key else []
            if len(found) == 1:
                named.append((found[0][0], at))
            elif key is None:
                self.faults.append(_fault(at, f"{at} must be a reference such as {{'id': '…'}}"))
            else:
                message = f"{at}: {'several items have' if found else 'no item has'} the {key[0]} '{cut(key[1])}'"
                self.faults.append(_fault(at, message, "reference_ambiguous" if found else "reference_not_found"))
        return named

    def _find(self, key: str, keys: Sequence[tuple[str, str] | None]) -> dict[str, list[tuple[int, str]]]:
        values = [each[1] for each in keys if each and each[0] == key]
        return items.find(self._connection, self._owner_id, self._number, key, values)


def _shown(connection: Connection, number: int, lists: Sequence[List]) -> list[Members]:
    item_ids = sorted({item_id for list_ in lists for item_id in list_.members})
    known = {item.item_id: item for item in readings.read(connection, item_ids)} if item_ids else {}

    def named(item_list: List, *, excluded: bool) -> list[Value]:
        chosen = [known[item_id] for item_id, left_out in item_list.members.items() if left_out is excluded]
        return [{**reference_to(item), "id": item.id} for item in sorted(chosen, key=lambda item: item.id)]

    return [
        {
            "_type": list_kind(number),
            "displayName": list_.value,
            "guid": str(list_.guid),
            "sid": Number(list_.list_id),
            list_.key: list_.value,
            "includedItems": named(list_, excluded=False),
            "excludedItems": named(list_, excluded=True),
            "createdDatetime": write_local(list_.created_at),
        }
        for list_ in lists
    ]


def _fault(member: str, message: str, word: str | None = None) -> Fault:
    return Fault(Code.VALUE_NOT_VALID, message, field=member, word=word)


def _conflict(word: str, message: str, member: str) -> Conflict:
    return Conflict(faults=[Fault(Code.CONFLICT, message, field=member, word=word)])
