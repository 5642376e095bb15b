"""Who may bear the identifiers of a table: identifiers, their services, and the accounts of these with all parents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ratemill.store.connections import Connection, driver

Rows = list[tuple[Any, ...]]


def bearers(connection: Connection, owner_id: int, texts: Sequence[str]) -> Rows:
    """Return identifier_id and usage_identifier, identifier_type, start_at, end_at, service_id of every span of these."""
    statement = """
        select i.identifier_id, i.usage_identifier, t.name, i.start_at, i.end_at, i.service_id
        from identifiers i join identifier_types t using (identifier_type_id)
        where i.owner_id = %s and i.usage_identifier = any(%s)"""
    return driver(connection).execute(statement, (owner_id, list(texts))).fetchall()


def texts(connection: Connection, identifier_ids: Sequence[int]) -> list[str]:
    """Return the texts of those of these identifiers that there are."""
    statement = "select distinct usage_identifier from identifiers where identifier_id = any(%s)"
    return [row[0] for row in driver(connection).execute(statement, (list(identifier_ids),))]


def services(connection: Connection, service_ids: Sequence[int]) -> Rows:
    """Return service_id, service, account_id, rate_plan_id, start_at, end_at of these services.

    A service that was a subscription and has no plan of its own has that of the subscription: by its plan, else by its
    offering, else the default of subscriptions.
    """
    statement = """
        select s.service_id, s.name, s.account_id,
            coalesce(s.rate_plan_id, p.rate_plan_id, o.rate_plan_id, d.rate_plan_id), s.start_at, s.end_at
        from services s
        left join subscription_services b on b.service_id = s.service_id
        left join subscription_rate_plans p on p.owner_id = b.owner_id and p.plan_external_ref = b.plan_external_ref
        left join subscription_rate_plans o
            on o.owner_id = b.owner_id and o.offering_external_ref = b.offering_external_ref
        left join subscription_rate_plans d on d.owner_id = b.owner_id and d.is_default
        where s.service_id = any(%s)"""
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
