"""The journal of an import of items: which batch they go into, which pages it has, and what came of its job.

A note ``batch`` begins an import of one content, ``page`` is a page that was answered, ``submitted`` says that the batch
was, ``job`` how its job ended. A dry run leaves its batch open and is not noted.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ratemill.client.calls import Json
from ratemill.client.journal import LastImport


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


class ItemJournal(LastImport[JournalBatch]):
    """The journal of an import of items."""

    def begin(self, batch: JournalBatch) -> JournalBatch:
        """Note a new batch; return it."""
        what = {
            "characteristic": batch.what.characteristic,
            "shape": batch.what.shape,
            "sha256": batch.what.sha256,
            "items": batch.what.items,
            "pageSize": batch.what.page_size,
        }
        self.note({"batch": {"batchId": batch.batch_id, "jobQueueGuid": batch.job_id, **what}})
        return self.last or batch

    def answered(self, number: int, sha256: str) -> None:
        """Note that a page was answered."""
        self.note({"page": number, "sha256": sha256})

    def submitted(self) -> None:
        """Note that the batch was submitted."""
        self.note({"submitted": True})

    def ended(self, job: Json) -> None:
        """Note how the job ended."""
        self.note({"job": job})

    def _begun(self, entry: Json) -> JournalBatch | None:
        begun = entry.get("batch")
        if begun is None:
            return None
        what = ItemImportIdentity(*(begun[name] for name in ("characteristic", "shape", "sha256", "items", "pageSize")))
        return JournalBatch(what, begun["batchId"], begun["jobQueueGuid"])

    def _add(self, last: JournalBatch, entry: Json) -> None:
        if "page" in entry:
            last.pages[entry["page"]] = entry["sha256"]
        elif "submitted" in entry:
            last.submitted = True
        else:
            last.job = entry["job"]
