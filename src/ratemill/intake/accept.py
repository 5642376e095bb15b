"""Accept: keep one request as it came, with its two tracking ids, and answer only after the commit."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID, uuid4

from ratemill.access import tokens
from ratemill.access.tokens import Principal
from ratemill.errors import BadRequest, Code, Conflict, KeyReuse, NotFound
from ratemill.intake.backlog import BacklogKeeper, bounds, refusal
from ratemill.intake.faultpoints import die_at
from ratemill.records import Route, read_elements, refuse_second_data
from ratemill.settings import Settings
from ratemill.store.characteristics import batches as characteristic_batches
from ratemill.store.connections import Connection, Database, pipeline
from ratemill.store.setup import feeds
from ratemill.store.setup.feeds import Feed
from ratemill.store.usage import backlog, submissions
from ratemill.store.usage.backlog import Backlog
from ratemill.visible import shown

IDEMPOTENCY_KEY_CHARS_MAX = 255
KEY_IN_USE = "a request with this Idempotency-Key is still being taken"
KEY_REUSED = "this Idempotency-Key came with another path or body before"


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """One import request as the face read it; ``fingerprint`` names method and path for the Idempotency-Key."""

    secret: str
    feed: str
    route: Route
    body: bytes
    fingerprint: str
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the caller is told: the numbers of a submission that is now durable."""

    submission_id: int
    feed_id: int
    request_tracking_id: UUID
    import_tracking_id: UUID
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class NoRoom:
    """The figures of the backlog by which a request was not admitted."""

    backlog: Backlog


def accept(database: Database, settings: Settings, keeper: BacklogKeeper, request: ImportRequest) -> Receipt:
    """Check who calls and the request's shape, write it and commit; raise a ``CallerError`` that leaves nothing behind.

    A request without room is tried once more if the waiting records can be counted again first.
    """
    outcome = _try(database, settings, request)
    if isinstance(outcome, NoRoom) and keeper.refresh(outcome.backlog):
        outcome = _try(database, settings, request)
    if isinstance(outcome, NoRoom):
        raise refusal(settings, outcome.backlog)
    return outcome


def _try(database: Database, settings: Settings, request: ImportRequest) -> Receipt | NoRoom:
    with database.face(None) as connection, pipeline(connection):
        caller, feed = tokens.enter(connection, request.secret), feeds.find(connection, request.feed)
        principal = tokens.admit(caller(), "import")
        check_key(request.idempotency_key)
        feed_id = _enabled(principal, feed(), request)
        repeated = _repeated(connection, settings, principal, request)
        if repeated:
            return repeated
        elements = read_elements(request.body, request.route, rows_max=settings.request_rows_max)
        refuse_second_data(request.body, request.route)
        accepted = _insert(connection, settings, principal, request, feed_id=feed_id, row_count=len(elements.texts))
        if accepted is None:
            return NoRoom(backlog.read(connection, principal.owner_id))
        die_at("after-accept-before-commit", settings)
    return accepted


def check_key(key: str | None) -> None:
    """Raise ``BadRequest`` for an Idempotency-Key that cannot be one."""
    if key is not None and not 0 < len(key) <= IDEMPOTENCY_KEY_CHARS_MAX:
        raise BadRequest(
            f"an Idempotency-Key has 1 to {IDEMPOTENCY_KEY_CHARS_MAX} characters",
            code=Code.IDEMPOTENCY_KEY_NOT_VALID,
        )


def _enabled(principal: Principal, feed: Feed | None, request: ImportRequest) -> int:
    tokens.admit_to_feed(principal, feed.feed_id if feed else None, request.feed)
    if feed is None:
        raise NotFound(f"there is no usage feed '{shown(request.feed)}'", code=Code.FEED_NOT_FOUND)
    if not feed.enabled:
        raise Conflict(f"the usage feed '{shown(feed.name)}' is disabled", code=Code.FEED_DISABLED)
    return feed.feed_id


def _repeated(
    connection: Connection, settings: Settings, principal: Principal, request: ImportRequest
) -> Receipt | None:
    """Return the first answer to a request that comes again under its key; hold the key if it is new."""
    if request.idempotency_key is None:
        return None
    if not submissions.lock_key(connection, principal.owner_id, request.idempotency_key):
        raise Conflict(KEY_IN_USE, code=Code.IDEMPOTENCY_KEY_IN_USE)
    before = submissions.find_key(
        connection,
        principal.owner_id,
        request.idempotency_key,
        keep_h=settings.idempotency_keep_h,
    )
    if before is None:
        of_items = characteristic_batches.kept_answer(
            connection, principal.owner_id, request.idempotency_key, keep_h=settings.idempotency_keep_h
        )
        if of_items:
            raise KeyReuse(KEY_REUSED)
        return None
    if before.idempotency_sha256 != _request_sha256(request):
        raise KeyReuse(KEY_REUSED)
    return Receipt(
        before.submission_id,
        before.feed_id,
        before.request_tracking_id,
        before.import_tracking_id,
        replayed=True,
    )


def _insert(
    connection: Connection,
    settings: Settings,
    principal: Principal,
    request: ImportRequest,
    *,
    feed_id: int,
    row_count: int,
) -> Receipt | None:
    request_tracking_id, import_tracking_id = uuid4(), uuid4()
    submission_id = submissions.insert(
        connection,
        owner_id=principal.owner_id,
        feed_id=feed_id,
        request_tracking_id=request_tracking_id,
        import_tracking_id=import_tracking_id,
        route=request.route,
        row_count=row_count,
        body=request.body,
        body_sha256=sha256(request.body).digest(),
        idempotency_key=request.idempotency_key,
        idempotency_sha256=_request_sha256(request) if request.idempotency_key else None,
        created_by=principal.name,
        bounds=bounds(settings),
    )
    if submission_id is None:
        return None
    return Receipt(submission_id, feed_id, request_tracking_id, import_tracking_id)


def _request_sha256(request: ImportRequest) -> bytes:
    return sha256(request.fingerprint.encode() + b"\0" + request.body).digest()
