"""The journal of an import of usage: which requests were answered, and with which tracking ids.

A line `import` begins an import of one content, `request` notes an answer, `done` ends it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from ratemill.client.calls import Json
from ratemill.client.journal import Notes
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


class Journal(Notes):
    """The journal of an import of usage."""

    def __init__(self, path: Path) -> None:
        """Open or make the journal, and read what it knows."""
        self.imports: list[JournalImport] = []
        super().__init__(path)

    @property
    def last(self) -> JournalImport | None:
        """The import that was begun last."""
        return self.imports[-1] if self.imports else None

    def begin(self, begun: JournalImport) -> JournalImport:
        """Note that an import begins; return it as it is noted."""
        known = {"feedId": begun.feed_id, "form": begun.form, "size": begun.size, "sha256": begun.sha256}
        self.note({"import": {**known, "generation": begun.generation, "at": write_instant(begun.active_at)}})
        return self.imports[-1]

    def answered(self, request: UsageRequest, tracking_id: str) -> None:
        """Note the answer to a request."""
        self.note(
            {
                "request": request.number,
                "line": request.line,
                "records": request.records,
                "sha256": request.sha256,
                "trackingId": tracking_id,
                "at": write_instant(datetime.now(UTC)),
            },
        )

    def finish(self, summary: Json) -> None:
        """Note that every request was answered."""
        self.note({"done": {**summary, "at": write_instant(datetime.now(UTC))}})

    def _follow(self, entry: Json) -> None:
        imports = self.imports
        if begun := entry.get("import"):
            feed_id, form, size, sha256 = (begun[name] for name in ("feedId", "form", "size", "sha256"))
            imports.append(JournalImport(feed_id, form, size, sha256, begun["generation"], read_instant(begun["at"])))
        elif "request" in entry:
            answered = AnsweredRequest(entry["sha256"], entry["records"], entry["trackingId"])
            imports[-1].answered[entry["request"]] = answered
            imports[-1].active_at = read_instant(entry["at"])
        else:
            imports[-1].done = bool(entry["done"])
