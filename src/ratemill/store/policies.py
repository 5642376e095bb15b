"""Roles, row-level security, functions and built-in rows: what of the schema is no table.

Three roles. ``ratemill_owner`` owns the schema and logs in nowhere. ``ratemill_worker`` writes the rows of all owners by
COPY and therefore bypasses row-level security. ``ratemill_face`` serves requests: each of its transactions sets
``ratemill.owner_id``, and without it sees no row.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from ratemill.store.schema.tables import metadata

OWNER_ROLE, WORKER_ROLE, FACE_ROLE = "ratemill_owner", "ratemill_worker", "ratemill_face"

OWNER_ENTERED = "nullif(current_setting('ratemill.owner_id', true), '')::integer"
"""The owner whose rows the face's transaction sees; null if it entered none."""

# The face never reads these: they have no owner, or the worker alone needs them.
WORKER_ONLY = {"duplicate_keys", "suspects"}
# Rows that belong to nobody and may be read by everybody.
SHARED = {"base_units", "backlog", "workers"}
# What an owner's requests read and only processes write.
READ_ONLY = {"owner_backlogs", "work_attempts"}
# Rows are added to these and stay as they are, for the face and for the worker.
APPEND_ONLY = {"characteristic_changes", "charged_items", "charged_objects", "setup_changes"}

ROLES = f"""
do $$ begin
    if not exists (select from pg_roles where rolname = '{OWNER_ROLE}') then
        create role {OWNER_ROLE} nologin;
    end if;
    if not exists (select from pg_roles where rolname = '{WORKER_ROLE}') then
        create role {WORKER_ROLE} nologin bypassrls;
    end if;
    if not exists (select from pg_roles where rolname = '{FACE_ROLE}') then
        create role {FACE_ROLE} nologin;
    end if;
end $$;
"""

AUTHENTICATE = f"""
create function authenticate(digest bytea)
returns table (token_id bigint, owner_id integer, name text, role text, feed_ids bigint[])
language sql stable security definer set search_path = public, pg_temp as $$
    select token_id, owner_id, name, role, feed_ids from tokens
    where secret_sha256 = digest and revoked_at is null and (expires_at is null or expires_at > clock_timestamp())
$$;
revoke all on function authenticate(bytea) from public;
grant execute on function authenticate(bytea) to {FACE_ROLE}, {WORKER_ROLE};
"""

# What every owner begins with; cannot be changed or removed. Base units: 1 Time, 2 Data, 3 Count.
BUILT_IN_OBJECTS: dict[str, tuple[dict[str, Any], ...]] = {
    "identifier_types": ({"name": "Unknown"},),
    "locations": ({"name": "Everywhere"},),
    "usage_units": tuple(
        {"name": name, "base_unit_id": base_unit_id, "multiplier": Decimal(multiplier)}
        for name, base_unit_id, multiplier in (
            ("Seconds", 1, 1),
            ("Minutes", 1, 60),
            ("Hours", 1, 3_600),
            ("Bytes", 2, 1),
            ("KB", 2, 1_024),
            ("MB", 2, 1_048_576),
            ("GB", 2, 1_073_741_824),
            ("Count", 3, 1),
        )
    ),
}


def _built_in_inserts() -> str:
    lines = []
    for table, rows in BUILT_IN_OBJECTS.items():
        values = (
            ", ".join(f"'{each}'" if isinstance(each, str) else str(each) for each in row.values()) for row in rows
        )
        tuples = ",\n        ".join(f"(id, {value}, true)" for value in values)
        lines.append(f"    insert into {table} (owner_id, {', '.join(rows[0])}, built_in) values\n        {tuples};")
    return "\n".join(lines)


CREATE_OWNER = f"""
create function create_owner(owner_name text) returns integer
language plpgsql security definer set search_path = public, pg_temp as $$
declare
    id integer;
begin
    insert into owners (name) values (owner_name) on conflict (name) do nothing returning owner_id into id;
    if id is null then
        select owner_id into id from owners where name = owner_name;
        return id;
    end if;
    insert into price_books (owner_id) values (id);
{_built_in_inserts()}
    return id;
end $$;
revoke all on function create_owner(text) from public;
grant execute on function create_owner(text) to {WORKER_ROLE};
"""

# A collection says how many items it has; counting 100,000 of them for each page would take longer than the page.
COUNT_ITEMS = """
create function count_characteristic_items() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        insert into characteristics as c (owner_id, characteristic, item_count)
        select owner_id, characteristic, count(*) from written group by owner_id, characteristic
        on conflict (owner_id, characteristic) do update set item_count = c.item_count + excluded.item_count;
    else
        update characteristics c set item_count = c.item_count - w.items
        from (select owner_id, characteristic, count(*) as items from written group by owner_id, characteristic) w
        where c.owner_id = w.owner_id and c.characteristic = w.characteristic;
    end if;
    return null;
end $$;
create trigger count_inserted after insert on characteristic_items referencing new table as written
    for each statement execute function count_characteristic_items();
create trigger count_deleted after delete on characteristic_items referencing old table as written
    for each statement execute function count_characteristic_items();
"""

# So do 1,000,000 rates. A rate that moves to another group or class moves alone; a list of them only begins and ends rates.
COUNT_RATES = """
create function count_rates() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT' then
        insert into rate_counts as c (owner_id, rate_group_id, usage_class_id, rates)
        select owner_id, rate_group_id, usage_class_id, count(*) from written group by 1, 2, 3
        on conflict (rate_group_id, usage_class_id) do update set rates = c.rates + excluded.rates;
    else
        update rate_counts c set rates = c.rates - w.rates
        from (select rate_group_id, usage_class_id, count(*) as rates from written group by 1, 2) w
        where c.rate_group_id = w.rate_group_id and c.usage_class_id = w.usage_class_id;
        delete from rate_counts where rates = 0;
    end if;
    return null;
end $$;
create function count_moved_rate() returns trigger language plpgsql as $$
begin
    update rate_counts set rates = rates - 1
    where rate_group_id = old.rate_group_id and usage_class_id = old.usage_class_id;
    insert into rate_counts as c (owner_id, rate_group_id, usage_class_id, rates)
    values (new.owner_id, new.rate_group_id, new.usage_class_id, 1)
    on conflict (rate_group_id, usage_class_id) do update set rates = c.rates + 1;
    delete from rate_counts where rates = 0;
    return null;
end $$;
create trigger count_inserted after insert on rates referencing new table as written
    for each statement execute function count_rates();
create trigger count_deleted after delete on rates referencing old table as written
    for each statement execute function count_rates();
create trigger count_moved after update on rates for each row
    when ((old.rate_group_id, old.usage_class_id) <> (new.rate_group_id, new.usage_class_id))
    execute function count_moved_rate();
"""

BUILT_IN_ROWS = """
insert into base_units (base_unit_id, name, description, sort_order) values
    (1, 'Time', 'Durations, in seconds', 1),
    (2, 'Data', 'Volumes, in bytes', 2),
    (3, 'Count', 'Numbers of things', 3);
insert into backlog (rows_waiting) values (0);
select create_owner('default');
"""


def tables_with_owner() -> list[str]:
    """Return the names of all tables whose rows belong to an owner."""
    return sorted(table.name for table in metadata.tables.values() if "owner_id" in table.c)


def grants() -> str:
    """Return the grants of all tables, and the policy of each that has an owner."""
    lines = [
        f"grant usage on schema public to {WORKER_ROLE}, {FACE_ROLE};",
        f"grant usage, select on all sequences in schema public to {WORKER_ROLE}, {FACE_ROLE};",
        f"grant select, insert, update, delete on all tables in schema public to {WORKER_ROLE};",
    ]
    for name in sorted(metadata.tables):
        if name in WORKER_ONLY:
            continue
        rights = "select" if name in SHARED | READ_ONLY else "select, insert, update, delete"
        if name in APPEND_ONLY:
            rights = "select, insert"
            lines.append(f"revoke update, delete on {name} from {WORKER_ROLE};")
        lines.append(f"grant {rights} on {name} to {FACE_ROLE};")
    for name in tables_with_owner():
        lines.append(f"alter table {name} enable row level security;")
        lines.append(f"create policy owner_only on {name} to {FACE_ROLE} using (owner_id = {OWNER_ENTERED});")
    return "\n".join(lines)


def beyond_tables() -> str:
    """Return the statements that come after the tables: storage, functions, grants, policies, built-in rows."""
    storage = "alter table submission_bodies alter column body set storage external;"
    return f"{storage}\n{AUTHENTICATE}\n{CREATE_OWNER}\n{COUNT_ITEMS}\n{COUNT_RATES}\n{grants()}\n{BUILT_IN_ROWS}"
