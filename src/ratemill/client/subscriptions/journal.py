"""The journal of a file of subscription data: under which reference it is sent, which import it became, how that ended.

A note ``sending`` comes before the file is sent, ``import`` once the server has it, ``ended`` is how its import ended.
"""

from __future__ import annotations

from dataclasses import dataclass

from ratemill.client.calls import Json
from ratemill.client.journal import LastImport


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


class SubscriptionJournal(LastImport[JournalUpload]):
    """The journal of a file of subscription data."""

    def begin(self, upload: JournalUpload) -> JournalUpload:
        """Note that a file is about to be sent; return that."""
        what = {"sha256": upload.what.sha256, "upsert": upload.what.upsert, "dryRun": upload.what.dry_run}
        self.note({"sending": {**what, "externalRef": upload.external_ref, "before": upload.before}})
        return self.last or upload

    def accepted(self, import_id: str) -> None:
        """Note that the file was taken."""
        self.note({"import": import_id})

    def ended(self, shown: Json) -> None:
        """Note how the import ended."""
        self.note({"ended": shown})

    def _begun(self, entry: Json) -> JournalUpload | None:
        begun = entry.get("sending")
        if begun is None:
            return None
        what = SubscriptionImportIdentity(begun["sha256"], begun["upsert"], begun["dryRun"])
        return JournalUpload(what, begun["externalRef"], begun["before"])

    def _add(self, last: JournalUpload, entry: Json) -> None:
        if "import" in entry:
            last.import_id = entry["import"]
        else:
            last.ended = entry["ended"]
