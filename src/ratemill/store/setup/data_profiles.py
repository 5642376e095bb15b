"""The versions of data profiles: each change is kept, because a record names the version it was mediated with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.rows import class_row

from ratemill.store.connections import Connection, driver
from ratemill.texts import without_nul


@dataclass(frozen=True, slots=True)
class ProfileVersion:
    """A data profile in one version; ``document`` is without its name."""

    data_profile_id: int
    name: str
    version: int
    document: dict[str, Any]


@dataclass(frozen=True, slots=True)
class KeptVersion:
    """A version with when it was made, and whether the next batch is mediated with it."""

    data_profile_id: int
    name: str
    version: int
    document: dict[str, Any]
    created_at: datetime
    in_force: bool


_KEPT = """
    select v.data_profile_id, p.name, v.version, v.document, v.created_at, v.version = p.version in_force
    from data_profile_versions v join data_profiles p using (data_profile_id)
    where v.owner_id = %(owner_id)s and v.data_profile_id = %(data_profile_id)s
"""


def count_versions(connection: Connection, owner_id: int, data_profile_id: int) -> int:
    """Return how many versions an owner's data profile has; none if there is no such profile."""
    statement = "select count(*) from data_profile_versions where owner_id = %s and data_profile_id = %s"
    row = driver(connection).execute(statement, (owner_id, data_profile_id)).fetchone()
    return int(row[0]) if row else 0


def read_versions(
    connection: Connection, owner_id: int, data_profile_id: int, offset: int, limit: int
) -> list[KeptVersion]:
    """Return versions of a data profile, the newest first."""
    known = {"owner_id": owner_id, "data_profile_id": data_profile_id, "offset": offset, "limit": limit}
    with driver(connection).cursor(row_factory=class_row(KeptVersion)) as cursor:
        statement = f"{_KEPT} order by v.version desc offset %(offset)s limit %(limit)s"
        return cursor.execute(statement, known).fetchall()


def find_version(connection: Connection, owner_id: int, data_profile_id: int, version: int) -> KeptVersion | None:
    """Return one version of a data profile."""
    known = {"owner_id": owner_id, "data_profile_id": data_profile_id, "version": version}
    with driver(connection).cursor(row_factory=class_row(KeptVersion)) as cursor:
        return cursor.execute(f"{_KEPT} and v.version = %(version)s", known).fetchone()


def find(connection: Connection, owner_id: int, name: str) -> ProfileVersion | None:
    """Return the owner's data profile of that name, in the version in force."""
    statement = "select data_profile_id, name, version, document from data_profiles where owner_id = %s and name = %s"
    with driver(connection).cursor(row_factory=class_row(ProfileVersion)) as cursor:
        return cursor.execute(statement, (owner_id, without_nul(name))).fetchone()


def of_batches(connection: Connection, batch_ids: list[int]) -> dict[int, ProfileVersion]:
    """Return the data profile of each batch, in the version that it was mediated with."""
    rows = driver(connection).execute(
        """
        select b.batch_id, v.data_profile_id, p.name, v.version, v.document
        from batches b
        join data_profile_versions v on v.data_profile_id = b.data_profile_id and v.version = b.profile_version
        join data_profiles p on p.data_profile_id = v.data_profile_id
        where b.batch_id = any(%s)
        """,
        (batch_ids,),
    )
    return {int(batch_id): ProfileVersion(*version) for batch_id, *version in rows}


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
