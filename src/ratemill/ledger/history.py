"""Histories: how far each request and each batch has come, with counts that tie at any instant."""

from __future__ import annotations

from ratemill.errors import Code, NotFound
from ratemill.ledger.reading import NUMBER_MAX, require_history
from ratemill.pages import Page, Paging
from ratemill.states import RequestState
from ratemill.store import histories
from ratemill.store.connections import Database
from ratemill.store.histories import Batch, Counts, History, HistoryFilters

__all__ = ["Batch", "Counts", "History", "HistoryFilters", "find", "find_batch", "is_done", "page", "state_of"]


def find(database: Database, owner_id: int, key: str) -> History:
    """Return the request of that identity or tracking id; raise ``NotFound``."""
    with database.reader(owner_id) as connection:
        return require_history(connection, key)


def is_done(database: Database, owner_id: int, submission_id: int) -> bool:
    """Whether no record of a request waits: cheaper to ask again and again than ``find``."""
    with database.face(owner_id) as connection:
        return not histories.rows_waiting(connection, submission_id)


def page(database: Database, owner_id: int, filters: HistoryFilters, paging: Paging) -> Page[History]:
    """Return a page of the owner's requests, newest first."""
    with database.reader(owner_id) as connection:
        return histories.page(connection, filters, paging)


def find_batch(database: Database, owner_id: int, batch_id: int) -> Batch:
    """Return the batch of that number; raise ``NotFound``."""
    with database.reader(owner_id) as connection:
        batch = histories.find_batch(connection, min(batch_id, NUMBER_MAX))
    if batch is None:
        raise NotFound(f"there is no batch {batch_id}", code=Code.BATCH_NOT_FOUND)
    return batch


def state_of(history: History) -> RequestState:
    """Return how far a request has come; work that began and failed counts as begun."""
    if history.rows_waiting == 0:
        return RequestState.DONE
    begun = history.started_at is not None or history.attempts > 0
    return RequestState.PROCESSING if begun else RequestState.ACCEPTED
