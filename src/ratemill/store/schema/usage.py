"""The way of a record: from the submission to the charge or to another end."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Numeric,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from ratemill.store.schema.columns import count, digest, instant, metadata, owner, usage_columns

# Whatever shows in the list of histories draws its number from one row of numbers, so that a number names one of them.
HISTORY_NUMBER = text("nextval('submissions_submission_id_seq')")

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
    Column("sent_again", Boolean, nullable=False, server_default="false"),
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
    digest("usage_identifier"),
    UniqueConstraint("submission_id", "row_index"),
)
Index(
    "rating_exceptions_usage_identifier_idx",
    rating_exceptions.c.owner_id,
    rating_exceptions.c.usage_identifier_digest,
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
# criteria, a table at a time; `attempts` is what the last failures leave to the size of the next table.
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

# The items that a charge names, whether they exist or not; written with the first charge. Two ids of one digest share a row,
# so a look-up by the digest alone never misses an item.
charged_items = Table(
    "charged_items",
    metadata,
    owner(),
    Column("characteristic", SmallInteger, nullable=False),
    Column("id", Text, nullable=False),
    digest("id"),
    PrimaryKeyConstraint("owner_id", "characteristic", "id_digest"),
)
