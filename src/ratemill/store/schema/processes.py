"""What the processes tell each other."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    Integer,
    Table,
    Text,
    Uuid,
)
from sqlalchemy.dialects.postgresql import ARRAY

from ratemill.store.schema.columns import instant, metadata, owner

# The waiting records as they were last counted, how long that took, and how many owners have feeds. Each accept reads it.
backlog = Table(
    "backlog",
    metadata,
    Column("only_row", Boolean, primary_key=True, server_default="true"),
    Column("rows_waiting", BigInteger, nullable=False, server_default="0"),
    instant("oldest_at"),
    Column("owners", Integer, nullable=False, server_default="1"),
    instant("counted_at", now=True),
    Column("count_s", Float, nullable=False, server_default="0"),
    CheckConstraint("only_row", name="only_row"),
)

# The part of each owner, counted with the total; an owner that never had waiting records has no row.
owner_backlogs = Table(
    "owner_backlogs",
    metadata,
    Column("owner_id", Integer, primary_key=True, autoincrement=False),
    Column("rows_waiting", BigInteger, nullable=False),
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

# Work that a process has begun and not finished: a table of submissions, the part [first_row, last_row] of one, or the next
# table of a job. The commit of the work deletes its row; a row that stays was a failure (`error`) or a death. A failure
# `in_doubt` was at least as likely the server's. `last_batch` was the last batch when the work began: two attempts with the
# same one had no other work committed between them.
work_attempts = Table(
    "work_attempts",
    metadata,
    Column("attempt_id", Uuid, primary_key=True),
    owner(),
    Column("kind", Text, nullable=False),
    Column("numbers", ARRAY(BigInteger), nullable=False),
    Column("first_row", Integer),
    Column("last_row", Integer),
    instant("server_run", required=True),
    Column("last_batch", BigInteger, nullable=False, server_default="0"),
    instant("begun_at", now=True),
    Column("stage", Text),
    Column("error", Text),
    Column("in_doubt", Boolean, nullable=False, server_default="false"),
)
