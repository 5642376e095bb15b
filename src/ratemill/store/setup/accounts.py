"""Accounts: what only their charges know."""

from __future__ import annotations

from collections.abc import Sequence

from ratemill.store.connections import Connection, driver


def charged(connection: Connection, account_ids: Sequence[int]) -> set[int]:
    """Return which of these accounts have a charge."""
    statement = (
        "select account_id from unnest(%s::bigint[]) asked (account_id) "
        "where exists (select from charges where charges.account_id = asked.account_id)"
    )
    return {row[0] for row in driver(connection).execute(statement, (list(account_ids),))}
