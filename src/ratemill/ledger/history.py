"""Histories: how far each request and each batch has come, with counts that tie at any instant.

Batches of characteristics stand among the requests of usage: both are something that was sent in, and became of it.
"""

from __future__ import annotations

from ratemill.errors import Code, NotFound
from ratemill.ledger.reading import NUMBER_MAX, find_history, find_items
from ratemill.pages import Page, Paging
from ratemill.states import ImportJobState, RequestState
from ratemill.store import histories
from ratemill.store.characteristic_histories import ItemHistory
from ratemill.store.connections import Database
from ratemill.store.histories import Batch, Counts, History, HistoryFilters

__all__ = [
    "Batch",
    "Counts",
    "History",
    "HistoryFilters",
    "ItemHistory",
    "find",
    "find_batch",
    "is_done",
    "page",
    "state_of",
]

_WAITING = {ImportJobState.OPEN, ImportJobState.SUBMITTED, ImportJobState.PROCESSING}


def find(database: Database, owner_id: int, key: str) -> History | ItemHistory:
    """Return the request or the batch of characteristics of that identity or tracking id; raise ``NotFound``.

    The tracking id of a batch is the number of its job.
    """
    with database.reader(owner_id) as connection:
        found = find_history(connection, key) or find_items(connection, key)
    if found is None:
        raise NotFound(f"there is no request '{key}'", code=Code.REQUEST_NOT_FOUND)
    return found


def is_done(database: Database, owner_id: int, shown: History | ItemHistory) -> bool:
    """Whether no record of a request waits: cheaper to ask again and again than ``find``."""
    if isinstance(shown, ItemHistory):
        return not find(database, owner_id, str(shown.job_id)).rows_waiting
    with database.face(owner_id) as connection:
        return not histories.rows_waiting(connection, shown.submission_id)


def page(database: Database, owner_id: int, filters: HistoryFilters, paging: Paging) -> Page[History | ItemHistory]:
    """Return a page of the owner's requests and batches of characteristics, newest first."""
    with database.reader(owner_id) as connection:
        return histories.page(connection, filters, paging)


def find_batch(database: Database, owner_id: int, batch_id: int) -> Batch:
    """Return the batch of that number; raise ``NotFound``."""
    with database.reader(owner_id) as connection:
        batch = histories.find_batch(connection, min(batch_id, NUMBER_MAX))
    if batch is None:
        raise NotFound(f"there is no batch {batch_id}", code=Code.BATCH_NOT_FOUND)
    return batch


def state_of(history: History | ItemHistory) -> RequestState:
    """Return how far a request or a batch of characteristics has come; work that began and failed counts as begun."""
    if isinstance(history, ItemHistory):
        if history.state not in _WAITING:
            return RequestState.DONE
        begun = history.state == ImportJobState.PROCESSING and not history.dry_run
    else:
        if history.rows_waiting == 0:
            return RequestState.DONE
        begun = history.started_at is not None or history.attempts > 0
    return RequestState.PROCESSING if begun else RequestState.ACCEPTED
