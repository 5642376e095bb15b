"""Rehearsal: sample rows shown on their way through a data profile, in force or not applied yet; nothing is written.

The rows go through the stage that workers mediate with, as one request. Duplicates are looked for among the samples only.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any

import polars as pl

from ratemill import columns
from ratemill.access.owners import require, unknown
from ratemill.errors import Code, Fault, NotFound, UsageFault
from ratemill.mediation import mediate
from ratemill.mediation.mediate import MappedRows, MediationResult
from ratemill.mediation.profiles.profile import read_profile
from ratemill.mediation.working import RowLimits
from ratemill.reasons import row_message
from ratemill.setup.declaration import Entry, SetupObject
from ratemill.setup.documents.document import Document, read_document
from ratemill.setup.in_force.mediation_setup import MediationSetup, items_named, mediation_setup, reader_of
from ratemill.setup.nodes import DocumentFaults
from ratemill.setup.world import Row, World
from ratemill.setup.writing.apply import check_document, in_order
from ratemill.store import bulk, owners
from ratemill.store.connections import Database, clock
from ratemill.store.setup import data_profiles
from ratemill.visible import shown

_PROFILES = "dataProfiles"


class DocumentFaulty(UsageFault):
    """The document has faults, and so no profile that a row could be shown through; carries every one."""

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = faults
        super().__init__(f"{len(faults)} faults in the document")


class SampleOutcome(Enum):
    """What becomes of a sample row."""

    MEDIATED = "mediated"
    SKIPPED = "skipped"
    DUPLICATE = "duplicate"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class RowFault:
    """One rule that a row breaks."""

    reason_id: int
    field: str | None
    value: str | None
    message: str


@dataclass(frozen=True, slots=True)
class RehearsedRow:
    """One sample row: its fields as parsed, its targets as mapped (both text, empty if it did not come so far), its end.

    ``usage`` is the usage record by its columns, with ``usage_class`` as the name; None for a skipped or refused row.
    """

    row_index: int
    raw: str
    parsed: dict[str, str | None]
    mapped: dict[str, str | None]
    outcome: SampleOutcome
    usage: dict[str, Any] | None = None
    duplicate_of: int | None = None
    faults: list[RowFault] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class PreparedProfile:
    """A data profile ready for sample rows, with the set-up that it needs; the rows count as accepted at ``at``.

    ``owner_id`` is None for an owner who is not there yet, and so has no items.
    """

    owner_id: int | None
    setup: MediationSetup
    at: datetime


def prepare_stored(database: Database, owner: str, name: str) -> PreparedProfile:
    """Return the owner's data profile of that name in its version in force; raise ``NotFound``."""
    with database.worker() as connection:
        owners.read_only_snapshot(connection)
        owner_id = require(connection, owner)
        found = data_profiles.find(connection, owner_id, name)
        if found is None:
            raise NotFound(f"there is no data profile '{shown(name)}'")
        profile = read_profile(found.document | {"name": found.name})
        setup = mediation_setup(profile, found.version, reader_of(connection, owner_id))
        return PreparedProfile(owner_id, setup, clock(connection))


def prepare_document(database: Database, text: str, folder: Path | None, name: str) -> PreparedProfile:
    """Return the data profile of that name as it will be once a document is applied, laid over what its owner has.

    Raises ``DocumentFaulty``, and ``NotFound`` if the document does not name the profile.
    """
    faults = DocumentFaults([])
    document = read_document(text, folder, faults)
    with database.worker() as connection:
        owners.read_only_snapshot(connection)
        world = World(connection, owners.find(connection, document.owner), writes=False)
        if world.owner_id is None:
            faults.add(Code.REFERENCE_NOT_FOUND, "owner", document.owner_line, unknown(connection, document.owner))
        check_document(document, world, faults)
        if faults.found:
            raise DocumentFaulty(in_order(faults))
        row = _profile_row(document, name)
        profile = read_profile(row["document"] | {"name": name})
        return PreparedProfile(
            world.owner_id, mediation_setup(profile, None, _PlannedSetup(world).read), clock(connection)
        )


def rehearse(
    database: Database,
    prepared: PreparedProfile,
    texts: Sequence[str],
    *,
    are_objects: bool,
    field_chars_max: int,
    growth_bytes_max: int,
) -> list[RehearsedRow]:
    """Return each of the rows on its way through the profile; raise ``TableTooLarge`` if they are too many for it.

    ``are_objects``: they are JSON objects although the profile is of another format, as on the JSON routes.
    """
    setup = prepared.setup
    begun = mediate.begin(
        _raw(texts, prepared.at, are_objects=are_objects),
        setup.profile,
        lists=setup.lists,
        limits=RowLimits(field_chars_max=field_chars_max, growth_bytes_max=growth_bytes_max),
    )
    items = _items(database, prepared.owner_id, begun)
    shown = mediate.show(begun, usage_classes=setup.usage_classes, items=items)
    parsed = _texts(shown.parsed, setup.profile.names, "f:")
    mapped = _texts(shown.mapped, [each.target for each in setup.profile.mapped()], "t:")
    ends = _ends(shown.mediated, setup.usage_classes)
    return [
        RehearsedRow(row, text, parsed.get(row, {}), mapped.get(row, {}), **ends[row])
        for row, text in enumerate(texts, 1)
    ]


@dataclass(frozen=True, slots=True)
class _PlannedSetup:
    """The set-up as it will be: stored objects with a document's entries laid over them."""

    world: World

    def read(self, kind: SetupObject, names: Collection[str]) -> Iterable[Row]:
        laid = {identity: {**row, kind.identity: identity} for identity, row in self.world.rows[kind.list_name].items()}
        if self.world.owner_id is None:
            built_in = (dict.fromkeys(names) | row for row in bulk.built_in_rows(kind.table))
            return laid.values() or built_in
        stored = bulk.read_rows(self.world.connection, kind.table, {kind.identity, *names}, self.world.owner_id)
        return ({row[kind.identity]: row for row in stored} | laid).values()


def _profile_row(document: Document, name: str) -> Row:
    entries: list[Entry] = document.entries.get(_PROFILES, [])
    for entry in entries:
        if entry.row.get("name") == name:
            return entry.row
    raise NotFound(f"the document has no data profile '{shown(name)}'")


def _raw(texts: Sequence[str], at: datetime, *, are_objects: bool) -> pl.DataFrame:
    return pl.DataFrame({"raw": pl.Series(texts, dtype=pl.String)}).select(
        pl.lit(1, pl.Int64).alias("submission_id"),
        pl.int_range(1, pl.len() + 1, dtype=pl.Int32).alias("row_index"),
        pl.lit(1, pl.Int64).alias("batch_id"),
        pl.lit(at, columns.INSTANT).alias("accepted_at"),
        pl.lit(are_objects, pl.Boolean).alias("is_object"),
        "raw",
    )


def _items(database: Database, owner_id: int | None, begun: MappedRows) -> dict[str, pl.Series]:
    if owner_id is None or not begun.profile.required_characteristics:
        return {}
    with database.worker() as connection:
        owners.read_only_snapshot(connection)
        return items_named(connection, owner_id, begun)


def _texts(table: pl.DataFrame, names: Iterable[str], prefix: str) -> dict[int, dict[str, str | None]]:
    """Return the texts of each row by their names; a name that is also a column of the record's name has its prefix."""
    placed = {name: f"{prefix}{name}" if name in columns.RECORD_NAMES else name for name in names}
    return {
        row["row_index"]: {name: row[column] for name, column in placed.items()} for row in table.iter_rows(named=True)
    }


def _ends(mediated: MediationResult, usage_classes: pl.DataFrame) -> dict[int, dict[str, Any]]:
    """Return outcome, usage record and faults of each row."""
    named = mediated.usage.join(usage_classes, on="usage_class_id", how="left")
    firsts = _firsts(mediated.keys)
    ends: dict[int, dict[str, Any]] = {
        row["row_index"]: {"outcome": SampleOutcome.MEDIATED, "usage": row} for row in named.iter_rows(named=True)
    }
    for row, first in firsts.items():
        if row != first:
            ends[row] |= {"outcome": SampleOutcome.DUPLICATE, "duplicate_of": first}
    ends |= {row: {"outcome": SampleOutcome.SKIPPED} for row in mediated.skipped["row_index"]}
    for row, faults in mediated.refused.select("row_index", "faults").iter_rows():
        ends[row] = {"outcome": SampleOutcome.REFUSED, "faults": [_fault(row, each) for each in json.loads(faults)]}
    return ends


def _firsts(keys: pl.DataFrame) -> dict[int, int]:
    """Return for each row with a duplicate key the first row that has the same."""
    first = pl.col("row_index").min().over("usage_on", "key_hash").alias("first")
    return dict(keys.select("row_index", first).iter_rows())


def _fault(row_index: int, fault: Mapping[str, Any]) -> RowFault:
    reason_id, name, value = fault["reason"], fault["field"], fault["value"]
    return RowFault(reason_id, name, value, row_message(row_index, reason_id, name, value))
