"""What every reading verb does first: find the request that a caller names."""

from __future__ import annotations

from uuid import UUID

from ratemill.errors import Code, NotFound
from ratemill.store import characteristic_histories, histories
from ratemill.store.characteristic_histories import ItemHistory
from ratemill.store.connections import Connection, Database
from ratemill.store.histories import History

__all__ = ["Database"]

NUMBER_MAX = 2**63 - 1


def number_of(text: str) -> int | None:
    """Return the number that a text of digits names; None if it is no digits or beyond what the database counts."""
    if not (text.isascii() and text.isdigit()):
        return None
    number = int(text) if len(text) <= len(str(NUMBER_MAX)) else NUMBER_MAX + 1
    return number if number <= NUMBER_MAX else None


def tracking_id_of(text: str) -> UUID | None:
    """Return the tracking id that a text is, if it is one."""
    try:
        return UUID(text)
    except ValueError:
        return None


def find_history(connection: Connection, key: str) -> History | None:
    """Return the request whose identity or whose either tracking id is ``key``."""
    submission_id = number_of(key)
    if submission_id is not None:
        return histories.find(connection, submission_id=submission_id)
    tracking_id = tracking_id_of(key)
    return histories.find(connection, tracking_id=tracking_id) if tracking_id else None


def find_items(connection: Connection, key: str) -> ItemHistory | None:
    """Return the batch of characteristics whose number among the histories, or whose job, is ``key``."""
    number, job_id = number_of(key), tracking_id_of(key)
    if number is None and job_id is None:
        return None
    return characteristic_histories.find(connection, history_id=number, job_id=job_id)


def require_history(connection: Connection, key: str) -> History:
    """Return the request of usage of that key; raise ``NotFound`` if the owner has none."""
    history = find_history(connection, key)
    if history is None:
        items = find_items(connection, key)
        if items is not None:
            message = f"'{key}' is a batch of characteristics: its items are at /api/Import/Jobs/{items.job_id}/Items"
            raise NotFound(message, code=Code.REQUEST_NOT_FOUND)
        raise NotFound(f"there is no request '{key}'", code=Code.REQUEST_NOT_FOUND)
    return history
