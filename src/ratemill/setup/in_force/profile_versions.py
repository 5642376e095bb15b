"""The versions of a data profile: each change keeps one, because a batch names the version that it was mediated with."""

from __future__ import annotations

from ratemill.errors import Code, NotFound
from ratemill.pages import Page, Paging
from ratemill.store.connections import Database
from ratemill.store.setup import data_profiles
from ratemill.store.setup.data_profiles import KeptVersion

_VERSION_MAX = 2**31 - 1  # what the database counts versions with


def page(database: Database, owner_id: int, data_profile_id: int, paging: Paging) -> Page[KeptVersion]:
    """Return a page of versions, the newest first; raise ``NotFound`` if there is no such profile."""
    with database.reader(owner_id) as connection:
        total = data_profiles.count_versions(connection, owner_id, data_profile_id)
        if not total:
            raise NotFound(f"there is no data profile {data_profile_id}", code=Code.OBJECT_NOT_FOUND)
        rows = data_profiles.read_versions(connection, owner_id, data_profile_id, paging.offset, paging.rows_max)
    return Page(rows, total if paging.with_total else None)


def find(database: Database, owner_id: int, data_profile_id: int, version: int) -> KeptVersion:
    """Return one version; raise ``NotFound``."""
    number = min(version, _VERSION_MAX)
    with database.reader(owner_id) as connection:
        found = data_profiles.find_version(connection, owner_id, data_profile_id, number)
    if found is None:
        message = f"there is no version {version} of a data profile {data_profile_id}"
        raise NotFound(message, code=Code.OBJECT_NOT_FOUND)
    return found
