"""Subscription datasets: the imports with their lines and faults, and the five kinds of object that they make.

A kind is a number, in the order in which an import makes them: 1 product, 2 plan, 3 subscriber, 4 offering, 5 subscription.
What was sent is kept as text: members in the order, and numbers with the digits, in which they were sent. A reference may
be longer than an index entry, so its digest is what is unique.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.sql import func

from ratemill.store.schema.columns import count, instant, metadata, owner, reference, setup_table
from ratemill.store.schema.usage import HISTORY_NUMBER, submissions

# One import and its job. `import_number` is the order in which imports came, and so the order in which they are worked off,
# one at a time for an owner. The job goes through the kinds, and through the lines of each: (`kind`, `next_line`) says where
# it is. What is uploaded is counted when the file is received, what is imported as the job goes on. `history_id` is its
# number among the histories, of the same row of numbers as submissions have.
subscription_imports = Table(
    "subscription_imports",
    metadata,
    Column("import_number", BigInteger, Identity(), primary_key=True),
    owner(),
    Column("history_id", BigInteger, nullable=False, unique=True, server_default=HISTORY_NUMBER),
    Column("import_id", Uuid, nullable=False, unique=True),
    Column("external_ref", Text),
    Column("state", Text, nullable=False, server_default="pending"),
    Column("upsert", Boolean, nullable=False, server_default="false"),
    Column("dry_run", Boolean, nullable=False, server_default="false"),
    Column("created_by", Text, nullable=False),
    instant("created_at", now=True),
    instant("updated_at", now=True),
    instant("started_at"),
    instant("finished_at"),
    count("lines"),  # that are not blank
    count("lines_refused"),
    count("faults"),
    count("products_uploaded"),
    count("plans_uploaded"),
    count("subscribers_uploaded"),
    count("offerings_uploaded"),
    count("subscriptions_uploaded"),
    count("products_imported"),
    count("plans_imported"),
    count("subscribers_imported"),
    count("offerings_imported"),
    count("subscriptions_imported"),
    Column("kind", SmallInteger, nullable=False, server_default="0"),
    Column("next_line", Integer, nullable=False, server_default="1"),
    Column("attempts", SmallInteger, nullable=False, server_default="0"),
    Column("error", Text),
)
subscription_imports.add_is_dependent_on(submissions)  # for the default of the number
Index(
    "subscription_imports_owner_id_history_id_idx",
    subscription_imports.c.owner_id,
    subscription_imports.c.history_id,
)
Index("subscription_imports_owner_id_idx", subscription_imports.c.owner_id, subscription_imports.c.import_number)
Index(
    "subscription_imports_due_idx",
    subscription_imports.c.import_number,
    postgresql_where=text("state in ('pending', 'started')"),
)
# One import of an owner is at work at a time.
Index(
    "subscription_imports_started_idx",
    subscription_imports.c.owner_id,
    unique=True,
    postgresql_where=text("state = 'started'"),
)
# The reference of an import is unique while the import waits or is at work.
Index(
    "subscription_imports_external_ref_idx",
    subscription_imports.c.owner_id,
    func.md5(subscription_imports.c.external_ref),
    unique=True,
    postgresql_where=text("state in ('pending', 'started')"),
)

# The lines of a file as they came, blank ones left out but counted; `kind` is 0 where the line tells none: it is not
# JSON, not an object or of no known type. The row of the import is written in the same transaction: to look it up again for
# each line would take four times as long as to write the line.
subscription_import_lines = Table(
    "subscription_import_lines",
    metadata,
    Column("import_number", BigInteger, nullable=False),
    Column("kind", SmallInteger, nullable=False),
    Column("line_number", Integer, nullable=False),
    owner(of_many=True),
    Column("line", LargeBinary, nullable=False),
    PrimaryKeyConstraint("import_number", "kind", "line_number"),
)

# What was wrong with a line, one row a fault; `field` is empty where the line as a whole is at fault.
subscription_import_errors = Table(
    "subscription_import_errors",
    metadata,
    Column("import_number", BigInteger, nullable=False),
    Column("line_number", Integer, nullable=False),
    Column("position", SmallInteger, nullable=False),
    owner(of_many=True),
    Column("error_id", Uuid, nullable=False),
    Column("error", Text, nullable=False),
    Column("field", Text, nullable=False),
    Column("external_ref", Text),
    instant("created_at", now=True),
    PrimaryKeyConstraint("import_number", "line_number", "position"),
)

# Offerings as they were when they were made: a JSON object {id, type, attributes, products, plans}, each product and plan
# {id, type, attributes}. The offering and all subscriptions to it share the row, which never changes.
subscription_snapshots = Table(
    "subscription_snapshots",
    metadata,
    Column("snapshot_number", BigInteger, Identity(), primary_key=True),
    owner(of_many=True),
    Column("document", Text, nullable=False),
)

# Products, plans, subscribers, offerings and subscriptions. `attributes` is a JSON object as it was sent. The snapshot of an
# offering is the offering with what it holds, that of a subscription the offering that it is of. `account_id` is that of
# a subscriber or a subscription. `import_number` and `line_number` say which line wrote it last.
subscription_objects = Table(
    "subscription_objects",
    metadata,
    Column("object_number", BigInteger, Identity(), primary_key=True),
    owner(of_many=True),
    Column("kind", SmallInteger, nullable=False),
    Column("object_id", Uuid, nullable=False, unique=True),
    Column("external_ref", Text),
    Column("account_id", Uuid),
    Column("attributes", Text, nullable=False),
    Column("snapshot_number", BigInteger),
    Column("import_number", BigInteger),
    Column("line_number", Integer),
    Column("revision", Integer, nullable=False, server_default="1"),
    instant("created_at", now=True),
    instant("updated_at", now=True),
    CheckConstraint("kind between 1 and 5", name="kind"),
)
Index(
    "subscription_objects_kind_idx",
    subscription_objects.c.owner_id,
    subscription_objects.c.kind,
    subscription_objects.c.object_number,
)
Index(
    "subscription_objects_external_ref_idx",
    subscription_objects.c.owner_id,
    subscription_objects.c.kind,
    func.md5(subscription_objects.c.external_ref),
    unique=True,
    postgresql_where=text("external_ref is not null"),
)
Index(
    "subscription_objects_account_id_idx",
    subscription_objects.c.owner_id,
    subscription_objects.c.account_id,
    postgresql_where=text("account_id is not null"),
)

# What the lines of a dry run would have made, for the lines that refer to it; gone when the run ends. `document` is that
# of a snapshot.
subscription_trial_objects = Table(
    "subscription_trial_objects",
    metadata,
    Column("import_number", BigInteger, nullable=False),
    owner(of_many=True),
    Column("kind", SmallInteger, nullable=False),
    Column("object_id", Uuid, nullable=False),
    Column("external_ref", Text, nullable=False),
    Column("attributes", Text, nullable=False),
    Column("document", Text),
    Column("line_number", Integer, nullable=False),
)
Index(
    "subscription_trial_objects_external_ref_idx",
    subscription_trial_objects.c.import_number,
    subscription_trial_objects.c.kind,
    func.md5(subscription_trial_objects.c.external_ref),
)

# What of a subscription its rating needs. `state` is pending, active or canceled; `plan_id` is the chosen plan of its
# snapshot; `service_id` is the service that it became, null while it never was active. The references are those of its plan
# and its offering, which find its rate plan.
subscriptions = Table(
    "subscriptions",
    metadata,
    Column(
        "object_number",
        BigInteger,
        ForeignKey("subscription_objects.object_number", ondelete="CASCADE"),
        primary_key=True,
    ),
    owner(of_many=True),
    Column("account_id", Uuid, nullable=False),
    Column("currency", Text, nullable=False),
    Column("plan_id", Uuid, nullable=False),
    Column("plan_external_ref", Text),
    Column("offering_external_ref", Text),
    Column("state", Text, nullable=False),
    instant("started_at"),
    instant("ended_at"),
    reference("service_id", "services.service_id"),
)

# What a service that a subscription became keeps of it, also once the subscription is gone: usage of its time may still
# come. The references find its rate plan; `external_ref` is the identifier that it got from the subscription.
subscription_services = Table(
    "subscription_services",
    metadata,
    Column("service_id", BigInteger, ForeignKey("services.service_id", ondelete="CASCADE"), primary_key=True),
    owner(of_many=True),
    Column("subscription_id", Uuid, nullable=False),
    Column("external_ref", Text),
    Column("plan_external_ref", Text),
    Column("offering_external_ref", Text),
)

# Which rate plan rates the usage of a subscription: by its plan, by its offering, or by default.
subscription_rate_plans = setup_table(
    "subscription_rate_plans",
    "subscription_rate_plan_id",
    Column("plan_external_ref", Text),
    Column("offering_external_ref", Text),
    Column("is_default", Boolean, nullable=False, server_default="false"),
    reference("rate_plan_id", "rate_plans.rate_plan_id", required=True),
    unique=(),
)
Index(
    "subscription_rate_plans_key",
    subscription_rate_plans.c.owner_id,
    func.md5(func.coalesce(subscription_rate_plans.c.plan_external_ref, "")),
    func.md5(func.coalesce(subscription_rate_plans.c.offering_external_ref, "")),
    unique=True,
)
