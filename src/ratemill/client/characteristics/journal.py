"""The journal of an import of items: which batch they go into, which pages it has, and what came of its job.

A note ``batch`` begins an import of one content, ``page`` is a page that was answered, ``submitted`` says that the batch
was, ``job`` how its job ended. A dry run leaves its batch open and is not noted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ratemill.client.calls import Json
from ratemill.client.usage.journal import Notes


@dataclass(frozen=True, slots=True)
class ItemImportIdentity:
    """What is imported: by these two imports are told to be the same."""

    characteristic: int
    shape: str
    sha256: str
    items: int
    page_size: int


@dataclass(slots=True)
class JournalBatch:
    """A batch that a journal knows; ``pages`` are the digests of those that were answered."""

    what: ItemImportIdentity
    batch_id: int
    job_id: str
    pages: dict[int, str] = field(default_factory=dict)
    submitted: bool = False
    job: Json | None = None


class ItemJournal(Notes):
    """The journal of an import of items; only the batch that was begun last can go on."""

    def __init__(self, path: Path) -> None:
        """Open or make the journal, and read what it knows."""
        super().__init__(path)
        self.last: JournalBatch | None = None
        for entry in self.read():
            try:
                self._follow(entry)
            except (KeyError, TypeError, AttributeError) as error:
                raise self.damaged() from error

    def begin(self, batch: JournalBatch) -> None:
        """Note a new batch."""
        what = {
            "characteristic": batch.what.characteristic,
            "shape": batch.what.shape,
            "sha256": batch.what.sha256,
            "items": batch.what.items,
            "pageSize": batch.what.page_size,
        }
        self._note({"batch": {"batchId": batch.batch_id, "jobQueueGuid": batch.job_id, **what}})

    def answered(self, number: int, sha256: str) -> None:
        """Note that a page was answered."""
        self._note({"page": number, "sha256": sha256})

    def submitted(self) -> None:
        """Note that the batch was submitted."""
        self._note({"submitted": True})

    def ended(self, job: Json) -> None:
        """Note how the job ended."""
        self._note({"job": job})

    def _note(self, entry: Json) -> None:
        self.add(entry)
        self._follow(entry)

    def _follow(self, entry: Json) -> None:
        """Take one more note into account."""
        if "batch" in entry:
            begun = entry["batch"]
            what = ItemImportIdentity(
                *(begun[name] for name in ("characteristic", "shape", "sha256", "items", "pageSize"))
            )
            self.last = JournalBatch(what, begun["batchId"], begun["jobQueueGuid"])
            return
        last = self.last
        if last is None:
            raise self.damaged()
        if "page" in entry:
            last.pages[entry["page"]] = entry["sha256"]
        elif "submitted" in entry:
            last.submitted = True
        else:
            last.job = entry["job"]
