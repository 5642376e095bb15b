"""Export: everything an owner has set up, as a document that changes nothing where it is applied again.

The owner is a name, or where a default of its own is another a mapping of its members.

Names, not identities; what is built in or at its default is left out; lists and entries in an order of their own, so that
two owners with the same set-up export the same text but for their name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from ratemill.access.owners import require
from ratemill.setup.declaration import Member, MemberKind, SetupObject
from ratemill.setup.objects.registry import BASE_UNITS, OBJECTS, OWNERS, WRITABLE
from ratemill.setup.reading.stored import read_objects
from ratemill.setup.values import shown_value
from ratemill.setup.world import Row, World
from ratemill.store import owners
from ratemill.store.connections import Database
from ratemill.visible import escape_invisible

LINE_CHARS_MAX = 120
_PLAIN = re.compile(r"[A-Za-z_](?:[A-Za-z0-9_ ./+-]*[A-Za-z0-9_./+-])?\Z")
_NOT_PLAIN = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"}
_QUOTED = re.compile(r'["\\]')
_BMP_MAX = 0xFFFF  # YAML writes what is above it with eight digits
_US_PER_MS = 1_000


def export_document(database: Database, owner: str) -> str:
    """Return the set-up of an owner as YAML; raise ``UnknownOwner`` if there is no such owner."""
    with database.worker() as connection:
        owners.read_only_snapshot(connection)
        world = World(connection, require(connection, owner))
        for kind in (BASE_UNITS, *OBJECTS):
            rows = read_objects(world, kind, None)
            world.rows[kind.list_name] = {row[kind.identity]: row for row in rows}
    return "\n".join(_lines(world)) + "\n"


def _lines(world: World) -> Iterator[str]:
    yield "ratemill: 1"
    (owner,) = (dict(_members(OWNERS, row, world)) for row in world.rows[OWNERS.list_name].values())
    yield f"owner: {_flow(owner) if len(owner) > 1 else write_text(owner['name'])}"
    for each in WRITABLE.values():
        entries = sorted(entries_of(each, world), key=lambda entry: _order(each, entry))
        if entries:
            yield f"{each.list_name}:"
            for entry in entries:
                yield from _entry_lines(entry)


def entries_of(kind: SetupObject, world: World) -> Iterator[dict[str, Any]]:
    """Return the entries of one list as a document has them: texts, truth values, lists and mappings by member."""
    for row in world.rows[kind.list_name].values():
        if not row["built_in"]:
            yield dict(_members(kind, row, world))


def _members(kind: SetupObject, row: Row, world: World) -> Iterator[tuple[str, Any]]:
    document = row.get(kind.document) or {}
    for member in kind.members:
        if member.inner:
            value = document.get(member.name)
        elif member.virtual:
            value = _virtual(member, row, world)
        else:
            value = _value(member, row[member.column], world)
        if value is not None and (member.required or value != _default(member)):
            yield member.name, value


def _default(member: Member) -> Any:  # noqa: ANN401 - the member makes the type
    return str(member.default) if member.kind in (MemberKind.PRICE, MemberKind.QUANTITY) else member.default


def _virtual(member: Member, row: Row, world: World) -> str | None:
    """Return the account of the service that an identifier belongs to."""
    service = world.row("accountServices", row.get("service_id"))
    return (
        world.name("accounts", service["account_id"]) if service is not None and member.target == "accounts" else None
    )


def _value(member: Member, value: Any, world: World) -> Any:  # noqa: ANN401 - the member makes the type
    if value is None:
        return None
    if member.kind is MemberKind.REFERENCE:
        return world.name(member.target, value)
    if member.kind is MemberKind.REFERENCES:
        return [world.name(member.target, each) for each in value] or None
    if isinstance(value, datetime) and value.microsecond % _US_PER_MS:
        return value.astimezone(UTC).isoformat()  # finer than the wire shows it
    return shown_value(value)


def _order(kind: SetupObject, entry: dict[str, Any]) -> tuple[str, ...]:
    return tuple(str(entry.get(member.name, "")) for member in kind.key_members)


# YAML, by hand: one entry a line where it fits, every text that could be read as something else in quotes


def _entry_lines(entry: dict[str, Any]) -> Iterator[str]:
    line = f"  - {_flow(entry)}"
    if len(line) <= LINE_CHARS_MAX:
        yield line
        return
    lead = "  - "
    for name, value in entry.items():
        yield from _member_lines(lead, name, value)
        lead = "    "


def _member_lines(lead: str, name: str, value: Any) -> Iterator[str]:  # noqa: ANN401 - whatever a document holds
    line = f"{lead}{name}: {_flow(value)}"
    if len(line) <= LINE_CHARS_MAX or not isinstance(value, list):
        yield line
        return
    yield f"{lead}{name}:"
    yield from (f"      - {_flow(item)}" for item in value)


def _flow(value: Any) -> str:  # noqa: ANN401 - whatever a document holds
    if isinstance(value, dict):
        return "{" + ", ".join(f"{write_text(str(key))}: {_flow(each)}" for key, each in value.items()) + "}"
    if isinstance(value, Iterable) and not isinstance(value, str):
        return "[" + ", ".join(_flow(each) for each in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else write_text(str(value))


def write_text(text: str) -> str:
    """Write a text as YAML; in double quotes unless any reader would take it for this text."""
    if _PLAIN.match(text) and text.lower() not in _NOT_PLAIN:
        return text
    return '"' + escape_invisible(_QUOTED.sub(r"\\\g<0>", text), _escape) + '"'


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code <= _BMP_MAX else f"\\U{code:08x}"
