"""JSON schemas of the set-up objects, from their declaration: what is shown, and what a write may bring."""

from __future__ import annotations

from typing import Any

from ratemill import money
from ratemill.setup.declaration import Member, MemberKind, SetupObject
from ratemill.setup.objects.registry import BASE_UNITS, OBJECTS, children

Schema = dict[str, Any]

IDENTITY: Schema = {"type": "integer", "minimum": 1}
TRACKING_ID: Schema = {"type": "string", "format": "uuid"}
COUNT: Schema = {"type": "integer", "minimum": 0}
PAGINATION: Schema = {
    "type": "object",
    "required": ["pageNumber", "pageSize", "excludeTotalCount"],
    "properties": {
        "pageNumber": IDENTITY,
        "pageSize": IDENTITY,
        "excludeTotalCount": {"type": "boolean"},
        "next": {
            "type": "integer",
            "minimum": 1,
            "description": "If the page ended at its bytes: the pageOffset to go on with.",
        },
    },
}
PATH_IDENTITY: Schema = {
    "name": "identity",
    "in": "path",
    "required": True,
    "description": "The identity of the object.",
    "schema": {"type": "integer", "minimum": 0},
}
IF_NONE_MATCH: Schema = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "description": "The ETag of what the caller has already.",
    "schema": {"type": "string"},
}
IF_MATCH: Schema = {
    "name": "If-Match",
    "in": "header",
    "required": False,
    "description": "The ETag of what the caller means to change; 412 if it has changed since.",
    "schema": {"type": "string"},
}
_USED: Schema = {"dtoTypeKey": {"type": "string"}, "member": {"type": "string"}}
REFERENCES: Schema = {
    "type": "object",
    "required": ["trackingId", "totalCount", "items", "counts"],
    "properties": {
        "trackingId": TRACKING_ID,
        "totalCount": COUNT,
        "items": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["dtoTypeKey", "identity", "name", "member", "path"],
                "properties": {**_USED, "identity": IDENTITY, "name": {"type": "string"}, "path": {"type": "string"}},
            },
        },
        "counts": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["dtoTypeKey", "member", "totalCount"],
                "properties": {**_USED, "totalCount": COUNT},
            },
        },
    },
}
_NUMBER: Schema = {"type": "string", "pattern": r"^-?\d+(\.\d+)?$"}
_VALUES: dict[MemberKind, Schema] = {
    MemberKind.BOOL: {"type": "boolean"},
    MemberKind.PRICE: _NUMBER,
    MemberKind.QUANTITY: _NUMBER,
    MemberKind.INSTANT: {"type": "string", "format": "date-time"},
    MemberKind.STRUCTURE: {},
}
_READ_ONLY = ("identity", "ownerId", "ownerName")


def list_envelope(item: Schema) -> Schema:
    """Return the schema of the envelope of a whole list."""
    return _all_required({"trackingId": TRACKING_ID, "totalCount": COUNT, "items": {"type": "array", "items": item}})


def page_envelope(item: Schema) -> Schema:
    """Return the schema of the envelope of a page; ``totalCount`` may be left out."""
    results = {"totalCount": COUNT, "items": {"type": "array", "items": item}}
    results_schema = {"type": "object", "required": ["items"], "properties": results}
    return _all_required({"trackingId": TRACKING_ID, "pagination": PAGINATION, "pagedResults": results_schema})


def one_envelope(item: Schema) -> Schema:
    """Return the schema of the envelope of one object."""
    return _all_required({"trackingId": TRACKING_ID, "instance": item})


def write_envelope(item: Schema) -> Schema:
    """Return the schema of the envelope of a write."""
    kinds = {"enum": ["create", "update", "patch", "delete", "sendMessage"]}
    results = _all_required({"totalCount": COUNT, "items": {"type": "array", "items": item}})
    return _all_required({"trackingId": TRACKING_ID, "type": kinds, "results": results})


def answered(schema: Schema) -> Schema:
    """Return the part of an operation's description that says what it answers when done."""
    return {"description": "Done.", "content": {"application/json": {"schema": schema}}}


def with_details(kind: SetupObject) -> Schema:
    """Return the schema of an object as it is shown with its details."""
    details = {"type": "object", "required": ["details"], "properties": {"details": {"type": "object"}}}
    return {"allOf": [shown(kind), details]}


def _all_required(properties: Schema) -> Schema:
    return {"type": "object", "required": list(properties), "properties": properties}


def components() -> dict[str, Schema]:
    """Return the schema of every object as it is shown, by its name in the description."""
    return {kind.dto_type_key: instance(kind) for kind in (BASE_UNITS, *OBJECTS)}


def shown(kind: SetupObject) -> Schema:
    """Return a pointer to the schema of an object as it is shown."""
    return {"$ref": f"#/components/schemas/{kind.dto_type_key}"}


def shown_in_part(kind: SetupObject) -> Schema:
    """Return the schema of an object of which only some members are shown."""
    return {"type": "object", "properties": instance(kind)["properties"]}


def body(schema: Schema) -> Schema:
    """Return the part of an operation's description that says what body it takes."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def instance(kind: SetupObject) -> Schema:
    """Return the schema of an object as it is shown."""
    properties: Schema = {
        "identity": IDENTITY,
        "ownerId": {"type": ["integer", "null"]},
        "ownerName": {"type": ["string", "null"]},
    }
    for member in kind.members:
        if member.is_reference:
            properties |= _shown_reference(member)
        else:
            properties[member.name] = _nullable(_shown_value(member)) if _may_be_unset(member) else _shown_value(member)
    return {"type": "object", "required": list(properties), "properties": properties}


def create(kind: SetupObject) -> Schema:
    """Return the schema of the body that makes an object."""
    schema = _written(kind)
    required = [member.name for member in kind.members if member.required and not member.is_reference]
    either = [
        {"anyOf": [{"required": [member.name]}, {"required": [member.id_name]}]}
        for member in kind.members
        if member.required and member.is_reference and not member.virtual
    ]
    return {**schema, **({"required": required} if required else {}), **({"allOf": either} if either else {})}


def merge(kind: SetupObject) -> Schema:
    """Return the schema of the body that changes some members of an object."""
    return _written(kind)


def patch(kind: SetupObject) -> Schema:
    """Return the schema of the body that changes an object, others of its kind and their parts together."""
    properties: Schema = {"details": merge(kind), kind.list_name: _items(kind)}
    properties |= {child.list_name: _items(child) for child, _ in children(kind)}
    return {"type": "object", "properties": properties}


def _items(kind: SetupObject) -> Schema:
    item = _written(kind)
    item["properties"] = {
        "patchType": {"enum": ["create", "update", "delete", "attach", "detach"]},
        "patchClientId": {"type": ["integer", "string"]},
        **item["properties"],
    }
    item["required"] = ["patchType"]
    return {"type": "object", "required": ["items"], "properties": {"items": {"type": "array", "items": item}}}


def _written(kind: SetupObject) -> Schema:
    properties: Schema = {name: {"readOnly": True} for name in _READ_ONLY}
    for member in kind.members:
        properties |= _written_member(member)
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _written_member(member: Member) -> Schema:
    if member.kind is MemberKind.REFERENCES:
        name: Schema = {"type": "array", "minItems": 1, "items": _text(member)}
        identity: Schema = {"type": "array", "minItems": 1, "items": IDENTITY}
        return {member.id_name: identity, member.name: name}
    if member.kind is MemberKind.REFERENCE:
        return {member.id_name: _given(member, IDENTITY), member.name: _given(member, _text(member))}
    return {member.name: _given(member, _written_value(member))}


def _given(member: Member, schema: Schema) -> Schema:
    return schema if member.required else _nullable(schema)


def _written_value(member: Member) -> Schema:
    match member.kind:
        case MemberKind.PRICE | MemberKind.QUANTITY:
            bounds: Schema = {"type": "number"}
            if member.least is not None:
                bounds["minimum"] = _bound(member.least)
            if member.most is not None:
                bounds["maximum"] = _bound(member.most)
            digits: Schema = {"type": "string", "pattern": r"^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,4})?$"}
            return {"anyOf": [digits, bounds]}
        case MemberKind.TEXT:
            return _text(member)
        case _:
            return _shown_value(member)


def _text(member: Member) -> Schema:
    return {"type": "string", "minLength": 1, "maxLength": member.chars_max}


def _shown_value(member: Member) -> Schema:
    if member.kind is MemberKind.CHOICE:
        return {"type": "string", "enum": list(member.choices)}
    if member.kind is MemberKind.INTEGER:
        least = {} if member.least is None else {"minimum": _bound(member.least)}
        most = {} if member.most is None else {"maximum": _bound(member.most)}
        return {"type": "integer", **least, **most}
    return dict(_VALUES.get(member.kind, {"type": "string"}))


def _shown_reference(member: Member) -> Schema:
    if member.kind is MemberKind.REFERENCES:
        return {
            member.id_name: {"type": "array", "items": IDENTITY},
            member.name: {"type": "array", "items": {"type": "string"}},
        }
    return {
        member.id_name: _nullable(IDENTITY) if _may_be_unset(member) else IDENTITY,
        member.name: {"type": ["string", "null"]},
    }


def _may_be_unset(member: Member) -> bool:
    return not member.required or member.virtual


def _nullable(schema: Schema) -> Schema:
    if not schema:
        return schema
    if "anyOf" in schema:
        return {"anyOf": [*schema["anyOf"], {"type": "null"}]}
    made = {**schema, "type": [schema["type"], "null"]}
    return {**made, "enum": [*schema["enum"], None]} if "enum" in schema else made


def _bound(number: object) -> object:
    """Return a bound as a JSON number: bounds of the declaration are whole."""
    return int(money.plain(money.parse_decimal(str(number))))
