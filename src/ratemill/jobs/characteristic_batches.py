"""The job of a batch of characteristics: its items are written, or staged, settled, written and linked, a table at a time.

Each table is one transaction: the items, what became of them, the counts and how far the batch has come. Whoever holds the
batch's row works on it, and the row's lock goes with its connection; so when a process dies, the next one goes on where
the last table was committed. A table that failed is halved until the guilty item stands alone; that one is refused.

An item is written at once where all that it names is there. The others wait until it is known which items of the whole
batch hold: what is refused was never there.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from uuid import UUID, uuid4

from ratemill import logs
from ratemill.errors import invariant
from ratemill.jobs import tables
from ratemill.jobs.tries import Try
from ratemill.reference import characteristic_fields, json_text
from ratemill.reference import characteristic_upserts as upserts
from ratemill.reference.characteristic_items import ItemFault
from ratemill.reference.json_text import Value
from ratemill.settings import Settings
from ratemill.states import ImportJobState
from ratemill.store import characteristic_items as items
from ratemill.store import characteristic_jobs as jobs
from ratemill.store import characteristic_staging as staging
from ratemill.store.characteristic_items import ChangedItem, NewItem, StoredItem, Use
from ratemill.store.characteristic_jobs import Job, Outcome
from ratemill.store.characteristic_staging import Faults, StagedItem, StagedUse
from ratemill.store.connections import Connection, Database, clock

ITEMS_MAX = 2_048  # of one table, a power of two, to be halved; larger ones are hardly faster
LINKS_MAX = 20_000  # of one transaction: rows of numbers
SETTLE_ATTEMPTS_MAX = 5  # what concerns the whole batch cannot be halved
FAULTS_MAX = 5_000  # written by one statement
CIRCLE_SHOWN_MAX = 10  # items of a circle that a message names

STAGE, SETTLE, WRITE, LINK = 1, 2, 3, 4


@dataclass(frozen=True, slots=True)
class _Named:
    """What items name.

    ``uses`` has the item's number, the member, the item that it names if that is known, and that one's id; ``objects`` what
    is no item, by number.
    """

    uses: Sequence[tuple[int, str, int | None, str | None]]
    objects: dict[int, list[upserts.NamedObject]]


log = logs.get(__name__)


@dataclass(frozen=True, slots=True)
class Numbered:
    """An item as it was sent; ``number`` in its batch, ``warnings`` those of its receipt."""

    number: int
    page_number: int
    index: int
    item: dict[str, Value]
    warnings: Faults

    @property
    def at(self) -> str:
        """Return the path of the item in its page."""
        return f"items[{self.index}]"

    @property
    def id(self) -> str | None:
        """Return the id that was sent."""
        value = self.item.get("id")
        return value if isinstance(value, str) else None


def run_table(database: Database, settings: Settings, batch_id: int) -> bool:
    """Work off the next table of a batch; return False if it is not due, has ended or is in somebody's hands."""
    return tables.run(database, settings, _KIND, batch_id)


def _begin(connection: Connection, batch_id: int) -> int | None:
    job = jobs.hold(connection, batch_id)
    if job is None or (job.state == ImportJobState.SUBMITTED and not jobs.begin(connection, job)):
        return None
    jobs.note_attempt(connection, batch_id)
    return job.attempts


def _work_off(connection: Connection, settings: Settings, batch_id: int) -> bool | None:
    job = jobs.hold(connection, batch_id)
    return None if job is None else _next_table(connection, settings, job)


def _next_table(connection: Connection, settings: Settings, job: Job) -> bool:
    """Do the next part of a batch; return whether it was the last."""
    tried = Try(job.attempts - 1, ITEMS_MAX)
    whole = job.step in (SETTLE, LINK)
    if tried.attempts >= SETTLE_ATTEMPTS_MAX if whole else tried.is_hopeless:
        staging.clear(connection, job)
        jobs.end(connection, job.batch_id, job.error or "the process died")
        return True
    if whole:
        return (_settle if job.step == SETTLE else _link)(connection, job)
    if job.step == WRITE:
        following = staging.next_unwritten(connection, job)
        job = replace(job, next_item=job.total_items * job.page_size if following is None else following)
    table = list(_next_items(connection, job, tried.rows_max))
    if table:
        work = _stage if job.step == STAGE else _write
        work(connection, settings, job, table, condemned=job.error or "the process died" if tried.condemns else None)
        following = table[-1].number + 1
        jobs.advance(connection, job.batch_id, step=job.step, next_item=following, attempts=max(0, tried.attempts - 1))
    if len(table) == tried.rows_max:
        return False
    if job.step == WRITE and job.dry_run:
        return _end(connection, job)
    jobs.advance(connection, job.batch_id, step=job.step + 1, next_item=0)
    return False


def _end(connection: Connection, job: Job) -> bool:
    staging.clear(connection, job)
    jobs.end(connection, job.batch_id)
    return True


def _next_items(connection: Connection, job: Job, items_max: int) -> Iterator[Numbered]:
    """Yield the next items of a batch, by page, then index."""
    return islice(_items_from(connection, job, items_max), items_max)


def _items_from(connection: Connection, job: Job, items_max: int) -> Iterator[Numbered]:
    for page in jobs.pages(connection, job, items_max=items_max):
        warnings = _by_index(page.warnings)
        received = json_text.reread(page.items)
        invariant(isinstance(received, list), f"page {page.page_number} of batch {job.batch_id} is no list")
        for index, item in enumerate(received if isinstance(received, list) else ()):
            number = page.page_number * job.page_size + index
            if number >= job.next_item:
                known = item if isinstance(item, dict) else {}
                yield Numbered(number, page.page_number, index, known, warnings.get(index, []))


def _by_index(warnings: Iterable[dict[str, str]]) -> dict[int, Faults]:
    """Return the warnings of a page by the item that they are about."""
    found: defaultdict[int, Faults] = defaultdict(list)
    for warning in warnings:
        index, closed, _ = warning.get("property", "").removeprefix("items[").partition("]")
        if closed and index.isdigit():
            found[int(index)].append(warning)
    return found


# Pass 1: each item by itself


def _stage(
    connection: Connection, settings: Settings, job: Job, table: Sequence[Numbered], *, condemned: str | None
) -> None:
    """Stage the items of a table with what they name; those at fault by themselves bear their faults."""
    faults: defaultdict[int, Faults] = defaultdict(list)
    if condemned is not None:
        for one in table:
            faults[one.number].append(_condemned(one, condemned))
        staging.stage(connection, job, [StagedItem(o.number, None, faults=faults[o.number]) for o in table], ())
        return
    names = {one.number: upserts.names_of(one.item, job.characteristic) for one in table}
    declared = _declared(connection, job)
    for one in table:
        if declared:
            faults[one.number] += map(asdict, characteristic_fields.check_declared(one.item, declared, one.at))
    if settings.references_strict:
        _find_unregistered(connection, job, table, names, faults)
    uses = _found_uses(connection, job, table, names, faults)
    taken = staging.taken(connection, job, [one.id for one in table if one.id is not None])
    ids: dict[int, str | None] = {}
    for one in table:
        ids[one.number] = given = one.id
        if given is not None and given in taken:
            message = f"id '{given}' stands in this batch before: the first holds"
            faults[one.number].append(_fault("id_twice_in_batch", message, f"{one.at}.id"))
            ids[one.number] = None
        elif given is not None:
            taken.add(given)
    ready = {} if job.dry_run else _ready(connection, job, table, _Found(ids, uses, faults))
    staging.stage(
        connection,
        job,
        [_staged(one, ids[one.number], faults.get(one.number), written=one.number in ready) for one in table],
        [use for found in uses.values() for use in found if use.item_number not in ready],
    )
    if ready:
        known = [(use.item_number, use.member, use.used_item_id, use.used_id) for n in ready for use in uses.get(n, ())]
        objects = {number: names[number].objects for number in ready}
        _put(connection, job, [one for one in table if one.number in ready], ready, _Named(known, objects))


def _staged(one: Numbered, id_: str | None, faults: Faults | None, *, written: bool) -> StagedItem:
    description = one.item.get("description")
    return StagedItem(
        one.number,
        id_,
        description if isinstance(description, str) else None,
        upserts.PARENT in one.item and one.item[upserts.PARENT] is None,
        written,
        faults or None,
    )


@dataclass(frozen=True, slots=True)
class _Found:
    """What is known of the items of a table by number: ids, the items that they name, faults."""

    ids: dict[int, str | None]
    uses: dict[int, list[StagedUse]]
    faults: dict[int, Faults]


def _ready(
    connection: Connection, job: Job, table: Sequence[Numbered], found: _Found
) -> dict[int, tuple[str | None, Faults | None]]:
    """Return the items that can be written at once: all that they name is there, or stands before them in the table.

    An item of the store that gets another parent has to wait: it may close a circle.
    """
    stored = items.read(connection, job.owner_id, job.characteristic, [id_ for id_ in found.ids.values() if id_])
    ready: dict[int, tuple[str | None, Faults | None]] = {}
    there: set[str] = set()
    for one in table:
        id_, uses = found.ids[one.number], found.uses.get(one.number, [])
        if id_ is None or found.faults.get(one.number):
            continue
        if not all(
            use.used_item_id is not None or (use.used_id in there and use.characteristic == job.characteristic)
            for use in uses
        ):
            continue
        if id_ in stored and upserts.PARENT in one.item:
            parent = next((use.used_item_id for use in uses if use.member == upserts.PARENT), None)
            if parent != stored[id_].parent_item_id:
                continue
        ready[one.number] = (id_, None)
        there.add(id_)
    return ready


def _declared(connection: Connection, job: Job) -> dict[str, str]:
    known = items.fields(connection, job.owner_id, job.characteristic)
    return {name: kind for name, (kind, declared) in known.items() if declared}


def _find_unregistered(
    connection: Connection,
    job: Job,
    table: Sequence[Numbered],
    names: dict[int, upserts.Names],
    faults: defaultdict[int, Faults],
) -> None:
    """Note a fault for each object that an item names and that is not registered."""
    known = items.registered(connection, job.owner_id, {each for named in names.values() for each in named.objects})
    for one in table:
        for kind, key, value in names[one.number].objects:
            if (kind, key, value) not in known:
                message = f"nothing of kind {kind} is registered under {key} '{value}'"
                faults[one.number].append(_fault("reference_not_found", message, one.at))


def _found_uses(
    connection: Connection,
    job: Job,
    table: Sequence[Numbered],
    names: dict[int, upserts.Names],
    faults: defaultdict[int, Faults],
) -> dict[int, list[StagedUse]]:
    """Return what each item of a table names, with the items of the store where they are there."""
    asked: defaultdict[tuple[int, str], list[str]] = defaultdict(list)
    for named in names.values():
        for use in named.uses:
            asked[use.characteristic, use.key].append(use.value)
    found = {of: items.find(connection, job.owner_id, *of, values) for of, values in asked.items()}
    uses: defaultdict[int, list[StagedUse]] = defaultdict(list)
    for one in table:
        for use in names[one.number].uses:
            known = found[use.characteristic, use.key].get(use.value, [])
            if len(known) > 1:
                faults[one.number].append(_ambiguous(one.at, use.member, use.key, use.value))
            item_id, used_id = known[0] if known else (None, use.value if use.key == "id" else None)
            uses[one.number].append(
                StagedUse(one.number, use.member, use.characteristic, use.key, use.value, item_id, used_id)
            )
    return uses


# Pass 2: the batch as a whole


def _settle(connection: Connection, job: Job) -> bool:
    """Settle which items of the batch hold: what is named in the batch only, parents in a circle, numbers for ids."""
    for many in staging.find_described(connection, job):
        fault = _ambiguous(_at(job, many.item_number), many.member, many.key, many.value)
        staging.add_faults(connection, job, {many.item_number: [fault]})
    refused, circles = upserts.refused_together(
        staging.faulty(connection, job),
        staging.named_ahead(connection, job),
        dict(staging.parents(connection, job)),
        dict(staging.stored_parents(connection, job)),
    )
    if refused:
        _add_faults(connection, job, _of_circles(connection, job, circles, refused))
        lost = list(staging.lost_uses(connection, job, sorted(refused)))
        _add_faults(connection, job, ((use.item_number, _lost(job, use, of_refused)) for use, of_refused in lost))
    if not job.dry_run:
        staging.number_items(connection, job)
    jobs.advance(connection, job.batch_id, step=WRITE, next_item=0)
    return False


def _of_circles(
    connection: Connection, job: Job, circles: Sequence[Sequence[int]], refused: set[int]
) -> Iterator[tuple[int, dict[str, str]]]:
    for circle in circles:
        shown = staging.ids_of(connection, job, [*circle[:CIRCLE_SHOWN_MAX], circle[0]])
        middle = ["…"] if len(circle) > CIRCLE_SHOWN_MAX else []
        way = " → ".join([*(f"'{each}'" for each in shown[:-1]), *middle, f"'{shown[-1]}'"])
        message = f"the parents run in a circle: {way}"
        for number in circle:
            if number in refused:
                yield number, _fault("parents_in_a_circle", message, f"{_at(job, number)}.{upserts.PARENT}")


def _lost(job: Job, use: StagedUse, of_refused: bool) -> dict[str, str]:
    where = f"{_at(job, use.item_number)}.{use.member}"
    if of_refused:
        return _fault(
            "reference_refused", f"{use.member} names the {use.key} '{use.value}' of an item that is refused", where
        )
    whose = "in this batch or before" if use.characteristic == job.characteristic else "there"
    message = f"{use.member}: no item of characteristic {use.characteristic} has the {use.key} '{use.value}' {whose}"
    return _fault("reference_not_found", message, where)


def _add_faults(connection: Connection, job: Job, found: Iterable[tuple[int, dict[str, str]]]) -> None:
    """Write faults that were found, some thousand at a time."""
    waiting = iter(found)
    while part := list(islice(waiting, FAULTS_MAX)):
        by_number: defaultdict[int, Faults] = defaultdict(list)
        for number, fault in part:
            by_number[number].append(fault)
        staging.add_faults(connection, job, by_number)


# Pass 3: items and outcomes


@dataclass(slots=True)
class _Written:
    """What a table comes to: rows to write, and what became of each item."""

    new: list[NewItem]
    changed: list[ChangedItem]
    members: list[tuple[int, str]]  # of changed items: what they name there holds no more
    uses: list[Use]
    late: list[tuple[int, str]]  # uses of items that are written later
    objects: set[upserts.NamedObject]
    fields: dict[str, str]
    outcomes: list[Outcome]


def _write(
    connection: Connection, settings: Settings, job: Job, table: Sequence[Numbered], *, condemned: str | None
) -> None:
    """Write the items of a table that hold, and the outcome of each."""
    del settings
    first, last = table[0].number, table[-1].number
    staged = staging.staged(connection, job, first, last)
    waiting = [one for one in table if one.number in staged]
    if condemned is not None:
        staged = {one.number: (one.id, [*(staged[one.number][1] or []), _condemned(one, condemned)]) for one in waiting}
    holding = [one for one in waiting if staged[one.number][1] is None]
    objects = {one.number: upserts.names_of(one.item, job.characteristic).objects for one in holding}
    late = _put(connection, job, waiting, staged, _Named(staging.uses(connection, job, first, last), objects))
    staging.keep_uses(connection, job, first, last, late)


def _put(
    connection: Connection,
    job: Job,
    table: Sequence[Numbered],
    staged: dict[int, tuple[str | None, Faults | None]],
    named: _Named,
) -> list[tuple[int, str]]:
    """Write items and what became of each; return the uses that cannot be linked yet."""
    written = _written(connection, job, table, staged, named)
    if not job.dry_run:
        author = job.submitted_by or "?"
        items.insert(
            connection, written.new, owner_id=job.owner_id, characteristic=job.characteristic, created_by=author
        )
        items.update(connection, written.changed, changed_at=clock(connection), changed_by=author)
        items.forget_uses(connection, written.members)
        items.insert_uses(connection, job.owner_id, written.uses)
        items.register(connection, job.owner_id, written.objects)
        items.infer_fields(connection, job.owner_id, job.characteristic, written.fields)
    jobs.write_outcomes(connection, job, written.outcomes)
    invariant(len(written.outcomes) == len(table), f"{len(table)} items came to {len(written.outcomes)} outcomes")
    counts = Counter(one.outcome for one in written.outcomes)
    jobs.count(connection, job.batch_id, counts, sum(len(one.warnings or ()) for one in written.outcomes))
    return written.late


def _written(
    connection: Connection,
    job: Job,
    table: Sequence[Numbered],
    staged: dict[int, tuple[str | None, Faults | None]],
    named: _Named,
) -> _Written:
    ids = [id_ for id_, faults in staged.values() if id_ is not None and faults is None]
    stored = items.read(connection, job.owner_id, job.characteristic, ids)
    known = items.fields(connection, job.owner_id, job.characteristic)
    new_ids = [one.number for one in table if staged[one.number][1] is None and staged[one.number][0] not in stored]
    identities = dict(zip(new_ids, items.new_identities(connection, 0 if job.dry_run else len(new_ids)), strict=False))
    item_ids: dict[str | None, int] = {id_: kept.item_id for id_, kept in stored.items()}
    item_ids |= {staged[number][0]: item_id for number, item_id in identities.items()}
    links = _links(named.uses, item_ids)
    written = _Written([], [], [], [], [], set(), {}, [])
    for one in table:
        id_, faults = staged[one.number]
        warnings = list(one.warnings)
        outcome, guid = "refused", None
        if faults is None:
            sent = upserts.kept(one.item)
            warnings += map(asdict, upserts.bill_warnings(sent, job.characteristic, one.at))
            types = characteristic_fields.inferred(sent)
            warnings += map(asdict, _of_other_types(types, known, one.at))
            if id_ is not None and "id" not in sent:
                sent = {"id": id_, **sent}
            before = stored.get(id_ or "")
            item_id = before.item_id if before else identities.get(one.number)
            outcome, guid = _upsert(written, _Sent(one.number, item_id, sent, links.get(one.number, {})), before)
            if outcome != "unchanged":
                written.objects.update(named.objects[one.number])
                written.fields.update({name: kind for name, kind in types.items() if name not in known})
        written.outcomes.append(
            Outcome(one.page_number, one.index, id_ or one.id, outcome, guid, faults, warnings or None)
        )
    return written


def _links(
    uses: Sequence[tuple[int, str, int | None, str | None]], item_ids: dict[str | None, int]
) -> dict[int, dict[str, int | None]]:
    """Return what items name, by number and member; None for an item that is not written yet."""
    links: defaultdict[int, dict[str, int | None]] = defaultdict(dict)
    for number, member, item_id, used_id in uses:
        links[number][member] = item_id if item_id is not None else item_ids.get(used_id)
    return links


@dataclass(frozen=True, slots=True)
class _Sent:
    """An item to be written: its identity, None if it is new in a dry run; its links by member, None for those ahead."""

    number: int
    item_id: int | None
    document: dict[str, Value]
    links: dict[str, int | None]


def _upsert(written: _Written, sent: _Sent, stored: StoredItem | None) -> tuple[str, UUID | None]:
    """Note what is to be written of one item; return its outcome and, unless it is new in a dry run, its guid."""
    document: dict[str, Value] | None = sent.document
    if stored is not None:
        before = json_text.reread(stored.document)
        document = upserts.merged(before if isinstance(before, dict) else {}, sent.document)
    if document is None or sent.item_id is None:
        return ("unchanged", stored.guid) if stored else ("created", None)
    description = document.get("description")
    described = description if isinstance(description, str) else None
    parent = stored.parent_item_id if stored and upserts.PARENT not in sent.document else sent.links.get(upserts.PARENT)
    for member, used in sent.links.items():
        if used is None:
            written.late.append((sent.number, member))
        elif member != upserts.PARENT:
            written.uses.append(Use(sent.item_id, member, used))
    text = json_text.write(document)
    if stored is None:
        guid = uuid4()
        written.new.append(NewItem(sent.item_id, guid, str(document["id"]), described, parent, text))
        return "created", guid
    made = [name for name, value in sent.document.items() if value is None or isinstance(value, dict | list)]
    written.members += [(sent.item_id, name) for name in made]
    written.changed.append(ChangedItem(sent.item_id, described, parent, text))
    return "updated", stored.guid


def _of_other_types(types: dict[str, str], known: dict[str, tuple[str, bool]], at: str) -> list[ItemFault]:
    """Return a warning for each field whose value is of another type than the first item that bore it."""
    return [
        ItemFault(
            "type_differs", f"{name} was {known[name][0]} in the item that bore it first, here {kind}", f"{at}.{name}"
        )
        for name, kind in types.items()
        if name in known and not known[name][1] and kind != known[name][0]
    ]


# Pass 4: what was named ahead


def _link(connection: Connection, job: Job) -> bool:
    """Link items with those that were written after them."""
    late = staging.late_uses(connection, job, rows_max=LINKS_MAX)
    found = [
        (number, member, item, used) for number, member, item, used in late if item is not None and used is not None
    ]
    if len(found) < len(late):
        log.warning("characteristics_gone", batch_id=job.batch_id, uses=len(late) - len(found))
    items.insert_uses(
        connection,
        job.owner_id,
        [Use(item, member, used) for _, member, item, used in found if member != upserts.PARENT],
    )
    items.set_parents(connection, {item: used for _, member, item, used in found if member == upserts.PARENT})
    staging.drop_uses(connection, job, [(number, member) for number, member, *_ in late])
    if len(late) < LINKS_MAX:
        return _end(connection, job)
    jobs.advance(connection, job.batch_id, step=LINK, next_item=0)
    return False


# Faults


def _at(job: Job, number: int) -> str:
    return f"items[{number % job.page_size}]"


def _fault(code: str, message: str, where: str) -> dict[str, str]:
    return asdict(ItemFault(code, message, where))


def _ambiguous(at: str, member: str, key: str, value: str) -> dict[str, str]:
    return _fault("reference_ambiguous", f"{member}: several items have the {key} '{value}'", f"{at}.{member}")


def _condemned(one: Numbered, error: str) -> dict[str, str]:
    return _fault("could_not_be_processed", f"the item could not be processed: {error}", one.at)


_KIND = tables.Kind(
    "characteristics",
    "characteristics-before-commit",
    "characteristics-after-commit",
    _begin,
    _work_off,
    jobs.forget_attempt,
    jobs.note_error,
)
