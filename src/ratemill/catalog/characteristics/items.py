"""Items of characteristics, read back: a collection by filter and order, one by its guid, those below and above it.

A member goes out as it was sent, a number by its digits; a reference with what it points to beside the key it was sent
with; around them stand the members that the product sets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from ratemill.comparisons import Comparison, Condition, Junction
from ratemill.errors import BadRequest, Code, Fault, NotFound
from ratemill.pages import PAGE_BYTES_MAX
from ratemill.reference import json_text, odata_filter
from ratemill.reference.characteristics.references import Reference, references, rewritten
from ratemill.reference.characteristics.values import REFERENCE_KEYS, ItemFault, is_field
from ratemill.reference.json_text import Number, Value
from ratemill.reference.odata_filter import FilterFault, Path
from ratemill.store.characteristics import fields
from ratemill.store.characteristics import searches as store
from ratemill.store.characteristics.searches import (
    Item,
    ItemCondition,
    ItemMember,
    ItemSearch,
    ReferenceTarget,
)
from ratemill.store.connections import Connection, Database
from ratemill.texts import without_nul
from ratemill.visible import shown as cut

Members = dict[str, Value]

# Members that the product sets, in the order in which they come; audit members come where everything is asked for.
IDENTIFYING = ("_timestamp", "_type", "displayName", "guid", "sid")
HIERARCHY = ("hierarchyLevelNumber", "hierarchyLevelReference", "hierarchyLevelResolvedFlag", "hierarchyResolvedFlag")
AUDIT = ("createdByUserReference", "createdDatetime", "modifiedByUserReference", "modifiedDatetime")
SENT = (
    "id",
    "description",
    "comment",
    "adminClassReference",
    "parentReference",
    "ipRightsBearingFlag",
    "royaltyBearingFlag",
)
_FLAT = (*store.COLUMNS, "comment", "ipRightsBearingFlag", "royaltyBearingFlag")
_PARENT, _ADMIN_CLASS = "parentReference", "adminClassReference"
_PARENT_KEYS = ("id", "description", "displayName", "guid", "sid")


@dataclass(frozen=True, slots=True)
class CollectionQuery:
    """What a collection is asked for: the texts of ``$filter`` and ``$orderby``, and the part of the list.

    A page ends before ``top`` where its objects have ``bytes_max``, but never before its first.
    """

    filter: str | None = None
    order: str | None = None
    skip: int = 0
    top: int = 20
    bytes_max: int = PAGE_BYTES_MAX


@dataclass(frozen=True, slots=True)
class Collection:
    """A part of a list, the count of the whole, and what is worth a warning."""

    items: list[Members]
    total: int
    warnings: list[ItemFault] = field(default_factory=list)


def page(database: Database, owner_id: int, number: int, query: CollectionQuery) -> Collection:
    """Return the items of characteristic ``number`` that are asked for; raise ``BadRequest``."""
    search = _search(number, query)
    with database.reader(owner_id) as connection:
        warnings = _warnings(connection, search)
        return _page(connection, search, query, warnings)


def find(database: Database, owner_id: int, number: int, guid: str) -> Members:
    """Return one item; raise ``NotFound``."""
    with database.reader(owner_id) as connection:
        return shown(connection, [identity(connection, number, guid)])[0]


def children(database: Database, owner_id: int, number: int, guid: str, query: CollectionQuery) -> Collection:
    """Return the items whose parent an item is; raise ``NotFound``, ``BadRequest``."""
    search = _search(number, query)
    with database.reader(owner_id) as connection:
        below = replace(search, parent_item_id=identity(connection, number, guid))
        return _page(connection, below, query, _warnings(connection, below))


def parents(database: Database, owner_id: int, number: int, guid: str) -> Collection:
    """Return an item's parent, the parent of that, and so on; raise ``NotFound``."""
    with database.reader(owner_id) as connection:
        above = store.above(connection, identity(connection, number, guid))
        return Collection(shown(connection, above), len(above))


def of_list(connection: Connection, number: int, list_id: int, query: CollectionQuery) -> Collection:
    """Return the items of a list that are asked for; raise ``BadRequest``."""
    search = replace(_search(number, query), list_id=list_id)
    return _page(connection, search, query, _warnings(connection, search))


def part(items: list[Members], query: CollectionQuery, known: Iterable[str]) -> Collection:
    """Return the part of a short list that is asked for, compared by ``known`` members; raise ``BadRequest``."""
    faults = part_faults(query, known)
    if faults:
        raise BadRequest(faults=faults)
    tree = odata_filter.read_filter(query.filter) if query.filter else None
    chosen = [item for item in items if tree is None or odata_filter.holds(tree, item)]
    if query.order:
        chosen = odata_filter.arranged(chosen, odata_filter.read_order(query.order))
    return Collection(chosen[query.skip : query.skip + query.top], len(chosen))


def part_faults(query: CollectionQuery, known: Iterable[str]) -> list[Fault]:
    """Return what is wrong with the texts of ``$filter`` and ``$orderby`` of a short list with these members."""

    def read_filter(text: str | None) -> None:
        names(odata_filter.fields_of(odata_filter.read_filter(text))) if text else None

    def read_order(text: str | None) -> None:
        names(each.field for each in odata_filter.read_order(text)) if text else None

    def names(paths: Iterable[Path]) -> None:
        unknown = sorted({".".join(path) for path in paths} - set(known))
        if unknown:
            raise FilterFault(f"names '{cut(unknown[0])}', which cannot be compared: {', '.join(known)}")

    return _text_faults(query, read_filter, read_order)


def read_object(body: bytes, known: Iterable[str] | None = None) -> tuple[Members, list[ItemFault]]:
    """Return the object that a body is, and a warning for each member that is none of ``known``; raise ``BadRequest``."""
    try:
        value = json_text.read(body)
    except ValueError as error:
        raise BadRequest(f"the body is not JSON: {error}", code=Code.BODY_NOT_JSON) from error
    if not isinstance(value, dict):
        raise BadRequest("the body must be a JSON object", code=Code.BODY_NOT_AN_OBJECT)
    others = value.keys() - set(known) if known is not None else set()
    return value, [ItemFault("member_not_known", f"'{cut(name)}' is passed over", name) for name in sorted(others)]


def known_members(database: Database, owner_id: int, number: int) -> set[str]:
    """Return the names of all members that an item of the characteristic may show."""
    with database.reader(owner_id) as connection:
        own = {each.name for each in fields.page(connection, number)}
    return {*IDENTIFYING, *HIERARCHY, *AUDIT, *SENT, *own, *(f"user{each}BOMHeaders" for each in range(1, 21))}


def identity(connection: Connection, number: int, guid: str, *, for_update: bool = False) -> int:
    """Return the identity of an item; raise ``NotFound``."""
    try:
        found = store.find(connection, number, UUID(guid), for_update=for_update)
    except ValueError:
        found = None
    if found is None:
        raise NotFound(f"there is no user{number} of the guid '{cut(guid)}'", code=Code.OBJECT_NOT_FOUND)
    return found


def shown(connection: Connection, item_ids: Sequence[int]) -> list[Members]:
    """Return items as an answer writes them, with every member."""
    items = store.read(connection, item_ids)
    documents = [_document(item) for item in items]
    pointed = {(each.user_item_id, each.member): each for each in store.pointed(connection, item_ids)}
    asked = {
        (each.kind, each.key, each.value)
        for item, document in zip(items, documents, strict=True)
        for each in references(document, item.characteristic)
        if not each.of_item
    }
    names = store.named(connection, sorted(asked))

    def pointing(item: Item, document: Members) -> Members:
        def look(reference: Reference, sent: Members) -> Members | None:
            target = pointed.get((item.item_id, reference.member))
            if target is not None:
                return {**reference_to(target), **_key(sent)}
            name = names.get((reference.kind, reference.key, reference.value))
            return None if name is None else {**_named(reference, *name), **_key(sent)}

        return rewritten(document, item.characteristic, look)

    return [_shown(item, pointing(item, document)) for item, document in zip(items, documents, strict=True)]


def reference_to(item: Item | ReferenceTarget) -> Members:
    """Return a reference to an item, as an answer writes it."""
    return {
        "_type": f"user{item.characteristic}",
        "displayName": item.description or item.id,
        "guid": str(item.guid),
        "sid": Number(item.item_id),
    }


def write_local(instant: datetime) -> str:
    """Return an instant as this dialect writes it: UTC, with milliseconds and no zone."""
    return instant.strftime("%Y-%m-%dT%H:%M:%S.") + f"{instant.microsecond // 1000:03d}"


def timestamp(revision: int) -> str:
    """Return the version of a row as the wire writes it."""
    return f"0x{revision:016X}"


def faults_of(query: CollectionQuery) -> list[Fault]:
    """Return what is wrong with the texts of ``$filter`` and ``$orderby``, at most one fault each."""
    return _text_faults(query, _read_filter, _read_order)


def _text_faults(
    query: CollectionQuery, read_filter: Callable[[str | None], object], read_order: Callable[[str | None], object]
) -> list[Fault]:
    faults: list[Fault] = []
    for name, text, read in (("$filter", query.filter, read_filter), ("$orderby", query.order, read_order)):
        try:
            read(text)
        except FilterFault as fault:
            faults.append(_filter_fault(name, str(fault)))
    return faults


def _filter_fault(name: str, message: str) -> Fault:
    return Fault(Code.FILTER_NOT_VALID, f"{name} {message}", field=name)


def _page(connection: Connection, search: ItemSearch, query: CollectionQuery, warnings: list[ItemFault]) -> Collection:
    total, found = store.page(connection, search, skip=query.skip, top=query.top)
    fitting = store.fitting(connection, found, query.bytes_max) if found else []
    return Collection(shown(connection, fitting) if fitting else [], total, warnings)


def _document(item: Item) -> Members:
    document = json_text.read(item.document)
    return document if isinstance(document, dict) else {}


def _shown(item: Item, members: Members) -> Members:
    level = Number(item.level)
    return {
        "_timestamp": timestamp(item.revision),
        **reference_to(item),
        "id": item.id,
        **members,
        "hierarchyLevelNumber": level,
        "hierarchyLevelReference": {
            "_type": f"user{item.characteristic}HierarchyLevel",
            "displayName": f"Level {level}",
            "sid": level,
        },
        "hierarchyLevelResolvedFlag": True,
        "hierarchyResolvedFlag": True,
        "createdByUserReference": user_reference(item.created_by),
        "createdDatetime": write_local(item.created_at),
        "modifiedByUserReference": user_reference(item.changed_by),
        "modifiedDatetime": write_local(item.changed_at),
    }


def user_reference(name: str) -> Members:
    """Return a reference to a user."""
    return {"_type": "user", "displayName": name}


def _named(reference: Reference, number: int, guid: UUID) -> Members:
    return {"_type": reference.kind, "displayName": reference.value, "guid": str(guid), "sid": Number(number)}


def _key(sent: Members) -> Members:
    return {key: sent[key] for key in sent if key in REFERENCE_KEYS}


# From the names of the wire to what the store compares.


def _search(number: int, query: CollectionQuery) -> ItemSearch:
    """Return what a collection's texts mean; raise ``BadRequest`` with the faults of both."""
    faults = faults_of(query)
    if faults:
        raise BadRequest(faults=faults)
    return ItemSearch(number, _read_filter(query.filter), tuple(_read_order(query.order)))


def _read_filter(text: str | None) -> ItemCondition | None:
    return _condition(odata_filter.read_filter(text)) if text else None


def _read_order(text: str | None) -> list[tuple[ItemMember, bool]]:
    return [(_field(each.field), each.descending) for each in odata_filter.read_order(text)] if text else []


def _condition(tree: Condition[Path]) -> ItemCondition:
    if isinstance(tree, Junction):
        return Junction(tree.operator, tuple(_condition(part) for part in tree.parts))
    values = tuple(map(without_nul, tree.values))
    return Comparison(_field(tree.member), tree.operator, values)


def _field(path: Path) -> ItemMember:
    """Return what a path of member names stands for; those of the product are known in any letter case."""
    name, rest = path[0], path[1:]
    if not rest:
        for known in _FLAT:
            if known.lower() == name.lower():
                return ItemMember((known,))
    if name.lower() == _PARENT.lower():
        for known in _PARENT_KEYS:
            if len(rest) <= 1 and known.lower() == (rest[0].lower() if rest else "id"):
                return ItemMember((known,), of_parent=True)
    elif name.lower() == _ADMIN_CLASS.lower() or is_field(name):
        own = name if is_field(name) else _ADMIN_CLASS
        if rest or is_field(name):
            return ItemMember((own, *rest))
    written = ".".join(path)
    raise FilterFault(f"names '{cut(written)}', which cannot be compared: {', '.join((*_FLAT, *_dotted()))}, ud_…")


def _dotted() -> Iterator[str]:
    yield f"{_PARENT}.id"
    yield f"{_ADMIN_CLASS}.id"


def _warnings(connection: Connection, search: ItemSearch) -> list[ItemFault]:
    """Return a warning for each user-defined field that no item has: what names it finds nothing."""
    asked = {each.path[0] for each in _fields(search) if is_field(each.path[0])}
    if not asked:
        return []
    known = {each.name for each in fields.page(connection, search.characteristic)}
    return [
        ItemFault("field_not_known", f"no item of user{search.characteristic} has the field '{cut(name)}'", "$filter")
        for name in sorted(asked - known)
    ]


def _fields(search: ItemSearch) -> Iterable[ItemMember]:
    conditions = [search.condition] if search.condition else []
    while conditions:
        each = conditions.pop()
        if isinstance(each, Junction):
            conditions.extend(each.parts)
        else:
            yield each.member
    yield from (each for each, _ in search.order)
