"""Receive the items of a characteristic: open a batch, take its pages, submit it, read it back, clear it.

A page is durable when it is answered. Until the batch is submitted a page may be sent again and takes the place of the
first; pages may come in any order, and several at once. Whatever has other faults than what an item refers to is refused
here, the whole page with every fault; what items refer to is settled by the job.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from uuid import UUID, uuid4

from ratemill.access.tokens import Principal
from ratemill.errors import BadRequest, Code, Conflict, Fault, KeyReuse, NotFound
from ratemill.intake.accept import KEY_IN_USE, KEY_REUSED, check_key
from ratemill.intake.faultpoints import die_at
from ratemill.reference.characteristics import pages as characteristic_pages
from ratemill.reference.characteristics.pages import BatchLimits, BatchPage, Frame
from ratemill.reference.characteristics.values import ItemFault
from ratemill.settings import Settings
from ratemill.states import ImportJobState
from ratemill.store.characteristics import batches
from ratemill.store.characteristics.batches import CharacteristicBatch
from ratemill.store.connections import Connection, Database
from ratemill.store.usage import submissions

ANY = "UserXs"  # the collection that is of no one characteristic
_NUMBER_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True)
class BatchSubmission:
    """That the batch is complete; a dry run checks and counts everything and changes no item."""

    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class BatchReceipt:
    """A batch that is durable, and the number of its job."""

    batch_id: int
    job_id: UUID
    warnings: list[ItemFault]
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class ReceivedPage:
    """One page of a batch as it was sent: the text of a JSON list."""

    batch: CharacteristicBatch
    page_number: int
    items: bytes


def create(
    database: Database,
    settings: Settings,
    principal: Principal,
    *,
    named: str,
    body: bytes,
    submit: BatchSubmission | None,
    idempotency_key: str | None = None,
) -> BatchReceipt:
    """Open a batch, with a first page if the body has one, and submit it if that is asked; raise ``BadRequest``.

    ``named`` is the collection, ``UserXs`` or ``User1s`` to ``User20s``. A call that comes again under its Idempotency-Key
    opens nothing and has the first answer; raises ``KeyReuse`` if it is another call, ``Conflict`` while that is taken.
    """
    check_key(idempotency_key)
    opening = characteristic_pages.read_opening(body, _limits(settings), characteristic_of(named))
    page, frame = opening.page, opening.frame
    received = len(page.items) if page else 0
    if submit and received != frame.total_items:
        message = f"{received} of {frame.total_items} items (totalItems) are here: nothing was created"
        raise BadRequest(faults=[_fault("items_missing", message, "items")])
    packed = batches.pack(page.text) if page else b""
    warnings = opening.warnings
    digest = sha256(f"{named} {submit}\0".encode() + body).digest()
    with database.face(principal.owner_id) as connection:
        if idempotency_key is not None:
            repeated = _repeated(connection, settings, principal, idempotency_key, digest)
            if repeated:
                return repeated
        batch = batches.insert(
            connection,
            owner_id=principal.owner_id,
            job_id=uuid4(),
            named=named,
            characteristic=frame.characteristic,
            import_file_name=opening.import_file_name,
            description=opening.description,
            page_size=frame.page_size,
            total_items=frame.total_items,
            created_by=principal.name,
        )
        if page:
            warnings = warnings + _put(connection, batch, page, packed)
        if submit:
            batches.submit(connection, batch.batch_id, submitted_by=principal.name, dry_run=submit.dry_run)
        if idempotency_key is not None:
            kept = [asdict(warning) for warning in warnings]
            batches.keep_answer(connection, batch.batch_id, key=idempotency_key, sha256=digest, warnings=kept)
        die_at("after-accept-before-commit", settings)
    return BatchReceipt(batch.batch_id, batch.job_id, warnings)


def _repeated(
    connection: Connection, settings: Settings, principal: Principal, key: str, digest: bytes
) -> BatchReceipt | None:
    """Return the first answer to a call that comes again under its key; hold the key if it is new.

    Requests of usage and batches share the keys of their owner.
    """
    if not submissions.lock_key(connection, principal.owner_id, key):
        raise Conflict(KEY_IN_USE, code=Code.IDEMPOTENCY_KEY_IN_USE)
    keep_h = settings.idempotency_keep_h
    before = batches.kept_answer(connection, principal.owner_id, key, keep_h=keep_h)
    if before is None:
        if submissions.find_key(connection, principal.owner_id, key, keep_h=keep_h):
            raise KeyReuse(KEY_REUSED)
        return None
    if before.idempotency_sha256 != digest:
        raise KeyReuse(KEY_REUSED)
    warnings = [ItemFault(**each) for each in before.answered_warnings or ()]
    return BatchReceipt(before.batch_id, before.job_id, warnings, replayed=True)


def receive(
    database: Database,
    settings: Settings,
    principal: Principal,
    *,
    named: str,
    batch_id: int,
    body: bytes,
    submit: BatchSubmission | None,
) -> list[ItemFault]:
    """Take a page, submit the batch, or both; return the warnings.

    Raises ``NotFound``, ``BadRequest`` for a page that does not fit (nothing is kept) and ``Conflict`` for a batch that
    is not open. A page that came with a submit that cannot be carried out is kept, and ``Conflict`` tells what is missing.
    """
    batch = _find(database, principal.owner_id, named, batch_id)
    _must_be_open(batch, for_page=bool(body.strip()))
    page, warnings = _read_page(body, batch, settings)
    if page is None and submit is None:
        message = "there is neither a page nor Submit: send pageNumber and items, or Submit, or both"
        raise BadRequest(faults=[_fault("nothing_to_do", message)])
    packed = batches.pack(page.text) if page else b""
    missing: Fault | None = None
    with database.face(principal.owner_id) as connection:
        batch = _hold(connection, named, batch_id)
        _must_be_open(batch, for_page=page is not None)
        if page:
            warnings = warnings + _put(connection, batch, page, packed)
            batch = _hold(connection, named, batch_id)
        if submit:
            missing = _missing(connection, batch)
            if missing is None:
                batches.submit(connection, batch.batch_id, submitted_by=principal.name, dry_run=submit.dry_run)
        die_at("after-accept-before-commit", settings)
    if missing:
        raise Conflict(faults=[missing])
    return warnings


def read(database: Database, owner_id: int, named: str, batch_id: int, page_number: int) -> ReceivedPage:
    """Return a page of what was received, empty if it has not arrived or was cleared; raise ``NotFound``, ``BadRequest``."""
    with database.reader(owner_id) as connection:
        batch = _of(batches.find(connection, min(batch_id, _NUMBER_MAX)), named, batch_id)
        wrong = characteristic_pages.span(_frame(batch), page_number)
        if wrong:
            raise BadRequest(faults=[_fault("page_number_out_of_span", wrong, "pageNumber")])
        packed = batches.read_page(connection, batch.batch_id, page_number)
    return ReceivedPage(batch, page_number, batches.unpack(packed) if packed else b"[]")


def clear(database: Database, owner_id: int, named: str, batch_id: int) -> None:
    """Remove what a batch received; raise ``NotFound``, or ``Conflict`` while its job waits or works."""
    with database.face(owner_id) as connection:
        batch = _hold(connection, named, batch_id)
        if batch.state in {ImportJobState.SUBMITTED, ImportJobState.PROCESSING}:
            message = f"batch {batch_id} is {batch.state}: it can be cleared once its job has ended"
            raise Conflict(faults=[_fault("batch_not_ended", message)])
        batches.clear(connection, batch.batch_id)


def characteristic_of(named: str) -> int | None:
    """Return the characteristic of a collection; None for the one that is of no one."""
    return None if named == ANY else int(named.removeprefix("User").removesuffix("s"))


def _limits(settings: Settings) -> BatchLimits:
    return BatchLimits(settings.characteristic_page_items_max, settings.characteristic_batch_items_max)


def _frame(batch: CharacteristicBatch) -> Frame:
    return Frame(batch.page_size, batch.total_items, batch.characteristic)


def _find(database: Database, owner_id: int, named: str, batch_id: int) -> CharacteristicBatch:
    with database.reader(owner_id) as connection:
        return _of(batches.find(connection, min(batch_id, _NUMBER_MAX)), named, batch_id)


def _hold(connection: Connection, named: str, batch_id: int) -> CharacteristicBatch:
    return _of(batches.hold(connection, min(batch_id, _NUMBER_MAX)), named, batch_id)


def _of(batch: CharacteristicBatch | None, named: str, batch_id: int) -> CharacteristicBatch:
    """Return the batch if it is one of the collection: ``UserXs`` has them all."""
    if batch is None or not (named in {ANY, batch.named} or characteristic_of(named) == batch.characteristic):
        raise NotFound(faults=[Fault(Code.BATCH_NOT_FOUND, f"there is no batch {batch_id} of {named}")])
    return batch


def _must_be_open(batch: CharacteristicBatch, *, for_page: bool) -> None:
    if batch.state == ImportJobState.OPEN:
        return
    if batch.cleared_at is not None:
        message = f"batch {batch.batch_id} has been cleared: create a new Import UserX Batch"
        raise Conflict(faults=[_fault("batch_cleared", message)])
    refused = "takes no more pages" if for_page else "cannot be submitted again"
    message = f"batch {batch.batch_id} is {batch.state} and {refused}: create a new Import UserX Batch"
    raise Conflict(faults=[_fault("batch_not_open", message)])


def _read_page(body: bytes, batch: CharacteristicBatch, settings: Settings) -> tuple[BatchPage | None, list[ItemFault]]:
    if not body.strip():
        return None, []
    return characteristic_pages.read_page(body, _frame(batch), _limits(settings))


def _put(connection: Connection, batch: CharacteristicBatch, page: BatchPage, packed: bytes) -> list[ItemFault]:
    """Write a page of a batch that is held, unless it passes the total; return the warnings."""
    before = batches.items_of_page(connection, batch.batch_id, page.number)
    total = batch.items_received + len(page.items) - (before or 0)
    if total > batch.total_items:
        message = f"with this page the batch would have {total} items, and it was opened for {batch.total_items}"
        raise BadRequest(faults=[_fault("too_many_items", f"{message} (totalItems)", "items")])
    batches.put_page(
        connection,
        batch,
        page.number,
        item_count=len(page.items),
        items=packed,
        warnings=[
            {"code": warning.code, "message": warning.message, "property": warning.property}
            for warning in page.warnings
        ],
        items_before=before or 0,
        characteristic=batch.characteristic or page.characteristic,
    )
    return [*page.warnings, *_doubts(_frame(batch), page, before)]


def _doubts(frame: Frame, page: BatchPage, before: int | None) -> list[ItemFault]:
    found = []
    if before is not None:
        message = f"page {page.number} was here before, with {_counted(before)}; these took their place"
        found.append(ItemFault("page_replaced", message, "pageNumber"))
    if len(page.items) < frame.page_size and page.number < frame.last_page:
        message = (
            f"page {page.number} has {_counted(len(page.items))} and could have {frame.page_size}: it is not the last"
        )
        found.append(ItemFault("page_not_full", message, "items"))
    if page.characteristic and frame.characteristic and page.characteristic != frame.characteristic:
        message = (
            f"the items tell characteristic {page.characteristic}; another page told {frame.characteristic} before"
        )
        found.append(ItemFault("other_characteristic", message, "items"))
    return found


def _missing(connection: Connection, batch: CharacteristicBatch) -> Fault | None:
    """Return what a batch lacks before it can be submitted."""
    if batch.items_received == batch.total_items:
        return None
    found = batches.gaps(connection, batch, _frame(batch).last_page)
    told = [f"{batch.items_received} of {batch.total_items} items have been received"]
    if found.missing:
        told.append(f"missing pages: {_listed(found.missing, found.pages_missing)}")
    if found.short:
        told.append(f"pages that are not full: {_listed(found.short, len(found.short))}")
    return _fault("items_missing", "; ".join(told))


def _listed(pages: Sequence[int], count: int) -> str:
    more = f" and {count - len(pages)} more" if count > len(pages) else ""
    return ", ".join(str(page) for page in pages) + more


def _counted(items: int) -> str:
    return f"{items} item" if items == 1 else f"{items} items"


def _fault(word: str, message: str, place: str | None = None) -> Fault:
    return Fault(Code.BAD_REQUEST, message, field=place, word=word)
