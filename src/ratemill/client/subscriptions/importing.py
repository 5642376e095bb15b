"""Import a file of subscription data: send it whole, find out whether it arrived, and wait for its import.

A file must not come in twice because an answer was lost. Each sending has a reference of its own, noted before it; where
no answer came, the newest import of that reference says whether the server has the file.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from itertools import count
from pathlib import Path
from time import monotonic
from typing import BinaryIO
from urllib.parse import quote

from ratemill.client.calls import RETRY_S, Client, Json, backoff, content_of
from ratemill.client.errors import ClientError, Rejection, Unreachable
from ratemill.client.faultpoints import die_at
from ratemill.client.files import BLOCK_BYTES, digest_of, opened, spooled
from ratemill.client.run import ImportMonitor, look_until_ended, look_up, run_import
from ratemill.client.subscriptions.journal import JournalUpload, SubscriptionImportIdentity, SubscriptionJournal

IMPORTS = "/v2/subscriptions/imports"
ERRORS_MAX = 1_000  # of the faults of lines, that are read
_PAGE = 100
_ENDED = ("success", "failed")


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


def import_subscriptions(
    client: Client,
    path: Path,
    options: SubscriptionImportOptions,
    journal: SubscriptionJournal,
    monitor: ImportMonitor[SubscriptionImportResult],
) -> SubscriptionImportResult:
    """Send a file, unless the server has it, and wait for its import; return the result, which ``monitor`` has too.

    What was imported without a fault is not sent again unless that is asked for.
    """
    return run_import(_SubscriptionSteps(client, path, options, journal, monitor))


@dataclass(slots=True)
class _SubscriptionSteps:
    """The steps of an import of subscription data: the file is sent whole."""

    client: Client
    path: Path
    options: SubscriptionImportOptions
    journal: SubscriptionJournal
    monitor: ImportMonitor[SubscriptionImportResult]

    def resume(self) -> JournalUpload | None:
        """Return the sending of the same content that has not ended, or that ended well."""
        self.monitor.result.sha256 = digest_of(self.path)
        last = self.journal.last
        if last is None or last.what != self._identity:
            return None
        if last.ended is not None:
            return last if _is_good(last.ended) and not self.options.again else None
        if last.import_id is None:
            newest = _newest(self.client, last.external_ref)
            if newest != last.before and newest is not None:
                self.journal.accepted(newest)
            return last
        is_there = look_up(
            partial(_shown, self.client, last.import_id), "import", last.import_id, again=self.options.again
        )
        return last if is_there else None

    def begin(self) -> JournalUpload:
        """Note the reference of the sending, and the newest import that has it already."""
        options = self.options
        ref = options.external_ref or f"{options.name} {self.monitor.result.sha256[:12]} {secrets.token_hex(4)}"
        before = _newest(self.client, ref) if options.external_ref else None
        return self.journal.begin(JournalUpload(self._identity, ref, before))

    def take(self, begun: JournalUpload) -> bool:
        """Take over how an earlier run ended."""
        self.monitor.result.shown = begun.ended
        return begun.ended is not None

    def send(self, begun: JournalUpload) -> None:
        """Send the file until the server has it."""
        if begun.import_id is None:
            self.journal.accepted(self._send(begun))
            die_at("import-after-submit-is-written", self.monitor.die_at)

    def finish(self, begun: JournalUpload) -> None:
        """Wait for the import, and read its first faults."""
        look = partial(self._look, str(begun.import_id))
        shown = look_until_ended(look, _has_ended, self.monitor.stopping)
        self.monitor.result.errors = list(errors(self.client, shown))
        self.journal.ended(shown)

    @property
    def _identity(self) -> SubscriptionImportIdentity:
        return SubscriptionImportIdentity(self.monitor.result.sha256, self.options.upsert, self.options.dry_run)

    def _send(self, begun: JournalUpload) -> str:
        """Send a file until the server has it; return the number of its import."""
        deadline = monotonic() + self.options.retry_s
        was_lost = False
        for attempt in count():
            try:
                with _plain(self.path) as file:
                    return self._upload(file, begun)
            except Unreachable as error:
                trouble: ClientError = error
            except Rejection as error:
                if not (was_lost and error.status == HTTPStatus.CONFLICT):
                    raise
                trouble = error
            was_lost = True
            newest = _newest(self.client, begun.external_ref)
            if newest is not None and newest != begun.before:
                return newest
            pause = backoff(attempt)
            if monotonic() + pause > deadline or self.monitor.stopping.wait(pause):
                raise trouble
        raise AssertionError  # pragma: no cover -- the count does not end

    def _upload(self, file: BinaryIO, begun: JournalUpload) -> str:
        switches = {"upsert": begun.what.upsert, "dry_run": begun.what.dry_run}
        metered = _MeteredFile(file, self.monitor.sent)
        response = self.client.call(
            "POST",
            IMPORTS,
            once=True,
            params={switch: "true" for switch, is_on in switches.items() if is_on},
            data={"external_ref": begun.external_ref},
            files={"import_file": (self.options.name, metered, "application/x-ndjson")},
        )
        number: str = content_of(response)["data"]["id"]
        return number

    def _look(self, import_id: str) -> Json:
        shown = _shown(self.client, import_id)
        lines = shown["meta"]["lines"]
        self.monitor.processed(lines["imported"] + lines["refused"], lines["total"])
        self.monitor.result.shown = shown
        return shown


def _shown(client: Client, import_id: str) -> Json:
    """Return an import as the server shows it."""
    shown: Json = content_of(client.call("GET", f"{IMPORTS}/{import_id}"))["data"]
    return shown


def _has_ended(shown: Json) -> bool:
    return shown["attributes"]["status"] in _ENDED


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


class _MeteredFile:
    """A file that tells how far it was read."""

    def __init__(self, file: BinaryIO, tell: Callable[[int, int | None], None]) -> None:
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


def _is_good(shown: Json | None) -> bool:
    return (
        shown is not None
        and shown["attributes"]["status"] == "success"
        and shown["meta"]["lines"]["imported"] == shown["meta"]["lines"]["total"]
    )
