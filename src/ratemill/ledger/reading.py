"""What every reading verb does first: find the request that a caller names."""

from __future__ import annotations

from uuid import UUID

from ratemill.errors import Code, NotFound
from ratemill.store.connections import Connection
from ratemill.store.histories import requests as histories
from ratemill.store.histories.characteristics import ItemHistory
from ratemill.store.histories.requests import History
from ratemill.store.histories.subscriptions import ImportHistory
from ratemill.visible import shown

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


def find_unrated(connection: Connection, key: str) -> ItemHistory | ImportHistory | None:
    """Return what is not rated and whose number among the histories, or whose tracking id, is ``key``."""
    number, tracking_id = number_of(key), tracking_id_of(key)
    if number is None and tracking_id is None:
        return None
    return histories.find_unrated(connection, history_id=number, tracking_id=tracking_id)


def require_history(connection: Connection, key: str) -> History:
    """Return the request of usage of that key; raise ``NotFound`` if the owner has none."""
    history = find_history(connection, key)
    if history is None:
        unrated = find_unrated(connection, key)
        message = f"'{shown(key)}' is {_described(unrated)}" if unrated else f"there is no request '{shown(key)}'"
        raise NotFound(message, code=Code.REQUEST_NOT_FOUND)
    return history


def _described(unrated: ItemHistory | ImportHistory) -> str:
    """Say what it is, and where its rows are to be read."""
    if isinstance(unrated, ImportHistory):
        found = f"/v2/subscriptions/imports/{unrated.tracking_id}"
        return f"an import of subscription data: what was wrong with its lines is at {found}/errors"
    return f"a batch of characteristics: its items are at /api/Import/Jobs/{unrated.tracking_id}/Items"
