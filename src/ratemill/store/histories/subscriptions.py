"""Imports of subscription data as histories: each with what became of its lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ratemill.store.histories.unrated import HistorySource, UnratedHistory
from ratemill.store.subscriptions.imports import PLURALS


@dataclass(frozen=True, slots=True)
class ImportHistory(UnratedHistory):
    """One import; its tracking id is its own. ``uploaded`` and ``imported`` count its lines by kind, 1 to 5.

    Skipped are the lines that a failed job did not come to, and those that a dry run found without fault: it imports
    none, though ``imported`` says how many would be.
    """

    external_ref: str | None
    uploaded: Sequence[int]
    imported: Sequence[int]


def _counts(what: str) -> list[str]:
    return [f"h.{plural}_{what}" for plural in PLURALS]


IMPORTS = HistorySource(
    row_type=ImportHistory,
    table="subscription_imports",
    tracking_id="h.import_id",
    file_name="null",
    at_work="(h.state = 'started')",
    ended="(h.state not in ('pending', 'started'))",
    started_at="h.started_at",
    ended_at="h.finished_at",
    rows_received="h.lines",
    rows_imported=f"case when h.dry_run then 0 else {' + '.join(_counts('imported'))} end",
    rows_refused="h.lines_refused",
    more=f"""h.external_ref, array[{", ".join(_counts("uploaded"))}] as uploaded,
        array[{", ".join(_counts("imported"))}] as imported""",
)
