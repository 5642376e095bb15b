"""Import the items of one characteristic from a file: in pages, each known as sent once it is noted, then wait for the job.

Nothing can come in twice: a page that is sent again replaces itself, and a batch that was submitted takes no more. So the
journal saves work, and with it a batch that was begun is ended by the same command. A dry run leaves its batch open: an
import of the same file afterwards sends no page again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from threading import Event
from time import monotonic

from ratemill.client.calls import LOOK_S, Client, Json
from ratemill.client.characteristics.items import ItemFile, ItemPage, pages
from ratemill.client.characteristics.journal import ItemImportIdentity, ItemJournal, JournalBatch
from ratemill.client.errors import ChangedFile, ClientError, Rejection
from ratemill.client.faultpoints import die_at
from ratemill.client.under_way import note_rest
from ratemill.errors import Fault

PAGE_ITEMS = 1_000
IN_FLIGHT = 4
FAULTS_MAX = 1_000  # of refused pages, that are gathered before the rest of the file is given up
ENDED = ("completed", "completedWithErrors", "failed", "cancelled", "cleared")
_OPEN, _GOOD = "open", "completed"
_SECOND = 2


@dataclass(frozen=True, slots=True)
class ItemImportOptions:
    """What a caller wants of an import beside its file."""

    characteristic: int
    name: str
    description: str | None = None
    page_size: int = PAGE_ITEMS
    dry_run: bool = False
    again: bool = False
    in_flight: int = IN_FLIGHT


@dataclass(slots=True)
class ItemImportResult:
    """What an import came to; ``pages_resumed`` were answered before this run, ``job`` is the job as it is shown last."""

    file: str
    characteristic: int
    dry_run: bool = False
    sha256: str = ""
    already_imported: bool = False
    items: int = 0
    pages: int = 0
    pages_resumed: int = 0
    batch_id: int | None = None
    submitted: bool = False
    job: Json | None = None

    @property
    def is_good(self) -> bool:
        """Whether every item is in, or would be."""
        return self.end == _GOOD

    @property
    def end(self) -> str | None:
        """How the job ended, or the dry run."""
        if self.job is None:
            return None
        return str(self.job["dryRunState"] if self.dry_run else self.job["state"])

    def as_json(self) -> Json:
        """Return the outcome as the command line prints it."""
        return {
            "file": self.file,
            "characteristic": self.characteristic,
            "dryRun": self.dry_run,
            "sha256": self.sha256,
            "alreadyImported": self.already_imported,
            "items": self.items,
            "pages": self.pages,
            "pagesResumed": self.pages_resumed,
            "batchId": self.batch_id,
            "submitted": self.submitted,
            "job": self.job,
        }


@dataclass(slots=True)
class ItemImportMonitor:
    """How an import is followed and stopped: ``sent`` is told the items answered, ``processed`` those of the job."""

    outcome: ItemImportResult
    sent: Callable[[int], None] = lambda _items: None
    processed: Callable[[int], None] = lambda _items: None
    stopping: Event = field(default_factory=Event)
    die_at: str = ""


def import_items(
    client: Client, file: ItemFile, options: ItemImportOptions, journal: ItemJournal, watched: ItemImportMonitor
) -> ItemImportResult:
    """Send a file's items as a batch, submit it and wait for its job; return the outcome, which ``watched`` has too.

    An import of the same content that ended well is not done again unless that is asked for; one that has not ended goes
    on. A page that the server refuses does not keep the others back, so that every fault of the file is told at once:
    ``Rejection`` has them with their places in the file, and nothing of the batch is imported.
    """
    outcome = watched.outcome
    outcome.sha256, outcome.items, outcome.dry_run = file.sha256, file.count, options.dry_run
    what = ItemImportIdentity(options.characteristic, file.shape, file.sha256, file.count, options.page_size)
    batch = _batch_to_go_on(client, journal, what, watched, again=options.again)
    if batch is None:
        batch = _new_batch(client, journal, what, options)
    outcome.batch_id, outcome.pages = batch.batch_id, -(-file.count // options.page_size)
    outcome.pages_resumed = len(batch.pages)
    if batch.job is not None:
        outcome.already_imported, outcome.submitted, outcome.dry_run, outcome.job = True, True, False, batch.job
        return outcome
    if not batch.submitted:
        _send_pages(client, _PagesUnderWay(file, journal, batch, watched, options.in_flight))
        _submit(client, batch, dry_run=options.dry_run)
        if options.dry_run:
            outcome.job = _wait(client, batch, watched)
            return outcome
        journal.submitted()
        die_at("import-after-submit-is-written", watched.die_at)
    outcome.submitted, outcome.dry_run = True, False
    outcome.job = _wait(client, batch, watched)
    journal.ended(outcome.job)
    return outcome


def _batch_to_go_on(
    client: Client, journal: ItemJournal, what: ItemImportIdentity, watched: ItemImportMonitor, *, again: bool
) -> JournalBatch | None:
    """Return the batch of the same content that has not ended or ended well; clear one that nobody will end.

    A dry run that is under way is waited for.
    """
    last = journal.last
    if last is None:
        return None
    if last.what == what:
        if last.job is not None:
            return last if last.job["state"] == _GOOD and not again else None
        try:
            job = client.job(last.job_id)
        except Rejection as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            if again:
                return None
            raise ChangedFile(
                f"the server does not know the batch {last.batch_id} that the journal says was begun: it is another server, "
                f"or another owner's token. Begin a new batch with --again",
            ) from error
        if job["state"] == "cleared":
            return None
        if job["dryRun"]:
            job = _wait(client, last, watched)
        last.submitted = job["state"] != _OPEN
        return last
    if last.job is None and not last.submitted:
        _clear(client, last)
    return None


def _clear(client: Client, batch: JournalBatch) -> None:
    """Free what an abandoned batch holds, if the server knows it and it is still open."""
    try:
        client.clear_batch(batch.what.characteristic, batch.batch_id)
    except Rejection as error:
        if error.status not in {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT}:
            raise


def _new_batch(
    client: Client, journal: ItemJournal, what: ItemImportIdentity, options: ItemImportOptions
) -> JournalBatch:
    content = {"importFileName": options.name, "pageSize": what.page_size, "totalItems": what.items}
    if options.description is not None:
        content["description"] = options.description
    made = client.create_batch(what.characteristic, content)
    batch = JournalBatch(what, made["batchId"], made["jobQueueGuid"])
    journal.begin(batch)
    return journal.last or batch


@dataclass(slots=True)
class _PagesUnderWay:
    """The pages under way, oldest first; ``refused`` are the faults of pages that the server would not have."""

    file: ItemFile
    journal: ItemJournal
    batch: JournalBatch
    watched: ItemImportMonitor
    in_flight: int
    pending: deque[tuple[ItemPage, Future[None]]] = field(default_factory=deque)
    refused: list[Fault] = field(default_factory=list)
    status: int = 0
    items: int = 0

    def is_answered(self, page: ItemPage) -> bool:
        """Return whether the journal knows the answer to a page."""
        known = self.batch.pages.get(page.number)
        if known is None:
            return False
        if known != page.sha256:
            raise ChangedFile("the file changed while it was imported")
        self._done(page)
        return True

    def note_next(self) -> None:
        """Wait for the oldest answer and note it."""
        page, future = self.pending.popleft()
        try:
            future.result()
        except Rejection as error:
            if error.status != HTTPStatus.BAD_REQUEST:
                raise
            self.status = error.status
            self.refused.extend(_placed(fault, page, self.file) for fault in error.faults)
            return
        self.journal.answered(page.number, page.sha256)
        if len(self.batch.pages) == _SECOND:
            die_at("import-after-second-page-is-written", self.watched.die_at)
        self._done(page)

    def _done(self, page: ItemPage) -> None:
        self.items += len(page.places)
        self.watched.sent(self.items)


def _placed(fault: Fault, page: ItemPage, file: ItemFile) -> Fault:
    """Return a fault of a page with the place in the file of the item that it is about."""
    index, path = _index_of(fault.path or "")
    if index is None or index >= len(page.places):
        return fault
    message = f"{file.place} {page.places[index]}: {told(path, fault.message)}"
    return replace(fault, message=message, path=path or None)


def told(path: str, message: str) -> str:
    """Return a message that names the member at fault, once."""
    return message if not path or message.startswith(path) else f"{path}: {message}"


def _index_of(path: str) -> tuple[int | None, str]:
    """Return the index of an item in the path of a fault of its page, and the path inside the item."""
    start, bracket, rest = path.partition("[")
    index, _, inner = rest.partition("]")
    if start != "items" or not bracket or not index.isdigit():
        return None, path
    return int(index), inner.removeprefix(".")


def _send_pages(client: Client, sending: _PagesUnderWay) -> None:
    """Send every page that the journal does not know as answered, a few at once."""
    trouble: BaseException | None = None
    batch = sending.batch
    with ThreadPoolExecutor(sending.in_flight) as threads:
        try:
            for page in pages(sending.file.items(), batch.what.page_size):
                if sending.is_answered(page):
                    continue
                while len(sending.pending) >= sending.in_flight:
                    sending.note_next()
                if len(sending.refused) >= FAULTS_MAX:
                    break
                sent = threads.submit(client.send_page, batch.what.characteristic, batch.batch_id, page.body)
                sending.pending.append((page, sent))
        except (ClientError, KeyboardInterrupt) as error:
            trouble = error
        trouble = note_rest(sending.pending, sending.note_next, trouble)
    if trouble:
        raise trouble
    if sending.refused:
        _clear(client, batch)  # only another file can mend it, and that has a batch of its own
        raise Rejection(sending.status, sending.refused)


def _submit(client: Client, batch: JournalBatch, *, dry_run: bool) -> None:
    try:
        client.submit_batch(batch.what.characteristic, batch.batch_id, dry_run=dry_run)
    except Rejection as error:
        # The answer to an earlier try may be lost: then the job says that the batch is submitted.
        if error.status != HTTPStatus.CONFLICT or client.job(batch.job_id)["state"] == _OPEN:
            raise


def _wait(client: Client, batch: JournalBatch, watched: ItemImportMonitor) -> Json:
    """Look at the job of a batch that was submitted until it has ended, a dry run with an open batch."""
    for job in _looks(client, batch, watched):
        watched.processed(job["completedCountNumber"])
        if job["state"] in ENDED or job["state"] == _OPEN:
            return job
    raise KeyboardInterrupt


def _looks(client: Client, batch: JournalBatch, watched: ItemImportMonitor) -> Iterator[Json]:
    while True:
        looked_at = monotonic()
        yield client.job(batch.job_id)
        if watched.stopping.wait(max(0.0, LOOK_S - (monotonic() - looked_at))):
            return
