"""Watch a folder: files that appear and are complete are imported, then moved to `done/` or `failed/` with their result.

A file is complete once it has not changed for some seconds, or came by renaming; names that begin with a dot or end in
`.part`, `.tmp` or `.result.json` are left alone. What the world did (server away, token expired) leaves a file where
it is, for the next look; what is wrong with the file moves it to `failed/`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from threading import Event
from time import time
from typing import Literal

import msgspec

from ratemill.client.calls import Client, Json
from ratemill.client.errors import ChangedFile, ClientError, ImportIsLate, Rejection, UnreadableFile, faults_of
from ratemill.client.faultpoints import die_at
from ratemill.client.files import digest_of
from ratemill.client.run import ImportMonitor
from ratemill.client.usage.importing import UsageImportResult, import_file
from ratemill.client.usage.journal import Journal
from ratemill.client.usage.targets import TargetOptions, find_feed, target_of
from ratemill.errors import RatemillError

State = Literal["done", "failed", "left"]

SETTLE_S = 2.0  # a writer that pauses longer than this should write to a .part name
INTERVAL_S = 1.0
JOURNALS = ".ratemill-imports"
RESULT = ".result.json"
_LEFT_ALONE = (".part", ".tmp", RESULT)
LEFT_PAUSE_S = 30.0  # before a file that the world held up is tried again
_THE_FILES_FAULT = {400, 413}


@dataclass(slots=True)
class FolderWatch:
    """A folder whose files go to a feed; ``say`` is told of each file what became of it."""

    client: Client
    feed: str
    folder: Path
    options: TargetOptions = field(default_factory=TargetOptions)
    in_flight: int = 4
    settle_s: float = SETTLE_S
    stopping: Event = field(default_factory=Event)
    die_at: str = ""
    say: Callable[[Json], None] = lambda _: None

    def run(self) -> None:
        """Look again and again until ``stopping`` is set; the file in hand is finished first."""
        while not self.stopping.is_set():
            left = self.look()["left"]
            self.stopping.wait(LEFT_PAUSE_S if left else INTERVAL_S)

    def look(self) -> dict[State, int]:
        """Import what is complete now; return how many files were done, failed and left for the next look.

        What holds up one file would hold up the others: the look ends with the first that is left.
        """
        counts: dict[State, int] = {"done": 0, "failed": 0, "left": 0}
        for path in self._complete():
            if self.stopping.is_set() or counts["left"]:
                break
            counts[self._take(path)] += 1
        return counts

    def _complete(self) -> Iterator[Path]:
        """Yield the complete files, the one that changed first before the others."""
        files = []
        for path in self.folder.iterdir():
            if not path.name.startswith(".") and not path.name.endswith(_LEFT_ALONE) and path.is_file():
                with suppress(FileNotFoundError):  # taken away since
                    files.append((path.stat().st_mtime, path.name, path))
        for changed_at, _, path in sorted(files):
            if abs(time() - changed_at) >= self.settle_s:
                yield path

    def _take(self, path: Path) -> State:
        """Import one file and move it where it belongs."""
        outcome = UsageImportResult(path.name, self.feed)
        try:
            self._import(path, outcome)
        except RatemillError as error:
            result = {**outcome.as_json(), "error": str(error), "errors": faults_of(error)}
            state: State = "failed" if _is_the_files_fault(error) else "left"
        else:
            result = outcome.as_json()
            state = "done"
        if state != "left":
            die_at("watch-before-move", self.die_at)
            result["movedTo"] = str(self._move(path, state, result))
        self.say({"state": state, **result})
        return state

    def _import(self, path: Path, outcome: UsageImportResult) -> None:
        feed = find_feed(self.client, self.feed)
        outcome.feed = feed.name
        journal = self.folder / JOURNALS / f"{feed.feed_id}-{digest_of(path)}.jsonl"
        with Journal(journal) as held:
            target = target_of(feed, path, self.options)
            watched = ImportMonitor(outcome, die_at=self.die_at)
            import_file(self.client, target, path, held, watched, in_flight=self.in_flight)

    def _move(self, path: Path, state: State, result: Json) -> Path:
        """Move a file with its result, never over another; the result is there before the file is."""
        folder = self.folder / state
        try:
            folder.mkdir(exist_ok=True)
            name = _free_name(folder, path.name)
            written = folder / f".{name}{RESULT}"
            written.write_bytes(msgspec.json.format(msgspec.json.encode(result)) + b"\n")
            written.replace(folder / f"{name}{RESULT}")
            return path.rename(folder / name)
        except OSError as error:
            raise ClientError(f"{path} cannot be moved to {folder}: {error.strerror or error}") from error


def _is_the_files_fault(error: RatemillError) -> bool:
    if isinstance(error, Rejection):
        return error.status in _THE_FILES_FAULT
    return isinstance(error, UnreadableFile | ChangedFile | ImportIsLate)


def _free_name(folder: Path, name: str) -> str:
    """Return the name, or the first of ``2-name``, ``3-name`` … that no file bears."""
    names = (name if number == 1 else f"{number}-{name}" for number in count(1))
    return next(each for each in names if not os.path.lexists(folder / each))
