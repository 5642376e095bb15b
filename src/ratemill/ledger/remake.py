"""Remake: usage records made again from their raw rows, by the version of the profile that they were mediated with.

The stage itself makes them, and what is stored is compared with what comes out. Usage classes and the lists of a match are
those of today. The process that remakes holds tables; API processes do not import this.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl

from ratemill import columns
from ratemill.errors import TableTooLarge
from ratemill.ledger.trace import RecordLife, RecordName
from ratemill.mediation.mediate import MediationResult, mediate
from ratemill.mediation.profiles.profile import read_profile
from ratemill.mediation.working import RowLimits
from ratemill.reasons import row_message
from ratemill.setup.in_force.mediation_setup import MediationSetup, mediation_setup, reader_of
from ratemill.states import RecordState
from ratemill.store.connections import Connection, Database
from ratemill.store.setup import data_profiles
from ratemill.store.usage import record_ends
from ratemill.store.usage.record_ends import Arrival
from ratemill.store.usage.usage_records import UsageRecord

OUTCOME = "outcome"
"""Stands in the place of a column where a row that was mediated would now not be."""

_COMPARED = [name for name in columns.USAGE if name not in {*columns.RECORD, "batch_id"}]
_NOTHING = {
    RecordState.WAITING: "the record waits",
    RecordState.REFUSED: "the row was refused",
    RecordState.SKIPPED: "the row was skipped",
    RecordState.DUPLICATE: "the record is a duplicate",
}


@dataclass(frozen=True, slots=True)
class Difference:
    """One column of a usage record, or its outcome, that is not stored as it is remade."""

    column: str
    stored: Any
    remade: Any


@dataclass(frozen=True, slots=True)
class RemakeResult:
    """How a stored usage record compares with the one remade; ``nothing`` says why there is none to remake."""

    differences: list[Difference] = field(default_factory=list)
    nothing: str | None = None

    @property
    def is_equal(self) -> bool | None:
        """Whether stored and remade are equal; None if there was nothing to remake."""
        return None if self.nothing else not self.differences


@dataclass(frozen=True, slots=True)
class _RemakeRow:
    """A row as it was mediated, and the usage record that is stored of it."""

    name: RecordName
    batch_id: int
    raw: str
    stored: UsageRecord


def remake(
    database: Database, owner_id: int, lives: Iterable[RecordLife], *, field_chars_max: int, growth_bytes_max: int
) -> dict[RecordName, RemakeResult]:
    """Return for each of the owner's records how what is stored compares with what is made anew."""
    found: dict[RecordName, RemakeResult] = {}
    rows: list[_RemakeRow] = []
    for name, life in {(life.submission_id, life.row_index): life for life in lives}.items():
        made = _row(name, life)
        if isinstance(made, _RemakeRow):
            rows.append(made)
        else:
            found[name] = made
    with database.reader(owner_id) as connection:
        groups = _by_setup(connection, owner_id, rows)
        arrivals = record_ends.arrivals(connection, sorted({row.name[0] for row in rows}))
    limits = RowLimits(field_chars_max=field_chars_max, growth_bytes_max=growth_bytes_max)
    for setup, group in groups:
        found |= _remake(setup, group, arrivals, limits)
    return found


def _row(name: RecordName, life: RecordLife) -> _RemakeRow | RemakeResult:
    stored = life.charges[0] if life.charges else life.rating_exception
    if stored is None:
        return RemakeResult(nothing=_NOTHING.get(life.state, "there is no usage record"))
    taken = [revision.raw for revision in life.revisions if revision.taken_at is not None]
    raw = taken[-1] if taken else life.raw
    if raw is None:
        return RemakeResult(nothing="the raw body was removed")
    return _RemakeRow(name, stored.batch_id, raw, stored)


def _by_setup(
    connection: Connection, owner_id: int, rows: list[_RemakeRow]
) -> list[tuple[MediationSetup, list[_RemakeRow]]]:
    """Return the rows by the version of the profile that each was mediated with."""
    versions = data_profiles.of_batches(connection, sorted({row.batch_id for row in rows}))
    groups: defaultdict[tuple[int, int], list[_RemakeRow]] = defaultdict(list)
    for row in rows:
        version = versions[row.batch_id]
        groups[version.data_profile_id, version.version].append(row)
    found = []
    for group in groups.values():
        version = versions[group[0].batch_id]
        profile = read_profile(version.document | {"name": version.name})
        # A row that was mediated is judged by itself, whatever became of its request and of the items it names since.
        alone = replace(profile, request_envelope=False, required_characteristics=())
        found.append((mediation_setup(alone, version.version, reader_of(connection, owner_id)), group))
    return found


def _remake(
    setup: MediationSetup, rows: list[_RemakeRow], arrivals: dict[int, Arrival], limits: RowLimits
) -> dict[RecordName, RemakeResult]:
    raw = _raw(rows, arrivals)
    try:
        made = mediate(raw, setup.profile, usage_classes=setup.usage_classes, lists=setup.lists, limits=limits)
    except TableTooLarge:
        half = len(rows) // 2
        return _remake(setup, rows[:half], arrivals, limits) | _remake(setup, rows[half:], arrivals, limits)
    ends = _ends(made)
    return {row.name: RemakeResult(_differences(row.stored, ends[row.name])) for row in rows}


def _raw(rows: list[_RemakeRow], arrivals: dict[int, Arrival]) -> pl.DataFrame:
    cells = [
        (*row.name, row.batch_id, arrivals[row.name[0]].accepted_at, arrivals[row.name[0]].are_objects, row.raw)
        for row in rows
    ]
    return pl.DataFrame(cells, schema=columns.RAW, orient="row")


def _ends(made: MediationResult) -> dict[RecordName, dict[str, Any]]:
    """Return the columns of each usage record that was remade; of another end, its outcome."""
    ends = {(row["submission_id"], row["row_index"]): row for row in made.usage.iter_rows(named=True)}
    ends |= {(submission, row): {OUTCOME: "skipped"} for submission, row, _ in made.skipped.iter_rows()}
    refused = made.refused.select("submission_id", "row_index", "reason_id", "field", "value")
    for submission, row, *fault in refused.iter_rows():
        ends[submission, row] = {OUTCOME: f"refused: {row_message(row, *fault)}"}
    return ends


def _differences(stored: UsageRecord, remade: dict[str, Any]) -> list[Difference]:
    if OUTCOME in remade:
        return [Difference(OUTCOME, "mediated", remade[OUTCOME])]
    pairs = [(name, _comparable(name, getattr(stored, name)), _comparable(name, remade[name])) for name in _COMPARED]
    return [Difference(name, before, now) for name, before, now in pairs if before != now]


def _comparable(name: str, value: Any) -> Any:  # noqa: ANN401 -- of any column
    """Return a value to compare: of a JSON object its members, for the database keeps them in an order of its own."""
    return json.loads(value) if name == "extension" and value is not None else value
