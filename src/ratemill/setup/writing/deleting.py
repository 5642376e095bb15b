"""Delete set-up objects with their parts, unless something else still needs one of them.

Parts are what declares the object its parent, and the parts of those. What only refers to one of them is a user: it keeps
all of them, and is named. So does usage, wherever a charge, a request or a batch would lose what it says: such objects
are ended or retired, never deleted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ratemill.errors import Code, Conflict, WriteRace
from ratemill.setup.declaration import Member, SetupObject
from ratemill.setup.nodes import DocumentFaults
from ratemill.setup.objects.feeds import OBJECT as FEEDS
from ratemill.setup.objects.registry import BY_LIST, OBJECTS, children, referring
from ratemill.setup.reading.showing import Json, ObjectView
from ratemill.setup.writing.changes import Author, Log, words_of
from ratemill.setup.writing.editing import ONLY, Edit, EditResult, EditTarget, edit, refuse
from ratemill.store import bulk, owners
from ratemill.store.bulk import Clash
from ratemill.store.charges import charged_objects
from ratemill.store.connections import Connection, Database
from ratemill.store.setup import accounts, usages
from ratemill.store.subscriptions import services as subscription_services

USERS_NAMED_MAX = 100  # users of one kind that a refusal names
CHARGED = "has charges: end it instead"
ACCOUNT_CHARGED = "is of an account that has charges: end it instead"


@dataclass(slots=True)
class DeletePlan:
    """What goes with one object: identities by list, the object itself first."""

    kind: SetupObject
    identity: int
    place: str
    ids: dict[str, set[int]] = field(default_factory=dict)
    views: dict[str, dict[int, ObjectView]] = field(default_factory=dict)


def delete(database: Database, owner_id: int, target: EditTarget, author: Author) -> EditResult:
    """Delete one object with its parts; raise ``NotFound``, ``PreconditionFailed``, or ``BadRequest`` that names every user.

    Usage that may come to name one of them is waited for: raises ``Conflict`` after the lock time-out.
    """
    with edit(database, owner_id, author) as work:
        work.require(target)
        faults = DocumentFaults([])
        plan = plan_delete(work, target.kind, target.identity, f"{target.kind.list_name}[{ONLY}]", faults)
        refuse(faults)
        items = carry_out(work, plan, faults)
        refuse(faults)
    return EditResult(items, None)


def plan_delete(work: Edit, kind: SetupObject, identity: int, place: str, faults: DocumentFaults) -> DeletePlan:
    """Return what would go with an object; whatever keeps one of them is added to ``faults``."""
    plan = DeletePlan(kind, identity, place, {kind.list_name: {identity}})
    _gather(work.connection, plan, kind)
    wait_for_usage(work.connection, work.owner_id, f"the {kind.noun} {identity}", accepts=FEEDS.list_name in plan.ids)
    for list_name, ids in plan.ids.items():
        plan.views[list_name] = work.show(BY_LIST[list_name], sorted(ids))
    for list_name, ids in plan.ids.items():
        for message in (
            *_kept_by_usage(work, BY_LIST[list_name], ids, plan),
            *_kept_by_subscriptions(work, BY_LIST[list_name], ids, plan),
        ):
            faults.add(Code.IN_USE, place, None, message)
        for message in _users(work, BY_LIST[list_name], ids, plan):
            faults.add(Code.IN_USE, place, None, message)
    if _is_built_in(work.connection, kind, identity):
        faults.add(Code.BUILT_IN, place, None, f"{_words(plan, kind, identity)} is built in and cannot be deleted")
    return plan


def wait_for_usage(connection: Connection, owner_id: int, words: str, *, accepts: bool = False) -> None:
    """Wait for usage that may come to name what is about to be deleted; raise ``Conflict`` after the lock time-out."""
    try:
        owners.wait_for_usage(connection, owner_id, accepts=accepts)
    except WriteRace as error:
        message = (
            f"cannot delete {words}: {error}, for longer than the lock time-out (RATEMILL_LOCK_TIMEOUT_S); try again"
        )
        raise Conflict(message) from error


def carry_out(work: Edit, plan: DeletePlan, faults: DocumentFaults) -> list[Json]:
    """Delete what is planned; return the items of the answer: the object, what was detached, its parts."""
    connectors = list(_connectors(work.connection, plan))
    log = Log(work.connection, work.author)
    try:
        for kind in reversed(OBJECTS):
            if ids := plan.ids.get(kind.list_name):
                log.note_deleted(kind, sorted(ids))
                _delete_rows(work.connection, kind, sorted(ids))
    except Clash as clash:
        faults.add(Code.IN_USE, plan.place, None, f"is in use: {clash.detail}")
        return []
    owners.raise_version(work.connection, work.owner_id)
    own = {"identity": plan.identity, "action": "deleted", "dtoTypeKey": plan.kind.dto_type_key}
    parts = [
        (identity, BY_LIST[list_name].dto_type_key)
        for list_name, ids in plan.ids.items()
        for identity in ids
        if (list_name, identity) != (plan.kind.list_name, plan.identity)
    ]
    gone = [{"foreignKeyIdentity": one, "action": "deleted", "dtoTypeKey": key} for one, key in sorted(parts)]
    return [own, *connectors, *gone]


def connector_key(kind: SetupObject, member: Member) -> str:
    """Return the ``dtoTypeKey`` of what attaches the objects of a member to an object."""
    target = BY_LIST[member.target].dto_type_key
    return f"{kind.dto_type_key}{target[:1].upper()}{target[1:]}Connector"


def _gather(connection: Connection, plan: DeletePlan, kind: SetupObject) -> None:
    for child, member in children(kind):
        parents = sorted(plan.ids[kind.list_name])
        rows = bulk.read_rows(connection, child.table, (child.identity,), None, {member.column: parents})
        if found := {row[child.identity] for row in rows}:
            plan.ids[child.list_name] = plan.ids.get(child.list_name, set()) | found
            _gather(connection, plan, child)


def _connectors(connection: Connection, plan: DeletePlan) -> Iterator[Json]:
    found = []
    for list_name, ids in plan.ids.items():
        kind = BY_LIST[list_name]
        for member in kind.members:
            if member.link is not None:
                link = member.link
                links = bulk.read_links(connection, link.table, link.parent, link.child, sorted(ids))
                key = connector_key(kind, member)
                found += [(one, other, key) for one, others in links.items() for other in others]
    for one, other, key in sorted(found):
        yield {"lhsId": one, "rhsId": other, "action": "detached", "dtoTypeKey": key}


def _delete_rows(connection: Connection, kind: SetupObject, ids: list[int]) -> None:
    for member in kind.members:
        if member.link is not None:
            bulk.delete_rows(connection, member.link.table, member.link.parent, ids)
    if kind.versioned:
        bulk.delete_rows(connection, f"{kind.table.removesuffix('s')}_versions", kind.identity, ids)
    bulk.delete_rows(connection, kind.table, kind.identity, ids)


# What keeps an object


def _users(work: Edit, kind: SetupObject, ids: set[int], plan: DeletePlan) -> Iterator[str]:
    for user_kind, member in referring(kind):
        table, column, identity = user_kind.table, member.column, user_kind.identity
        if member.link is not None:
            table, column, identity = member.link.table, member.link.child, member.link.parent
        found = bulk.referring_ids(
            work.connection,
            table,
            identity,
            column,
            sorted(ids),
            but=sorted(plan.ids.get(user_kind.list_name, ())),
            most=USERS_NAMED_MAX + 1,
        )
        used = _words(plan, kind, next(iter(ids))) if len(ids) == 1 else f"one of its {len(ids)} {kind.list_name}"
        shown = work.show(user_kind, found[:USERS_NAMED_MAX])
        for user, its in shown.items():
            yield f"{used} is used by the {user_kind.noun} '{words_of(user_kind, its)}' ({user}) in {member.name}"
        if len(found) > USERS_NAMED_MAX:
            yield f"{used} is used by more than {USERS_NAMED_MAX} {user_kind.list_name} in {member.name}"


def _kept_by_usage(work: Edit, kind: SetupObject, ids: set[int], plan: DeletePlan) -> Iterator[str]:
    asked = sorted(ids)
    kept, why = _kept(work, kind, asked)
    for identity in sorted(kept)[:USERS_NAMED_MAX]:
        yield f"{_words(plan, kind, identity)} {why}"


def _kept_by_subscriptions(work: Edit, kind: SetupObject, ids: set[int], plan: DeletePlan) -> Iterator[str]:
    if kind.table == "services":
        found = subscription_services.are_subscriptions(work.connection, sorted(ids))
        for identity in sorted(found)[:USERS_NAMED_MAX]:
            yield f"{_words(plan, kind, identity)} is a subscription: delete that first"


def _kept(work: Edit, kind: SetupObject, ids: list[int]) -> tuple[set[int], str]:
    connection = work.connection
    if kind.table in charged_objects.COLUMNS:
        return charged_objects.find(connection, charged_objects.COLUMNS[kind.table], ids), CHARGED
    if kind.table == "accounts":
        return accounts.charged(connection, ids), CHARGED
    if kind.table in ("services", "identifiers"):
        find = usages.accounts_of_services if kind.table == "services" else usages.accounts_of_identifiers
        account_of = find(connection, ids)
        charged = accounts.charged(connection, sorted(set(account_of.values())))
        return {one for one, account_id in account_of.items() if account_id in charged}, ACCOUNT_CHARGED
    if kind.table == "feeds":
        return usages.feeds_with_submissions(connection, ids), "has taken usage: disable it instead"
    if kind.table == "data_profiles":
        return usages.profiles_with_batches(connection, work.owner_id, ids), "has mediated usage, which names it"
    return set(), ""


def _is_built_in(connection: Connection, kind: SetupObject, identity: int) -> bool:
    rows = bulk.read_rows(connection, kind.table, ("built_in",), None, {kind.identity: [identity]})
    return any(row["built_in"] for row in rows)


def _words(plan: DeletePlan, kind: SetupObject, identity: int) -> str:
    return f"the {kind.noun} '{words_of(kind, plan.views[kind.list_name][identity])}' ({identity})"
