"""Who may bear the identifiers of a table: identifiers, their services, and the accounts of these with all parents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ratemill.store.connections import Connection, driver

Rows = list[tuple[Any, ...]]


def bearers(connection: Connection, owner_id: int, texts: Sequence[str]) -> Rows:
    """Return usage_identifier, identifier_type, start_at, end_at, service_id of every span of these identifiers."""
    statement = """
        select i.usage_identifier, t.name, i.start_at, i.end_at, i.service_id
        from identifiers i join identifier_types t using (identifier_type_id)
        where i.owner_id = %s and i.usage_identifier = any(%s)"""
    return driver(connection).execute(statement, (owner_id, list(texts))).fetchall()


def services(connection: Connection, service_ids: Sequence[int]) -> Rows:
    """Return service_id, service, account_id, rate_plan_id, start_at, end_at of these services."""
    statement = """
        select service_id, name, account_id, rate_plan_id, start_at, end_at from services
        where service_id = any(%s)"""
    return driver(connection).execute(statement, (list(service_ids),)).fetchall()


def accounts(connection: Connection, account_ids: Sequence[int]) -> Rows:
    """Return account_id, account, parent_account_id, currency, rate_plan_id, start_at, end_at of these and all above."""
    statement = """
        with recursive up as (
            select * from accounts where account_id = any(%s)
            union
            select above.* from accounts above join up on above.account_id = up.parent_account_id
        )
        select account_id, name, parent_account_id, currency, rate_plan_id, start_at, end_at from up"""
    return driver(connection).execute(statement, (list(account_ids),)).fetchall()
