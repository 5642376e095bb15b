"""The journal of an import: a small file that says what was answered, so that an import goes on where it ended.

One JSON value a line, only ever added to, each on disk before the next request counts on it. A line `import` begins an
import of one content, `request` notes an answer, `done` ends it. A line torn by a crash is cut off.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from ratemill.client.calls import Json
from ratemill.client.errors import ClientError, ImportIsRunning
from ratemill.client.records import UsageRequest
from ratemill.periods import read_instant, write_instant


@dataclass(frozen=True, slots=True)
class AnsweredRequest:
    """A request that was answered: the digest of its body, how many records it had, its tracking id."""

    sha256: str
    records: int
    tracking_id: str


@dataclass(slots=True)
class JournalImport:
    """An import that a journal knows.

    ``generation`` tells one on purpose again from the first; ``active_at`` is when something of it was noted last.
    """

    feed_id: int
    form: Json
    size: int
    sha256: str
    generation: str
    active_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    answered: dict[int, AnsweredRequest] = field(default_factory=dict)
    done: bool = False


class Notes:
    """A file of notes, one JSON value a line, held by one process at a time."""

    def __init__(self, path: Path) -> None:
        """Open or make the file; raise ``ImportIsRunning`` if another process holds it."""
        self.path = path
        is_new = not path.exists()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+b")
        except OSError as error:
            raise ClientError(
                f"the journal {path} cannot be written ({error.strerror}): name another place with --journal"
            ) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._file.close()
            raise ImportIsRunning(f"{path} is held: another process imports this file now") from error
        if is_new:
            _sync_folder(path.parent)

    def __enter__(self) -> Self:
        """Return the notes themselves."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Let go of the file."""
        self._file.close()

    def add(self, entry: Json) -> None:
        """Add a note; it is on disk when this returns."""
        self._file.write(msgspec.json.encode(entry) + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def read(self) -> Iterator[Json]:
        """Yield every note; a line torn by a crash is cut off at the end."""
        self._file.seek(0)
        whole = 0
        for line in self._file:
            if not line.endswith(b"\n"):
                break
            whole += len(line)
            try:
                yield msgspec.json.decode(line, type=dict[str, Any])
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise self.damaged() from error
        self._file.truncate(whole)

    def damaged(self) -> ClientError:
        """Return the error that says that these are no such notes."""
        return ClientError(f"{self.path} is no journal of an import, or is damaged")


class Journal(Notes):
    """The journal of an import of usage."""

    def __init__(self, path: Path) -> None:
        """Open or make the journal, and read what it knows."""
        super().__init__(path)
        self.imports: list[JournalImport] = []
        for entry in self.read():
            self._follow(entry)

    @property
    def last(self) -> JournalImport | None:
        """The import that was begun last."""
        return self.imports[-1] if self.imports else None

    def begin(self, begun: JournalImport) -> None:
        """Note that an import begins."""
        known = {"feedId": begun.feed_id, "form": begun.form, "size": begun.size, "sha256": begun.sha256}
        self.add({"import": {**known, "generation": begun.generation, "at": write_instant(begun.active_at)}})
        self.imports.append(begun)

    def answered(self, request: UsageRequest, tracking_id: str) -> None:
        """Note the answer to a request."""
        entry = AnsweredRequest(request.sha256, request.records, tracking_id)
        self.add(
            {
                "request": request.number,
                "line": request.line,
                "records": entry.records,
                "sha256": entry.sha256,
                "trackingId": entry.tracking_id,
                "at": write_instant(datetime.now(UTC)),
            },
        )
        if self.last:
            self.last.answered[request.number] = entry

    def finish(self, summary: Json) -> None:
        """Note that every request was answered."""
        self.add({"done": {**summary, "at": write_instant(datetime.now(UTC))}})
        if self.last:
            self.last.done = True

    def _follow(self, entry: Json) -> None:
        """Take one more note into account."""
        imports = self.imports
        try:
            if begun := entry.get("import"):
                feed_id, form, size, sha256 = (begun[name] for name in ("feedId", "form", "size", "sha256"))
                imports.append(
                    JournalImport(feed_id, form, size, sha256, begun["generation"], read_instant(begun["at"]))
                )
            elif "request" in entry:
                answered = AnsweredRequest(entry["sha256"], entry["records"], entry["trackingId"])
                imports[-1].answered[entry["request"]] = answered
                imports[-1].active_at = read_instant(entry["at"])
            else:
                imports[-1].done = bool(entry["done"])
        except (KeyError, IndexError, ValueError) as error:
            raise self.damaged() from error


def _sync_folder(folder: Path) -> None:
    """Make the name of a new file last as its content does."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
