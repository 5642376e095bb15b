"""Submissions and their raw bodies: written by an accept, taken and finished by a worker."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import zstandard
from psycopg.rows import args_row, class_row

from ratemill.store import work_attempts
from ratemill.store.connections import Connection, driver
from ratemill.store.usage import backlog, suspects
from ratemill.store.usage.backlog import BacklogBounds
from ratemill.store.work_attempts import FailedTables

_CANDIDATES_MAX = 5_000  # row locks that one claim may take
_ZSTD_LEVEL = 1  # a row of text shrinks to about a fifth at 500 MB/s; higher levels cost more than the disk they save


@dataclass(frozen=True, slots=True)
class DueFeed:
    """A feed with work to do, its owner, and how many records its waiting submissions typically hold."""

    feed_id: int
    owner_id: int
    rows_typical: int


@dataclass(frozen=True, slots=True)
class TableBounds:
    """What the submissions of one table may have together, unless it is a single one; ``body_bytes_max`` is unpacked."""

    rows_max: int
    body_bytes_max: int


class WaitingSubmission(NamedTuple):
    """A submission that a table may take, with its records that wait and the bytes of its whole body, unpacked."""

    submission_id: int
    rows_waiting: int
    body_bytes: int


@dataclass(frozen=True, slots=True)
class EarlierSubmission:
    """The submission that an Idempotency-Key was used for before."""

    submission_id: int
    feed_id: int
    request_tracking_id: UUID
    import_tracking_id: UUID
    idempotency_sha256: bytes
    accepted_at: datetime


@dataclass(frozen=True, slots=True)
class ClaimedSubmission:
    """A submission in a worker's hands: its row is locked until the transaction ends."""

    submission_id: int
    owner_id: int
    route: str
    row_count: int
    rows_waiting: int
    accepted_at: datetime
    started_at: datetime | None
    has_suspects: bool
    body: bytes


def insert(
    connection: Connection,
    *,
    owner_id: int,
    feed_id: int,
    request_tracking_id: UUID,
    import_tracking_id: UUID,
    route: str,
    row_count: int,
    body: bytes,
    body_sha256: bytes,
    idempotency_key: str | None,
    idempotency_sha256: bytes | None,
    created_by: str,
    bounds: BacklogBounds,
) -> int | None:
    """Write one submission with its raw body; return its number, or None if the backlog has no room for this owner."""
    packed = zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compress(body)
    row = (
        driver(connection)
        .execute(
            f"""
            with accepted as (
                insert into submissions (owner_id, feed_id, request_tracking_id, import_tracking_id, route, row_count,
                    rows_waiting, body_bytes, body_sha256, idempotency_key, idempotency_sha256, created_by)
                select %(owner_id)s, %(feed_id)s, %(request_tracking_id)s, %(import_tracking_id)s, %(route)s,
                    %(row_count)s, %(row_count)s, %(body_bytes)s, %(body_sha256)s, %(idempotency_key)s,
                    %(idempotency_sha256)s, %(created_by)s
                {backlog.has_room("%(owner_id)s", "%(rows_max)s", "%(owner_rows_max)s")}
                returning submission_id
            )
            insert into submission_bodies (submission_id, owner_id, body)
            select submission_id, %(owner_id)s, %(body)b from accepted
            returning submission_id
            """,
            {
                "owner_id": owner_id,
                "feed_id": feed_id,
                "request_tracking_id": request_tracking_id,
                "import_tracking_id": import_tracking_id,
                "route": route,
                "row_count": row_count,
                "body_bytes": len(body),
                "body_sha256": body_sha256,
                "idempotency_key": idempotency_key,
                "idempotency_sha256": idempotency_sha256,
                "created_by": created_by,
                "body": packed,
                "rows_max": bounds.rows_max,
                "owner_rows_max": bounds.owner_rows_max,
            },
        )
        .fetchone()
    )
    return int(row[0]) if row else None


def lock_key(connection: Connection, owner_id: int, key: str) -> bool:
    """Take an owner's Idempotency-Key for this transaction; False if another request is being taken under it."""
    row = driver(connection).execute("select pg_try_advisory_xact_lock(%s, hashtext(%s))", (owner_id, key)).fetchone()
    return bool(row and row[0])


def find_key(connection: Connection, owner_id: int, key: str, *, keep_h: int) -> EarlierSubmission | None:
    """Return the submission made under an Idempotency-Key; one older than ``keep_h`` hours gives the key back."""
    cursor = driver(connection).cursor(row_factory=class_row(EarlierSubmission))
    cursor.execute(
        """
        update submissions set idempotency_key = null
        where owner_id = %s and idempotency_key = %s and accepted_at < clock_timestamp() - make_interval(hours => %s)
        """,
        (owner_id, key, keep_h),
    )
    cursor.execute(
        """
        select submission_id, feed_id, request_tracking_id, import_tracking_id, idempotency_sha256, accepted_at
        from submissions where owner_id = %s and idempotency_key = %s
        """,
        (owner_id, key),
    )
    return cursor.fetchone()


def unpack(body: bytes) -> bytes:
    """Return a stored body as it was received."""
    return zstandard.ZstdDecompressor().decompress(body)


def feeds_due(connection: Connection, *, rows_enough: int) -> list[DueFeed]:
    """Return the feeds with a full batch waiting, or whose oldest record has waited the feed's batch wait, oldest first.

    Steps through the index of waiting submissions from feed to feed, and looks at no more of each feed's queue than the
    answer needs.
    """
    cursor = driver(connection).cursor(row_factory=class_row(DueFeed))
    cursor.execute(
        """
        with recursive feed (feed_id) as (
            (select feed_id from submissions where rows_waiting > 0 order by feed_id limit 1)
            union all
            select (select s.feed_id from submissions s
                    where s.rows_waiting > 0 and s.feed_id > feed.feed_id order by s.feed_id limit 1)
            from feed where feed.feed_id is not null
        )
        select feed.feed_id, f.owner_id, head.rows_typical
        from feed join feeds f on f.feed_id = feed.feed_id
        cross join lateral (
            select sum(h.rows_waiting) as rows_waiting, avg(h.rows_waiting)::integer as rows_typical,
                min(h.accepted_at) as oldest_at
            from (select rows_waiting, accepted_at from submissions s
                  where s.feed_id = feed.feed_id and s.rows_waiting > 0
                  order by s.submission_id limit 100) h
        ) head
        where head.rows_waiting >= %s
           or head.oldest_at + make_interval(secs => f.batch_wait_s::double precision) <= clock_timestamp()
        order by head.oldest_at
        """,
        (rows_enough,),
    )
    return cursor.fetchall()


@dataclass(frozen=True, slots=True)
class Choice:
    """The submissions that a worker is about to take.

    ``is_suspect``: one alone, to be divided, because work on it failed before. ``has_failed``: something is known against
    one of them. ``suspects_left``: others wait against which something is known.
    """

    submission_ids: list[int]
    is_suspect: bool = False
    has_failed: bool = False
    suspects_left: bool = False


def choose(
    connection: Connection, feed: DueFeed, *, bounds: TableBounds, attempts_max: int, suspects_first: bool
) -> tuple[Choice, list[ClaimedSubmission]]:
    """Lock whole waiting submissions of a feed, oldest first, that no other worker holds; return them with their bodies.

    Those with ``attempts_max`` failed tables are taken apart from the others, in smaller and smaller tables, and at last
    each alone. ``suspects_first`` says which of the two groups has its turn.
    """
    cursor = driver(connection).cursor(row_factory=args_row(WaitingSubmission))
    cursor.execute("savepoint candidates")
    candidates = cursor.execute(
        """
        select submission_id, rows_waiting, body_bytes from submissions
        where feed_id = %s and rows_waiting > 0
        order by submission_id limit %s
        for update skip locked
        """,
        (feed.feed_id, min(_CANDIDATES_MAX, bounds.rows_max // max(1, feed.rows_typical) + 1)),
    ).fetchall()
    ids = [candidate.submission_id for candidate in candidates]
    failed = work_attempts.of_submissions(connection, ids)
    divided = suspects.divided(connection, ids)
    tried = {number for number, tables in failed.items() if tables.tables >= attempts_max} | divided
    others = [candidate for candidate in candidates if candidate.submission_id not in tried]
    suspected = [candidate for candidate in candidates if candidate.submission_id in tried]
    if suspected and (suspects_first or not others):
        choice = _choose_suspects(suspected, failed, divided, bounds)
    else:
        chosen = _fill(others, bounds)
        choice = Choice(chosen, has_failed=any(each in failed for each in chosen), suspects_left=bool(suspected))
    if len(choice.submission_ids) < len(candidates):
        cursor.execute("rollback to savepoint candidates")  # gives back the locks on the others
    return choice, take(connection, choice.submission_ids) if choice.submission_ids else []


def _choose_suspects(
    tried: list[WaitingSubmission],
    failed: Mapping[int, FailedTables],
    divided: AbstractSet[int],
    bounds: TableBounds,
) -> Choice:
    first = tried[0].submission_id
    smallest = failed[first].submissions_min if first in failed else 1
    if first in divided or smallest == 1:
        return Choice([first], is_suspect=True, has_failed=True)
    together = [each for each in tried if each.submission_id not in divided][: smallest // 2]
    return Choice(_fill(together, bounds), has_failed=True)


def _fill(candidates: list[WaitingSubmission], bounds: TableBounds) -> list[int]:
    """Return the first candidates that fit one table; the first alone may be over its bounds."""
    chosen: list[int] = []
    rows = body_bytes = 0
    for candidate in candidates:
        rows += candidate.rows_waiting
        body_bytes += candidate.body_bytes
        if chosen and (rows > bounds.rows_max or body_bytes > bounds.body_bytes_max):
            break
        chosen.append(candidate.submission_id)
    return chosen


def take(connection: Connection, submission_ids: list[int]) -> list[ClaimedSubmission]:
    """Lock those of the submissions that still wait and nobody else holds, and return them with their bodies, in order.

    They are read in a second statement, so that all is seen that their previous holder has committed.
    """
    held = driver(connection).execute(
        """
        select submission_id from submissions where submission_id = any(%s) and rows_waiting > 0
        order by submission_id for update skip locked
        """,
        (submission_ids,),
    )
    cursor = driver(connection).cursor(row_factory=class_row(ClaimedSubmission), binary=True)
    cursor.execute(
        """
        select s.submission_id, s.owner_id, s.route, s.row_count, s.rows_waiting, s.accepted_at, s.started_at,
            exists (select from suspects p where p.submission_id = s.submission_id) as has_suspects, b.body
        from submissions s join submission_bodies b using (submission_id)
        where s.submission_id = any(%s) order by s.submission_id
        """,
        ([row[0] for row in held],),
    )
    return cursor.fetchall()


def finish(connection: Connection, submission_ids: list[int], rows_done: list[int]) -> int:
    """Take the rows that were worked off from the waiting ones; return how many submissions that touched."""
    cursor = driver(connection).execute(
        """
        update submissions s set
            rows_waiting = s.rows_waiting - d.rows_done,
            started_at = coalesce(s.started_at, now()),
            ended_at = case when s.rows_waiting = d.rows_done then clock_timestamp() else s.ended_at end
        from unnest(%s::bigint[], %s::integer[]) as d (submission_id, rows_done)
        where s.submission_id = d.submission_id
        """,
        (submission_ids, rows_done),
    )
    return cursor.rowcount


def lock(connection: Connection, submission_id: int) -> str:
    """Wait until nobody else works on a submission, and hold it; return the route that it came by."""
    row = (
        driver(connection)
        .execute("select route from submissions where submission_id = %s for update", (submission_id,))
        .fetchone()
    )
    if row is None:
        raise LookupError(f"there is no submission {submission_id}")
    return str(row[0])


def lock_all(connection: Connection, submission_ids: list[int]) -> None:
    """Wait, in order, until nobody else works on the submissions, and hold them."""
    driver(connection).execute(
        "select from submissions where submission_id = any(%s) order by submission_id for update",
        (submission_ids,),
    )


def wait_again(connection: Connection, submission_id: int) -> None:
    """Count one more record of a submission as waiting: it was sent in again."""
    driver(connection).execute(
        "update submissions set rows_waiting = rows_waiting + 1 where submission_id = %s", (submission_id,)
    )
