"""One item of a characteristic created, changed or deleted, by the rules that a batch's items are held to.

While the job of a batch changes a characteristic, no other call may: it is refused and may be tried again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ratemill.catalog.characteristics import writing
from ratemill.catalog.characteristics.changes import ChangeNote
from ratemill.catalog.characteristics.items import AUDIT, HIERARCHY, Members, identity, read_object, shown, timestamp
from ratemill.catalog.characteristics.writing import ItemArrival, ItemWriter, SentItem
from ratemill.errors import BadRequest, Code, Conflict, Fault
from ratemill.reference import json_text
from ratemill.reference.characteristics.items import READ_ONLY, bill_warnings, check
from ratemill.reference.characteristics.references import ItemUse, Reference, rewritten
from ratemill.reference.characteristics.values import REFERENCE_KEYS, ItemFault, as_faults, key_of
from ratemill.setup.writing.deleting import wait_for_usage
from ratemill.store.characteristics import items, lists
from ratemill.store.characteristics import searches as store
from ratemill.store.characteristics.searches import Item
from ratemill.store.connections import Connection, Database
from ratemill.store.usage import carried_items
from ratemill.visible import shown as cut

USERS_NAMED_MAX = 20  # that a refusal to delete names


@dataclass(frozen=True, slots=True)
class ItemAuthor:
    """Who changes an item; ``strict`` refuses what names an object that is not registered yet."""

    name: str
    strict: bool = False


@dataclass(frozen=True, slots=True)
class ItemResult:
    """An item as it is now, and what is worth a warning."""

    item: Members
    warnings: list[ItemFault]


def create(database: Database, owner_id: int, number: int, *, body: bytes, by: ItemAuthor) -> ItemResult:
    """Create an item, with the next number as its id if it has none; raise ``BadRequest``, ``Conflict``."""
    sent = _without_our_own(read_object(body)[0])
    warnings = _checked(sent, number)
    with database.face(owner_id) as connection:
        _lock(connection, owner_id, number)
        call = _ItemCall(connection, ItemWriter(owner_id, number, by.name, strict=by.strict), sent)
        if call.change.stored is not None:
            raise _conflict("id_taken", f"there is a user{number} of the id '{cut(sent['id'])}' already", "id")
        item_id, id_ = call.write()
        after = writing.members_of_new(call.change, id_)
        ChangeNote(connection, owner_id, number, by.name).note("item", item_id, id_, None, after)
        return ItemResult(shown(connection, [item_id])[0], warnings + bill_warnings(after, number, ""))


def update(database: Database, owner_id: int, number: int, guid: str, *, body: bytes, by: ItemAuthor) -> ItemResult:
    """Change the members of an item that are sent; raise ``NotFound``, ``BadRequest``, ``Conflict``.

    A member that is null is cleared. What was read may be sent back; with its ``_timestamp`` it is refused if the item has
    changed since.
    """
    answered, _ = read_object(body)
    with database.face(owner_id) as connection:
        identity(connection, number, guid)
        _lock(connection, owner_id, number)
        item = store.read(connection, [identity(connection, number, guid, for_update=True)])[0]
        _check_path(item, answered)
        stored = _members(item)
        sent = _sent_back(_without_our_own(answered), item, stored, connection)
        warnings = _checked(sent, number)
        call = _ItemCall(connection, ItemWriter(owner_id, number, by.name, strict=by.strict), {**sent, "id": item.id})
        if call.change.merged is not None:
            call.write()
            ChangeNote(connection, owner_id, number, by.name).note(
                "item", item.item_id, item.id, stored, call.change.merged
            )
            warnings = warnings + bill_warnings(call.change.members, number, "")
        return ItemResult(shown(connection, [item.item_id])[0], warnings)


def delete(database: Database, owner_id: int, number: int, guid: str, *, by: ItemAuthor) -> None:
    """Delete an item; raise ``NotFound``, or ``Conflict`` that names who uses it."""
    with database.face(owner_id) as connection:
        identity(connection, number, guid)
        _lock(connection, owner_id, number)
        wait_for_usage(connection, owner_id, "the item")
        item = store.read(connection, [identity(connection, number, guid, for_update=True)])[0]
        faults = list(_users(connection, owner_id, item))
        if faults:
            raise Conflict(faults=faults)
        if not items.delete(connection, item.item_id):
            raise _conflict("in_use", f"'{cut(item.id)}' is named by an item that is being imported")
        ChangeNote(connection, owner_id, number, by.name).note("item", item.item_id, item.id, _members(item), None)


class _ItemCall:
    """The item that a call sends, on the way of every item: read and checked, then linked and written."""

    def __init__(self, connection: Connection, writer: ItemWriter, sent: Members) -> None:
        """Read what the item changes and what it names; raise ``BadRequest`` with every fault."""
        self._connection, self._writer = connection, writer
        self._table = writing.read(connection, writer, [SentItem(0, "", writing.id_of(sent), sent, None)])
        self.change = self._table.changes[0]
        stored = self.change.stored
        self._item_id = items.new_identities(connection, 1)[0] if stored is None else stored.item_id
        self._links: dict[str, int] = self._find()
        self._refuse()

    def write(self) -> tuple[int, str]:
        """Write the item and return its identity and its id; raise ``BadRequest`` if it closes a circle."""
        connection, writer = self._connection, self._writer
        writing.check_circles(connection, self.change, self._item_id, self._links)
        self._refuse()
        id_ = self.change.sent.id
        if id_ is None:
            id_ = items.next_numbers(connection, writer.owner_id, writer.characteristic, 1)[0]
        arrival = ItemArrival(self.change, id_, {**self._links}, self._item_id)
        writing.write(connection, writer, [arrival], self._table.types)
        return self._item_id, id_

    def _find(self) -> dict[str, int]:
        """Return the items that the item names, itself among them; note a fault for each that is nowhere."""
        links: dict[str, int] = {}
        for use in self.change.names.uses:
            found = self._table.found[use.characteristic, use.key].get(use.value, ())
            if len(found) == 1:
                links[use.member] = found[0][0]
            elif not found and self._is_itself(use):
                links[use.member] = self._item_id
            elif not found:
                self.change.faults.append(writing.not_found("", use))
        return links

    def _is_itself(self, use: ItemUse) -> bool:
        """Return whether a use that the store does not know names the item itself, as an item of a batch may."""
        sent = self.change.sent
        own = {"id": sent.id, "description": self.change.members.get("description") if sent.id else None}
        return use.characteristic == self._writer.characteristic and own.get(use.key) == use.value

    def _refuse(self) -> None:
        change = self.change
        if change.faults:
            itself = [use for use in change.names.uses if self._links.get(use.member) == self._item_id]
            change.faults += [writing.of_refused("", use) for use in itself if change.stored is None]
            raise BadRequest(faults=as_faults(change.faults))


def _without_our_own(sent: Members) -> Members:
    """Return what was sent without the members that the product sets: an answer may be sent back."""
    ours = {*READ_ONLY, *HIERARCHY, *AUDIT}
    return {name: value for name, value in sent.items() if name not in ours}


def _checked(sent: Members, number: int) -> list[ItemFault]:
    """Return the warnings of an item; raise ``BadRequest`` with all its faults."""
    if not sent:
        return []
    faults, warnings = check(sent, number, "")
    if faults:
        raise BadRequest(faults=as_faults(faults))
    return warnings


def _check_path(item: Item, answered: Members) -> None:
    """Hold an item that is sent back to the one of the path, in the version that is kept."""
    expected = {"guid": str(item.guid), "sid": str(item.item_id), "_type": f"user{item.characteristic}"}
    for name, value in expected.items():
        told = answered.get(name)
        if told is not None and str(told).lower() != value:
            message = f"{name} says '{cut(told)}', the path leads to '{value}'"
            raise BadRequest(faults=[Fault(Code.IDENTITY_NOT_OF_PATH, message, field=name, word="not_of_this_path")])
    version = answered.get("_timestamp")
    if version is not None and version != timestamp(item.revision):
        message = f"it has changed since it was read: _timestamp is {timestamp(item.revision)} now"
        raise _conflict("changed_since", message, "_timestamp")
    told = answered.get("id")
    if isinstance(told, str) and told != item.id:
        raise _conflict(
            "id_must_stay", f"the id '{cut(item.id)}' stays: usage and other items know the item by it", "id"
        )


def _sent_back(sent: Members, item: Item, stored: Members, connection: Connection) -> Members:
    """Return what was sent, each reference as an answer writes it as the one that was stored, or by what was changed."""
    answers, kept_as = shown(connection, [item.item_id])[0], _by_member(stored, item.characteristic)
    shown_as = _by_member({name: value for name, value in answers.items() if name in stored}, item.characteristic)

    def look(reference: Reference, was: Members) -> Members | None:
        if not was.keys() & {"_type", "displayName"}:
            return None
        shown_before = shown_as.get(reference.member, {})
        keys = {key: was[key] for key in was if key in REFERENCE_KEYS}
        changed = {key: value for key, value in keys.items() if shown_before.get(key) != value}
        if not changed and reference.member in kept_as:
            return kept_as[reference.member]
        named = key_of(changed) or key_of(keys)
        return {named[0]: changed.get(named[0], keys.get(named[0]))} if named else None

    return rewritten(sent, item.characteristic, look)


def _by_member(members: Members, number: int) -> dict[str, Members]:
    """Return each reference of an item by its member."""
    found: dict[str, Members] = {}

    def keep(reference: Reference, was: Members) -> None:
        found[reference.member] = was

    rewritten(members, number, keep)
    return found


def _members(item: Item) -> Members:
    document = json_text.read(item.document)
    return document if isinstance(document, dict) else {}


def _lock(connection: Connection, owner_id: int, number: int) -> None:
    batch_id = items.at_work(connection, owner_id, number)
    if batch_id is not None:
        message = f"batch {batch_id} changes user{number} now: try again once its job has ended"
        raise _conflict("batch_at_work", message)


def _users(connection: Connection, owner_id: int, item: Item) -> Iterable[Fault]:
    """Return a fault for each user of an item, the first of them by name."""
    total, users = store.users(connection, item.item_id, limit=USERS_NAMED_MAX)
    for characteristic, id_, member in users:
        yield Fault(
            Code.IN_USE, f"user{characteristic} '{cut(id_)}' names it in {cut(member)}", field="", word="in_use"
        )
    if total > len(users):
        yield Fault(Code.IN_USE, f"{total - len(users)} more places name it", field="", word="in_use")
    for description in lists.with_item(connection, item.item_id):
        yield Fault(Code.IN_USE, f"the list '{cut(description)}' names it", field="", word="in_use")
    if carried_items.charged(connection, owner_id, [(item.characteristic, item.id)]):
        yield Fault(
            Code.IN_USE, f"charges name characteristic{item.characteristic} '{cut(item.id)}'", field="", word="in_use"
        )


def _conflict(word: str, message: str, member: str = "") -> Conflict:
    return Conflict(faults=[Fault(Code.CONFLICT, message, field=member, word=word)])
