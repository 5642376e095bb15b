"""Usage records as charges and rating exceptions carry them, with their request and the names of what they refer to."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from ratemill.store.usage.carried_items import CarriedItem

# The row `{row}` has the columns of a usage record; `s` is its submission, `f` its feed, `u` its usage class.
USAGE_COLUMNS = """{row}.submission_id, {row}.row_index, s.request_tracking_id, s.import_tracking_id, f.name as feed,
    {row}.batch_id, {row}.usage_at, {row}.identifier_type, {row}.usage_identifier, {row}.originating_identifier,
    {row}.terminating_identifier, {row}.quantity, {row}.inbound, {row}.reverse_rating, {row}.usage_class_id,
    u.name as usage_class, {row}.usage_class_type, {row}.uniqueness_identifier, {row}.extension::text as extension"""

# The members of a usage record that may be long: what was sent, or what the mappings made of it.
LONG_TEXTS = (
    "identifier_type",
    "usage_identifier",
    "originating_identifier",
    "terminating_identifier",
    "usage_class_type",
    "uniqueness_identifier",
    "extension",
)


@dataclass(frozen=True, slots=True)
class UsageRecord:
    """A mediated record; ``extension`` is the JSON text of the targets that have no column.

    ``items`` are the items of characteristics that the extension names, as far as they have been looked up.
    """

    submission_id: int
    row_index: int
    request_tracking_id: UUID
    import_tracking_id: UUID
    feed: str | None
    batch_id: int
    usage_at: datetime
    identifier_type: str | None
    usage_identifier: str
    originating_identifier: str | None
    terminating_identifier: str | None
    quantity: Decimal
    inbound: bool | None
    reverse_rating: bool | None
    usage_class_id: int
    usage_class: str | None
    usage_class_type: str | None
    uniqueness_identifier: str | None
    extension: str | None
    items: tuple[CarriedItem, ...] = field(default=(), kw_only=True)
