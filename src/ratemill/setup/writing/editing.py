"""Create and update one set-up object: the members of a JSON body meet the resolver and the rules that a document meets.

Whatever writes first locks the row of the owner's price book, then looks: a tag in ``If-Match`` is compared with what no
other can change any more. All or nothing; every fault at once.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from ratemill.errors import BadRequest, Code, Fault, NotFound, PreconditionFailed, invariant
from ratemill.setup.declaration import Entry, SetupObject
from ratemill.setup.documents.document import IDENTITY_MAX, Document, read_members
from ratemill.setup.documents.json_nodes import read_json
from ratemill.setup.nodes import DocumentFaults, Pairs, Unreadable
from ratemill.setup.reading.showing import Json, ObjectView, etag, show
from ratemill.setup.world import World
from ratemill.setup.writing.apply import changes_anything, check_document, write_document
from ratemill.setup.writing.changes import Author
from ratemill.store import owners
from ratemill.store.connections import Connection, Database
from ratemill.visible import shown

READ_ONLY = frozenset({"identity", "ownerId", "ownerName"})  # members of every object that only the product fills
DETAILS = "details"  # the children of an object, as its Detail shows them
_PLACE = re.compile(r"(?P<list>\w+)\[(?P<index>-?\d+)\](?:\.(?P<member>.*))?\Z", re.DOTALL)
_OTHER_PLACE = re.compile(r"\b(\w+)\[(-?\d+)\](?!\.)")
ONLY = -1  # the index of the one object of a body


@dataclass(frozen=True, slots=True)
class EditResult:
    """What a write answers: its items, the tag of the object of the path, if there still is one, and likely mistakes."""

    items: list[Json]
    etag: str | None
    warnings: list[Fault] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class EditTarget:
    """The object of a path, and the tags that it may have (``If-Match``), if the caller says."""

    kind: SetupObject
    identity: int
    if_match: str | None = None


@dataclass(frozen=True, slots=True)
class Edit:
    """A transaction in which one author changes the set-up of one owner, and nobody else does."""

    connection: Connection
    owner_id: int
    author: Author
    warnings: list[Fault] = field(default_factory=list)

    def show(self, kind: SetupObject, identities: Sequence[int]) -> dict[int, ObjectView]:
        """Return objects as they are now."""
        return show(self.connection, self.owner_id, kind, identities)

    def require(self, target: EditTarget) -> ObjectView:
        """Return the object of a path; raise ``NotFound``, or ``PreconditionFailed`` if its tag is another."""
        kind, identity = target.kind, target.identity
        found = self.show(kind, [identity]).get(identity) if 0 < identity <= IDENTITY_MAX else None
        if found is None:
            raise NotFound(f"there is no {kind.noun} {identity}", code=Code.OBJECT_NOT_FOUND)
        if target.if_match is not None and not _matches(target.if_match, etag(found)):
            raise PreconditionFailed(f"the {kind.noun} {identity} is {etag(found)} by now, not {target.if_match}")
        return found

    def write(self, document: Document, faults: DocumentFaults) -> dict[int, int]:
        """Check and write entries; return the identities of those that are new. Writes nothing if there is a fault."""
        world = World(self.connection, self.owner_id)
        self.warnings.extend(in_place(warning) for warning in check_document(document, world, faults))
        if faults.found:
            return {}
        written = write_document(document, world, faults, self.author)
        if not faults.found and changes_anything(document):
            owners.raise_version(self.connection, self.owner_id)
        return written


@contextmanager
def edit(database: Database, owner_id: int, author: Author) -> Iterator[Edit]:
    """Yield a transaction that holds the owner's price book."""
    with database.face(owner_id) as connection:
        owners.lock_to_edit(connection, owner_id)
        yield Edit(connection, owner_id, author)


def create(database: Database, owner_id: int, kind: SetupObject, body: bytes, author: Author) -> EditResult:
    """Make a new object; raise ``BadRequest`` with every fault."""
    members = read_object(body)
    with edit(database, owner_id, author) as work:
        faults = DocumentFaults([])
        entry = Entry(kind, ONLY, members.line, fresh=True)
        read_members(entry, members, faults, passed_over=READ_ONLY)
        written = work.write(Document(entries={kind.list_name: [entry]}), faults)
        refuse(faults)
        shown = work.show(kind, [written[entry.identity]])[written[entry.identity]]
    return _one(kind, shown, "created", work.warnings)


def update(database: Database, owner_id: int, target: EditTarget, body: bytes, author: Author) -> EditResult:
    """Change the members of an object that a body names; null clears, what is absent stays.

    Raises ``NotFound``, ``PreconditionFailed``, or ``BadRequest`` with every fault.
    """
    members = read_object(body)
    kind, identity = target.kind, target.identity
    with edit(database, owner_id, author) as work:
        before = work.require(target)
        faults = DocumentFaults([])
        entry = Entry(kind, ONLY, members.line, addressed=identity)
        check_identity(entry, members, identity, faults)
        read_members(entry, members, faults, passed_over=derived(kind, before))
        work.write(Document(entries={kind.list_name: [entry]}), faults)
        refuse(faults)
        shown = work.show(kind, [identity])[identity]
    return _one(kind, shown, "updated", work.warnings)


def derived(kind: SetupObject, view: ObjectView) -> Collection[str]:
    """Return the names that an object shows and nobody writes: what was read may be sent back."""
    return READ_ONLY | {DETAILS} | {name for name in view.instance if kind.member(name) is None}


def read_object(body: bytes) -> Pairs:
    """Return the members of a body, numbers as their digits; raise ``BadRequest``."""
    try:
        node = read_json(body.decode())
    except UnicodeDecodeError as error:
        raise BadRequest(f"the body is not UTF-8: {error.reason}", code=Code.BODY_NOT_JSON) from error
    except Unreadable as error:
        raise BadRequest(f"line {error.line}: {error.message}", code=Code.BODY_NOT_JSON) from error
    if not isinstance(node, Pairs):
        raise BadRequest("the body must be a JSON object", code=Code.BODY_NOT_AN_OBJECT)
    return node


def check_identity(entry: Entry, members: Pairs, identity: int, faults: DocumentFaults) -> None:
    """Hold an identity in a body, if there is one, to that of the path."""
    named = members.pairs.get("identity")
    if named is not None and getattr(named, "text", "") != str(identity):
        message = f"is not {identity}, the identity in the path"
        faults.add(Code.IDENTITY_NOT_OF_PATH, entry.path("identity"), members.lines["identity"], message)


def refuse(faults: DocumentFaults) -> None:
    """Raise ``BadRequest`` with every fault, placed by row and member, if there is one."""
    if faults.found:
        raise BadRequest(faults=[in_place(fault) for fault in faults.found])


def in_place(fault: Fault) -> Fault:
    """Return a fault as HTTP tells it: ``usageRates[2].amount`` is the member ``amount`` of row 3."""
    match = _PLACE.match(fault.path or "")
    message = _OTHER_PLACE.sub(_row_words, fault.message)
    if match is None:
        return replace(fault, message=message, field=fault.field or fault.path or None)
    member, index = match["member"] or None, int(match["index"])
    row = index + 1 if index >= 0 else None
    named = message if member is None or message.startswith(f"'{shown(member)}'") else f"{shown(member)}: {message}"
    place = "" if row is None else f"{match['list']}, row {row}: "
    return replace(fault, message=place + named, row=row, field=member)


def _row_words(match: re.Match[str]) -> str:
    index = int(match[2])
    return "this one" if index == ONLY else f"row {index + 1} of {match[1]}"


def _one(kind: SetupObject, view: ObjectView, action: str, warnings: list[Fault]) -> EditResult:
    """Return the answer of a call on one object: its members as the printed samples have them, and what was done beside."""
    invariant("action" not in view.instance, "a member would hide what was done")
    more: dict[str, Any] = {"action": action, "dtoTypeKey": kind.dto_type_key, "instance": view.instance}
    return EditResult([{**view.instance, **more}], etag(view), warnings)


def _matches(if_match: str, tag: str) -> bool:
    """Whether one of the tags in ``If-Match`` is this one; a weak tag never is."""
    return any(each.strip() in ("*", tag) for each in if_match.split(","))
