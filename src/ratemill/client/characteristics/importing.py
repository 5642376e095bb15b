"""Import the items of one characteristic from a file: in pages, each known as sent once it is noted, then wait for the job.

Nothing can come in twice: a page that is sent again replaces itself, and a batch that was submitted takes no more. So the
journal saves work, and with it a batch that was begun is ended by the same command. A dry run leaves its batch open: an
import of the same file afterwards sends no page again.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import partial
from http import HTTPStatus

from ratemill.client.calls import Client, Json
from ratemill.client.characteristics.items import ItemFile, ItemPage, pages
from ratemill.client.characteristics.journal import ItemImportIdentity, ItemJournal, JournalBatch
from ratemill.client.errors import ChangedFile, Rejection
from ratemill.client.faultpoints import die_at
from ratemill.client.run import ImportMonitor, look_until_ended, look_up, run_import
from ratemill.client.under_way import PartsUnderWay
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


def import_items(
    client: Client,
    file: ItemFile,
    options: ItemImportOptions,
    journal: ItemJournal,
    monitor: ImportMonitor[ItemImportResult],
) -> ItemImportResult:
    """Send a file's items as a batch, submit it and wait for its job; return the result, which ``monitor`` has too.

    An import of the same content that ended well is not done again unless that is asked for; one that has not ended goes
    on. A page that the server refuses does not keep the others back, so that every fault of the file is told at once:
    ``Rejection`` has them with their places in the file, and nothing of the batch is imported.
    """
    return run_import(_ItemSteps(client, file, options, journal, monitor))


@dataclass(slots=True)
class _ItemSteps:
    """The steps of an import of items: pages of one batch, which is then submitted."""

    client: Client
    file: ItemFile
    options: ItemImportOptions
    journal: ItemJournal
    monitor: ImportMonitor[ItemImportResult]

    def resume(self) -> JournalBatch | None:
        """Return the batch of the same content that has not ended or ended well; clear one that nobody will end.

        A dry run that is under way is waited for.
        """
        result, file = self.monitor.result, self.file
        result.sha256, result.items, result.dry_run = file.sha256, file.count, self.options.dry_run
        last = self.journal.last
        if last is None:
            return None
        if last.what == self._identity:
            return self._to_go_on(last)
        if last.job is None and not last.submitted:
            _clear(self.client, last)
        return None

    def begin(self) -> JournalBatch:
        """Create a batch, and note it."""
        what, options = self._identity, self.options
        content = {"importFileName": options.name, "pageSize": what.page_size, "totalItems": what.items}
        if options.description is not None:
            content["description"] = options.description
        made = self.client.create_batch(what.characteristic, content)
        return self.journal.begin(JournalBatch(what, made["batchId"], made["jobQueueGuid"]))

    def take(self, begun: JournalBatch) -> bool:
        """Take over which pages were answered before, and how the job of an earlier run ended."""
        result = self.monitor.result
        result.batch_id, result.pages = begun.batch_id, -(-self.file.count // self.options.page_size)
        result.pages_resumed = len(begun.pages)
        if begun.job is None:
            return False
        result.submitted, result.dry_run, result.job = True, False, begun.job
        return True

    def send(self, begun: JournalBatch) -> None:
        """Send the pages and submit the batch."""
        if begun.submitted:
            return
        _PageSending(self.client, self.file, self.journal, begun, self.monitor).send_all(self.options.in_flight)
        _submit(self.client, begun, dry_run=self.options.dry_run)
        if not self.options.dry_run:
            self.journal.submitted()
            die_at("import-after-submit-is-written", self.monitor.die_at)

    def finish(self, begun: JournalBatch) -> None:
        """Wait for the job; a dry run leaves the batch open and is not noted."""
        result = self.monitor.result
        if begun.submitted:
            result.submitted, result.dry_run = True, False
        result.job = self._wait(begun)
        if begun.submitted:
            self.journal.ended(result.job)

    @property
    def _identity(self) -> ItemImportIdentity:
        file, options = self.file, self.options
        return ItemImportIdentity(options.characteristic, file.shape, file.sha256, file.count, options.page_size)

    def _to_go_on(self, last: JournalBatch) -> JournalBatch | None:
        if last.job is not None:
            return last if last.job["state"] == _GOOD and not self.options.again else None
        job = look_up(partial(self.client.job, last.job_id), "batch", last.batch_id, again=self.options.again)
        if job is None or job["state"] == "cleared":
            return None
        if job["dryRun"]:
            job = self._wait(last)
        last.submitted = job["state"] != _OPEN
        return last

    def _wait(self, begun: JournalBatch) -> Json:
        """Look at the job of a batch that was submitted until it has ended, a dry run with an open batch."""
        return look_until_ended(partial(self._look, begun.job_id), _has_ended, self.monitor.stopping)

    def _look(self, job_id: str) -> Json:
        job = self.client.job(job_id)
        self.monitor.processed(job["completedCountNumber"], self.file.count)
        return job


def _has_ended(job: Json) -> bool:
    return job["state"] in ENDED or job["state"] == _OPEN


def _clear(client: Client, batch: JournalBatch) -> None:
    """Free what an abandoned batch holds, if the server knows it and it is still open."""
    try:
        client.clear_batch(batch.what.characteristic, batch.batch_id)
    except Rejection as error:
        if error.status not in {HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT}:
            raise


def _submit(client: Client, batch: JournalBatch, *, dry_run: bool) -> None:
    try:
        client.submit_batch(batch.what.characteristic, batch.batch_id, dry_run=dry_run)
    except Rejection as error:
        # The answer to an earlier try may be lost: then the job says that the batch is submitted.
        if error.status != HTTPStatus.CONFLICT or client.job(batch.job_id)["state"] == _OPEN:
            raise


@dataclass(slots=True)
class _PageSending:
    """The pages of a batch on their way; ``refused`` are the faults of pages that the server would not have."""

    client: Client
    file: ItemFile
    journal: ItemJournal
    batch: JournalBatch
    monitor: ImportMonitor[ItemImportResult]
    refused: list[Fault] = field(default_factory=list)
    status: int = 0
    items: int = 0

    def send_all(self, in_flight: int) -> None:
        """Send every page that the journal does not know as answered, a few at once."""
        PartsUnderWay(self._send, self._note, in_flight, self._is_enough).send_all(self._unanswered())
        if self.refused:
            _clear(self.client, self.batch)  # only another file can mend it, and that has a batch of its own
            raise Rejection(self.status, self.refused)

    def _unanswered(self) -> Iterator[ItemPage]:
        for page in pages(self.file.items(), self.batch.what.page_size):
            known = self.batch.pages.get(page.number)
            if known is None:
                yield page
            elif known != page.sha256:
                raise ChangedFile("the file changed while it was imported")
            else:
                self._done(page)

    def _send(self, page: ItemPage) -> None:
        self.client.send_page(self.batch.what.characteristic, self.batch.batch_id, page.body)

    def _is_enough(self) -> bool:
        return len(self.refused) >= FAULTS_MAX

    def _note(self, page: ItemPage, answer: Future[None]) -> None:
        """Note the answer to a page, or keep its faults."""
        try:
            answer.result()
        except Rejection as error:
            if error.status != HTTPStatus.BAD_REQUEST:
                raise
            self.status = error.status
            self.refused.extend(_placed(fault, page, self.file) for fault in error.faults)
            return
        self.journal.answered(page.number, page.sha256)
        if len(self.batch.pages) == _SECOND:
            die_at("import-after-second-page-is-written", self.monitor.die_at)
        self._done(page)

    def _done(self, page: ItemPage) -> None:
        self.items += len(page.places)
        self.monitor.sent(self.items, self.file.count)


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
