"""The tables of the set-up objects.

`revision` counts the changes of a row; `built_in` rows are made with the owner and cannot be removed.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    Numeric,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    cast,
)
from sqlalchemy.dialects.postgresql import JSONB, ExcludeConstraint
from sqlalchemy.sql import func

from ratemill.store.schema.columns import (
    changing_places,
    instant,
    metadata,
    name,
    owner,
    reference,
    setup_table,
)

# Set-up objects. `revision` counts the changes of a row; `built_in` rows are made with the owner and cannot be removed.

base_units = Table(
    "base_units",
    metadata,
    Column("base_unit_id", BigInteger, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("description", Text, nullable=False),
    Column("sort_order", Integer, nullable=False),
    Column("visible", Boolean, nullable=False, server_default="true"),
    Column("is_base_bucket_eligible", Boolean, nullable=False, server_default="true"),
)

identifier_types = setup_table("identifier_types", "identifier_type_id", name())

usage_class_types = setup_table(
    "usage_class_types",
    "usage_class_type_id",
    name(),
    Column("sort_order", Integer, nullable=False, server_default="1"),
)

usage_units = setup_table(
    "usage_units",
    "usage_unit_id",
    name(),
    reference("base_unit_id", "base_units.base_unit_id", required=True),
    Column("multiplier", Numeric, nullable=False),
)

usage_roundings = setup_table(
    "usage_roundings",
    "usage_rounding_id",
    name(),
    reference("base_unit_id", "base_units.base_unit_id", required=True),
    reference("usage_unit_id", "usage_units.usage_unit_id"),
    Column("minimum", Numeric, nullable=False, server_default="0"),
    Column("increment", Numeric),
    Column("active", Boolean, nullable=False, server_default="true"),
    Column("sort_order", Integer),
)

usage_classes = setup_table(
    "usage_classes",
    "usage_class_id",
    name(),
    reference("base_unit_id", "base_units.base_unit_id", required=True),
    Column("rater", Text, nullable=False, server_default="Class"),
    reference("usage_class_type_id", "usage_class_types.usage_class_type_id"),
)

locations = setup_table(
    "locations",
    "location_id",
    name(),
    reference("parent_location_id", "locations.location_id"),
)

location_patterns = setup_table(
    "location_patterns",
    "location_pattern_id",
    name(),
    reference("location_id", "locations.location_id", required=True),
    of_many=True,
)

location_groups = setup_table(
    "location_groups",
    "location_group_id",
    name(),
    Column("description", Text),
)

location_group_members = Table(
    "location_group_members",
    metadata,
    owner(),
    Column("location_group_id", BigInteger, ForeignKey("location_groups.location_group_id"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("location_id", BigInteger, ForeignKey("locations.location_id"), nullable=False),
    PrimaryKeyConstraint("location_group_id", "position"),
    UniqueConstraint("location_group_id", "location_id"),
)

bucket_bases = setup_table(
    "bucket_bases",
    "bucket_base_id",
    name(),
    instant("start_at"),
    instant("end_at"),
    Column("retired", Boolean, nullable=False, server_default="false"),
    reference("base_unit_id", "base_units.base_unit_id", required=True),
)

bucket_base_details = setup_table(
    "bucket_base_details",
    "bucket_base_detail_id",
    reference("bucket_base_id", "bucket_bases.bucket_base_id", required=True),
    reference("usage_class_id", "usage_classes.usage_class_id", required=True),
    reference("location_id", "locations.location_id"),
    Column("exclude", Boolean, nullable=False, server_default="false"),
    reference("location_group_id", "location_groups.location_group_id"),
    unique=(),
)
bucket_base_details.append_constraint(
    changing_places(
        bucket_base_details.c.bucket_base_id,
        bucket_base_details.c.usage_class_id,
        bucket_base_details.c.location_id,
        bucket_base_details.c.location_group_id,
        name="bucket_base_details_key",
    )
)

data_profiles = setup_table(
    "data_profiles",
    "data_profile_id",
    name(),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("document", JSONB, nullable=False),
)

data_profile_versions = Table(
    "data_profile_versions",
    metadata,
    owner(),
    Column("data_profile_id", BigInteger, ForeignKey("data_profiles.data_profile_id"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("document", JSONB, nullable=False),
    instant("created_at", now=True),
    PrimaryKeyConstraint("data_profile_id", "version"),
)

feeds = setup_table(
    "feeds",
    "feed_id",
    name(),
    Column("api_name", Text),
    reference("data_profile_id", "data_profiles.data_profile_id", required=True),
    Column("enabled", Boolean, nullable=False, server_default="true"),
    Column("description", Text),
    Column("batch_wait_s", Numeric, nullable=False, server_default="1"),
    unique=(),
)
for _column in (feeds.c.name, feeds.c.api_name):
    feeds.append_constraint(
        ExcludeConstraint(
            (feeds.c.owner_id, "="),
            (func.lower(_column), "="),
            name=f"feeds_owner_id_{_column.name}_key",
            using="btree",
            deferrable=True,
            initially="IMMEDIATE",
        )
    )

time_periods = setup_table(
    "time_periods",
    "time_period_id",
    name(),
    Column("time_zone", Text, nullable=False, server_default="UTC"),
    Column("document", JSONB, nullable=False),
)

rate_groups = setup_table(
    "rate_groups",
    "rate_group_id",
    name(),
    Column("currency", Text, nullable=False),
    Column("display_name", Text),
    instant("start_at"),
    instant("end_at"),
    reference("time_period_id", "time_periods.time_period_id"),
    Column("use_for_cost", Boolean, nullable=False, server_default="false"),
    Column("is_pass_through", Boolean, nullable=False, server_default="false"),
    Column("amount_places", SmallInteger),
)

rate_plans = setup_table(
    "rate_plans",
    "rate_plan_id",
    name(),
    Column("display_name", Text),
    Column("amount_places", SmallInteger),
)

rate_plan_groups = Table(
    "rate_plan_groups",
    metadata,
    owner(),
    Column("rate_plan_id", BigInteger, ForeignKey("rate_plans.rate_plan_id"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("rate_group_id", BigInteger, ForeignKey("rate_groups.rate_group_id"), nullable=False),
    PrimaryKeyConstraint("rate_plan_id", "position"),
    UniqueConstraint("rate_plan_id", "rate_group_id"),
)

rates = setup_table(
    "rates",
    "rate_id",
    Column("rate_group_id", BigInteger, ForeignKey("rate_groups.rate_group_id"), nullable=False),
    Column("usage_class_id", BigInteger, ForeignKey("usage_classes.usage_class_id"), nullable=False),
    Column("location_id", BigInteger, ForeignKey("locations.location_id")),
    Column("location_group_id", BigInteger, ForeignKey("location_groups.location_group_id")),
    Column("amount", Numeric, nullable=False),
    Column("usage_unit_id", BigInteger, ForeignKey("usage_units.usage_unit_id")),
    Column("usage_rounding_id", BigInteger, ForeignKey("usage_roundings.usage_rounding_id")),
    Column("calculation", Text, nullable=False, server_default="perUnit"),
    Column("connection_charge", Numeric, nullable=False, server_default="0"),
    Column("minimum_charge", Numeric),
    Column("maximum_charge", Numeric),
    instant("start_at"),
    instant("end_at"),
    Column("display_name", Text),
    unique=(),
    of_many=True,
)
# A page of one owner's, of a group's, of a class's or of a location's rates, and their counts, without a look at the others.
Index("rates_owner_id_idx", rates.c.owner_id, rates.c.rate_id)
Index("rates_rate_group_id_idx", rates.c.rate_group_id, rates.c.rate_id, postgresql_include=["owner_id"])
Index("rates_usage_class_id_idx", rates.c.usage_class_id, rates.c.rate_id, postgresql_include=["owner_id"])
Index("rates_location_id_idx", rates.c.location_id, rates.c.rate_id)
Index("rates_location_group_id_idx", rates.c.location_group_id, postgresql_where=rates.c.location_group_id.is_not(None))
# The cheapest first.
Index("rates_amount_idx", rates.c.owner_id, rates.c.amount, rates.c.rate_id)
rates.append_constraint(
    changing_places(
        rates.c.rate_group_id,
        rates.c.usage_class_id,
        rates.c.location_id,
        rates.c.location_group_id,
        rates.c.start_at,
        name="rates_key",
    )
)

# How many rates each class has in each group: kept by triggers, for counting 1,000,000 takes longer than any page of them.
rate_counts = Table(
    "rate_counts",
    metadata,
    owner(of_many=True),
    Column("rate_group_id", BigInteger, nullable=False),
    Column("usage_class_id", BigInteger, nullable=False),
    Column("rates", BigInteger, nullable=False),
    PrimaryKeyConstraint("rate_group_id", "usage_class_id"),
)

accounts = setup_table(
    "accounts",
    "account_id",
    name(),
    Column("currency", Text, nullable=False),
    reference("parent_account_id", "accounts.account_id"),
    reference("rate_plan_id", "rate_plans.rate_plan_id"),
    Column("time_zone", Text, nullable=False, server_default="UTC"),
    Column("bill_day", SmallInteger, nullable=False, server_default="1"),
    instant("start_at"),
    instant("end_at"),
)

services = setup_table(
    "services",
    "service_id",
    reference("account_id", "accounts.account_id", required=True, leads_key=True),
    name(),
    reference("rate_plan_id", "rate_plans.rate_plan_id"),
    instant("start_at"),
    instant("end_at"),
    unique=("account_id", "name"),
    of_many=True,
)

identifiers = setup_table(
    "identifiers",
    "identifier_id",
    Column("usage_identifier", Text, nullable=False),
    reference("identifier_type_id", "identifier_types.identifier_type_id", required=True),
    reference("service_id", "services.service_id", required=True),
    instant("start_at"),
    instant("end_at"),
    unique=(),
    of_many=True,
)
identifiers.append_constraint(
    changing_places(
        identifiers.c.owner_id,
        identifiers.c.usage_identifier,
        identifiers.c.identifier_type_id,
        identifiers.c.start_at,
        name="identifiers_key",
    )
)
# By the digest of the text: this index compares numbers three times as fast as texts.
identifiers.append_constraint(
    ExcludeConstraint(
        (cast(func.md5(identifiers.c.usage_identifier), Uuid), "="),
        (identifiers.c.owner_id, "="),
        (identifiers.c.identifier_type_id, "="),
        (func.tstzrange(identifiers.c.start_at, identifiers.c.end_at), "&&"),
        name="identifiers_overlap_excl",
        using="gist",
        deferrable=True,
        initially="IMMEDIATE",
    ),
)

buckets = setup_table(
    "buckets",
    "bucket_id",
    name(),
    Column("currency", Text),
    Column("size", Numeric),
    reference("usage_unit_id", "usage_units.usage_unit_id"),
    Column("document", JSONB, nullable=False),
    Column("is_infinite_last_tier", Boolean, nullable=False, server_default="false"),
    Column("increment", Numeric),
    Column("priority", Integer, nullable=False, server_default="1"),
    Column("refill", Text, nullable=False, server_default="once"),
    Column("refill_frequency", Integer),
    Column("refill_frequency_type", Text),
    Column("expire_after_frequency", Integer),
    Column("expire_after_frequency_type", Text),
    Column("prorate", Boolean, nullable=False, server_default="false"),
    Column("when_empty", Text, nullable=False, server_default="next"),
    reference("overage_rate_plan_id", "rate_plans.rate_plan_id"),
    Column("may_owe", Boolean, nullable=False, server_default="false"),
)

buckets_bases = Table(
    "buckets_bases",
    metadata,
    owner(),
    Column("bucket_id", BigInteger, ForeignKey("buckets.bucket_id"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("bucket_base_id", BigInteger, ForeignKey("bucket_bases.bucket_base_id"), nullable=False, index=True),
    PrimaryKeyConstraint("bucket_id", "position"),
    UniqueConstraint("bucket_id", "bucket_base_id"),
)


def bucket_attachments(name: str, key: str, holder: Column[object]) -> Table:
    """Return the table of the buckets that one kind of holder has, each at most once at an instant."""
    table = setup_table(
        name,
        key,
        holder,
        reference("bucket_id", "buckets.bucket_id", required=True),
        instant("start_at"),
        instant("end_at"),
        unique=(),
    )
    table.append_constraint(changing_places(holder, table.c.bucket_id, table.c.start_at, name=f"{name}_key"))
    return table


account_buckets = bucket_attachments(
    "account_buckets", "account_bucket_id", reference("account_id", "accounts.account_id", required=True)
)
service_buckets = bucket_attachments(
    "service_buckets", "service_bucket_id", reference("service_id", "services.service_id", required=True)
)
