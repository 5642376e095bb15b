"""Every table of the product. The migrations must build exactly this; a test compares the two by ``pg_dump``.

Two rules hold throughout. A table whose rows belong to an owner has ``owner_id`` and row-level security (``policies.py``
finds it by that column). The tables that take a row for every record have no foreign keys and as few indexes as their
readers can live with: each further index costs a third of the load speed.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, ExcludeConstraint
from sqlalchemy.sql import func

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ck": "%(table_name)s_%(constraint_name)s_check",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    },
)


def instant(name: str, *, required: bool = False, now: bool = False) -> Column[object]:
    """Return a column that holds an instant; ``now`` makes the database's clock its default."""
    default = func.clock_timestamp() if now else None
    return Column(name, DateTime(timezone=True), nullable=not (required or now), server_default=default)


def owner() -> Column[object]:
    """Return the column that says whose a row is."""
    return Column("owner_id", Integer, ForeignKey("owners.owner_id"), nullable=False)


def count(name: str) -> Column[object]:
    """Return a column that counts rows, from 0."""
    return Column(name, Integer, nullable=False, server_default="0")


def usage_columns() -> list[Column[object]]:
    """Return the columns of a usage record, as charges and rating exceptions both carry them."""
    return [
        Column("usage_at", DateTime(timezone=True), nullable=False),
        Column("identifier_type", Text),
        Column("usage_identifier", Text, nullable=False),
        Column("originating_identifier", Text),
        Column("terminating_identifier", Text),
        Column("quantity", Numeric, nullable=False),
        Column("inbound", Boolean),
        Column("reverse_rating", Boolean),
        Column("usage_class_id", Integer, nullable=False),
        Column("usage_class_type", Text),
        Column("uniqueness_identifier", Text),
        Column("extension", JSONB),
    ]


# Owners and tokens

owners = Table(
    "owners",
    metadata,
    Column("owner_id", Integer, Identity(), primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("amount_places", SmallInteger, nullable=False, server_default="11"),
    Column("rounding", Text, nullable=False, server_default="half_up"),
    Column("rate_plan_id", BigInteger),
    Column("revision", Integer, nullable=False, server_default="1"),
    Column("built_in", Boolean, nullable=False, server_default="false"),
)

tokens = Table(
    "tokens",
    metadata,
    Column("token_id", BigInteger, Identity(), primary_key=True),
    owner(),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("secret_sha256", LargeBinary, nullable=False, unique=True),
    instant("created_at", now=True),
    instant("expires_at"),
    instant("revoked_at"),
)

price_books = Table(
    "price_books",
    metadata,
    Column("owner_id", Integer, ForeignKey("owners.owner_id"), primary_key=True),
    Column("version", BigInteger, nullable=False, server_default="1"),
)

# Set-up objects. `revision` counts the changes of a row; `built_in` rows are made with the owner and cannot be removed.


def setup_table(name: str, key: str, *columns: Column[object], unique: tuple[str, ...] = ("owner_id", "name")) -> Table:
    """Return the table of one kind of set-up object, ``key`` being its identity."""
    return Table(
        name,
        metadata,
        Column(key, BigInteger, Identity(), primary_key=True),
        owner(),
        Column("revision", Integer, nullable=False, server_default="1"),
        Column("built_in", Boolean, nullable=False, server_default="false"),
        *columns,
        *([UniqueConstraint(*unique)] if unique else []),
    )


def name() -> Column[object]:
    """Return the name of a set-up object."""
    return Column("name", Text, nullable=False)


def reference(name: str, target: str, *, required: bool = False) -> Column[object]:
    """Return a reference to another set-up object."""
    return Column(name, BigInteger, ForeignKey(target), nullable=not required, index=True)


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
Index(
    "bucket_base_details_key_idx",
    bucket_base_details.c.bucket_base_id,
    bucket_base_details.c.usage_class_id,
    bucket_base_details.c.location_id,
    bucket_base_details.c.location_group_id,
    unique=True,
    postgresql_nulls_not_distinct=True,
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
Index("feeds_owner_id_name_idx", feeds.c.owner_id, func.lower(feeds.c.name), unique=True)
Index("feeds_owner_id_api_name_idx", feeds.c.owner_id, func.lower(feeds.c.api_name), unique=True)

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
    # No index of its own: the one of the key begins with it, and a price list writes every index.
    Column("rate_group_id", BigInteger, ForeignKey("rate_groups.rate_group_id"), nullable=False),
    reference("usage_class_id", "usage_classes.usage_class_id", required=True),
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
)
Index(
    "rates_key_idx",
    rates.c.rate_group_id,
    rates.c.usage_class_id,
    rates.c.location_id,
    rates.c.location_group_id,
    rates.c.start_at,
    unique=True,
    postgresql_nulls_not_distinct=True,
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
    reference("account_id", "accounts.account_id", required=True),
    name(),
    reference("rate_plan_id", "rate_plans.rate_plan_id"),
    instant("start_at"),
    instant("end_at"),
    unique=("account_id", "name"),
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
)
Index(
    "identifiers_key_idx",
    identifiers.c.owner_id,
    identifiers.c.usage_identifier,
    identifiers.c.identifier_type_id,
    identifiers.c.start_at,
    unique=True,
    postgresql_nulls_not_distinct=True,
)
identifiers.append_constraint(
    ExcludeConstraint(
        (identifiers.c.owner_id, "="),
        (identifiers.c.usage_identifier, "="),
        (identifiers.c.identifier_type_id, "="),
        (func.tstzrange(identifiers.c.start_at, identifiers.c.end_at), "&&"),
        name="identifiers_overlap_excl",
        using="gist",
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
    Index(
        f"{name}_key_idx",
        holder,
        table.c.bucket_id,
        table.c.start_at,
        unique=True,
        postgresql_nulls_not_distinct=True,
    )
    return table


account_buckets = bucket_attachments(
    "account_buckets", "account_bucket_id", reference("account_id", "accounts.account_id", required=True)
)
service_buckets = bucket_attachments(
    "service_buckets", "service_bucket_id", reference("service_id", "services.service_id", required=True)
)

# Every change of a set-up object: rows are added and never changed, by whatever role. `before` and `after` are the object as
# the wire shows it; nothing refers to the object itself, which may be gone.
setup_changes = Table(
    "setup_changes",
    metadata,
    Column("setup_change_id", BigInteger, Identity(), primary_key=True),
    owner(),
    Column("changed_at", DateTime(timezone=True), nullable=False),
    Column("changed_by", Text, nullable=False),
    Column("via", Text, nullable=False),
    Column("list", Text, nullable=False),
    Column("object_id", BigInteger, nullable=False),
    Column("key_words", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("before", JSONB),
    Column("after", JSONB),
)
Index("setup_changes_owner_id_idx", setup_changes.c.owner_id, setup_changes.c.setup_change_id)
Index("setup_changes_object_id_idx", setup_changes.c.owner_id, setup_changes.c.list, setup_changes.c.object_id)

# The way of a record

submissions = Table(
    "submissions",
    metadata,
    Column("submission_id", BigInteger, Identity(), primary_key=True),
    owner(),
    Column("feed_id", BigInteger, nullable=False),
    Column("request_tracking_id", Uuid, nullable=False, unique=True),
    Column("import_tracking_id", Uuid, nullable=False, unique=True),
    Column("route", Text, nullable=False),
    Column("row_count", Integer, nullable=False),
    Column("rows_waiting", Integer, nullable=False),
    Column("body_bytes", Integer, nullable=False),
    Column("body_sha256", LargeBinary, nullable=False),
    Column("idempotency_key", Text),
    Column("idempotency_sha256", LargeBinary),
    instant("accepted_at", now=True),
    instant("started_at"),
    instant("ended_at"),
    Column("created_by", Text, nullable=False),
    Column("attempts", SmallInteger, nullable=False, server_default="0"),
    CheckConstraint("rows_waiting >= 0 and rows_waiting <= row_count", name="rows_waiting"),
)
Index(
    "submissions_waiting_idx",
    submissions.c.feed_id,
    submissions.c.submission_id,
    postgresql_where=text("rows_waiting > 0"),
)
Index("submissions_owner_id_idx", submissions.c.owner_id, submissions.c.submission_id)
Index("submissions_feed_id_idx", submissions.c.feed_id, submissions.c.submission_id)
Index("submissions_owner_id_accepted_at_idx", submissions.c.owner_id, submissions.c.accepted_at)
Index(
    "submissions_idempotency_idx",
    submissions.c.owner_id,
    submissions.c.idempotency_key,
    unique=True,
    postgresql_where=text("idempotency_key is not null"),
)

# The bytes exactly as received, compressed with zstd; no second compression by the database.
submission_bodies = Table(
    "submission_bodies",
    metadata,
    Column("submission_id", BigInteger, primary_key=True),
    owner(),
    Column("body", LargeBinary, nullable=False),
)

# A submission that failed or killed its worker twice is worked off in these parts, [first_row, last_row], halved until
# the guilty record stands alone.
suspects = Table(
    "suspects",
    metadata,
    Column("submission_id", BigInteger, nullable=False),
    Column("first_row", Integer, nullable=False),
    Column("last_row", Integer, nullable=False),
    Column("attempts", SmallInteger, nullable=False, server_default="0"),
    Column("sent_again", Boolean, nullable=False, server_default="false"),
    Column("stage", Text),
    Column("error", Text),
    PrimaryKeyConstraint("submission_id", "first_row"),
)

batches = Table(
    "batches",
    metadata,
    Column("batch_id", BigInteger, Identity(), primary_key=True),
    owner(),
    Column("feed_id", BigInteger, nullable=False),
    Column("data_profile_id", BigInteger, nullable=False),
    Column("profile_version", Integer, nullable=False),
    Column("book_version", BigInteger, nullable=False),
    instant("cut_at", now=True),
)
Index("batches_owner_id_idx", batches.c.owner_id, batches.c.batch_id)

# What one batch took of one submission, and where those records are now. A record that is resubmitted leaves its span
# and joins that of the batch which takes it next, so the counts of batches and submissions tie at any instant. The usage
# dates of all that was imported lie within [first_usage_at, last_usage_at]: a search by date passes over the other spans.
batch_spans = Table(
    "batch_spans",
    metadata,
    Column("batch_id", BigInteger, nullable=False),
    Column("submission_id", BigInteger, nullable=False),
    Column("first_row", Integer, nullable=False),
    Column("last_row", Integer, nullable=False),
    owner(),
    count("rows_received"),
    count("rows_skipped"),
    count("rows_duplicate"),
    count("rows_refused"),
    count("rows_imported"),
    count("rows_rated"),
    count("rows_excepted"),
    count("rows_written_off"),
    instant("first_usage_at"),
    instant("last_usage_at"),
    PrimaryKeyConstraint("batch_id", "submission_id", "first_row"),
    CheckConstraint(
        "rows_received = rows_skipped + rows_duplicate + rows_refused + rows_imported",
        name="received",
    ),
    CheckConstraint("rows_imported = rows_rated + rows_excepted + rows_written_off", name="imported"),
)
Index("batch_spans_submission_id_idx", batch_spans.c.submission_id)

skipped = Table(
    "skipped",
    metadata,
    Column("submission_id", BigInteger, nullable=False),
    Column("row_index", Integer, nullable=False),
    Column("batch_id", BigInteger, nullable=False),
    Column("owner_id", Integer, nullable=False),
    PrimaryKeyConstraint("submission_id", "row_index"),
)

duplicates = Table(
    "duplicates",
    metadata,
    Column("submission_id", BigInteger, nullable=False),
    Column("row_index", Integer, nullable=False),
    Column("batch_id", BigInteger, nullable=False),
    Column("owner_id", Integer, nullable=False),
    Column("of_submission_id", BigInteger, nullable=False),
    Column("of_row_index", Integer, nullable=False),
    PrimaryKeyConstraint("submission_id", "row_index"),
)

# One row an imported record of a feed that checks duplicates. The day stands in front so that a load touches a small
# part of the index.
duplicate_keys = Table(
    "duplicate_keys",
    metadata,
    Column("feed_id", BigInteger, nullable=False),
    Column("usage_on", Date, nullable=False),
    Column("key_hash", Uuid, nullable=False),
    Column("submission_id", BigInteger, nullable=False),
    Column("row_index", Integer, nullable=False),
    PrimaryKeyConstraint("feed_id", "usage_on", "key_hash"),
)

import_exceptions = Table(
    "import_exceptions",
    metadata,
    Column("import_exception_id", BigInteger, Identity(), primary_key=True),
    Column("owner_id", Integer, nullable=False),
    Column("feed_id", BigInteger, nullable=False),
    Column("submission_id", BigInteger, nullable=False),
    Column("row_index", Integer, nullable=False),
    Column("revision", Integer, nullable=False, server_default="1"),
    Column("batch_id", BigInteger, nullable=False),
    Column("state", SmallInteger, nullable=False, server_default="1"),
    Column("reason_id", SmallInteger, nullable=False),
    Column("field", Text),
    Column("value", Text),
    Column("faults", JSONB, nullable=False),
    Column("raw", Text, nullable=False),
    instant("excepted_at", now=True),
    UniqueConstraint("submission_id", "row_index", "revision"),
)
Index(
    "import_exceptions_owner_id_idx",
    import_exceptions.c.owner_id,
    import_exceptions.c.submission_id,
    import_exceptions.c.row_index,
    import_exceptions.c.revision,
)

# A row that was edited and sent in again in the place of a refused one; `taken_at` is null while it waits.
resubmissions = Table(
    "resubmissions",
    metadata,
    Column("submission_id", BigInteger, nullable=False),
    Column("row_index", Integer, nullable=False),
    Column("revision", Integer, nullable=False),
    owner(),
    Column("is_object", Boolean, nullable=False),
    Column("raw", Text, nullable=False),
    instant("created_at", now=True),
    Column("created_by", Text, nullable=False),
    instant("taken_at"),
    PrimaryKeyConstraint("submission_id", "row_index", "revision"),
)
Index(
    "resubmissions_waiting_idx",
    resubmissions.c.submission_id,
    postgresql_where=text("taken_at is null"),
)

rating_exceptions = Table(
    "rating_exceptions",
    metadata,
    Column("rating_exception_id", BigInteger, Identity(), primary_key=True),
    Column("owner_id", Integer, nullable=False),
    Column("feed_id", BigInteger, nullable=False),
    Column("submission_id", BigInteger, nullable=False),
    Column("row_index", Integer, nullable=False),
    Column("batch_id", BigInteger, nullable=False),
    *usage_columns(),
    Column("state", SmallInteger, nullable=False, server_default="1"),
    Column("kind", SmallInteger, nullable=False),
    Column("reason_id", SmallInteger, nullable=False),
    Column("value", Text),
    Column("account_id", BigInteger),
    Column("service_id", BigInteger),
    Column("rate_plan_id", BigInteger),
    Column("attempts", Integer, nullable=False, server_default="1"),
    instant("last_attempt_at", now=True),
    Column("first_reason_id", SmallInteger),
    instant("excepted_at", now=True),
    Column("reprocess_id", BigInteger),
    UniqueConstraint("submission_id", "row_index"),
)
Index(
    "rating_exceptions_usage_identifier_idx",
    rating_exceptions.c.owner_id,
    rating_exceptions.c.usage_identifier,
)
Index(
    "rating_exceptions_open_idx",
    rating_exceptions.c.owner_id,
    rating_exceptions.c.kind,
    rating_exceptions.c.rating_exception_id,
    postgresql_where=text("state = 1"),
)

# Who gave up a refused row or a rating exception, when and why; its state says so too.
write_offs = Table(
    "write_offs",
    metadata,
    Column("submission_id", BigInteger, nullable=False),
    Column("row_index", Integer, nullable=False),
    owner(),
    Column("note", Text),
    instant("created_at", now=True),
    Column("created_by", Text, nullable=False),
    PrimaryKeyConstraint("submission_id", "row_index"),
)

# Every attempt after the first to rate an exception, success or not.
rating_attempts = Table(
    "rating_attempts",
    metadata,
    Column("rating_attempt_id", BigInteger, Identity(), primary_key=True),
    Column("owner_id", Integer, nullable=False),
    Column("rating_exception_id", BigInteger, nullable=False),
    Column("reprocess_id", BigInteger),
    Column("reason_id", SmallInteger),
    instant("attempted_at", now=True),
)
Index("rating_attempts_rating_exception_id_idx", rating_attempts.c.rating_exception_id)

# One order to rate exceptions anew. It goes through those in (last_exception_id, until_exception_id] that match its
# criteria, a table at a time; `attempts` counts the tables begun since one was committed, `error` is that of the last.
reprocesses = Table(
    "reprocesses",
    metadata,
    Column("reprocess_id", BigInteger, Identity(), primary_key=True),
    owner(),
    Column("criteria", JSONB, nullable=False),
    Column("created_by", Text, nullable=False),
    instant("created_at", now=True),
    instant("scheduled_at", now=True),
    instant("started_at"),
    instant("ended_at"),
    Column("last_exception_id", BigInteger, nullable=False, server_default="0"),
    Column("until_exception_id", BigInteger, nullable=False, server_default="0"),
    count("rows_matched"),
    count("rows_sent"),
    count("rows_rated"),
    count("rows_failed"),
    Column("attempts", SmallInteger, nullable=False, server_default="0"),
    Column("error", Text),
    CheckConstraint("rows_sent = rows_rated + rows_failed", name="sent"),
)
Index("reprocesses_due_idx", reprocesses.c.scheduled_at, postgresql_where=text("ended_at is null"))

# One row a run of a rated record. Entry 0 is the first rating; a re-rate adds an entry that reverses one before it
# (`reverses_entry`) and one that takes its place.
charges = Table(
    "charges",
    metadata,
    Column("submission_id", BigInteger, nullable=False),
    Column("row_index", Integer, nullable=False),
    Column("run", SmallInteger, nullable=False),
    Column("entry", SmallInteger, nullable=False),
    Column("reverses_entry", SmallInteger),
    Column("owner_id", Integer, nullable=False),
    Column("feed_id", Integer, nullable=False),
    Column("batch_id", BigInteger, nullable=False),
    *usage_columns(),
    Column("account_id", BigInteger, nullable=False),
    Column("service_id", BigInteger, nullable=False),
    Column("rate_plan_id", BigInteger, nullable=False),
    Column("rate_group_id", BigInteger, nullable=False),
    Column("rate_id", BigInteger, nullable=False),
    Column("location_id", BigInteger),
    Column("quantity_rounded", Numeric, nullable=False),
    Column("quantity_charged", Numeric, nullable=False),
    Column("amount", Numeric, nullable=False),
    Column("currency", Text, nullable=False),
    Column("rated_at", DateTime(timezone=True), nullable=False),
    PrimaryKeyConstraint("submission_id", "row_index", "run", "entry"),
)
Index("charges_account_id_usage_at_idx", charges.c.account_id, charges.c.usage_at)

# The set-up objects that have a charge, by the charge's column that names them; written with the first charge.
charged_objects = Table(
    "charged_objects",
    metadata,
    owner(),
    Column("charge_column", Text, nullable=False),
    Column("object_id", BigInteger, nullable=False),
    PrimaryKeyConstraint("charge_column", "object_id"),
)

# The backlog as a worker last counted it, read by every accept.
backlog = Table(
    "backlog",
    metadata,
    Column("only_row", Boolean, primary_key=True, server_default="true"),
    Column("rows_waiting", BigInteger, nullable=False, server_default="0"),
    instant("counted_at", now=True),
    CheckConstraint("only_row", name="only_row"),
)

# A worker says here that it lives; a service that accepts usage is healthy only if one does.
workers = Table(
    "workers",
    metadata,
    Column("worker_id", Uuid, primary_key=True),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    instant("started_at", now=True),
    instant("seen_at", now=True),
)
