"""Holders as a reader knows them: who bore an identifier and when, and what an account has."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from psycopg.rows import class_row

from ratemill.store.connections import Connection, driver


@dataclass(frozen=True, slots=True)
class IdentifierSpan:
    """The span [start_at, end_at) for which a service of an account bears an identifier."""

    identifier_id: int
    usage_identifier: str
    identifier_type: str
    account: str
    service: str
    start_at: datetime | None
    end_at: datetime | None


@dataclass(frozen=True, slots=True)
class AccountServices:
    """An account and its services."""

    account_id: int
    account: str
    currency: str
    rate_plan: str | None
    start_at: datetime | None
    end_at: datetime | None
    services: list[str]


def spans_of(connection: Connection, usage_identifier: str) -> list[IdentifierSpan]:
    """Return the history of an identifier, oldest first."""
    cursor = driver(connection).cursor(row_factory=class_row(IdentifierSpan))
    cursor.execute(
        """
        select i.identifier_id, i.usage_identifier, t.name as identifier_type, a.name as account, v.name as service,
            i.start_at, i.end_at
        from identifiers i
        join identifier_types t using (identifier_type_id)
        join services v using (service_id)
        join accounts a using (account_id)
        where i.usage_identifier = %s
        order by i.start_at nulls first, i.identifier_id
        """,
        (usage_identifier,),
    )
    return cursor.fetchall()


def find_account(connection: Connection, name: str) -> AccountServices | None:
    """Return the account of that name."""
    cursor = driver(connection).cursor(row_factory=class_row(AccountServices))
    cursor.execute(
        """
        select a.account_id, a.name as account, a.currency, p.name as rate_plan, a.start_at, a.end_at,
            array(select v.name from services v where v.account_id = a.account_id order by v.name) as services
        from accounts a left join rate_plans p using (rate_plan_id)
        where a.name = %s
        """,
        (name,),
    )
    return cursor.fetchone()
