"""The states that rows are stored with or derive, by the numbers that never change."""

from __future__ import annotations

from enum import IntEnum, StrEnum


class RequestState(IntEnum):
    """How far the records of a submission have come."""

    ACCEPTED = 1  # no record has been taken yet
    PROCESSING = 2
    DONE = 3  # none waits; a resubmitted record brings the submission back to PROCESSING


class RecordState(IntEnum):
    """The one current end of a record, or that it waits for it."""

    WAITING = 1
    REFUSED = 2
    SKIPPED = 3
    DUPLICATE = 4
    RATING_WAITING = 5
    RATING_EXCEPTION = 6
    WRITTEN_OFF = 7
    RATED = 8


class ImportExceptionState(IntEnum):
    """``import_exceptions.state``; a resubmitted one is history, the other two are their record's end."""

    NEW = 1
    RESUBMITTED = 2
    WRITTEN_OFF = 3


class RatingExceptionState(IntEnum):
    """``rating_exceptions.state``; a rated one is history: its record ended as a charge."""

    OPEN = 1
    RATED = 2
    WRITTEN_OFF = 3


class ImportJobState(StrEnum):
    """``characteristic_batches.state``: of the batch while it is open, of its job from then on."""

    OPEN = "open"  # takes pages
    SUBMITTED = "submitted"
    PROCESSING = "processing"
    COMPLETED = "completed"
    COMPLETED_WITH_ERRORS = "completedWithErrors"  # some items were refused
    FAILED = "failed"
    CANCELLED = "cancelled"  # before it began
    CLEARED = "cleared"  # before it was submitted; what was cleared later keeps its state


class SubscriptionImportState(StrEnum):
    """``subscription_imports.state``: where an import of subscription objects is."""

    PENDING = "pending"  # waits for those before it
    STARTED = "started"
    SUCCESS = "success"  # worked through, whatever became of its lines
    FAILED = "failed"  # the job itself broke


class SubscriptionState(StrEnum):
    """``subscriptions.state``: only an active one is rated."""

    PENDING = "pending"
    ACTIVE = "active"
    CANCELED = "canceled"
