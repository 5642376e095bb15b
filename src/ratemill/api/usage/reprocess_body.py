"""What a reprocess is asked for by, and how it is shown: the members of the wire for those of the ledger."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NoReturn

from ratemill import characteristics
from ratemill.api.http.bodies import compared, object_of
from ratemill.api.http.envelope import Json
from ratemill.comparisons import MANY_VALUES, NO_VALUE, RawComparison
from ratemill.errors import BadRequest, Code
from ratemill.ledger import reprocess
from ratemill.periods import read_instant, write_instant
from ratemill.store.charges.reprocesses import Criteria, Reprocess
from ratemill.visible import shown

# The members of a rating exception on the wire that a filter may name.
MEMBERS = {
    "id": "rating_exception_id",
    "udrMediatedId": "record_id",
    "dataImportHistoryId": "submission_id",
    "requestTrackingId": "request_tracking_id",
    "dataImportTrackingId": "import_tracking_id",
    "udrFeedName": "feed",
    "importBatchId": "batch_id",
    "originatingFileRecordIndex": "row_index",
    "udrUsageExceptionTypeId": "kind",
    "udrUsageExceptionTypeName": "kind_name",
    "reasonId": "reason_id",
    "reasonName": "reason",
    "message": "message",
    "attemptCount": "attempts",
    "lastRatingAttempt": "last_attempt_at",
    "complete": "complete",
    "udrUsageExceptionScheduleId": "reprocess_id",
    "date": "usage_at",
    "udrIdentifierTypeName": "identifier_type",
    "udrUsageIdentifier": "usage_identifier",
    "originatingIdentifier": "originating_identifier",
    "terminatingIdentifier": "terminating_identifier",
    "value": "quantity",
    "usageClassName": "usage_class",
    "reverseRating": "reverse_rating",
    "accountName": "account",
    "accountServiceName": "service",
    "usageRatePlanName": "rate_plan",
    **{name: name for name in characteristics.NAMES},
}
_WIRE = {name: member for member, name in MEMBERS.items()}
_BY_LOWER = {member.lower(): member for member in MEMBERS}
_SHOWN = ", ".join(name for name in MEMBERS if name not in characteristics.NUMBERS)
_CHOICES = ("filterCriteria", "ids", "all")


@dataclass(frozen=True, slots=True)
class ReprocessRequest:
    """Which exceptions, and from when on; None: at once."""

    criteria: Criteria
    scheduled_at: datetime | None


def read(body: bytes) -> ReprocessRequest:
    """Return what the body of a reprocess asks for; raise ``BadRequest``."""
    asked = object_of(body)
    unknown = [name for name in asked if name not in {*_CHOICES, "scheduledStart"}]
    if unknown:
        _refuse(f"'{shown(unknown[0])}' is no member of this call: {', '.join(_CHOICES)}, scheduledStart")
    given = [name for name in _CHOICES if asked.get(name) is not None]
    if len(given) != 1:
        _refuse(f"one of {', '.join(_CHOICES)} says what to reprocess; {len(given)} are given")
    readers = {"filterCriteria": _filter, "ids": _ids, "all": _all}
    return ReprocessRequest(readers[given[0]](asked[given[0]]), _start(asked.get("scheduledStart")))


def comparison(name: str, operator: str, value: object) -> RawComparison:
    """Return the comparison of a member of the wire."""
    member = _BY_LOWER.get(name.lower())
    if member is None:
        _refuse(f"'{shown(name)}' is no member of a rating exception: {_SHOWN}, characteristic1 to characteristic20")
    try:
        return RawComparison(MEMBERS[member], operator, compared(value))
    except ValueError as error:
        _refuse(str(error))


def by_search(comparisons: list[RawComparison], *, any_of: bool = False) -> Criteria:
    """Mean the exceptions that a filter finds; what is wrong with it is said in the members of the wire."""
    try:
        return reprocess.by_search(comparisons, any_of=any_of)
    except BadRequest as error:
        faults = [replace(fault, field=_WIRE.get(fault.field or "", fault.field)) for fault in error.faults]
        raise BadRequest(faults=faults) from error


def reprocess_instance(reprocess: Reprocess) -> Json:
    """Return one reprocess."""
    return {
        "identity": reprocess.reprocess_id,
        "scheduledStart": write_instant(reprocess.scheduled_at),
        "start": write_instant(reprocess.started_at) if reprocess.started_at else None,
        "complete": write_instant(reprocess.ended_at) if reprocess.ended_at else None,
        "createdByUserName": reprocess.created_by,
        "filterCriteria": _filter_criteria(reprocess.criteria),
        "ids": reprocess.criteria.get("ids"),
        "all": reprocess.criteria.get("all", False),
        "subscriptionImportId": reprocess.criteria.get("subscription_import"),
        "matchedCount": reprocess.rows_matched,
        "sentCount": reprocess.rows_sent,
        "ratedCount": reprocess.rows_rated,
        "failedCount": reprocess.rows_failed,
    }


def _filter_criteria(criteria: Mapping[str, Any]) -> Json:
    if "search" not in criteria:
        return {}
    terms = [
        {"name": _WIRE[term["name"]], "operator": term["operator"], **_shown(term["operator"], term["values"])}
        for term in criteria["search"]
    ]
    return {"condition": criteria["condition"], "search": terms}


def _shown(operator: str, values: list[str]) -> Json:
    if operator in NO_VALUE:
        return {}
    return {"value": values if operator in MANY_VALUES else values[0]}


def _filter(value: object) -> Criteria:
    if not isinstance(value, dict) or not set(value) <= {"condition", "search"}:
        _refuse("filterCriteria is an object with 'search' and, if it is to be 'or', 'condition'")
    condition, search = value.get("condition") or "and", value.get("search")
    if condition not in ("and", "or"):
        _refuse(f"condition is 'and' or 'or', not {json.dumps(condition)}")
    if not isinstance(search, list) or not search:
        _refuse('search is a list of at least one comparison; to reprocess everything, say "all": true')
    return by_search([_comparison(each) for each in search], any_of=condition == "or")


def _comparison(value: object) -> RawComparison:
    if not isinstance(value, dict) or not set(value) <= {"name", "operator", "value"}:
        _refuse("a comparison is an object with name, operator and value")
    name, operator = value.get("name"), value.get("operator")
    if not isinstance(name, str) or not isinstance(operator, str):
        _refuse("a comparison has a name and an operator")
    return comparison(name, operator, value.get("value"))


def _ids(value: object) -> Criteria:
    if not isinstance(value, list) or not all(_is_number(each) for each in value):
        _refuse("ids is a list of the ids of rating exceptions")
    return reprocess.by_ids([int(each) for each in value])


def _is_number(value: object) -> bool:
    return isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 30  # noqa: PLR2004 -- digits


def _all(value: object) -> Criteria:
    if value is not True:
        _refuse("all is true, or left out")
    return reprocess.all_of_them()


def _start(value: object) -> datetime | None:
    if value is None:
        return None
    try:
        return read_instant(str(value))
    except (ValueError, OverflowError):
        raise BadRequest(f"scheduledStart is a time, not '{shown(value)}'", code=Code.FILTER_NOT_VALID) from None


def _refuse(message: str) -> NoReturn:
    raise BadRequest(message, code=Code.FILTER_NOT_VALID)
