"""The versions of data profiles: each change is kept, because a record names the version it was mediated with."""

from __future__ import annotations

from collections.abc import Sequence

from ratemill.store.connections import Connection, driver


def keep_versions(connection: Connection, *, new: Sequence[int], changed: Sequence[int]) -> None:
    """Count the version of changed profiles, and keep the document of these and of new ones."""
    below = driver(connection)
    statement = "update data_profiles set version = version + 1 where data_profile_id = any(%s)"
    below.execute(statement, (list(changed),))
    statement = (
        "insert into data_profile_versions (owner_id, data_profile_id, version, document) "
        "select owner_id, data_profile_id, version, document from data_profiles where data_profile_id = any(%s)"
    )
    below.execute(statement, ([*new, *changed],))
