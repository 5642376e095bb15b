"""Import History over HTTP: feeds, all that was sent in and what became of it, records of usage, and its batches."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from ratemill.access.tokens import Principal, admit_to_feed
from ratemill.api.http import envelope, paging
from ratemill.api.http.auth import needs
from ratemill.api.http.paging import TIMES, Parameter
from ratemill.api.http.paths import RESOURCES
from ratemill.api.usage.instances import (
    BATCH_TYPE,
    IMPORT_BATCH_TYPE,
    ITEM_BATCH_TYPE,
    REQUEST_STATES,
    batch_instance,
    feed_instance,
    history_instance,
    record_instance,
)
from ratemill.errors import BadRequest, Code, Fault, Forbidden, NotFound
from ratemill.ledger import history, trace
from ratemill.setup.in_force.feeds import find_feed, read_row_form
from ratemill.store.histories.requests import AnyHistory, HistoryFilters
from ratemill.visible import shown

router = APIRouter(prefix=RESOURCES, tags=["Reading back"])

Reader = Annotated[Principal, Depends(needs("read"))]
Follower = Annotated[Principal, Depends(needs("history", of_feeds=True))]

WAIT_S_MAX = 60  # a caller who wants to wait longer asks again
POLL_S = 0.1  # a record takes about a second; a look is one read by key

KINDS = {BATCH_TYPE.lower(): "usage", ITEM_BATCH_TYPE.lower(): "items", IMPORT_BATCH_TYPE.lower(): "subscriptions"}
FILTERS = {
    "udrFeedName": Parameter("feed", paging.read_text, "The feed, in any letter case."),
    "importBatchId": Parameter("batch_id", paging.read_number, "A batch that took records of the request."),
    "dataImportHistoryStatusTypeName": Parameter(
        "state", paging.one_of({name: state for state, name in REQUEST_STATES.items()}), "Accepted, Processing or Done."
    ),
    "importBatchTypeName": Parameter(
        "kind",
        lambda text: KINDS.get(text.lower(), ""),
        f"What was sent: {BATCH_TYPE}, {ITEM_BATCH_TYPE} or {IMPORT_BATCH_TYPE}.",
    ),
    **TIMES,
}
WAIT = {"wait": Parameter("wait_s", paging.read_number, f"Seconds to wait until no record waits, up to {WAIT_S_MAX}.")}


@router.get("/DataImport/Usage/Feed/{feed}")
def read_feed(feed: str, request: Request, principal: Follower) -> Response:
    """Return the feed of that number, API name or name."""
    paging.read_query(request)
    with request.app.state.database.face(principal.owner_id) as connection:
        found = find_feed(connection, feed)
        admit_to_feed(principal, found.feed_id if found else None, feed)
        if found is None:
            raise NotFound(f"there is no usage feed '{shown(feed)}'", code=Code.FEED_NOT_FOUND)
        form = read_row_form(connection, found)
    return envelope.reply(envelope.one(feed_instance(found, form)))


@router.get("/DataImport/History/Paged", openapi_extra=paging.described(FILTERS))
def read_histories(request: Request, principal: Follower) -> Response:
    """Return a page of requests of usage, batches of characteristics and imports of subscription data, newest first."""
    asked, filters = paging.read_page(request, FILTERS)
    if principal.feed_ids is not None:
        _admit_to_list(request, principal, filters.get("feed"))
    shown = history.page(request.app.state.database, principal.owner_id, HistoryFilters(**filters), asked)
    return envelope.reply(envelope.paged(shown, asked, history_instance))


def _admit_to_list(request: Request, principal: Principal, feed: str | None) -> None:
    """Let a token that is bound to feeds list what one of them took, and nothing else."""
    if feed is None:
        raise Forbidden(f"the token '{shown(principal.name)}' is bound to feeds: give one of them as udrFeedName")
    with request.app.state.database.face(principal.owner_id) as connection:
        found = find_feed(connection, feed)
    # The filter goes by name alone, which may be the API name of another feed.
    is_named = found is not None and found.name.lower() == feed.lower()
    admit_to_feed(principal, found.feed_id if found is not None and is_named else None, feed)


@router.get("/DataImport/History/{key}", openapi_extra=paging.described(WAIT, paged=False))
async def read_history(key: str, request: Request, principal: Follower) -> Response:
    """Return what has that identity or tracking id, with its counts; ``wait`` until no record waits."""
    wait_s = paging.read_query(request, WAIT).get("wait_s", 0)
    if wait_s > WAIT_S_MAX:
        raise BadRequest(
            faults=[Fault(Code.PARAMETER_NOT_VALID, f"wait must be at most {WAIT_S_MAX} seconds", field="wait")]
        )
    shown = await _wait(request, principal, key, wait_s)
    return envelope.reply(envelope.one(history_instance(shown)))


@router.get("/DataImport/History/{key}/Record/Paged", openapi_extra=paging.described({}))
def read_records(key: str, request: Request, principal: Reader) -> Response:
    """Return a page of the records of a request, by row, each with its whole life."""
    asked, _ = paging.read_page(request, {})
    lives = trace.page(request.app.state.database, principal.owner_id, key, asked)
    return envelope.reply(envelope.paged(lives, asked, record_instance))


@router.get("/DataImport/Batch/{number}")
def read_batch(number: str, request: Request, principal: Reader) -> Response:
    """Return the batch of that number, with its counts."""
    paging.read_query(request)
    shown = history.find_batch(request.app.state.database, principal.owner_id, envelope.number_in_path(number))
    return envelope.reply(envelope.one(batch_instance(shown)))


async def _wait(request: Request, principal: Principal, key: str, wait_s: int) -> AnyHistory:
    """Read the request when none of its records waits, the time is up or the caller is gone.

    Between two looks neither a thread nor a connection is held.
    """
    database, until = request.app.state.database, monotonic() + wait_s
    shown = await run_in_threadpool(history.find, database, principal.owner_id, key)
    if not principal.may_use(getattr(shown, "feed_id", None)):
        raise history.not_found(key)
    while shown.rows_waiting and monotonic() < until and not await request.is_disconnected():
        await asyncio.sleep(min(POLL_S, max(0, until - monotonic())))
        if await run_in_threadpool(history.is_done, database, principal.owner_id, shown):
            break
    return await run_in_threadpool(history.find, database, principal.owner_id, key) if wait_s else shown
