"""What mediation needs beside the rows: a profile in one version, usage classes, lists of its matches, known items.

A process that reads these holds tables; API processes do not import this.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from ratemill.characteristics import NUMBERS
from ratemill.mediation.mediate import MappedRows
from ratemill.mediation.profiles.declared import Match, Profile
from ratemill.setup.declaration import SetupObject
from ratemill.setup.objects.registry import WRITABLE
from ratemill.store import bulk
from ratemill.store.connections import Connection
from ratemill.store.usage import carried_items

USAGE_CLASSES = pl.Schema({"usage_class": pl.String, "usage_class_id": pl.Int32})

Read = Callable[[SetupObject, Collection[str]], Iterable[Mapping[str, Any]]]
"""Returns all objects of a list, with at least the columns that are asked for."""


@dataclass(frozen=True, slots=True)
class MediationSetup:
    """What ``mediate`` takes beside the rows; ``profile_version`` is None for a profile that is not applied yet."""

    profile: Profile
    profile_version: int | None
    usage_classes: pl.DataFrame
    lists: Mapping[str, pl.DataFrame]


def mediation_setup(profile: Profile, profile_version: int | None, read: Read) -> MediationSetup:
    """Return what mediation by a profile needs, of the set-up that ``read`` gives."""
    return MediationSetup(profile, profile_version, _usage_classes(read), match_lists(profile, read))


def match_lists(profile: Profile, read: Read) -> dict[str, pl.DataFrame]:
    """Return the lists that the profile's matches look in: the name of each entry, and the members they compare."""
    asked: dict[str, set[str]] = {}
    for mapping in profile.mappings:
        if isinstance(mapping.origin, Match):
            asked.setdefault(mapping.origin.list, {"name"}).add(mapping.origin.member)
    return {name: _list(WRITABLE[name], members, read) for name, members in asked.items()}


def reader_of(connection: Connection, owner_id: int) -> Read:
    """Return what reads the stored set-up of an owner."""
    return lambda kind, columns: bulk.read_rows(connection, kind.table, columns, owner_id)


def items_named(connection: Connection, owner_id: int, begun: MappedRows) -> dict[str, pl.Series]:
    """Return which of the items exist that rows name and that their profile requires to exist, in one query."""
    named = begun.items_named()
    asked = [(NUMBERS[target], id_) for target, ids in named.items() for id_ in ids]
    found = carried_items.existing(connection, owner_id, asked)
    return {target: pl.Series([id_ for id_ in ids if (NUMBERS[target], id_) in found]) for target, ids in named.items()}


def _usage_classes(read: Read) -> pl.DataFrame:
    rows = read(WRITABLE["usageClasses"], ("name", "usage_class_id"))
    cells = [(row["name"], row["usage_class_id"]) for row in rows]
    return pl.DataFrame(cells, schema=USAGE_CLASSES, orient="row")


def _list(kind: SetupObject, members: set[str], read: Read) -> pl.DataFrame:
    by_member = {member.name: member.column for member in kind.members if member.name in members}
    rows = read(kind, by_member.values())
    cells = [tuple(row[column] for column in by_member.values()) for row in rows]
    return pl.DataFrame(cells, schema=dict.fromkeys(by_member, pl.String), orient="row")
