"""A record's whole life: its row, its state, its batch, its exceptions, attempts and charges, read at one instant.

Every record has exactly one current end, or it waits. What was resubmitted or reprocessed stays as history and is no end.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeVar, cast

from ratemill.ledger.carried_items import with_items
from ratemill.ledger.reading import require_history
from ratemill.pages import Page, Paging
from ratemill.reasons import BY_ID
from ratemill.records import Route, read_elements
from ratemill.states import ImportExceptionState, RatingExceptionState, RecordState
from ratemill.store.charges import charges, import_exceptions, rating_exceptions
from ratemill.store.charges.charges import Charge
from ratemill.store.charges.import_exceptions import ImportException
from ratemill.store.charges.rating_exceptions import RatingAttempt, RatingException
from ratemill.store.connections import Connection, Database
from ratemill.store.usage import record_ends
from ratemill.store.usage.record_ends import DuplicateRecord, RawBody, Revision, SkippedRecord
from ratemill.store.usage.submissions import unpack
from ratemill.store.usage.usage_records import LONG_TEXTS, UsageRecord
from ratemill.texts import without_nul

_LIVES_AT_ONCE_MIN, _LIVES_AT_ONCE_MAX = 50, 200  # a record has at most 1 M characters
_ANY_ROWS = 2**31  # the request's own limit was checked when it was accepted

RecordName = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to rate a record; ``reason`` is the name of what it broke, None if it succeeded."""

    attempted_at: datetime
    outcome: RecordState
    reason: str | None


@dataclass(frozen=True, slots=True)
class RecordLife:
    """One record from its row as it came (None once its raw body is removed) to its current end."""

    submission_id: int
    row_index: int
    raw: str | None
    state: RecordState
    batch_id: int | None
    profile_version: int | None
    duplicate: DuplicateRecord | None
    import_exception: ImportException | None
    rating_exception: RatingException | None
    charges: list[Charge]
    revisions: list[Revision]
    attempts: list[Attempt]


@dataclass(frozen=True, slots=True)
class _RecordOutcomes:
    """What is stored of one record."""

    charges: list[Charge]
    rating_exception: RatingException | None
    skipped: SkippedRecord | None
    duplicate: DuplicateRecord | None
    import_exceptions: list[ImportException]
    revisions: list[Revision]

    @property
    def import_exception(self) -> ImportException | None:
        """The exception of the newest revision that was refused."""
        return _last(self.import_exceptions)


def page(database: Database, owner_id: int, key: str, paging: Paging) -> Page[RecordLife]:
    """Return a page of the records of a request, by row; raise ``NotFound`` for a request that the owner has not."""
    with database.reader(owner_id) as connection:
        history = require_history(connection, key)
        total = history.rows_received
        rows = range(paging.offset + 1, min(paging.offset + paging.rows_max, total) + 1)
        names = [(history.submission_id, row) for row in rows]
        lives = lives_within(connection, names, paging.bytes_max)
    return Page(lives, total if paging.with_total else None, is_cut=len(lives) < len(names))


def lives_within(connection: Connection, names: list[RecordName], bytes_max: int) -> list[RecordLife]:
    """Return the lives of the first records, of so many as there is room for; those after are not read."""
    lives: list[RecordLife] = []
    at_once = _LIVES_AT_ONCE_MIN
    while bytes_max > 0 and len(lives) < len(names):
        some = read_lives(connection, names[len(lives) : len(lives) + at_once])
        for life in some:
            if bytes_max <= 0:
                break
            lives.append(life)
            bytes_max -= _length(life)
        at_once = min(2 * at_once, _LIVES_AT_ONCE_MAX)
    return lives


def _length(life: RecordLife) -> int:
    """Return the characters of what may be long in the life of a record: texts that were sent, or made of them."""
    usage = [*life.charges, *([life.rating_exception] if life.rating_exception else [])]
    texts = [life.raw, *[revision.raw for revision in life.revisions], *_long_texts(usage)]
    if life.import_exception:
        texts.append(life.import_exception.raw)
    return sum(len(text) for text in texts if text)


def _long_texts(usage: Iterable[UsageRecord]) -> Iterator[str | None]:
    return (getattr(each, name) for each in usage for name in LONG_TEXTS)


def read_lives(connection: Connection, names: list[RecordName]) -> list[RecordLife]:
    """Return the lives of the records of those names, in their order."""
    if not names:
        return []
    submission_ids, row_indexes = [name[0] for name in names], [name[1] for name in names]
    ends = _read_ends(connection, submission_ids, row_indexes)
    states = {name: _state(end) for name, end in ends.items()}
    batches = {name: _batch(ends[name], state) for name, state in states.items()}
    versions = record_ends.profile_versions(connection, sorted({batch for batch in batches.values() if batch}))
    attempts = _read_attempts(connection, ends.values())
    raws = _read_raws(record_ends.bodies(connection, sorted(set(submission_ids))))
    return [
        RecordLife(
            submission_id=name[0],
            row_index=name[1],
            raw=_raw(name, raws, ends[name]),
            state=states[name],
            batch_id=batches[name],
            profile_version=versions.get(batches[name] or 0),
            duplicate=ends[name].duplicate,
            import_exception=ends[name].import_exception,
            rating_exception=ends[name].rating_exception,
            charges=ends[name].charges,
            revisions=ends[name].revisions,
            attempts=_attempts(ends[name], attempts),
        )
        for name in names
    ]


def _read_ends(
    connection: Connection, submission_ids: list[int], row_indexes: list[int]
) -> dict[RecordName, _RecordOutcomes]:
    named = (connection, submission_ids, row_indexes)
    charged = _by_name(with_items(connection, charges.of_records(*named)))
    excepted = _by_name(with_items(connection, rating_exceptions.of_records(*named)))
    skipped = _by_name(record_ends.skipped(*named))
    duplicates = _by_name(record_ends.duplicates(*named))
    refused = _by_name(import_exceptions.of_records(*named))
    revisions = _by_name(record_ends.revisions(*named))
    return {
        name: _RecordOutcomes(
            charged[name],
            _last(excepted[name]),
            _last(skipped[name]),
            _last(duplicates[name]),
            refused[name],
            revisions[name],
        )
        for name in zip(submission_ids, row_indexes, strict=True)
    }


class _RecordName(Protocol):
    @property
    def submission_id(self) -> int: ...
    @property
    def row_index(self) -> int: ...


_Row = TypeVar("_Row", bound=_RecordName)
_Any = TypeVar("_Any")


def _by_name(rows: Iterable[_Row]) -> defaultdict[RecordName, list[_Row]]:
    named: defaultdict[RecordName, list[_Row]] = defaultdict(list)
    for row in rows:
        named[row.submission_id, row.row_index].append(row)
    return named


def _last(rows: list[_Any]) -> _Any | None:
    return rows[-1] if rows else None


def _state(end: _RecordOutcomes) -> RecordState:  # noqa: PLR0911 -- one line a state, in the order in which one excludes the next
    if end.revisions and end.revisions[-1].taken_at is None:
        return RecordState.WAITING
    if end.rating_exception and end.rating_exception.state == RatingExceptionState.OPEN:
        return RecordState.RATING_EXCEPTION
    if end.rating_exception and end.rating_exception.state == RatingExceptionState.WRITTEN_OFF:
        return RecordState.WRITTEN_OFF
    if end.charges:
        return RecordState.RATED
    if end.rating_exception:
        return RecordState.RATING_WAITING
    if end.skipped:
        return RecordState.SKIPPED
    if end.duplicate:
        return RecordState.DUPLICATE
    if end.import_exception and end.import_exception.state != ImportExceptionState.RESUBMITTED:
        return RecordState.REFUSED
    return RecordState.WAITING


def _batch(end: _RecordOutcomes, state: RecordState) -> int | None:
    """Return the batch that led to a record's current end; one that waits is in none."""
    if state == RecordState.WAITING:
        return None
    charge = end.charges[0] if end.charges else None
    last = charge or end.rating_exception or end.skipped or end.duplicate or end.import_exception
    return last.batch_id if last else None


def _read_attempts(connection: Connection, ends: Iterable[_RecordOutcomes]) -> dict[int, list[RatingAttempt]]:
    excepted = [end.rating_exception.rating_exception_id for end in ends if end.rating_exception]
    found: defaultdict[int, list[RatingAttempt]] = defaultdict(list)
    for attempt in rating_exceptions.attempts(connection, excepted) if excepted else []:
        found[attempt.rating_exception_id].append(attempt)
    return found


def _attempts(end: _RecordOutcomes, later: dict[int, list[RatingAttempt]]) -> list[Attempt]:
    if end.rating_exception is None:
        return [Attempt(charge.rated_at, RecordState.RATED, None) for charge in end.charges[:1]]
    excepted = end.rating_exception
    first_reason_id = excepted.first_reason_id or (excepted.reason_id if excepted.attempts == 1 else None)
    first = Attempt(excepted.excepted_at, RecordState.RATING_EXCEPTION, _reason(first_reason_id))
    return [first, *map(_attempt, later.get(excepted.rating_exception_id, []))]


def _attempt(attempt: RatingAttempt) -> Attempt:
    outcome = RecordState.RATED if attempt.reason_id is None else RecordState.RATING_EXCEPTION
    return Attempt(attempt.attempted_at, outcome, _reason(attempt.reason_id))


def _reason(reason_id: int | None) -> str | None:
    return None if reason_id is None else BY_ID[reason_id].name


def _read_raws(bodies: list[RawBody]) -> dict[int, list[str]]:
    return {
        kept.submission_id: [without_nul(text) for text in _elements(kept.route, kept.body)]
        for kept in bodies
        if kept.body is not None
    }


def _elements(route: str, body: bytes) -> list[str]:
    return read_elements(unpack(body), cast("Route", route), rows_max=_ANY_ROWS).texts


def _raw(name: RecordName, raws: dict[int, list[str]], end: _RecordOutcomes) -> str | None:
    submission_id, row_index = name
    if submission_id in raws:
        return raws[submission_id][row_index - 1]
    return next((refused.raw for refused in end.import_exceptions if refused.revision == 1), None)
