"""Patch: many changes in one transaction, told in lists beside the object of the path.

``{"details": {…}, "usageRates": {"items": [{"patchType": "create", …}]}}``. The lists are the object's own, those of its
children, and those that it is attached to. Steps are done in the order sent, those that stand together at once; all or
nothing, with every fault of every step.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from ratemill.errors import Code, NotFound
from ratemill.setup.declaration import Entry, Identity, Member, SetupObject
from ratemill.setup.documents.document import IDENTITY_MAX, Document, read_members
from ratemill.setup.nodes import DocumentFaults, Items, Node, Pairs, Scalar
from ratemill.setup.nodes import ScalarForm as Noted
from ratemill.setup.objects.registry import children
from ratemill.setup.reading.showing import Json, ObjectView, etag
from ratemill.setup.writing.changes import Author
from ratemill.setup.writing.deleting import carry_out, connector_key, plan_delete
from ratemill.setup.writing.editing import (
    DETAILS,
    ONLY,
    READ_ONLY,
    Edit,
    EditResult,
    EditTarget,
    check_identity,
    derived,
    edit,
    read_object,
    refuse,
)
from ratemill.store import bulk
from ratemill.store.connections import Database
from ratemill.texts import writable
from ratemill.visible import shown

CREATE, UPDATE, DELETE, ATTACH, DETACH = "create", "update", "delete", "attach", "detach"
CONNECTING = (ATTACH, DETACH)
_DONE = {CREATE: "created", UPDATE: "updated", DELETE: "deleted", ATTACH: "attached", DETACH: "detached"}
Found = tuple[str, int]  # the list of an object, and its identity
_OWN = frozenset({"patchType", "patchClientId"})  # members of a step, not of its object


@dataclass(slots=True)
class Step:
    """One change: an item of a list, or the ``details``; ``position`` counts the items of its list from 0."""

    kind: SetupObject
    members: Pairs
    place: str
    position: int
    action: str
    identity: int = 0
    client_id: str | int | None = None
    connector: Member | None = None
    other: int = 0
    results: list[Json] = field(default_factory=list)


def patch(database: Database, owner_id: int, target: EditTarget, body: bytes, author: Author) -> EditResult:
    """Carry out a patch on the object of a path (0: none is meant).

    Raises ``NotFound``, ``PreconditionFailed``, or ``BadRequest`` with every fault of every step.
    """
    root = read_object(body)
    kind, identity = target.kind, target.identity
    with edit(database, owner_id, author) as work:
        if identity:
            work.require(target)
        elif target.if_match is not None:
            raise NotFound(f"there is no {kind.noun} 0 to match", code=Code.OBJECT_NOT_FOUND)
        faults = DocumentFaults([])
        steps = _StepReader(kind, identity, faults).read(root)
        for deletes, run in groupby(steps, key=lambda step: step.action == DELETE):
            if deletes:
                _delete(work, list(run), faults)
            else:
                _write(work, identity, list(run), faults)
        refuse(faults)
        shown = work.show(kind, [identity]).get(identity) if identity else None
    tag = None if shown is None else etag(shown)
    return EditResult([item for step in steps for item in step.results], tag, work.warnings)


class _StepReader:
    """Reads the steps of a patch."""

    def __init__(self, kind: SetupObject, identity: int, faults: DocumentFaults) -> None:
        self._kind, self._identity, self._faults = kind, identity, faults
        self._lists: dict[str, SetupObject] = {kind.list_name: kind}
        self._lists |= {child.list_name: child for child, _ in children(kind)}
        self._connected = {member.target: member for member in kind.members if member.link is not None}
        self._client_ids: set[str | int] = set()

    def read(self, root: Pairs) -> list[Step]:
        for name, line in root.twice:
            self._faults.add(Code.ENTRY_TWICE, name, line, f"'{shown(name)}' stands here twice")
        steps: list[Step] = []
        for name, node in root.pairs.items():
            if name == DETAILS:
                steps[:0] = self._details(node)
            elif name in self._lists or name in self._connected:
                steps += self._list(name, node)
            else:
                known = ", ".join(
                    [DETAILS, *self._lists, *(each for each in self._connected if each not in self._lists)]
                )
                self._faults.add(Code.MEMBER_UNKNOWN, name, root.lines[name], f"'{shown(name)}' is none of {known}")
        return steps

    def _details(self, node: Node) -> list[Step]:
        if isinstance(node, Scalar) and node.text is None:
            return []
        if not isinstance(node, Pairs):
            self._faults.add(Code.PATCH_NOT_VALID, DETAILS, node.line, f"'{DETAILS}' must be an object")
            return []
        if not node.pairs:
            return []
        if not self._identity:
            self._faults.add(
                Code.PATCH_NOT_VALID, DETAILS, node.line, f"'{DETAILS}' changes nothing: the path names none"
            )
            return []
        return [Step(self._kind, node, f"{self._kind.list_name}[{ONLY}]", ONLY, UPDATE, self._identity)]

    def _list(self, name: str, node: Node) -> Iterator[Step]:
        items = node.pairs.get("items") if isinstance(node, Pairs) and set(node.pairs) == {"items"} else None
        if not isinstance(items, Items):
            message = f"'{shown(name)}' must be an object with the list 'items' and nothing else"
            self._faults.add(Code.PATCH_NOT_VALID, name, node.line, message)
            return
        for position, item in enumerate(items.items):
            place = f"{name}[{position}]"
            if not isinstance(item, Pairs):
                self._faults.add(Code.PATCH_NOT_VALID, place, item.line, "must be an object")
            elif (step := self._step(name, item, place, position)) is not None:
                yield step

    def _step(self, name: str, item: Pairs, place: str, position: int) -> Step | None:
        client_id = self._client_id(item.pairs.get("patchClientId"), place)
        changing = (UPDATE,) if self._kind.singular else (CREATE, UPDATE, DELETE)
        allowed = (changing if name in self._lists else ()) + (CONNECTING if name in self._connected else ())
        named = item.pairs.get("patchType")
        action = named.text if isinstance(named, Scalar) and named.written is Noted.STRING else None
        if action not in allowed:
            said = "is required" if named is None else f"'{shown(action or 'this')}' is none of them"
            message = f"{said}: {', '.join(allowed)}"
            self._faults.add(Code.PATCH_NOT_VALID, f"{place}.patchType", item.line, message)
            return None
        if action in CONNECTING:
            return self._connecting(name, item, Step(self._kind, item, place, position, action, client_id=client_id))
        step = Step(self._lists[name], item, place, position, action, client_id=client_id)
        return step if action == CREATE or self._address(step) else None

    def _address(self, step: Step) -> bool:
        """Find the object that a step changes: by its identity, else the object of the path."""
        if "identity" in step.members.pairs:
            found = self._number(step, "identity")
        elif step.kind is self._kind and self._identity:
            found = self._identity
        else:
            self._faults.add(Code.MEMBER_REQUIRED, f"{step.place}.identity", step.members.line, "is required")
            return False
        step.identity = found or 0
        return found is not None

    def _connecting(self, name: str, item: Pairs, step: Step) -> Step | None:
        step.connector = self._connected[name]
        for unknown in item.pairs.keys() - _OWN - {"lhsId", "rhsId"}:
            message = f"there is no member '{shown(unknown)}' in a step that attaches or detaches"
            self._faults.add(Code.MEMBER_UNKNOWN, f"{step.place}.{unknown}", item.line, message)
        left = self._number(step, "lhsId") if "lhsId" in item.pairs else self._identity
        right = self._number(step, "rhsId")
        if left is None or right is None:
            return None
        step.identity, step.other = left, right
        return step

    def _number(self, step: Step, name: str) -> int | None:
        node = step.members.pairs.get(name)
        if node is None:
            self._faults.add(Code.MEMBER_REQUIRED, f"{step.place}.{name}", step.members.line, "is required")
            return None
        if isinstance(node, Scalar) and node.written is Noted.NUMBER and (node.text or "").isdigit():
            return min(int((node.text or "")[:20]), IDENTITY_MAX + 1)
        self._faults.add(Code.VALUE_NOT_VALID, f"{step.place}.{name}", node.line, "must be a whole number")
        return None

    def _client_id(self, node: Node | None, place: str) -> str | int | None:
        if node is None:
            return None
        client_id = _plain_id(node)
        if client_id is None:
            message = "must be a whole number or a text"
            self._faults.add(Code.PATCH_NOT_VALID, f"{place}.patchClientId", node.line, message)
        elif client_id in self._client_ids:
            message = f"'{shown(client_id)}' stands here twice"
            self._faults.add(Code.PATCH_NOT_VALID, f"{place}.patchClientId", node.line, message)
        else:
            self._client_ids.add(client_id)
        return client_id


def _plain_id(node: Node) -> str | int | None:
    if not isinstance(node, Scalar) or node.text is None:
        return None
    if node.written is Noted.STRING:
        return writable(node.text)
    if (
        node.written is Noted.NUMBER
        and node.text.removeprefix("-").isdigit()
        and len(node.text) <= len(str(IDENTITY_MAX))
    ):
        return int(node.text)
    return None


# Steps that write


def _write(work: Edit, path_identity: int, steps: list[Step], faults: DocumentFaults) -> None:
    """Create, update, attach and detach, all as one document."""
    there = _shown(work, [(step.kind, step.identity) for step in steps if step.identity])
    entries: dict[Found, Entry] = {}
    made: list[tuple[Step, Entry]] = []
    document = Document()
    for step in steps:
        found = (step.kind.list_name, step.identity)
        if step.action != CREATE and not _exists(step, there, faults):
            continue
        entry = entries.get(found) if step.connector is not None else None
        if entry is None:
            entry = _entry(path_identity, step, there.get(found), faults)
            document.entries.setdefault(step.kind.list_name, []).append(entry)
            if step.identity:
                entries.setdefault(found, entry)
        if step.connector is not None:
            _connect(work, step, entry, faults)
        made.append((step, entry))
    written = work.write(document, faults)
    if faults.found:
        return
    done = [(step, written.get(entry.identity, entry.identity)) for step, entry in made]
    shown = _shown(work, [(step.kind, identity) for step, identity in done])
    for step, identity in done:
        step.results = [_result(step, identity, shown[step.kind.list_name, identity])]


def _shown(work: Edit, wanted: list[tuple[SetupObject, int]]) -> dict[Found, ObjectView]:
    """Return objects of many kinds as they are now."""
    ids: dict[SetupObject, set[int]] = {}
    for each, identity in wanted:
        if 0 < identity <= IDENTITY_MAX:
            ids.setdefault(each, set()).add(identity)
    return {
        (each.list_name, identity): shown
        for each, some in ids.items()
        for identity, shown in work.show(each, sorted(some)).items()
    }


def _exists(step: Step, there: dict[Found, ObjectView], faults: DocumentFaults) -> bool:
    if (step.kind.list_name, step.identity) in there:
        return True
    member = "lhsId" if step.connector is not None else "identity"
    message = f"'{shown(member)}' ({step.identity}) does not exist: there is no {step.kind.noun} of this identity"
    faults.add(Code.REFERENCE_NOT_FOUND, f"{step.place}.{member}", step.members.line, message)
    return False


def _entry(path_identity: int, step: Step, view: ObjectView | None, faults: DocumentFaults) -> Entry:
    kind = step.kind
    entry = Entry(kind, max(step.position, 0), step.members.line, place=step.place)
    if step.connector is not None:
        entry.addressed = step.identity
        return entry
    passed_over = _OWN | READ_ONLY
    if step.action == CREATE:
        entry.fresh = True
    else:
        entry.addressed = step.identity
        passed_over |= frozenset(derived(kind, view) if view is not None else ())
    if step.position == ONLY:
        passed_over -= _OWN
        check_identity(entry, step.members, step.identity, faults)
    read_members(entry, step.members, faults, passed_over=passed_over)
    if step.action == CREATE and path_identity:
        _belong(entry, path_identity)
    return entry


def _belong(entry: Entry, path_identity: int) -> None:
    """Let a new part be one of the object of the path, unless it names another."""
    for member in entry.object.members:
        if member.parent and entry.given.get(member.column) is None and member.column not in entry.bad:
            entry.given[member.column] = Identity(path_identity)


def _connect(work: Edit, step: Step, entry: Entry, faults: DocumentFaults) -> None:
    member = step.connector
    assert member is not None  # noqa: S101 -- only such steps come here
    link = member.link
    assert link is not None  # noqa: S101 -- what connects is linked
    given = entry.given.get(member.column)
    if given is None:
        stored = bulk.read_links(work.connection, link.table, link.parent, link.child, [step.identity])
        given = stored.get(step.identity, ())
    attached = step.other in given
    if step.action == DETACH and not attached:
        message = f"'rhsId' ({step.other}) is not attached"
        faults.add(Code.PATCH_NOT_VALID, f"{step.place}.rhsId", step.members.line, message)
    elif step.action == ATTACH and attached:
        message = f"'rhsId' ({step.other}) is attached already"
        faults.add(Code.PATCH_NOT_VALID, f"{step.place}.rhsId", step.members.line, message)
    elif step.action == ATTACH:
        entry.given[member.column] = (*_as_named(given), Identity(step.other))
    else:
        entry.given[member.column] = tuple(one for one in _as_named(given) if one != step.other)
        if member.required and not entry.given[member.column]:
            message = f"'rhsId' ({step.other}) is the last, and at least one must stay"
            faults.add(Code.PATCH_NOT_VALID, f"{step.place}.rhsId", step.members.line, message)


def _as_named(given: Iterable[int | str]) -> list[Identity | str]:
    """Return references as a body names them: stored ones are numbers, others names."""
    return [Identity(one) if isinstance(one, int) else one for one in given]


def _result(step: Step, identity: int, view: ObjectView) -> Json:
    if step.connector is not None:
        key = connector_key(step.kind, step.connector)
        ends: Json = {"lhsId": identity, "rhsId": step.other, "action": _DONE[step.action], "dtoTypeKey": key}
        return _echoed(step, ends)
    return _echoed(step, _nested(step, identity, view.instance))


def _nested(step: Step, identity: int, instance: dict[str, Any]) -> Json:
    done = {"identity": identity, "action": _DONE[step.action], "dtoTypeKey": step.kind.dto_type_key}
    return {**done, "instance": instance}


def _echoed(step: Step, result: Json) -> Json:
    return result if step.client_id is None else {**result, "patchClientId": step.client_id}


# Steps that delete


def _delete(work: Edit, steps: list[Step], faults: DocumentFaults) -> None:
    for step in steps:
        if not _exists(step, _shown(work, [(step.kind, step.identity)]), faults):
            continue
        before = len(faults.found)
        plan = plan_delete(work, step.kind, step.identity, step.place, faults)
        if len(faults.found) > before:
            continue
        instance = plan.views[step.kind.list_name][step.identity].instance
        _, *others = carry_out(work, plan, faults)
        step.results = [_echoed(step, _nested(step, step.identity, instance)), *others]
