"""The journal of an import: a small file that says what was answered, so that an import goes on where it ended.

One JSON value a line, only ever added to, each on disk before the next request counts on it. A line torn by a crash is cut
off.
"""

from __future__ import annotations

import fcntl
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import msgspec

from ratemill.client.calls import Json
from ratemill.client.errors import ClientError, ImportIsRunning


class Notes(ABC):
    """A file of notes, one JSON value a line, held by one process at a time; ``_follow`` keeps what they amount to."""

    def __init__(self, path: Path) -> None:
        """Open or make the file and read what it knows; raise ``ImportIsRunning`` if another process holds it."""
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
        for entry in self._read():
            try:
                self._follow(entry)
            except (KeyError, IndexError, ValueError, TypeError, AttributeError) as error:
                raise self.damaged() from error

    def __enter__(self) -> Self:
        """Return the notes themselves."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Let go of the file."""
        self._file.close()

    def note(self, entry: Json) -> None:
        """Add a note; it is on disk when this returns."""
        self._file.write(msgspec.json.encode(entry) + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._follow(entry)

    @abstractmethod
    def _follow(self, entry: Json) -> None:
        """Take one more note into account; raise if it is none of this kind of import."""

    def _read(self) -> Iterator[Json]:
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


Begun = TypeVar("Begun")


class LastImport(Notes, Generic[Begun]):
    """Notes of imports of which only the one that was begun last can go on."""

    def __init__(self, path: Path) -> None:
        """Open or make the file and read what it knows."""
        self.last: Begun | None = None
        super().__init__(path)

    @abstractmethod
    def _begun(self, entry: Json) -> Begun | None:
        """Return the import that a note begins; None if it is a note of the last one."""

    @abstractmethod
    def _add(self, last: Begun, entry: Json) -> None:
        """Take a note of the last import into account."""

    def _follow(self, entry: Json) -> None:
        begun = self._begun(entry)
        if begun is not None:
            self.last = begun
        elif self.last is None:
            raise self.damaged()
        else:
            self._add(self.last, entry)


def _sync_folder(folder: Path) -> None:
    """Make the name of a new file last as its content does."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
