"""The user-defined fields of a characteristic: listed, declared with a type, no more declared."""

from __future__ import annotations

from dataclasses import dataclass

from ratemill.catalog.characteristics.changes import ChangeNote
from ratemill.catalog.characteristics.items import Collection, CollectionQuery, Members, part, read_object, write_local
from ratemill.errors import BadRequest, Code, Conflict, Fault, NotFound
from ratemill.reference.characteristics.values import DECLARED_NAME_CHARS_MAX, LOOKUP, ItemFault, is_field, types_for
from ratemill.reference.json_text import Number
from ratemill.store.characteristics import fields as store
from ratemill.store.characteristics import items
from ratemill.store.characteristics.fields import CharacteristicField
from ratemill.store.connections import Connection, Database
from ratemill.texts import is_storable
from ratemill.visible import shown

MEMBERS = ("_type", "displayName", "sid", "name", "type", "declaredFlag", "createdDatetime")
_SENT = ("name", "type")
_JSON_TYPES = {"string": "string", "dateTime": "string", "number": "number", "boolean": "boolean"}


@dataclass(frozen=True, slots=True)
class FieldResult:
    """A field as it is now, and what is worth a warning."""

    field: Members
    warnings: list[ItemFault]


def page(database: Database, owner_id: int, number: int, query: CollectionQuery) -> Collection:
    """Return the fields of a characteristic that are asked for; raise ``BadRequest``."""
    with database.reader(owner_id) as connection:
        return part([_shown(each) for each in store.page(connection, number)], query, MEMBERS)


def find(database: Database, owner_id: int, number: int, name: str) -> Members:
    """Return one field; raise ``NotFound``."""
    with database.reader(owner_id) as connection:
        return _shown(_find(connection, number, name))


def declare(
    database: Database, owner_id: int, number: int, body: bytes, *, by: str, name: str | None = None
) -> FieldResult:
    """Give a field its type, to which items are held from now on; raise ``BadRequest``, ``Conflict``, ``NotFound``.

    Without ``name`` the body names the field, which must not be declared yet. Items that have a value of another type stay
    as they are, with a warning.
    """
    sent, warnings = read_object(body, (*MEMBERS, "guid"))
    known = sent.get("name", name)
    faults = _faults(known, sent.get("type"))
    if name is not None and known != name:
        faults.append(_fault("name", f"name says '{shown(known)}', the path leads to '{shown(name)}'"))
    if faults or not isinstance(known, str):
        raise BadRequest(faults=faults)
    type_ = str(sent["type"])
    with database.face(owner_id) as connection:
        batch_id = items.at_work(connection, owner_id, number)
        if batch_id is not None:
            raise _conflict(
                "batch_at_work", f"batch {batch_id} changes user{number} now: try again once its job has ended"
            )
        before = next((each for each in store.page(connection, number) if each.name == known), None)
        if name is not None:
            _find(connection, number, name)
        elif before is not None and before.declared:
            raise _conflict("name_taken", f"'{shown(known)}' is declared already")
        store.declare(connection, owner_id, number, known, type_)
        others = 0 if type_ == LOOKUP else store.bearers(connection, number, known, _JSON_TYPES.get(type_, "object"))
        if others:
            message = f"{others} items have a value in {shown(known)} that is no {type_}; they stay as they are"
            warnings.append(ItemFault("values_of_another_type", message, "type"))
        after = _find(connection, number, known)
        told = _told(before) if before else None
        ChangeNote(connection, owner_id, number, by).note("field", after.field_id, known, told, _told(after))
        return FieldResult(_shown(after), warnings)


def remove(database: Database, owner_id: int, number: int, name: str, *, by: str) -> None:
    """Forget a field that no item has; raise ``NotFound``, ``Conflict``."""
    with database.face(owner_id) as connection:
        items.at_work(connection, owner_id, number)
        found = _find(connection, number, name)
        count = store.bearers(connection, number, name, None)
        if count:
            raise _conflict("in_use", f"{count} items have a value in {shown(name)}")
        store.remove(connection, number, name)
        ChangeNote(connection, owner_id, number, by).note("field", found.field_id, name, _told(found), None)


def _faults(name: object, type_: object) -> list[Fault]:
    if not isinstance(name, str) or isinstance(name, Number) or not is_field(name) or name in ("ud_", "udLookup_"):
        return [_fault("name", "name must begin with ud_ or udLookup_ and go on")]
    faults = []
    if not is_storable(name, DECLARED_NAME_CHARS_MAX) or "/" in name:
        faults.append(_fault("name", f"name has up to {DECLARED_NAME_CHARS_MAX} characters, and no slash or NUL"))
    if type_ not in types_for(name):
        faults.append(_fault("type", f"type must be one of {', '.join(types_for(name))}"))
    return faults


def _find(connection: Connection, number: int, name: str) -> CharacteristicField:
    for each in store.page(connection, number):
        if each.name == name:
            return each
    raise NotFound(f"user{number} has no field '{shown(name)}'", code=Code.OBJECT_NOT_FOUND)


def _shown(field: CharacteristicField) -> Members:
    return {
        "_type": f"user{field.characteristic}field",
        "displayName": field.name,
        "sid": Number(field.field_id),
        "name": field.name,
        "type": field.type,
        "declaredFlag": field.declared,
        "createdDatetime": write_local(field.created_at),
    }


def _told(field: CharacteristicField) -> Members:
    return {"name": field.name, "type": field.type, "declaredFlag": field.declared}


def _fault(member: str, message: str) -> Fault:
    return Fault(Code.VALUE_NOT_VALID, message, field=member)


def _conflict(word: str, message: str) -> Conflict:
    return Conflict(faults=[Fault(Code.CONFLICT, message, field="", word=word)])
