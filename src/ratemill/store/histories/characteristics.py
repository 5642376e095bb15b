"""Batches of characteristics as histories: each with what became of its items."""

from __future__ import annotations

from dataclasses import dataclass

from ratemill.store.histories.unrated import HistorySource, UnratedHistory


@dataclass(frozen=True, slots=True)
class ItemHistory(UnratedHistory):
    """One batch of characteristics; its tracking id is its job's. ``characteristic`` is None until an item has told it.

    Skipped are the items of a batch that was cancelled, or whose job failed.
    """

    batch_id: int
    characteristic: int | None


# A dry run takes no item and counts none: its batch goes on waiting.
BATCHES = HistorySource(
    row_type=ItemHistory,
    table="characteristic_batches",
    tracking_id="h.job_id",
    file_name="h.import_file_name",
    at_work="(h.state = 'processing' and not h.dry_run)",
    ended="(h.state not in ('open', 'submitted', 'processing'))",
    started_at="case when not h.dry_run then h.started_at end",
    ended_at="case when not h.dry_run then h.ended_at end",
    rows_received="case h.state when 'open' then h.items_received when 'cleared' then 0 else h.total_items end",
    rows_imported="case when h.dry_run then 0 else h.items_created + h.items_updated + h.items_unchanged end",
    rows_refused="case when h.dry_run then 0 else h.items_refused end",
    more="h.batch_id, h.characteristic",
)
