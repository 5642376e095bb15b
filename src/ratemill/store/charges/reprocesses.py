"""Reprocesses: orders to rate exceptions anew, their progress, and the exceptions that each of them selects.

An order selects open exceptions that nobody has tried to rate since it fell due. So two orders that are given at once try
each exception once, and one that is taken up again after its worker died tries none twice.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.rows import class_row

from ratemill import characteristics
from ratemill.comparisons import Comparison, Operator
from ratemill.reasons import RATING_KINDS, RATING_REASONS, shown_chars_max
from ratemill.records import record_identity
from ratemill.states import RatingExceptionState
from ratemill.store import shown_texts
from ratemill.store.comparisons import ComparedColumn, Values, condition, joined
from ratemill.store.connections import Connection, driver

Criteria = Mapping[str, Any]
"""``{"all": true}``, ``{"ids": […]}`` or ``{"condition": "and"|"or", "search": [{"name", "operator", "values"}]}``."""


@dataclass(frozen=True, slots=True)
class Reprocess:
    """An order to rate exceptions anew, and how far it has come."""

    reprocess_id: int
    owner_id: int
    criteria: dict[str, Any]
    created_by: str
    created_at: datetime
    scheduled_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    last_exception_id: int
    until_exception_id: int
    rows_matched: int
    rows_sent: int
    rows_rated: int
    rows_failed: int
    attempts: int


_REASON = """(select r.{column} from unnest(
    %(reason_ids)s::integer[], %(reason_names)s::text[], %(messages)s::text[], %(chars_max)s::integer[]
    ) as r (reason_id, name, message, chars_max) where r.reason_id = e.reason_id)"""
# Compared as the list of exceptions shows it: cut, with invisible characters spelled out.
_SHOWN_VALUE = shown_texts.expression("coalesce(e.value, '')", _REASON.format(column="chars_max"))
_OF = "(select x.{column} from {table} x where x.{key} = e.{key})"

# What of an exception ``e`` may be compared.
MEMBERS = {
    "rating_exception_id": ComparedColumn("e.rating_exception_id", "numeric"),
    "record_id": ComparedColumn("(e.submission_id * %(rows_bound)s + e.row_index)", "numeric"),
    "submission_id": ComparedColumn("e.submission_id", "numeric"),
    "request_tracking_id": ComparedColumn(
        _OF.format(column="request_tracking_id", table="submissions", key="submission_id"), "uuid"
    ),
    "import_tracking_id": ComparedColumn(
        _OF.format(column="import_tracking_id", table="submissions", key="submission_id"), "uuid"
    ),
    "feed": ComparedColumn(_OF.format(column="name", table="feeds", key="feed_id"), "text"),
    "batch_id": ComparedColumn("e.batch_id", "numeric"),
    "row_index": ComparedColumn("e.row_index", "numeric"),
    "kind": ComparedColumn("e.kind", "numeric"),
    "kind_name": ComparedColumn("(%(kind_names)s::text[])[e.kind]", "text"),
    "reason_id": ComparedColumn("e.reason_id", "numeric"),
    "reason": ComparedColumn(_REASON.format(column="name"), "text"),
    "message": ComparedColumn(
        f"replace({_REASON.format(column='message')}, '{{value}}', {_SHOWN_VALUE})",
        "text",
    ),
    "attempts": ComparedColumn("e.attempts", "numeric"),
    "last_attempt_at": ComparedColumn("e.last_attempt_at", "timestamptz"),
    "complete": ComparedColumn(f"(e.state <> {RatingExceptionState.OPEN:d})", "boolean"),
    "reprocess_id": ComparedColumn("e.reprocess_id", "numeric"),
    "usage_at": ComparedColumn("e.usage_at", "timestamptz"),
    "identifier_type": ComparedColumn("e.identifier_type", "text"),
    "usage_identifier": ComparedColumn("e.usage_identifier", "text", "e.usage_identifier_digest"),
    "originating_identifier": ComparedColumn("e.originating_identifier", "text"),
    "terminating_identifier": ComparedColumn("e.terminating_identifier", "text"),
    "quantity": ComparedColumn("e.quantity", "numeric"),
    "usage_class": ComparedColumn(_OF.format(column="name", table="usage_classes", key="usage_class_id"), "text"),
    "reverse_rating": ComparedColumn("e.reverse_rating", "boolean"),
    "account": ComparedColumn(_OF.format(column="name", table="accounts", key="account_id"), "text"),
    "service": ComparedColumn(_OF.format(column="name", table="services", key="service_id"), "text"),
    "rate_plan": ComparedColumn(_OF.format(column="name", table="rate_plans", key="rate_plan_id"), "text"),
    **{name: ComparedColumn(f"(e.extension ->> '{name}')", "text") for name in characteristics.NAMES},
}

_NAMES = {
    "reason_ids": [reason.id for reason in RATING_REASONS],
    "reason_names": [reason.name for reason in RATING_REASONS],
    "messages": [reason.message for reason in RATING_REASONS],
    "chars_max": [shown_chars_max(reason) for reason in RATING_REASONS],
    "kind_names": [RATING_KINDS[kind] for kind in sorted(RATING_KINDS)],
    "rows_bound": record_identity(1, 0),
}
_COLUMNS = """reprocess_id, owner_id, criteria, created_by, created_at, scheduled_at, started_at, ended_at,
    last_exception_id, until_exception_id, rows_matched, rows_sent, rows_rated, rows_failed, attempts"""
_SELECTED = f"""e.owner_id = %(owner_id)s and e.state = {RatingExceptionState.OPEN:d}
    and e.last_attempt_at < %(scheduled_at)s"""


def insert(
    connection: Connection, *, owner_id: int, criteria: Criteria, scheduled_at: datetime | None, created_by: str
) -> int:
    """Write an order, due at once unless later is asked for, with what it matches now; return its number."""
    row = (
        driver(connection)
        .execute(
            """
            insert into reprocesses (owner_id, criteria, created_by, created_at, scheduled_at)
            select %(owner_id)s, %(criteria)s, %(created_by)s, c.now, greatest(c.now, %(scheduled_at)s::timestamptz)
            from (select clock_timestamp() as now) c
            returning reprocess_id
            """,
            {
                "owner_id": owner_id,
                "criteria": json.dumps(criteria),
                "created_by": created_by,
                "scheduled_at": scheduled_at,
            },
        )
        .fetchone()
    )
    reprocess_id = int(row[0]) if row else 0
    order = find(connection, reprocess_id)
    if order:
        match(connection, order)
    return reprocess_id


def match(connection: Connection, order: Reprocess) -> None:
    """Count the exceptions that an order selects, and let it go no further than the last of them."""
    where, values = _condition(order.criteria)
    driver(connection).execute(
        f"""
        update reprocesses r set rows_matched = m.rows, until_exception_id = m.last_id
        from (select count(*) as rows, coalesce(max(e.rating_exception_id), 0) as last_id
              from rating_exceptions e where {_SELECTED} and ({where})) m
        where r.reprocess_id = %(reprocess_id)s
        """,
        _of(order) | values,
    )


def find(connection: Connection, reprocess_id: int) -> Reprocess | None:
    """Return the order of that number."""
    cursor = driver(connection).cursor(row_factory=class_row(Reprocess))
    cursor.execute(f"select {_COLUMNS} from reprocesses where reprocess_id = %s", (reprocess_id,))
    return cursor.fetchone()


def due(connection: Connection) -> list[int]:
    """Return the orders to be worked on now, the earliest first."""
    rows = driver(connection).execute(
        "select reprocess_id from reprocesses where ended_at is null and scheduled_at <= clock_timestamp()"
        " order by scheduled_at, reprocess_id"
    )
    return [int(row[0]) for row in rows]


def hold(connection: Connection, reprocess_id: int) -> Reprocess | None:
    """Lock an order that is due and has not ended; None if it is not, or another process holds it."""
    cursor = driver(connection).cursor(row_factory=class_row(Reprocess))
    cursor.execute(
        f"""
        select {_COLUMNS} from reprocesses
        where reprocess_id = %s and ended_at is null and scheduled_at <= clock_timestamp()
        for update skip locked
        """,
        (reprocess_id,),
    )
    return cursor.fetchone()


def begin(connection: Connection, reprocess_id: int) -> None:
    """Write that work on an order began."""
    driver(connection).execute(
        "update reprocesses set started_at = clock_timestamp() where reprocess_id = %s", (reprocess_id,)
    )


def next_exceptions(connection: Connection, order: Reprocess, *, rows_max: int) -> list[tuple[int, int]]:
    """Return the next exceptions that an order selects, each with its submission, without a lock."""
    where, values = _condition(order.criteria)
    rows = driver(connection).execute(
        f"""
        select e.rating_exception_id, e.submission_id from rating_exceptions e
        where {_SELECTED} and e.rating_exception_id > %(last_exception_id)s
            and e.rating_exception_id <= %(until_exception_id)s and ({where})
        order by e.rating_exception_id limit %(rows_max)s
        """,
        _of(order) | values | {"rows_max": rows_max},
    )
    return rows.fetchall()


def take(connection: Connection, order: Reprocess, rating_exception_ids: Sequence[int]) -> list[tuple[Any, ...]]:
    """Lock those of the exceptions that the order still selects and nobody holds; return their usage records.

    The columns are rating_exception_id, feed_id, and those of a usage record in their order, the quantity as text.
    """
    rows = driver(connection).execute(
        f"""
        select e.rating_exception_id, e.feed_id, e.submission_id, e.row_index, e.batch_id, e.usage_at, e.identifier_type,
            e.usage_identifier, e.originating_identifier, e.terminating_identifier, e.quantity::text, e.inbound,
            e.reverse_rating, e.usage_class_id, e.usage_class_type, e.uniqueness_identifier, e.extension::text
        from rating_exceptions e
        where e.rating_exception_id = any(%(ids)s) and {_SELECTED}
        order by e.rating_exception_id for update skip locked
        """,
        _of(order) | {"ids": list(rating_exception_ids)},
    )
    return rows.fetchall()


def advance(
    connection: Connection,
    reprocess_id: int,
    *,
    last_exception_id: int,
    rows_rated: int,
    rows_failed: int,
    attempts: int,
    ended: bool,
) -> None:
    """Write down that a table is done, and whether it was the last."""
    driver(connection).execute(
        """
        update reprocesses set last_exception_id = %(last_exception_id)s, rows_sent = rows_sent + %(rows_sent)s,
            rows_rated = rows_rated + %(rows_rated)s, rows_failed = rows_failed + %(rows_failed)s,
            attempts = %(attempts)s, ended_at = case when %(ended)s then clock_timestamp() end
        where reprocess_id = %(reprocess_id)s
        """,
        {
            "reprocess_id": reprocess_id,
            "last_exception_id": last_exception_id,
            "rows_sent": rows_rated + rows_failed,
            "rows_rated": rows_rated,
            "rows_failed": rows_failed,
            "attempts": attempts,
            "ended": ended,
        },
    )


def _of(order: Reprocess) -> dict[str, Any]:
    names = ("reprocess_id", "owner_id", "scheduled_at", "last_exception_id", "until_exception_id")
    return {name: getattr(order, name) for name in names}


def _condition(criteria: Criteria) -> tuple[str, dict[str, Any]]:
    """Return what an order asks for, as a condition with its parameters; names and operators were checked."""
    if "all" in criteria:
        return "true", {}
    if "ids" in criteria:
        return "e.rating_exception_id = any(%(ids)s)", {"ids": criteria["ids"]}
    comparisons = [
        Comparison(each["name"], Operator(each["operator"]), tuple(each["values"])) for each in criteria["search"]
    ]
    values: Values = dict(_NAMES)
    if any(each.member == "message" for each in comparisons):
        values[shown_texts.PARAMETER] = shown_texts.invisible_characters()
    conditions = [condition(each, MEMBERS[each.member], values) for each in comparisons]
    return joined(conditions, any_of=criteria["condition"] == "or"), values
