"""What became of a batch of characteristics: how far its job has come, each item's outcome, the refused ones to mend."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from uuid import UUID

from ratemill.errors import BadRequest, Code, Conflict, Fault, NotFound
from ratemill.reference import json_text
from ratemill.reference.json_text import Value
from ratemill.states import ImportJobState
from ratemill.store.characteristics import jobs as characteristic_jobs
from ratemill.store.characteristics.jobs import ItemJob, ItemOutcome
from ratemill.store.connections import Connection, Database
from ratemill.visible import shown

OUTCOMES = ("created", "updated", "unchanged", "refused")


def find(database: Database, owner_id: int, job_id: str) -> ItemJob:
    """Return a job by its number; raise ``NotFound``."""
    with database.reader(owner_id) as connection:
        return _found(connection, job_id)


def outcomes(
    database: Database, owner_id: int, job_id: str, *, outcome: str | None, skip: int, top: int
) -> tuple[int, list[ItemOutcome]]:
    """Return how many items came to an end, or to that outcome, and some of them by page, then index."""
    by_lower = {outcome.lower(): outcome for outcome in OUTCOMES}
    if outcome is not None and outcome.lower() not in by_lower:
        message = f"outcome may be {', '.join(OUTCOMES)}, not '{shown(outcome)}'"
        raise BadRequest(faults=[Fault(Code.PARAMETER_NOT_VALID, message, field="outcome", word="parameter_not_valid")])
    with database.reader(owner_id) as connection:
        batch_id = _found(connection, job_id).batch_id
        asked = by_lower[outcome.lower()] if outcome else None
        return characteristic_jobs.outcomes(connection, batch_id, outcome=asked, skip=skip, top=top)


def refused(database: Database, owner_id: int, job_id: str, *, page_number: int, page_size: int | None) -> list[Value]:
    """Return refused items as they were sent: all, or the part of them that is page ``page_number``, from 0.

    Raises ``NotFound``, and ``Conflict`` if the batch has been cleared since.
    """
    skip = page_number * page_size if page_size else 0
    if page_number and not page_size:
        return []
    with database.reader(owner_id) as connection:
        batch_id = _found(connection, job_id).batch_id
        places = characteristic_jobs.refused(connection, batch_id, skip=skip, top=page_size)
        return list(_as_sent(connection, batch_id, places))


def cancel(database: Database, owner_id: int, job_id: str) -> ItemJob:
    """Take back that a batch was submitted; raise ``NotFound``, or ``Conflict`` unless it still waits."""
    with database.face(owner_id) as connection:
        job = _found(connection, job_id, lock=True)
        if job.state != ImportJobState.SUBMITTED:
            message = f"the job is {job.state}: only one that is submitted and waits can be cancelled"
            raise Conflict(faults=[Fault(Code.CONFLICT, message, word="job_not_waiting")])
        characteristic_jobs.cancel(connection, job.batch_id)
    return find(database, owner_id, job_id)


def _found(connection: Connection, job_id: str, *, lock: bool = False) -> ItemJob:
    try:
        job = characteristic_jobs.find(connection, UUID(job_id), lock=lock)
    except ValueError:
        job = None
    if job is None:
        message = f"there is no job '{shown(job_id)}'"
        raise NotFound(faults=[Fault(Code.BATCH_NOT_FOUND, message, word="job_not_found")])
    return job


def _as_sent(connection: Connection, batch_id: int, places: Sequence[tuple[int, int]]) -> Iterator[Value]:
    for page_number, of_page in groupby(places, key=lambda place: place[0]):
        text = characteristic_jobs.page(connection, batch_id, page_number)
        if text is None:
            message = "the batch has been cleared: what it received is gone"
            raise Conflict(faults=[Fault(Code.CONFLICT, message, word="batch_cleared")])
        received = json_text.read(text)
        for _, index in of_page:
            yield received[index] if isinstance(received, list) else None
