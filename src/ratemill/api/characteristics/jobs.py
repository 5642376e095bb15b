"""Jobs of batches over HTTP: how far one has come, what became of each item, the refused ones; and to cancel it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from ratemill.access.tokens import Principal
from ratemill.api.characteristics import envelope, items
from ratemill.api.characteristics.parameters import Parameters
from ratemill.api.http.auth import needs
from ratemill.api.http.envelope import Json
from ratemill.api.http.exact_json import Exact
from ratemill.catalog.characteristics.items import Collection, CollectionQuery
from ratemill.ledger import characteristic_jobs as jobs
from ratemill.reference.json_text import Number, Value
from ratemill.store.characteristics.jobs import ItemJob, ItemOutcome

router = APIRouter(prefix="/api/Import/Jobs", tags=["Characteristic jobs"])

Follower = Annotated[Principal, Depends(needs("history"))]
Importer = Annotated[Principal, Depends(needs("import"))]

TOP, TOP_MAX = 20, 1_000
NUMBER_MAX = 2**31 - 1  # more items than any batch has

_BEFORE_CAPITAL = re.compile(r"(?=[A-Z])")


def _described(*names: str) -> Json:
    return {"parameters": [_PARAMETERS[name] for name in names]}


def _parameter(name: str, about: str, schema: Json) -> Json:
    return {"name": name, "in": "query", "required": False, "description": about, "schema": schema}


_PARAMETERS: dict[str, Json] = {
    "outcome": _parameter("outcome", "Only items of this outcome.", {"type": "string", "enum": list(jobs.OUTCOMES)}),
    "$top": _parameter("$top", "Items of a page.", {"type": "integer", "minimum": 0, "maximum": TOP_MAX}),
    "$skip": _parameter("$skip", "Items before the page.", {"type": "integer", "minimum": 0}),
    "pageNumber": _parameter("pageNumber", "The page, from 0; with pageSize.", {"type": "integer", "minimum": 0}),
    "pageSize": _parameter("pageSize", "Items of a page; without it, all.", {"type": "integer", "minimum": 1}),
}


@router.get("/{job}")
def read_job(job: str, request: Request, principal: Follower) -> Response:
    """Return how far the job of a batch has come."""
    found = jobs.find(request.app.state.database, principal.owner_id, job)
    return envelope.result(_shown(found), warnings=Parameters(request).warnings)


@router.get("/{job}/Items", openapi_extra=_described("outcome", "$top", "$skip"))
def read_outcomes(job: str, request: Request, principal: Follower) -> Response:
    """Return what became of each item of a batch, by page, then index."""
    parameters = Parameters(request, "outcome", "$top", "$skip", collection=True)
    top, skip = parameters.whole("$top", TOP, largest=TOP_MAX), parameters.whole("$skip", 0, largest=NUMBER_MAX)
    parameters.check()
    total, found = jobs.outcomes(
        request.app.state.database, principal.owner_id, job, outcome=parameters.text("outcome"), skip=skip, top=top
    )
    page = Collection([_outcome(each) for each in found], total)
    return items.list_of(request, page, CollectionQuery(skip=skip, top=top), parameters.warnings)


@router.get("/{job}/Refused", openapi_extra=_described("pageNumber", "pageSize"))
def read_refused(job: str, request: Request, principal: Follower) -> Response:
    """Return the refused items of a batch as they were sent, ready to be mended and sent again as a page."""
    parameters = Parameters(request, "pageNumber", "pageSize")
    number = parameters.whole("pageNumber", 0, largest=NUMBER_MAX)
    size = parameters.whole("pageSize", 0, least=1, largest=NUMBER_MAX)
    parameters.check()
    found = jobs.refused(
        request.app.state.database, principal.owner_id, job, page_number=number, page_size=size or None
    )
    return envelope.result({"pageNumber": number, "items": Exact(found)}, warnings=parameters.warnings)


@router.post("/{job}/cancel")
def cancel_job(job: str, request: Request, principal: Importer) -> Response:
    """Cancel the job of a batch while it waits; 409 once it is at work or has ended."""
    found = jobs.cancel(request.app.state.database, principal.owner_id, job)
    return envelope.result(_shown(found), warnings=Parameters(request).warnings)


def _shown(job: ItemJob) -> Json:
    completed = job.items_created + job.items_updated + job.items_unchanged + job.items_refused
    return {
        "jobQueueGuid": str(job.job_id),
        "batchId": job.batch_id,
        "characteristic": job.characteristic,
        "state": job.state,
        "statusReference": {"displayName": _BEFORE_CAPITAL.sub(" ", job.state).capitalize()},
        "dryRun": job.dry_run,
        "dryRunState": job.dry_run_state,
        "totalCountNumber": job.total_items,
        "completedCountNumber": completed,
        "percentCompleteNumber": 100 * completed // job.total_items,
        "createdCount": job.items_created,
        "updatedCount": job.items_updated,
        "unchangedCount": job.items_unchanged,
        "refusedCount": job.items_refused,
        "warningCount": job.warnings,
        "submittedDatetime": _time(job.submitted_at),
        "startDatetime": _time(job.started_at),
        "endDatetime": _time(job.ended_at),
        "runTimeSecondsNumber": _run_time(job),
        "submittedByUserReference": {"displayName": job.submitted_by} if job.submitted_by else None,
        "error": job.error if "failed" in {job.state, job.dry_run_state} else None,
    }


def _outcome(outcome: ItemOutcome) -> dict[str, Value]:
    return {
        "pageNumber": Number(outcome.page_number),
        "index": Number(outcome.item_index),
        "id": outcome.id,
        "outcome": outcome.outcome,
        "guid": str(outcome.guid) if outcome.guid else None,
        "errors": [dict(each) for each in outcome.errors or ()],
        "warnings": [dict(each) for each in outcome.warnings or ()],
    }


def _time(at: datetime | None) -> str | None:
    """Return an instant as this dialect writes it: UTC, milliseconds, no zone."""
    return at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") if at else None


def _run_time(job: ItemJob) -> float | None:
    """Return how many seconds the job has been at work, or was."""
    if job.started_at is None:
        return None
    return round(((job.ended_at or job.read_at) - job.started_at).total_seconds(), 3)
