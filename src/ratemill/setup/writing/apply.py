"""Apply a set-up document: all of it or nothing, every fault at once, in force with the commit.

Whatever sets up an owner first locks the row of its price book, so that two at once wait for each other, and raises the
book's version in the same transaction if anything changed. A dry run does the same in a transaction that may only read.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from ratemill import logs
from ratemill.access.owners import check_new, ensure, require
from ratemill.errors import Code, Fault, UsageFault
from ratemill.periods import write_instant
from ratemill.setup.declaration import NOTHING, Entry, Finding, SetupObject
from ratemill.setup.documents.document import Document, read_document
from ratemill.setup.nodes import DocumentFaults
from ratemill.setup.objects.registry import OBJECTS
from ratemill.setup.world import World
from ratemill.setup.writing.changes import Author, Log
from ratemill.setup.writing.resolve import resolve
from ratemill.setup.writing.write import write
from ratemill.store import owners
from ratemill.store.bulk import Clash
from ratemill.store.connections import Connection, Database
from ratemill.visible import shown

CREATED, UPDATED, UNCHANGED = "created", "updated", "unchanged"
_log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class ObjectOutcome:
    """What became of one object; ``identity`` is None where a dry run would make it."""

    list: str
    key: str
    action: str
    identity: int | None


@dataclass(slots=True)
class ApplyResult:
    """What a document did, or every fault that kept it from doing anything."""

    owner: str = ""
    items: list[ObjectOutcome] = field(default_factory=list)
    errors: list[Fault] = field(default_factory=list)
    warnings: list[Fault] = field(default_factory=list)
    version: int | None = None

    def count(self, action: str) -> int:
        """Return how many objects met this action."""
        return sum(item.action == action for item in self.items)

    def as_json(self) -> dict[str, Any]:
        """Return the members that ``--json`` prints."""
        return {
            **{action: self.count(action) for action in (CREATED, UPDATED, UNCHANGED)},
            "items": [
                {"list": item.list, "key": item.key, "action": item.action, "identity": item.identity}
                for item in self.items
            ],
            "errors": [fault_as_json(error) for error in self.errors],
            "warnings": [fault_as_json(warning) for warning in self.warnings],
        }


class _ApplyRollback(Exception):
    """Rolls the transaction back; the faults say why."""


def apply_document(
    database: Database,
    text: str,
    folder: Path | None,
    *,
    dry_run: bool = False,
    create_owner: bool = False,
    created_by: str,
) -> ApplyResult:
    """Make stored set-up agree with a document; CSV files are looked for from ``folder``.

    An owner that does not exist is a fault, unless ``create_owner`` is true.
    """
    faults = DocumentFaults([])
    with no_collection():
        document = read_document(text, folder, faults)
    applied = ApplyResult(owner=document.owner)
    try:
        with _transaction(database, dry_run=dry_run) as connection:
            owner_id = _owner(connection, document, faults, dry_run=dry_run, create=create_owner)
            author = None if dry_run else Author(created_by, "document")
            world = World(connection, owner_id, writes=not dry_run and owner_id is not None)
            _apply(document, world, faults, applied, author=author)
    except _ApplyRollback:
        applied.items.clear()
    applied.errors = in_order(faults)
    _log_outcome(applied, created_by=created_by, dry_run=dry_run)
    return applied


def check_document(document: Document, world: World, faults: DocumentFaults) -> list[Fault]:
    """Lay a document over the stored set-up and hold it to every rule; return what is likely a mistake."""
    resolve(document, world, faults)
    warnings = DocumentFaults([])
    for kind in OBJECTS:
        _check(kind, settled(document, kind), world, faults, warnings)
    return warnings.found


def in_order(faults: DocumentFaults) -> list[Fault]:
    """Return the faults of a document as they are told: by line, then path."""
    return sorted(faults.found, key=lambda fault: (fault.line or 0, fault.path or ""))


def fault_as_json(fault: Fault) -> dict[str, Any]:
    """Return the members of a fault that ``--json`` prints."""
    return {"path": fault.path, "line": fault.line, "message": fault.message}


@contextmanager
def _transaction(database: Database, *, dry_run: bool) -> Iterator[Connection]:
    with no_collection(), database.worker() as connection:
        if dry_run:
            owners.read_only_snapshot(connection)
        yield connection


@contextmanager
def no_collection() -> Iterator[None]:
    """Spare the garbage collector a search of hundreds of thousands of entries, in which there are no circles to find."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _owner(
    connection: Connection, document: Document, faults: DocumentFaults, *, dry_run: bool, create: bool
) -> int | None:
    """Return the number of a document's owner; None if it does not exist, which is a fault unless it may be created."""
    try:
        if not create:
            owner_id: int | None = require(connection, document.owner)
        elif dry_run:
            owner_id = owners.find(connection, document.owner)
            if owner_id is None:
                check_new(connection, document.owner)
        else:
            owner_id = ensure(connection, document.owner)
    except UsageFault as error:
        faults.add(Code.REFERENCE_NOT_FOUND, "owner", document.owner_line, str(error))
        return None
    if owner_id is not None and not dry_run:
        owners.lock_price_book(connection, owner_id)
    return owner_id


def _apply(
    document: Document, world: World, faults: DocumentFaults, applied: ApplyResult, *, author: Author | None
) -> None:
    """Hold a document to the rules, then write it by its author; without one, write nothing."""
    applied.warnings = check_document(document, world, faults)
    if faults.found:
        raise _ApplyRollback
    written: dict[int, int] = {}
    if author is not None:
        written = write_document(document, world, faults, author)
        if faults.found:
            raise _ApplyRollback
        if changes_anything(document):
            applied.version = owners.raise_version(world.connection, _known(world.owner_id))
    for kind in OBJECTS:
        applied.items += [_item(entry, world, written) for entry in settled(document, kind)]


def _known(owner_id: int | None) -> int:
    return owner_id or 0


def changes_anything(document: Document) -> bool:
    """Whether a document that was checked says anything new."""
    return any(action_of(entry) != UNCHANGED for kind in OBJECTS for entry in settled(document, kind))


def write_document(document: Document, world: World, faults: DocumentFaults, author: Author) -> dict[int, int]:
    """Write a document that is without fault, and the log of it; return the identities of what it made.

    What meets another row in spite of all rules is added to ``faults``, and the transaction must not be committed.
    """
    written: dict[int, int] = {}
    log = Log(world.connection, author)
    for kind in OBJECTS:
        changed = [entry for entry in settled(document, kind) if action_of(entry) != UNCHANGED]
        if not changed:
            continue
        try:
            write(kind, changed, world, written, log)
        except Clash as clash:
            faults.add(Code.RULE_BROKEN, kind.list_name, None, _clash_words(kind, clash))
            return written
    return written


def _clash_words(kind: SetupObject, clash: Clash) -> str:
    if clash.constraint == "identifiers_overlap_excl":
        return "an identifier belongs to a service already at that time"  # the detail would name a digest
    return f"another {kind.noun} has the same key: {clash.detail}"


def settled(document: Document, kind: SetupObject) -> list[Entry]:
    """Return the entries of one list whose key is known."""
    return [entry for entry in document.entries.get(kind.list_name, ()) if entry.identity]


def _check(
    kind: SetupObject, entries: list[Entry], world: World, faults: DocumentFaults, warnings: DocumentFaults
) -> None:
    if not entries:
        return
    for entry in entries:
        _check_entry(kind, entry, world, faults)
    sound = [entry for entry in entries if not entry.bad]
    world.unsure |= {entry.identity for entry in entries if entry.bad}
    if sound:
        for list_rule in kind.list_rules:
            _report(list_rule(sound, world), Code.RULE_BROKEN, faults)
        for warning in kind.warnings:
            _report(warning(sound, world), Code.WARNING, warnings)


def _check_entry(kind: SetupObject, entry: Entry, world: World, faults: DocumentFaults) -> None:
    if entry.stored is not None and entry.stored["built_in"] and entry.changes:
        entry.bad |= entry.changes
        message = f"'{shown(entry.row['name'])}' is built in and cannot be changed"
        faults.add(Code.MEMBER_FROZEN, entry.path(), entry.line, message)
    if kind.document and entry.bad:
        entry.bad |= {kind.document}  # nobody has looked at it
    if kind.finish is not None and not entry.bad:
        found = [(entry, member, message) for member, message in kind.finish(entry, world)]
        _report(found, Code.RULE_BROKEN, faults)
        entry.bad |= {kind.document} if found else NOTHING
        if entry.stored is not None:
            differing = {column for column in kind.columns if entry.row[column] != entry.stored[column]}
            entry.changes = entry.changes.difference(kind.columns) | differing
    for rule in kind.rules:
        if not entry.bad or entry.bad.isdisjoint(rule.reads):
            for member, message in rule.check(entry, world):
                faults.add(Code.RULE_BROKEN, entry.path(member), entry.line_of(member), message)


def _report(findings: Any, code: int, faults: DocumentFaults) -> None:  # noqa: ANN401 - any iterable of findings
    finding: Finding
    for finding in findings:
        entry, member, message = finding
        faults.add(code, entry.path(member), entry.line_of(member) if member else entry.line, message)


def action_of(entry: Entry) -> str:
    """Return what becomes of an entry that was checked."""
    if entry.stored is None:
        return CREATED
    return UPDATED if entry.changes else UNCHANGED


def _item(entry: Entry, world: World, written: dict[int, int]) -> ObjectOutcome:
    identity = written.get(entry.identity, entry.identity)
    return ObjectOutcome(
        entry.object.list_name, key_words(entry, world), action_of(entry), identity if identity > 0 else None
    )


def key_words(entry: Entry, world: World) -> str:
    """Return the key of an object in words: names, not identities."""
    parts = []
    for member in entry.object.key_members:
        value = entry.row[member.column]
        if value is not None:
            parts.append(str(world.name(member.target, value)) if member.is_reference else _written(value))
    return " / ".join(parts) or entry.object.keyless


def _written(value: object) -> str:
    return write_instant(value) if isinstance(value, datetime) else str(value)


def _log_outcome(applied: ApplyResult, *, created_by: str, dry_run: bool) -> None:
    counts = {action: applied.count(action) for action in (CREATED, UPDATED, UNCHANGED)}
    _log.info(
        "setup_applied", owner=applied.owner, by=created_by, dry_run=dry_run, errors=len(applied.errors), **counts
    )
