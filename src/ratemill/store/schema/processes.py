"""What the processes tell each other."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Integer,
    Table,
    Text,
    Uuid,
)

from ratemill.store.schema.columns import instant, metadata

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
