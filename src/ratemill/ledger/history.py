"""Histories: how far each request and each batch has come, with counts that tie at any instant.

Batches of characteristics and imports of subscription data stand among the requests of usage: all of them are something
that was sent in, and became of it.
"""

from __future__ import annotations

from ratemill.errors import Code, NotFound
from ratemill.ledger.reading import NUMBER_MAX, find_history, find_unrated
from ratemill.pages import Page, Paging
from ratemill.states import RequestState
from ratemill.store.connections import Database
from ratemill.store.histories import requests as histories
from ratemill.store.histories.requests import AnyHistory, Batch, History, HistoryFilters
from ratemill.store.histories.unrated import UnratedHistory
from ratemill.visible import shown


def find(database: Database, owner_id: int, key: str) -> AnyHistory:
    """Return the request, batch of characteristics or import of that identity or tracking id; raise ``NotFound``.

    The tracking id of a batch is the number of its job, that of an import of subscription data is its own.
    """
    with database.reader(owner_id) as connection:
        found = find_history(connection, key) or find_unrated(connection, key)
    if found is None:
        raise not_found(key)
    return found


def not_found(key: str) -> NotFound:
    """Return the error for a request that does not exist, or that the caller may not see."""
    return NotFound(f"there is no request '{shown(key)}'", code=Code.REQUEST_NOT_FOUND)


def is_done(database: Database, owner_id: int, history: AnyHistory) -> bool:
    """Whether no record of a request waits: cheaper to ask again and again than ``find``."""
    if isinstance(history, UnratedHistory):
        return not find(database, owner_id, str(history.tracking_id)).rows_waiting
    with database.face(owner_id) as connection:
        return not histories.rows_waiting(connection, history.submission_id)


def page(database: Database, owner_id: int, filters: HistoryFilters, paging: Paging) -> Page[AnyHistory]:
    """Return a page of the owner's requests, batches of characteristics and imports, newest first."""
    with database.reader(owner_id) as connection:
        return histories.page(connection, filters, paging)


def find_batch(database: Database, owner_id: int, batch_id: int) -> Batch:
    """Return the batch of that number; raise ``NotFound``."""
    with database.reader(owner_id) as connection:
        batch = histories.find_batch(connection, min(batch_id, NUMBER_MAX))
    if batch is None:
        raise NotFound(f"there is no batch {batch_id}", code=Code.BATCH_NOT_FOUND)
    return batch


def state_of(history: History | UnratedHistory) -> RequestState:
    """Return how far a history has come; work that began and failed counts as begun."""
    if isinstance(history, UnratedHistory):
        ended, begun = history.is_ended, history.is_at_work
    else:
        ended, begun = history.rows_waiting == 0, history.is_begun
    if ended:
        return RequestState.DONE
    return RequestState.PROCESSING if begun else RequestState.ACCEPTED
