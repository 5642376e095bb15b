"""What is read back, in the members of the wire: one function for each kind of object."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from ratemill.api.http.envelope import Json
from ratemill.ledger import charges, exceptions, history
from ratemill.ledger.exceptions import ExceptionKind
from ratemill.ledger.lookup import LookupMatch
from ratemill.ledger.trace import Attempt, RecordLife
from ratemill.money import plain
from ratemill.periods import write_instant
from ratemill.reasons import BY_ID, RATING_KINDS
from ratemill.records import ChargeName, charge_identity, record_identity
from ratemill.setup.in_force.feeds import RowForm
from ratemill.states import ImportExceptionState, RatingExceptionState, RecordState, RequestState
from ratemill.store.charges.charges import Charge
from ratemill.store.charges.import_exceptions import ImportException
from ratemill.store.charges.rating_exceptions import RatingException
from ratemill.store.histories.characteristics import ItemHistory
from ratemill.store.histories.requests import AnyHistory, Batch, Counts
from ratemill.store.histories.subscriptions import ImportHistory
from ratemill.store.histories.unrated import UnratedHistory
from ratemill.store.setup.feeds import Feed
from ratemill.store.usage.holders import AccountServices, IdentifierSpan
from ratemill.store.usage.record_ends import DuplicateRecord, Revision
from ratemill.subscription_objects import by_kind

BATCH_TYPE, ITEM_BATCH_TYPE, IMPORT_BATCH_TYPE = "Usage By API", "Characteristics By API", "Subscriptions By API"

REQUEST_STATES = {
    RequestState.ACCEPTED: "Accepted",
    RequestState.PROCESSING: "Processing",
    RequestState.DONE: "Done",
}
IMPORT_EXCEPTION_STATES = {
    ImportExceptionState.NEW: "New",
    ImportExceptionState.RESUBMITTED: "Resubmitted",
    ImportExceptionState.WRITTEN_OFF: "WrittenOff",
}
RATING_EXCEPTION_STATES = {
    RatingExceptionState.OPEN: "Open",
    RatingExceptionState.RATED: "Rated",
    RatingExceptionState.WRITTEN_OFF: "WrittenOff",
}
RECORD_STATES = {
    RecordState.WAITING: "Waiting",
    RecordState.REFUSED: "ImportException",
    RecordState.SKIPPED: "Skipped",
    RecordState.DUPLICATE: "Duplicate",
    RecordState.RATING_WAITING: "RatingWaiting",
    RecordState.RATING_EXCEPTION: "RatingException",
    RecordState.WRITTEN_OFF: "WrittenOff",
    RecordState.RATED: "Rated",
}


class _RequestIds(Protocol):
    @property
    def submission_id(self) -> int: ...
    @property
    def request_tracking_id(self) -> UUID: ...
    @property
    def import_tracking_id(self) -> UUID: ...


def feed_instance(feed: Feed, form: RowForm) -> Json:
    """Return a usage feed, with how its rows are cut."""
    return {
        "identity": feed.feed_id,
        "name": feed.name,
        "apiName": feed.api_name,
        "enabled": feed.enabled,
        "dataProfileId": feed.data_profile_id,
        "dataProfileName": feed.data_profile_name,
        "dataProfileVersion": feed.data_profile_version,
        "dataProfileFormat": form.format,
        "dataProfileDelimiter": form.delimiter,
        "dataProfileQuote": form.quote,
        "dataProfileHeaderRow": form.header_row,
    }


def history_instance(row: AnyHistory) -> Json:
    """Return one request of usage; or one batch of characteristics or import of subscription data in the same members."""
    if isinstance(row, ItemHistory):
        return _unrated_history(row, ITEM_BATCH_TYPE) | {"characteristicBatch": _characteristic_batch(row)}
    if isinstance(row, ImportHistory):
        return _unrated_history(row, IMPORT_BATCH_TYPE) | {"subscriptionImport": _subscription_import(row)}
    state = history.state_of(row)
    return {
        "identity": row.submission_id,
        "ownerId": row.owner_id,
        "ownerName": row.owner,
        "requestTrackingId": str(row.request_tracking_id),
        "dataImportTrackingId": str(row.import_tracking_id),
        "udrFeedId": row.feed_id,
        "udrFeedName": row.feed,
        "dataProfileId": row.data_profile_id,
        "dataProfileName": row.data_profile,
        "dataProfileVersion": row.profile_version,
        "importBatchTypeName": BATCH_TYPE,
        "fileName": None,
        "created": write_instant(row.accepted_at),
        "importStart": _instant(row.started_at),
        "importEnd": _instant(row.ended_at) if state == RequestState.DONE else None,
        "dataImportHistoryStatusTypeId": int(state),
        "dataImportHistoryStatusTypeName": REQUEST_STATES[state],
        **_counts(row),
        "importBatchIds": row.batch_ids,
    }


def _unrated_history(row: UnratedHistory, batch_type: str) -> Json:
    state = history.state_of(row)
    return {
        "identity": row.history_id,
        "ownerId": row.owner_id,
        "ownerName": row.owner,
        "requestTrackingId": str(row.tracking_id),
        "dataImportTrackingId": str(row.tracking_id),
        "udrFeedId": None,
        "udrFeedName": None,
        "dataProfileId": None,
        "dataProfileName": None,
        "dataProfileVersion": None,
        "importBatchTypeName": batch_type,
        "fileName": row.file_name,
        "created": write_instant(row.created_at),
        "importStart": _instant(row.started_at),
        "importEnd": _instant(row.ended_at) if state == RequestState.DONE else None,
        "dataImportHistoryStatusTypeId": int(state),
        "dataImportHistoryStatusTypeName": REQUEST_STATES[state],
        "recordCount": row.rows_received,
        "importCount": row.rows_imported,
        "importExceptionCount": row.rows_refused,
        "importSkipRecordCount": row.rows_skipped,
        "importDuplicateCount": 0,
        "importWaitingCount": row.rows_waiting,
        "ratedCount": None,
        "ratingExceptionCount": None,
        "ratingWaitingCount": None,
        "ratingWrittenOffCount": None,
        "importBatchIds": [],
    }


def _characteristic_batch(row: ItemHistory) -> Json:
    return {
        "batchId": row.batch_id,
        "jobQueueGuid": str(row.tracking_id),
        "characteristic": row.characteristic,
        "state": row.state,
    }


def _subscription_import(row: ImportHistory) -> Json:
    return {
        "id": str(row.tracking_id),
        "external_ref": row.external_ref,
        "status": row.state,
        "dry_run": row.dry_run,
        "records": {"uploaded": by_kind(row.uploaded), "imported": by_kind(row.imported)},
    }


def batch_instance(batch: Batch) -> Json:
    """Return one batch."""
    return {
        "identity": batch.batch_id,
        "importBatchId": batch.batch_id,
        "importBatchTypeName": BATCH_TYPE,
        "udrFeedId": batch.feed_id,
        "udrFeedName": batch.feed,
        "dataProfileId": batch.data_profile_id,
        "dataProfileName": batch.data_profile,
        "dataProfileVersion": batch.profile_version,
        "created": write_instant(batch.cut_at),
        **_counts(batch),
        "dataImportHistoryIds": batch.submission_ids,
    }


def import_exception_instance(refused: ImportException) -> Json:
    """Return one refused row."""
    at = write_instant(refused.excepted_at)
    return {
        "dataImportExceptionId": refused.import_exception_id,
        **_request(refused),
        "udrFeedId": refused.feed_id,
        "udrFeedName": refused.feed,
        "importBatchId": refused.batch_id,
        "importBatchTypeName": BATCH_TYPE,
        "originatingFileRecordIndex": refused.row_index,
        "dataImportExceptionErrorTypeId": refused.reason_id,
        "dataImportExceptionErrorTypeName": BY_ID[refused.reason_id].name,
        "dataImportExceptionStatusTypeId": refused.state,
        "dataImportExceptionStatusTypeName": IMPORT_EXCEPTION_STATES[ImportExceptionState(refused.state)],
        "fieldName": refused.field,
        "fieldValue": refused.value,
        "dataSnippet": refused.raw,
        "message": exceptions.import_message(refused),
        "messageDetails": "\n".join(exceptions.import_messages(refused)),
        "exceptionDate": at,
        "created": at,
        "revisionNumber": refused.revision,
        "fileName": None,
        **_write_off(refused),
    }


def rating_exception_instance(excepted: RatingException) -> Json:
    """Return one usage record that could not be rated."""
    return {
        "id": excepted.rating_exception_id,
        "udrMediatedId": record_identity(excepted.submission_id, excepted.row_index),
        **_request(excepted),
        "udrFeedName": excepted.feed,
        "importBatchId": excepted.batch_id,
        "originatingFileRecordIndex": excepted.row_index,
        "udrUsageExceptionTypeId": excepted.kind,
        "udrUsageExceptionTypeName": RATING_KINDS[excepted.kind],
        "reasonId": excepted.reason_id,
        "reasonName": BY_ID[excepted.reason_id].name,
        "message": exceptions.rating_message(excepted),
        "attemptCount": excepted.attempts,
        "lastRatingAttempt": write_instant(excepted.last_attempt_at),
        "complete": excepted.state != RatingExceptionState.OPEN,
        "udrUsageExceptionStatusTypeName": RATING_EXCEPTION_STATES[RatingExceptionState(excepted.state)],
        "udrUsageExceptionScheduleId": excepted.reprocess_id,
        "date": write_instant(excepted.usage_at),
        "udrIdentifierTypeName": excepted.identifier_type,
        "udrUsageIdentifier": excepted.usage_identifier,
        "originatingIdentifier": excepted.originating_identifier,
        "terminatingIdentifier": excepted.terminating_identifier,
        "value": plain(excepted.quantity),
        "usageClassName": excepted.usage_class,
        "reverseRating": excepted.reverse_rating,
        "accountName": excepted.account,
        "accountServiceName": excepted.service,
        "usageRatePlanName": excepted.rate_plan,
        **_characteristics(excepted),
        **_write_off(excepted),
    }


def kind_instance(kind: ExceptionKind) -> Json:
    """Return one kind of rating exceptions."""
    return {"identity": kind.kind, "sortOrder": kind.kind, "name": kind.name, "count": kind.rows_open}


def charge_instance(charge: Charge) -> Json:
    """Return one charge."""
    reversed_name = charges.reversed_by(charge)
    return {
        "identity": charge_identity(ChargeName(charge.submission_id, charge.row_index, charge.run, charge.entry)),
        "udrMediatedId": record_identity(charge.submission_id, charge.row_index),
        **_request(charge),
        "udrFeedName": charge.feed,
        "importBatchId": charge.batch_id,
        "originatingFileRecordIndex": charge.row_index,
        "date": write_instant(charge.usage_at),
        "udrUsageIdentifier": charge.usage_identifier,
        "originatingIdentifier": charge.originating_identifier,
        "terminatingIdentifier": charge.terminating_identifier,
        "usageClassName": charge.usage_class,
        "usageBaseUnitName": charge.base_unit,
        "accountName": charge.account,
        "accountServiceName": charge.service,
        "usageRatePlanName": charge.rate_plan,
        "usageRateGroupName": charge.rate_group,
        "usageRateId": charge.rate_id,
        "geoTreeLocationName": charge.location,
        **_characteristics(charge),
        "quantity": plain(charge.quantity),
        "valueActual": plain(charge.quantity_rounded),
        "value": plain(charge.quantity_charged),
        "amount": plain(charge.amount),
        "currencyName": charge.currency,
        "rated": write_instant(charge.rated_at),
        "reversesId": charge_identity(reversed_name) if reversed_name else None,
    }


def record_instance(life: RecordLife) -> Json:
    """Return a record's whole life."""
    mediated = life.charges[0] if life.charges else life.rating_exception
    refused, excepted = life.import_exception, life.rating_exception
    return {
        "originatingFileRecordIndex": life.row_index,
        "dataImportHistoryId": life.submission_id,
        "dataSnippet": life.raw,
        "recordStateName": RECORD_STATES[life.state],
        "importBatchId": life.batch_id,
        "dataProfileVersion": life.profile_version,
        "duplicateOf": _duplicate_of(life.duplicate) if life.duplicate else None,
        "udrMediated": _mediated(mediated) if mediated else None,
        "dataImportException": import_exception_instance(refused) if refused else None,
        "udrUsageException": rating_exception_instance(excepted) if excepted else None,
        "charges": [charge_instance(charge) for charge in life.charges],
        "attempts": [_attempt(attempt) for attempt in life.attempts],
        "revisions": [_revision(revision) for revision in life.revisions],
    }


def match_instance(match: LookupMatch) -> Json:
    """Return one thing that a text names, with its records."""
    return {
        "dataImportHistory": history_instance(match.history) if match.history else None,
        "importBatch": batch_instance(match.batch) if match.batch else None,
        "udrUsageIdentifier": match.identifier,
        "usageIdentifiers": [_span(span) for span in match.spans],
        "account": _account(match.account) if match.account else None,
        "records": [record_instance(life) for life in match.records],
        "hasMoreRecords": match.has_more,
    }


def _span(span: IdentifierSpan) -> Json:
    return {
        "identity": span.identifier_id,
        "udrUsageIdentifier": span.usage_identifier,
        "udrIdentifierTypeName": span.identifier_type,
        "accountName": span.account,
        "accountServiceName": span.service,
        "start": _instant(span.start_at),
        "end": _instant(span.end_at),
    }


def _account(account: AccountServices) -> Json:
    return {
        "identity": account.account_id,
        "name": account.account,
        "currencyName": account.currency,
        "usageRatePlanName": account.rate_plan,
        "start": _instant(account.start_at),
        "end": _instant(account.end_at),
        "accountServiceNames": account.services,
    }


def _counts(counts: Counts) -> Json:
    return {
        "recordCount": counts.rows_received,
        "importCount": counts.rows_imported,
        "importExceptionCount": counts.rows_refused,
        "importSkipRecordCount": counts.rows_skipped,
        "importDuplicateCount": counts.rows_duplicate,
        "importWaitingCount": counts.rows_waiting,
        "ratedCount": counts.rows_rated,
        "ratingExceptionCount": counts.rows_excepted,
        "ratingWaitingCount": counts.rows_rating_waiting,
        "ratingWrittenOffCount": counts.rows_written_off,
    }


def _request(row: _RequestIds) -> Json:
    return {
        "dataImportHistoryId": row.submission_id,
        "requestTrackingId": str(row.request_tracking_id),
        "dataImportTrackingId": str(row.import_tracking_id),
    }


def _write_off(excepted: ImportException | RatingException) -> Json:
    return {
        "writtenOff": _instant(excepted.written_off_at),
        "writtenOffByUserName": excepted.written_off_by,
        "note": excepted.note,
    }


def _duplicate_of(duplicate: DuplicateRecord) -> Json:
    return {
        "dataImportHistoryId": duplicate.of_submission_id,
        "requestTrackingId": str(duplicate.of_request_tracking_id),
        "originatingFileRecordIndex": duplicate.of_row_index,
        "importBatchId": duplicate.of_batch_id,
    }


def _mediated(usage: Charge | RatingException) -> Json:
    return {
        "id": record_identity(usage.submission_id, usage.row_index),
        "importBatchId": usage.batch_id,
        "date": write_instant(usage.usage_at),
        "udrIdentifierTypeName": usage.identifier_type,
        "udrUsageIdentifier": usage.usage_identifier,
        "originatingIdentifier": usage.originating_identifier,
        "terminatingIdentifier": usage.terminating_identifier,
        "value": plain(usage.quantity),
        "inbound": usage.inbound,
        "reverseRating": usage.reverse_rating,
        "usageClassId": usage.usage_class_id,
        "usageClassName": usage.usage_class,
        "usageClassTypeName": usage.usage_class_type,
        "uniquenessIdentifier": usage.uniqueness_identifier,
        "extension": _extension(usage.extension),
        **_characteristics(usage),
    }


def _characteristics(usage: Charge | RatingException) -> Json:
    """Return the items that a record names: their ids under the names of the filters, and what is known of them."""
    named = {f"characteristic{item.characteristic}": item for item in usage.items}
    return {
        **{name: item.id for name, item in named.items()},
        "characteristics": {
            name: {"id": item.id, "guid": str(item.guid) if item.guid else None, "description": item.description}
            for name, item in named.items()
        },
    }


def _extension(text: str | None) -> Any:  # noqa: ANN401 -- whatever targets the profile names
    return None if text is None else json.loads(text, parse_float=str)


def _attempt(attempt: Attempt) -> Json:
    return {
        "at": write_instant(attempt.attempted_at),
        "outcome": RECORD_STATES[attempt.outcome],
        "reasonName": attempt.reason,
    }


def _revision(revision: Revision) -> Json:
    return {
        "revisionNumber": revision.revision,
        "dataSnippet": revision.raw,
        "created": write_instant(revision.created_at),
        "createdByUserName": revision.created_by,
        "taken": _instant(revision.taken_at),
    }


def _instant(instant: datetime | None) -> str | None:
    return write_instant(instant) if instant else None
