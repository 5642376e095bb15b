"""What usage still refers to in the set-up, asked of indexes and of tables that take no row for each record."""

from __future__ import annotations

from collections.abc import Sequence

from ratemill.store.connections import Connection, driver


def accounts_of_services(connection: Connection, service_ids: Sequence[int]) -> dict[int, int]:
    """Return the account of each service."""
    statement = "select service_id, account_id from services where service_id = any(%s)"
    return dict(driver(connection).execute(statement, (list(service_ids),)).fetchall())


def accounts_of_identifiers(connection: Connection, identifier_ids: Sequence[int]) -> dict[int, int]:
    """Return the account of each identifier."""
    statement = (
        "select i.identifier_id, s.account_id from identifiers i join services s using (service_id) "
        "where i.identifier_id = any(%s)"
    )
    return dict(driver(connection).execute(statement, (list(identifier_ids),)).fetchall())


def feeds_with_submissions(connection: Connection, feed_ids: Sequence[int]) -> set[int]:
    """Return which of these feeds took a request."""
    statement = (
        "select f.id from unnest(%s::bigint[]) f (id) where exists (select from submissions s where s.feed_id = f.id)"
    )
    return {row[0] for row in driver(connection).execute(statement, (list(feed_ids),))}


def profiles_with_batches(connection: Connection, owner_id: int, data_profile_ids: Sequence[int]) -> set[int]:
    """Return which of these data profiles mediated a batch."""
    statement = "select distinct data_profile_id from batches where owner_id = %s and data_profile_id = any(%s)"
    return {row[0] for row in driver(connection).execute(statement, (owner_id, list(data_profile_ids)))}
