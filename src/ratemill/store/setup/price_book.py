"""The tables that an owner's prices are in, each in one query; numbers as plain texts, so that no digit is lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ratemill.store.connections import Connection, driver

Rows = list[tuple[Any, ...]]

# By the names of `PriceTables`; the columns of each stand in the order of the query.
QUERIES: dict[str, str] = {
    "classes": """
        select c.usage_class_id, c.name, b.name, c.rater
        from usage_classes c join base_units b using (base_unit_id) where c.owner_id = %s""",
    "plans": "select rate_plan_id, amount_places from rate_plans where owner_id = %s",
    "plan_groups": "select rate_plan_id, position, rate_group_id from rate_plan_groups where owner_id = %s",
    "groups": """
        select rate_group_id, currency, start_at, end_at, amount_places, is_pass_through, use_for_cost
        from rate_groups where owner_id = %s""",
    "rates": """
        select r.rate_id, r.rate_group_id, r.usage_class_id, r.location_id, r.location_group_id, r.start_at, r.end_at,
            trim_scale(r.amount)::text, coalesce(u.multiplier, 1)::bigint, r.calculation,
            trim_scale(o.minimum * coalesce(ou.multiplier, 1))::text,
            trim_scale(o.increment * coalesce(ou.multiplier, 1))::text,
            trim_scale(r.connection_charge)::text, trim_scale(r.minimum_charge)::text,
            trim_scale(r.maximum_charge)::text
        from rates r
        left join usage_units u on u.usage_unit_id = r.usage_unit_id
        left join usage_roundings o on o.usage_rounding_id = r.usage_rounding_id
        left join usage_units ou on ou.usage_unit_id = o.usage_unit_id
        where r.owner_id = %s""",
    "locations": "select location_id, name, parent_location_id from locations where owner_id = %s",
    "patterns": "select location_pattern_id, name, location_id from location_patterns where owner_id = %s",
    "location_group_members": "select location_group_id, location_id from location_group_members where owner_id = %s",
}


# Tables whose changed rows are read by themselves, for an owner may have hundreds of thousands of rows.
KEYS = {"rates": "r.rate_id", "locations": "location_id", "patterns": "location_pattern_id"}


def read_table(connection: Connection, table: str, owner_id: int, ids: Sequence[int] | None = None) -> Rows:
    """Return one of the tables of ``QUERIES``; of one of ``KEYS``, only the rows of ``ids`` if these are given."""
    if ids is None:
        return driver(connection).execute(QUERIES[table], (owner_id,)).fetchall()
    statement = f"{QUERIES[table]} and {KEYS[table]} = any(%s)"
    return driver(connection).execute(statement, (owner_id, list(ids))).fetchall()


def rates_counted_in(
    connection: Connection, owner_id: int, unit_ids: Sequence[int], rounding_ids: Sequence[int]
) -> list[int]:
    """Return the rates that are made of one of these units or roundings."""
    statement = """
        select r.rate_id from rates r left join usage_roundings o using (usage_rounding_id)
        where r.owner_id = %(owner_id)s and (r.usage_unit_id = any(%(unit_ids)s) or o.usage_unit_id = any(%(unit_ids)s)
            or r.usage_rounding_id = any(%(rounding_ids)s))"""
    values = {"owner_id": owner_id, "unit_ids": list(unit_ids), "rounding_ids": list(rounding_ids)}
    return [row[0] for row in driver(connection).execute(statement, values)]
