"""Import one file: every record sent once, whatever stops it and however often it is begun again.

Three nets. The journal says which requests were answered: those are not sent again. The Idempotency-Key of a request
follows from the feed, the content of the whole file and the request's place in it: a request that the server took, but
whose answer was not noted, is answered again and not taken twice, also when the journal is lost, for as long as the
server keeps keys. The duplicate check of the feed, if it has one, is not relied upon.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO

from ratemill.client.calls import Answer, Client, Json
from ratemill.client.errors import ChangedFile, ImportIsLate, Rejection
from ratemill.client.faultpoints import die_at
from ratemill.client.files import BLOCK_BYTES, Survey, opened, survey
from ratemill.client.records import Form, UsageRequest, make_requests, read_records
from ratemill.client.run import ImportMonitor, run_import
from ratemill.client.under_way import PartsUnderWay
from ratemill.client.usage.journal import Journal, JournalImport
from ratemill.client.usage.targets import ImportTarget
from ratemill.periods import write_instant

KEYS_KEPT = timedelta(hours=24)  # for which any server keeps an Idempotency-Key at least
IN_FLIGHT = 4  # requests under way at once: enough that two workers never wait for the client
_SECOND = 2


@dataclass(slots=True)
class UsageImportResult:
    """What an import came to; ``requests_resumed`` were answered before it, ``requests_replayed`` taken before it."""

    file: str
    feed: str
    sha256: str = ""
    already_imported: bool = False
    requests: int = 0
    requests_resumed: int = 0
    requests_replayed: int = 0
    records: int = 0
    tracking_ids: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Whether every request was answered: an import that was not raises."""
        return True

    def take(self, begun: JournalImport) -> None:
        """Take over what was answered so far, before this run or in it."""
        answered = [begun.answered[number] for number in sorted(begun.answered)]
        self.requests, self.records = len(answered), sum(each.records for each in answered)
        self.tracking_ids = [each.tracking_id for each in answered]

    def as_json(self) -> Json:
        """Return the outcome as the command line prints it."""
        return {
            "file": self.file,
            "udrFeedName": self.feed,
            "sha256": self.sha256,
            "alreadyImported": self.already_imported,
            "records": self.records,
            "requests": self.requests,
            "requestsResumed": self.requests_resumed,
            "requestsReplayed": self.requests_replayed,
            "firstTrackingId": self.tracking_ids[0] if self.tracking_ids else None,
            "lastTrackingId": self.tracking_ids[-1] if self.tracking_ids else None,
            "trackingIds": self.tracking_ids,
        }


def import_file(
    client: Client,
    target: ImportTarget,
    path: Path,
    journal: Journal,
    monitor: ImportMonitor[UsageImportResult],
    *,
    again: bool = False,
    late: bool = False,
    in_flight: int = IN_FLIGHT,
) -> UsageImportResult:
    """Send what a file holds to a feed and return the result, which ``monitor`` has even if an error is raised.

    ``again`` begins an import anew that is done, ``late`` goes on with one however long ago it stopped.

    Raises ``UnreadableFile`` before anything is sent, ``ChangedFile`` if the journal knows the file otherwise,
    ``ImportIsLate``, and ``Rejection`` or ``Unreachable`` where the server refused a request or could not be reached.
    """
    return run_import(_UsageSteps(client, target, path, journal, monitor, again, late, in_flight))


@dataclass(slots=True)
class _UsageSteps:
    """The steps of an import of usage: requests of at most 1,000 records, each under its key."""

    client: Client
    target: ImportTarget
    path: Path
    journal: Journal
    monitor: ImportMonitor[UsageImportResult]
    again: bool
    late: bool
    in_flight: int
    seen: Survey = field(init=False)

    def resume(self) -> JournalImport | None:
        """Return the import of this content that is done, or the last if it can go on."""
        last = self.journal.last
        self.seen = survey(self.path, self.target.form, start_size=last.size if last else 0)
        self.monitor.sent(0, self.seen.size)
        self.monitor.result.sha256 = self.seen.sha256
        begun = self._known()
        if begun is None or (self.again and begun.done):
            return None
        if not _is_of_this_server(self.client, begun):
            if self.again:
                return None
            raise ChangedFile(
                "the server does not know the requests that the journal says it answered: it is another server, or "
                "another owner's token. Begin a new import with --again",
            )
        if not self.late:
            _check_not_late(begun, self.in_flight)
        return begun

    def begin(self) -> JournalImport:
        """Note a new import, unless it would send again what was sent of another content of the file."""
        last, seen = self.journal.last, self.seen
        if last and not self.again and not last.done and last.answered:
            raise ChangedFile(
                f"the file, the feed or the form differs from the import that was begun and is not done: "
                f"{len(last.answered)} of its requests were answered. Import what it was to its end, "
                f"or begin a new import of all that the file holds now with --again",
            )
        if last and not self.again and seen.size > last.size and seen.sha256_of_start == last.sha256:
            raise ChangedFile(
                "the file has grown since it was imported: import what is new as a file of its own, "
                "or all that it holds now, what was imported included, with --again",
            )
        form, generation = asdict(self.target.form), secrets.token_hex(8) if self.again else ""
        return self.journal.begin(JournalImport(self.target.feed_id, form, seen.size, seen.sha256, generation))

    def take(self, begun: JournalImport) -> bool:
        """Take over what was answered, if that is all."""
        if begun.done:
            self.monitor.result.take(begun)
        return begun.done

    def send(self, begun: JournalImport) -> None:
        """Send every request that the journal does not know as answered, a few at once."""
        sending = _RequestSending(self.client, self.target, self.journal, begun, self.monitor)
        try:
            with opened(self.path) as file:
                sending.send_all(file, self.in_flight)
        finally:
            self.monitor.result.take(begun)
        if sending.read.digest.hexdigest() != begun.sha256:
            raise ChangedFile("the file changed while it was imported; what was read of it was sent")

    def finish(self, _begun: JournalImport) -> None:
        """Note that every request was answered: their records wait in the server, which shows them by tracking id."""
        result = self.monitor.result
        self.journal.finish({"requests": result.requests, "records": result.records})

    def _known(self) -> JournalImport | None:
        this = (self.target.feed_id, asdict(self.target.form), self.seen.sha256)
        for begun in reversed(self.journal.imports):
            if (begun.feed_id, begun.form, begun.sha256) == this and (begun.done or begun is self.journal.last):
                return begun
        return None


def _check_not_late(begun: JournalImport, in_flight: int) -> None:
    """Hold an import to go on while the server is sure to know the keys of the requests that were under way."""
    if begun.done or datetime.now(UTC) - begun.active_at < KEYS_KEPT:
        return
    missing = (number for number in count(1) if number not in begun.answered)
    first = next(missing)
    raise ImportIsLate(
        f"the import stopped at {write_instant(begun.active_at)}, so long ago that the server may have forgotten the keys "
        f"of the requests that were under way then, from number {first} on, about {in_flight}. If it took them and they go "
        f"in again, their records count twice unless the feed checks for duplicates. Go on with --late"
    )


def _is_of_this_server(client: Client, begun: JournalImport) -> bool:
    """Return whether the server knows what the journal says it answered; a token that may not read proves nothing."""
    if not begun.answered:
        return True
    try:
        client.status(begun.answered[max(begun.answered)].tracking_id)
    except Rejection as error:
        if error.status == HTTPStatus.NOT_FOUND:
            return False
        if error.status != HTTPStatus.FORBIDDEN:
            raise
    return True


def idempotency_key(begun: JournalImport, request: UsageRequest) -> str:
    """Return the key of a request: the same for the same request of the same import, and for no other."""
    named = f"{begun.feed_id} {begun.form['route']} {begun.sha256} {begun.generation}"
    return f"{hashlib.sha256(named.encode()).hexdigest()[:32]}-{request.number}-{request.sha256[:32]}"


@dataclass(slots=True)
class _FilePosition:
    """What was read of a file so far."""

    size: int = 0
    digest: Any = field(default_factory=hashlib.sha256)

    def blocks(self, file: BinaryIO) -> Iterator[bytes]:
        """Yield a file block by block."""
        while block := file.read(BLOCK_BYTES):
            self.size += len(block)
            self.digest.update(block)
            yield block


@dataclass(slots=True)
class _RequestSending:
    """The requests of an import on their way, each with how far the file was read for it."""

    client: Client
    target: ImportTarget
    journal: Journal
    begun: JournalImport
    monitor: ImportMonitor[UsageImportResult]
    under_way: PartsUnderWay[tuple[UsageRequest, int], Answer] = field(init=False)
    read: _FilePosition = field(default_factory=_FilePosition)
    records: int = 0

    def send_all(self, file: BinaryIO, in_flight: int) -> None:
        """Send the requests of a file that were not answered; note the answers in order."""
        self.under_way = PartsUnderWay(self._send, self._note, in_flight)
        self.under_way.send_all(self._unanswered(file))

    def _unanswered(self, file: BinaryIO) -> Iterator[tuple[UsageRequest, int]]:
        for request in _requests(self.read.blocks(file), self.target.form):
            known = self.begun.answered.get(request.number)
            if known is None:
                yield request, self.read.size
            elif known.sha256 != request.sha256:
                raise ChangedFile(f"request {request.number} is another than the one that was answered in its place")
            else:
                self.monitor.result.requests_resumed += 1
                self.records += request.records

    def _send(self, part: tuple[UsageRequest, int]) -> Answer:
        request, _ = part
        key = idempotency_key(self.begun, request)
        return self.client.post_usage(str(self.target.feed_id), self.target.form.route, request.body, key)

    def _note(self, part: tuple[UsageRequest, int], future: Future[Answer]) -> None:
        (request, position), answer = part, future.result()
        if not self.begun.answered:
            die_at("import-before-first-answer-is-written", self.monitor.die_at)
        if self.under_way.is_last:
            die_at("import-before-last-answer-is-written", self.monitor.die_at)
        self.journal.answered(request, answer.tracking_id)
        if len(self.begun.answered) == _SECOND:
            die_at("import-after-second-answer-is-written", self.monitor.die_at)
        self.monitor.result.requests_replayed += answer.replayed
        self.records += request.records
        self.monitor.sent(position, self.begun.size)
        self.monitor.processed(self.records, None)


def _requests(blocks: Iterator[bytes], form: Form) -> Iterator[UsageRequest]:
    try:
        yield from make_requests(read_records(blocks, form), form)
    except UnicodeDecodeError as error:
        raise ChangedFile("the file changed while it was imported") from error
