"""Import a file of subscription data: send it whole, find out whether it arrived, and wait for its import.

A file must not come in twice because an answer was lost. Each sending has a reference of its own, noted before it; where
no answer came, the newest import of that reference says whether the server has the file.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import count
from pathlib import Path
from threading import Event
from time import monotonic
from typing import BinaryIO
from urllib.parse import quote

from ratemill.client.calls import LOOK_S, RETRY_S, Client, Json, backoff, content_of
from ratemill.client.errors import ChangedFile, ClientError, Rejection, Unreachable
from ratemill.client.faultpoints import die_at
from ratemill.client.files import BLOCK_BYTES, digest_of, opened, spooled
from ratemill.client.usage.journal import Notes

IMPORTS = "/v2/subscriptions/imports"
ERRORS_MAX = 1_000  # of the faults of lines, that are read
_PAGE = 100
_ENDED = ("success", "failed")


@dataclass(frozen=True, slots=True)
class SubscriptionImportIdentity:
    """What is imported: by these two imports are told to be the same."""

    sha256: str
    upsert: bool
    dry_run: bool


@dataclass(slots=True)
class JournalUpload:
    """A sending that a journal knows; ``before`` is the newest import of the reference from before it."""

    what: SubscriptionImportIdentity
    external_ref: str
    before: str | None
    import_id: str | None = None
    ended: Json | None = None


class SubscriptionJournal(Notes):
    """The journal of a file of subscription data; only what was begun last can go on."""

    def __init__(self, path: Path) -> None:
        """Open or make the journal, and read what it knows."""
        super().__init__(path)
        self.last: JournalUpload | None = None
        for entry in self.read():
            try:
                self._follow(entry)
            except (KeyError, TypeError, AttributeError) as error:
                raise self.damaged() from error

    def begin(self, sending: JournalUpload) -> None:
        """Note that a file is about to be sent."""
        what = {"sha256": sending.what.sha256, "upsert": sending.what.upsert, "dryRun": sending.what.dry_run}
        self._note({"sending": {**what, "externalRef": sending.external_ref, "before": sending.before}})

    def accepted(self, import_id: str) -> None:
        """Note that the file was taken."""
        self._note({"import": import_id})

    def ended(self, shown: Json) -> None:
        """Note how the import ended."""
        self._note({"ended": shown})

    def _note(self, entry: Json) -> None:
        self.add(entry)
        self._follow(entry)

    def _follow(self, entry: Json) -> None:
        if "sending" in entry:
            begun = entry["sending"]
            what = SubscriptionImportIdentity(begun["sha256"], begun["upsert"], begun["dryRun"])
            self.last = JournalUpload(what, begun["externalRef"], begun["before"])
            return
        last = self.last
        if last is None:
            raise self.damaged()
        if "import" in entry:
            last.import_id = entry["import"]
        else:
            last.ended = entry["ended"]


@dataclass(frozen=True, slots=True)
class SubscriptionImportOptions:
    """What a caller wants of an import beside its file."""

    name: str
    external_ref: str | None = None
    upsert: bool = False
    dry_run: bool = False
    again: bool = False
    retry_s: float = RETRY_S


@dataclass(slots=True)
class SubscriptionImportResult:
    """What an import came to; ``shown`` is the import as the server showed it last, ``errors`` its first faults."""

    file: str
    dry_run: bool = False
    sha256: str = ""
    already_imported: bool = False
    shown: Json | None = None
    errors: list[Json] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """Whether every line is in."""
        return _is_good(self.shown)

    def as_json(self) -> Json:
        """Return the outcome as the command line prints it."""
        return {
            "file": self.file,
            "sha256": self.sha256,
            "alreadyImported": self.already_imported,
            "import": self.shown,
            "errors": self.errors,
        }


@dataclass(slots=True)
class SubscriptionImportMonitor:
    """How an import is followed and stopped: ``sent`` is told bytes and their total, ``processed`` lines and theirs."""

    outcome: SubscriptionImportResult
    sent: Callable[[int, int], None] = lambda _bytes, _total: None
    processed: Callable[[int, int], None] = lambda _lines, _total: None
    stopping: Event = field(default_factory=Event)
    die_at: str = ""


def import_subscriptions(
    client: Client,
    path: Path,
    options: SubscriptionImportOptions,
    journal: SubscriptionJournal,
    watched: SubscriptionImportMonitor,
) -> SubscriptionImportResult:
    """Send a file, unless the server has it, and wait for its import; return the outcome, which ``watched`` has too.

    What was imported without a fault is not sent again unless that is asked for.
    """
    outcome = watched.outcome
    outcome.sha256 = digest_of(path)
    what = SubscriptionImportIdentity(outcome.sha256, options.upsert, options.dry_run)
    sending = _to_go_on(client, journal, what, again=options.again)
    if sending is not None and sending.ended is not None:
        outcome.already_imported, outcome.shown = True, sending.ended
        return outcome
    if sending is None:
        ref = options.external_ref or f"{options.name} {outcome.sha256[:12]} {secrets.token_hex(4)}"
        journal.begin(JournalUpload(what, ref, _newest(client, ref) if options.external_ref else None))
        sending = journal.last
    assert sending is not None  # noqa: S101 -- it was begun just now
    if sending.import_id is None:
        journal.accepted(_send(client, path, sending, options, watched))
        die_at("import-after-submit-is-written", watched.die_at)
    outcome.shown = _wait(client, str(sending.import_id), watched)
    outcome.errors = list(errors(client, outcome.shown))
    journal.ended(outcome.shown)
    return outcome


def errors(client: Client, shown: Json) -> Iterator[Json]:
    """Yield the first faults of an import's lines, by line: line_number, field, error, external_ref."""
    faults = min(shown["meta"]["lines"]["errors"], ERRORS_MAX)
    for offset in range(0, faults, _PAGE):
        path = f"{IMPORTS}/{shown['id']}/errors"
        page = client.call("GET", path, params={"page[offset]": offset, "page[limit]": _PAGE})
        for each in content_of(page)["data"]:
            known = each["meta"]
            yield {name: known.get(name) for name in ("line_number", "field", "error", "external_ref")}


def refused(client: Client, import_id: str) -> bytes:
    """Return the refused lines of an import, as they were sent."""
    return client.call("GET", f"{IMPORTS}/{import_id}/refused").content


def _to_go_on(
    client: Client, journal: SubscriptionJournal, what: SubscriptionImportIdentity, *, again: bool
) -> JournalUpload | None:
    """Return the sending of the same content that has not ended, or that ended well."""
    last = journal.last
    if last is None or last.what != what:
        return None
    if last.ended is not None:
        return last if _is_good(last.ended) and not again else None
    if last.import_id is None:
        newest = _newest(client, last.external_ref)
        if newest != last.before and newest is not None:
            journal.accepted(newest)
        return journal.last
    try:
        client.call("GET", f"{IMPORTS}/{last.import_id}")
    except Rejection as error:
        if error.status != HTTPStatus.NOT_FOUND:
            raise
        if again:
            return None
        raise ChangedFile(
            f"the server does not know the import {last.import_id} that the journal says was begun: it is another server, "
            f"or another owner's token. Begin a new import with --again",
        ) from error
    return last


def _send(
    client: Client,
    path: Path,
    sending: JournalUpload,
    options: SubscriptionImportOptions,
    watched: SubscriptionImportMonitor,
) -> str:
    """Send a file until the server has it; return the number of its import."""
    deadline = monotonic() + options.retry_s
    was_lost = False
    for attempt in count():
        try:
            with _plain(path) as file:
                return _upload(client, file, sending, options.name, watched)
        except Unreachable as error:
            trouble: ClientError = error
        except Rejection as error:
            if not (was_lost and error.status == HTTPStatus.CONFLICT):
                raise
            trouble = error
        was_lost = True
        newest = _newest(client, sending.external_ref)
        if newest is not None and newest != sending.before:
            return newest
        pause = backoff(attempt)
        if monotonic() + pause > deadline or watched.stopping.wait(pause):
            raise trouble
    raise AssertionError  # pragma: no cover -- the count does not end


def _upload(
    client: Client, file: BinaryIO, sending: JournalUpload, name: str, watched: SubscriptionImportMonitor
) -> str:
    switches = {"upsert": sending.what.upsert, "dry_run": sending.what.dry_run}
    response = client.call(
        "POST",
        IMPORTS,
        once=True,
        params={switch: "true" for switch, is_on in switches.items() if is_on},
        data={"external_ref": sending.external_ref},
        files={"import_file": (name, _MeteredFile(file, watched.sent), "application/x-ndjson")},
    )
    number: str = content_of(response)["data"]["id"]
    return number


class _MeteredFile:
    """A file that tells how far it was read."""

    def __init__(self, file: BinaryIO, tell: Callable[[int, int], None]) -> None:
        self._file, self._tell = file, tell
        self._size = file.seek(0, 2)
        file.seek(0)

    def read(self, size: int = -1) -> bytes:
        """Return the next bytes."""
        block = self._file.read(size)
        self._tell(self._file.tell(), self._size)
        return block

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place in the file."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the place in the file."""
        return self._file.tell()


@contextmanager
def _plain(path: Path) -> Iterator[BinaryIO]:
    """Yield the bytes of a file, unpacked: the server takes no packed ones."""
    with opened(path) as file, spooled(file) as copy, copy.open("rb", buffering=BLOCK_BYTES) as plain:
        yield plain


def _newest(client: Client, external_ref: str) -> str | None:
    """Return the number of the newest import of a reference."""
    operand = external_ref.replace("\\", "\\\\").replace('"', '\\"')
    asked = quote(f'eq(external_ref,"{operand}")', safe="")
    found = content_of(client.call("GET", f"{IMPORTS}?page[limit]=1&filter={asked}"))["data"]
    return found[0]["id"] if found else None


def _wait(client: Client, import_id: str, watched: SubscriptionImportMonitor) -> Json:
    """Look at an import until it has ended."""
    while True:
        looked_at = monotonic()
        shown: Json = content_of(client.call("GET", f"{IMPORTS}/{import_id}"))["data"]
        lines = shown["meta"]["lines"]
        watched.processed(lines["imported"] + lines["refused"], lines["total"])
        watched.outcome.shown = shown
        if shown["attributes"]["status"] in _ENDED:
            return shown
        if watched.stopping.wait(max(0.0, LOOK_S - (monotonic() - looked_at))):
            raise KeyboardInterrupt


def _is_good(shown: Json | None) -> bool:
    return (
        shown is not None
        and shown["attributes"]["status"] == "success"
        and shown["meta"]["lines"]["imported"] == shown["meta"]["lines"]["total"]
    )
