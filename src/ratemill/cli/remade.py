"""What ``ratemill trace`` shows of remade usage records; apart from the command, because it loads the table engine."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from ratemill.access.database import Database
from ratemill.api.http.envelope import Json
from ratemill.ledger.lookup import LookupMatch
from ratemill.ledger.remake import Difference, RemakeResult, remake
from ratemill.money import plain
from ratemill.periods import write_instant
from ratemill.settings import Settings

# The members of `udrMediated` by the columns that they show.
_MEMBERS = {
    "usage_at": "date",
    "identifier_type": "udrIdentifierTypeName",
    "usage_identifier": "udrUsageIdentifier",
    "originating_identifier": "originatingIdentifier",
    "terminating_identifier": "terminatingIdentifier",
    "quantity": "value",
    "inbound": "inbound",
    "reverse_rating": "reverseRating",
    "usage_class_id": "usageClassId",
    "usage_class_type": "usageClassTypeName",
    "uniqueness_identifier": "uniquenessIdentifier",
    "extension": "extension",
}
_US_PER_MS = 1_000


def remade_records(database: Database, owner_id: int, match: LookupMatch, settings: Settings) -> list[Json]:
    """Return for each record of a match the member ``remade``."""
    found = remake(
        database,
        owner_id,
        match.records,
        field_chars_max=settings.field_chars_max,
        growth_bytes_max=settings.worker_growth_bytes_max,
    )
    return [_instance(found[life.submission_id, life.row_index]) for life in match.records]


def remade_text(remade: Json) -> str:
    """Say in one line how a stored usage record compares with the one remade."""
    if remade["equal"] is None:
        return f"nothing to remake: {remade['message']}"
    if remade["equal"]:
        return "yes"
    each = [f"{one['fieldName']}: stored {one['stored']}, remade {one['remade']}" for one in remade["differences"]]
    return "no: " + "; ".join(each)


def _instance(remade: RemakeResult) -> Json:
    return {
        "equal": remade.is_equal,
        "differences": [_difference(difference) for difference in remade.differences],
        "message": remade.nothing,
    }


def _difference(difference: Difference) -> Json:
    name = _MEMBERS.get(difference.column, difference.column)
    return {"fieldName": name, "stored": _shown(difference.stored), "remade": _shown(difference.remade)}


def _shown(value: Any) -> Any:  # noqa: ANN401 -- of any column
    if isinstance(value, Decimal):
        return plain(value)
    if isinstance(value, datetime):
        # A difference below a millisecond is to be seen too.
        return write_instant(value) if value.microsecond % _US_PER_MS == 0 else value.isoformat()
    return value
