"""The services that subscriptions became, the identifiers of these, and the usage that waits for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from psycopg.rows import class_row

from ratemill.states import RatingExceptionState
from ratemill.store import bulk
from ratemill.store.connections import Connection, driver

ORDER_EXCEPTIONS_MAX = 100_000  # exceptions of one order: as many as may be named by hand
_UNKNOWN_IDENTIFIER, _NOT_VALID = 1, 2  # the kinds of exception that a new identifier may end


@dataclass(frozen=True, slots=True)
class SubscriptionService:
    """The service that a subscription is, its span, and the reference that became its identifier."""

    object_number: int
    service_id: int
    account_id: int
    start_at: datetime | None
    end_at: datetime | None
    external_ref: str | None


@dataclass(frozen=True, slots=True)
class ServiceName:
    """A service with its account, by name."""

    service_id: int
    service: str
    account: str


def held(connection: Connection, object_numbers: Sequence[int]) -> list[SubscriptionService]:
    """Return the services of those of these subscriptions that have one."""
    cursor = driver(connection).cursor(row_factory=class_row(SubscriptionService))
    cursor.execute(
        """
        select b.object_number, s.service_id, s.account_id, s.start_at, s.end_at, k.external_ref
        from subscriptions b join services s using (service_id) left join subscription_services k using (service_id)
        where b.object_number = any(%s)
        """,
        (list(object_numbers),),
    )
    return cursor.fetchall()


def named(connection: Connection, service_ids: Sequence[int]) -> dict[int, ServiceName]:
    """Return services with their accounts, by name."""
    cursor = driver(connection).cursor(row_factory=class_row(ServiceName))
    cursor.execute(
        """
        select s.service_id, s.name as service, a.name as account from services s join accounts a using (account_id)
        where s.service_id = any(%s)
        """,
        (list(service_ids),),
    )
    return {each.service_id: each for each in cursor}


def link(connection: Connection, service_of: Mapping[int, int]) -> None:
    """Say which services subscriptions are now, by object number."""
    if not service_of:
        return
    driver(connection).execute(
        """
        update subscriptions b set service_id = v.service_id
        from unnest(%s::bigint[], %s::bigint[]) v (object_number, service_id) where b.object_number = v.object_number
        """,
        (list(service_of), list(service_of.values())),
    )


class ServiceTerms(NamedTuple):
    """What a service keeps of the subscription that it is: what rates its usage, also once the subscription is gone."""

    service_id: int
    owner_id: int
    subscription_id: UUID
    external_ref: str | None
    plan_external_ref: str | None
    offering_external_ref: str | None


def keep_new(connection: Connection, kept: Sequence[ServiceTerms]) -> None:
    """Let new services keep what rates them."""
    if kept:
        bulk.insert_rows(connection, "subscription_services", ServiceTerms._fields, kept)


def keep(connection: Connection, kept: Sequence[ServiceTerms]) -> int:
    """Let services keep what rates them now; return how many keep something new."""
    if not kept:
        return 0
    references = "external_ref", "plan_external_ref", "offering_external_ref"
    assigned = ", ".join(f"{name} = v.{name}" for name in references)
    old, new = (", ".join(f"{alias}.{name}" for name in references) for alias in "kv")
    statement = f"""
        update subscription_services k set {assigned}
        from unnest(%s::bigint[], %s::text[], %s::text[], %s::text[]) v (service_id, {", ".join(references)})
        where k.service_id = v.service_id and ({old}) is distinct from ({new})"""
    columns = [[getattr(each, name) for each in kept] for name in ("service_id", *references)]
    return driver(connection).execute(statement, columns).rowcount


def are_subscriptions(connection: Connection, service_ids: Sequence[int]) -> set[int]:
    """Return which of these services a subscription is."""
    statement = "select service_id from subscriptions where service_id = any(%s)"
    return {row[0] for row in driver(connection).execute(statement, (list(service_ids),))}


def order_waiting(connection: Connection, owner_id: int, import_number: int, *, created_by: str) -> list[int]:
    """Order to rate anew the open exceptions that wait for an identifier which an import brought; return the orders.

    An exception waits where no service had its identifier, or none had it on the usage date, and one of the import's has
    it now. More than ``ORDER_EXCEPTIONS_MAX`` make further orders. Nothing waits: nothing is ordered.
    """
    statement = f"""
        with waiting as (
            select distinct e.rating_exception_id
            from subscription_objects o
            join subscriptions b using (object_number)
            join identifiers i on i.service_id = b.service_id
            join identifier_types t using (identifier_type_id)
            -- A look at the index by identifier for each, for exceptions may be many more than these: the offset and the
            -- sums leave no other way, for what came just now is not in the statistics.
            cross join lateral (
                select x.rating_exception_id from rating_exceptions x
                where x.owner_id = i.owner_id and x.usage_identifier_digest = md5(i.usage_identifier)::uuid
                    and x.usage_identifier = i.usage_identifier
                    and x.state + 0 = {RatingExceptionState.OPEN:d}
                    and x.kind + 0 in ({_UNKNOWN_IDENTIFIER}, {_NOT_VALID})
                    and coalesce(x.identifier_type, '') in ('', 'Unknown', t.name)
                    and tstzrange(i.start_at, i.end_at) @> x.usage_at offset 0
            ) e
            where o.owner_id = %(owner_id)s and o.import_number = %(import_number)s and exists (
                select from rating_exceptions y where y.owner_id = %(owner_id)s and y.state = {RatingExceptionState.OPEN:d}
                    and y.kind in ({_UNKNOWN_IDENTIFIER}, {_NOT_VALID})
            )
        ), numbered as (
            select rating_exception_id as id, (row_number() over (order by rating_exception_id) - 1) / %(most)s as part
            from waiting
        ), ordered as (select clock_timestamp() as at)
        insert into reprocesses
            (owner_id, criteria, created_by, created_at, scheduled_at, rows_matched, until_exception_id)
        select %(owner_id)s, jsonb_build_object('ids', jsonb_agg(n.id order by n.id), 'subscription_import', i.import_id),
            %(created_by)s, ordered.at, ordered.at, count(*), max(n.id)
        from numbered n cross join ordered
        join subscription_imports i on i.import_number = %(import_number)s
        group by n.part, i.import_id, ordered.at order by n.part
        returning reprocess_id"""
    values = {
        "owner_id": owner_id,
        "import_number": import_number,
        "most": ORDER_EXCEPTIONS_MAX,
        "created_by": created_by,
    }
    return [int(row[0]) for row in driver(connection).execute(statement, values)]
