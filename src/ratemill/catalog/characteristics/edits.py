"""One item of a characteristic created, changed or deleted, by the rules that a batch's items are held to.

While the job of a batch changes a characteristic, nobody else does: such a call is refused and may be tried again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ratemill.catalog.characteristics.changes import ChangeNote
from ratemill.catalog.characteristics.items import AUDIT, HIERARCHY, Members, identity, read_object, shown, timestamp
from ratemill.errors import BadRequest, Code, Conflict, Fault
from ratemill.reference import json_text
from ratemill.reference.characteristics.fields import check_declared, inferred
from ratemill.reference.characteristics.items import READ_ONLY, check
from ratemill.reference.characteristics.references import Reference, rewritten
from ratemill.reference.characteristics.upserts import PARENT, bill_warnings, kept, merged, names_of
from ratemill.reference.characteristics.upserts import ItemUse as UseOf
from ratemill.reference.characteristics.values import REFERENCE_KEYS, ItemFault, as_faults, key_of
from ratemill.reference.json_text import Value
from ratemill.setup.writing.deleting import wait_for_usage
from ratemill.store.characteristics import edits, items, jobs, lists, named_objects
from ratemill.store.characteristics import fields as characteristic_fields
from ratemill.store.characteristics import searches as store
from ratemill.store.characteristics.edits import ItemDocument
from ratemill.store.characteristics.items import StoredUse
from ratemill.store.characteristics.searches import Item
from ratemill.store.connections import Connection, Database
from ratemill.store.usage import carried_items
from ratemill.visible import shown as cut

USERS_NAMED_MAX = 20  # that a refusal to delete names
CIRCLE_SHOWN_MAX = 10  # items of a circle that a message names


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
        work = _ItemChange(connection, owner_id, number, strict=by.strict)
        members = kept(sent)
        found = work.resolve(members, None)
        given = members.get("id")
        id_ = given if isinstance(given, str) else edits.next_id(connection, owner_id, number)
        members = members if given == id_ else {"id": id_, **members}
        row = _kept(members, found.get(PARENT))
        item_id = edits.insert(connection, owner_id, number, id_, row, author=by.name)
        if item_id is None:
            raise _conflict("id_taken", f"there is a user{number} of the id '{cut(id_)}' already", "id")
        work.note(item_id, members, found)
        ChangeNote(connection, owner_id, number, by.name).note("item", item_id, id_, None, members)
        return ItemResult(shown(connection, [item_id])[0], warnings + bill_warnings(members, number, ""))


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
        members = kept(sent)
        document = merged(stored, members)
        if document is not None:
            work = _ItemChange(connection, owner_id, number, strict=by.strict)
            found = work.resolve(members, item.item_id)
            parent = found.get(PARENT) if PARENT in members else item.parent_item_id
            edits.update(connection, item.item_id, _kept(document, parent), by.name)
            work.note(item.item_id, members, found)
            ChangeNote(connection, owner_id, number, by.name).note("item", item.item_id, item.id, stored, document)
            warnings = warnings + bill_warnings(members, number, "")
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
        if not edits.delete(connection, item.item_id):
            raise _conflict("in_use", f"'{cut(item.id)}' is named by an item that is being imported")
        ChangeNote(connection, owner_id, number, by.name).note("item", item.item_id, item.id, _members(item), None)


class _ItemChange:
    """What the change of one item reads and writes beside it."""

    def __init__(self, connection: Connection, owner_id: int, number: int, *, strict: bool) -> None:
        self._connection, self._owner_id, self._number = connection, owner_id, number
        self._strict = strict

    def resolve(self, members: Members, item_id: int | None) -> dict[str, int]:
        """Return the items that members name, by member; raise ``BadRequest`` for what cannot be, with all else at fault."""
        fields = characteristic_fields.page(self._connection, self._number)
        declared = {each.name: each.type for each in fields if each.declared}
        faults = check_declared(members, declared, "")
        names = names_of(members, self._number)
        uses = names.uses
        if self._strict:
            known = named_objects.registered(self._connection, self._owner_id, names.objects)
            faults += [_unregistered(*each) for each in names.objects if each not in known]
        candidates = self._candidates(uses)
        found: dict[str, int] = {}
        for use in uses:
            named = candidates.get((use.characteristic, use.key), {}).get(use.value, [])
            if len(named) == 1:
                found[use.member] = named[0][0]
            else:
                faults.append(_unresolved(use, len(named)))
        parent = found.get(PARENT)
        if parent is not None and item_id is not None:
            circle = [parent, *store.above(self._connection, parent)]
            if item_id in circle:
                faults.append(
                    ItemFault("parents_in_a_circle", self._circle(circle[: circle.index(item_id) + 1]), PARENT)
                )
        if faults:
            raise BadRequest(faults=as_faults(faults))
        return found

    def _circle(self, above: list[int]) -> str:
        """Return how the parents of an item would lead back to it, the last of those above it."""
        item, *first = [
            f"'{cut(each.id)}'" for each in store.read(self._connection, [above[-1], *above[:CIRCLE_SHOWN_MAX]])
        ]
        way = first if len(above) <= CIRCLE_SHOWN_MAX else [*first, "…", item]
        return f"the parents run in a circle: {' → '.join([item, *way])}"

    def _candidates(self, uses: Iterable[UseOf]) -> dict[tuple[int, str], dict[str, list[tuple[int, str]]]]:
        """Return the items that may be meant, identity and id, by characteristic and key, then by value."""
        asked: defaultdict[tuple[int, str], list[str]] = defaultdict(list)
        for use in uses:
            asked[use.characteristic, use.key].append(use.value)
        return {of: items.find(self._connection, self._owner_id, *of, values) for of, values in asked.items()}

    def note(self, item_id: int, members: Members, used_ids: Mapping[str, int]) -> None:
        """Write down what an item names now, but for its parent, which it bears itself, and the fields that it has."""
        names = names_of(members, self._number)
        uses = [StoredUse(item_id, member, used) for member, used in used_ids.items() if member != PARENT]
        items.forget_uses(self._connection, [(item_id, name) for name in members])
        items.insert_uses(self._connection, self._owner_id, uses)
        named_objects.register(self._connection, self._owner_id, names.objects)
        characteristic_fields.infer(self._connection, self._owner_id, self._number, inferred(members))


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


def _kept(members: Mapping[str, Value], parent_item_id: int | None) -> ItemDocument:
    description = members.get("description")
    return ItemDocument(
        json_text.write(dict(members)), description if isinstance(description, str) else None, parent_item_id
    )


def _lock(connection: Connection, owner_id: int, number: int) -> None:
    batch_id = jobs.at_work(connection, owner_id, number)
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


def _unresolved(use: UseOf, count: int) -> ItemFault:
    of = f"the {use.key} '{cut(use.value)}'"
    if count:
        return ItemFault("reference_ambiguous", f"{cut(use.member)}: several items have {of}", use.member)
    message = f"{cut(use.member)}: no item of characteristic {use.characteristic} has {of}"
    return ItemFault("reference_not_found", message, use.member)


def _unregistered(kind: str, key: str, value: str) -> ItemFault:
    return ItemFault("reference_not_found", f"nothing of kind {kind} is registered under {key} '{cut(value)}'", "")


def _conflict(word: str, message: str, member: str = "") -> Conflict:
    return Conflict(faults=[Fault(Code.CONFLICT, message, field=member, word=word)])
