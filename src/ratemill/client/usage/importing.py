"""Import one file: every record sent once, whatever stops it and however often it is begun again.

Three nets. The journal says which requests were answered: those are not sent again. The Idempotency-Key of a request
follows from the feed, the content of the whole file and the request's place in it: a request that the server took, but
whose answer was not noted, is answered again and not taken twice, also when the journal is lost, for as long as the
server keeps keys. The duplicate check of the feed, if it has one, is not relied upon.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO

from ratemill.client.calls import Answer, Client, Json
from ratemill.client.errors import ChangedFile, ClientError, ImportIsLate, Rejection
from ratemill.client.faultpoints import die_at
from ratemill.client.files import BLOCK_BYTES, Survey, opened, survey
from ratemill.client.records import Form, UsageRequest, make_requests, read_records
from ratemill.client.under_way import note_rest
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


@dataclass(slots=True)
class UsageImportMonitor:
    """How an import is followed and stopped: ``progress`` is told the bytes read and the records answered."""

    outcome: UsageImportResult
    sized: Callable[[int], None] = lambda _size: None
    progress: Callable[[int, int], None] = lambda _bytes, _records: None
    die_at: str = ""


def import_file(
    client: Client,
    target: ImportTarget,
    path: Path,
    journal: Journal,
    watched: UsageImportMonitor,
    *,
    again: bool = False,
    late: bool = False,
    in_flight: int = IN_FLIGHT,
) -> UsageImportResult:
    """Send what a file holds to a feed and return the outcome, which ``watched`` has also if an error is raised.

    ``again`` begins an import anew that is done, ``late`` goes on with one however long ago it stopped.

    Raises ``UnreadableFile`` before anything is sent, ``ChangedFile`` if the journal knows the file otherwise,
    ``ImportIsLate``, and ``Rejection`` or ``Unreachable`` where the server refused a request or could not be reached.
    """
    last = journal.last
    seen = survey(path, target.form, start_size=last.size if last else 0)
    watched.sized(seen.size)
    watched.outcome.sha256 = seen.sha256
    begun = _known(journal, target, seen)
    if begun and again and (begun.done or not _is_of_this_server(client, begun)):
        begun = None
    if begun is None:
        begun = _new(target, seen, last, again=again)
        journal.begin(begun)
    elif not _is_of_this_server(client, begun):
        raise ChangedFile(
            "the server does not know the requests that the journal says it answered: it is another server, or "
            "another owner's token. Begin a new import with --again",
        )
    elif not late:
        _check_not_late(begun, in_flight)
    watched.outcome.already_imported = begun.done
    if begun.done:
        watched.outcome.take(begun)
        return watched.outcome
    _send_all(client, target, path, _RequestsUnderWay(journal, begun, watched, in_flight))
    journal.finish({"requests": watched.outcome.requests, "records": watched.outcome.records})
    return watched.outcome


def _known(journal: Journal, target: ImportTarget, seen: Survey) -> JournalImport | None:
    """Return the import of this content that is done, or the last if it is of this content and can go on."""
    for begun in reversed(journal.imports):
        same = (begun.feed_id, begun.form, begun.sha256) == (target.feed_id, asdict(target.form), seen.sha256)
        if same and (begun.done or begun is journal.last):
            return begun
    return None


def _new(target: ImportTarget, seen: Survey, last: JournalImport | None, *, again: bool) -> JournalImport:
    """Return a new import, unless it would send again what was sent of another content of the file."""
    if last and not again and not last.done and last.answered:
        raise ChangedFile(
            f"the file, the feed or the form differs from the import that was begun and is not done: "
            f"{len(last.answered)} of its requests were answered. Import what it was to its end, "
            f"or begin a new import of all that the file holds now with --again",
        )
    if last and not again and seen.size > last.size and seen.sha256_of_start == last.sha256:
        raise ChangedFile(
            "the file has grown since it was imported: import what is new as a file of its own, "
            "or all that it holds now, what was imported included, with --again",
        )
    return JournalImport(
        target.feed_id, asdict(target.form), seen.size, seen.sha256, secrets.token_hex(8) if again else ""
    )


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


def _send_all(client: Client, target: ImportTarget, path: Path, sending: _RequestsUnderWay) -> None:
    """Send every request that the journal does not know as answered, a few at once, and note the answers in order."""
    begun, read = sending.begun, _FilePosition()
    trouble: BaseException | None = None
    with opened(path) as file, ThreadPoolExecutor(sending.in_flight) as threads:
        try:
            for request in _requests(read.blocks(file), target.form):
                if not sending.is_answered(request):
                    sending.make_room()
                    key = idempotency_key(begun, request)
                    future = threads.submit(
                        client.post_usage, str(target.feed_id), target.form.route, request.body, key
                    )
                    sending.pending.append(_Pending(request, read.size, future))
            sending.all_sent = True
        except (ClientError, KeyboardInterrupt) as error:
            trouble = error
        trouble = note_rest(sending.pending, sending.note_next, trouble)
    sending.watched.outcome.take(begun)
    if trouble:
        raise trouble
    if read.digest.hexdigest() != begun.sha256:
        raise ChangedFile("the file changed while it was imported; what was read of it was sent")


def idempotency_key(begun: JournalImport, request: UsageRequest) -> str:
    """Return the key of a request: the same for the same request of the same import, and for no other."""
    named = f"{begun.feed_id} {begun.form['route']} {begun.sha256} {begun.generation}"
    return f"{hashlib.sha256(named.encode()).hexdigest()[:32]}-{request.number}-{request.sha256[:32]}"


@dataclass(frozen=True, slots=True)
class _Pending:
    """A request under way, and how far the file was read for it."""

    request: UsageRequest
    position: int
    future: Future[Answer]


@dataclass(slots=True)
class _RequestsUnderWay:
    """The requests under way, oldest first."""

    journal: Journal
    begun: JournalImport
    watched: UsageImportMonitor
    in_flight: int
    pending: deque[_Pending] = field(default_factory=deque)
    all_sent: bool = False
    records: int = 0

    def is_answered(self, request: UsageRequest) -> bool:
        """Return whether the journal knows the answer to a request."""
        known = self.begun.answered.get(request.number)
        if known is None:
            return False
        if known.sha256 != request.sha256:
            raise ChangedFile(f"request {request.number} is another than the one that was answered in its place")
        self.watched.outcome.requests_resumed += 1
        self.records += request.records
        return True

    def make_room(self) -> None:
        """Wait until fewer requests are under way than may be."""
        while len(self.pending) >= self.in_flight:
            self.note_next()

    def note_next(self) -> None:
        """Wait for the oldest answer and note it."""
        oldest = self.pending.popleft()
        answer = oldest.future.result()
        self._may_die_before()
        self.journal.answered(oldest.request, answer.tracking_id)
        if len(self.begun.answered) == _SECOND:
            die_at("import-after-second-answer-is-written", self.watched.die_at)
        self.watched.outcome.requests_replayed += answer.replayed
        self.records += oldest.request.records
        self.watched.progress(oldest.position, self.records)

    def _may_die_before(self) -> None:
        if not self.begun.answered:
            die_at("import-before-first-answer-is-written", self.watched.die_at)
        if self.all_sent and not self.pending:
            die_at("import-before-last-answer-is-written", self.watched.die_at)


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


def _requests(blocks: Iterator[bytes], form: Form) -> Iterator[UsageRequest]:
    try:
        yield from make_requests(read_records(blocks, form), form)
    except UnicodeDecodeError as error:
        raise ChangedFile("the file changed while it was imported") from error
