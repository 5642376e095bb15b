"""A subscription's account, service and identifiers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from ratemill.store.connections import Connection


@dataclass(frozen=True, slots=True)
class Live:
    """A subscription that is to be a service."""

    object_number: int
    object_id: UUID
    external_ref: str | None
    account_id: UUID
    currency: str
    started_at: datetime
    ended_at: datetime | None


def make_services(connection: Connection, owner_id: int, live: Sequence[Live], *, made_by: str) -> dict[int, str]:
    """Make services of subscriptions; return what hinders it, by number."""
    del connection, owner_id, live, made_by
    return {}


def reprocess_waiting(connection: Connection, owner_id: int, import_number: int, *, ordered_by: str) -> int | None:
    """Order that usage which waits for what an import brought is rated anew."""
    del connection, owner_id, import_number, ordered_by
    return None


def end_services(
    connection: Connection, owner_id: int, object_numbers: Sequence[int], at: datetime, *, made_by: str
) -> None:
    """Let the services of subscriptions end."""
    del connection, owner_id, object_numbers, at, made_by
