"""Owners, their tokens, the versions of their price books and the log of their changes."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSON

from ratemill.store.schema.columns import instant, metadata, owner

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

# A login's token refers to the one that logged in. Without feed_ids a token is bound to no feed.
tokens = Table(
    "tokens",
    metadata,
    Column("token_id", BigInteger, Identity(), primary_key=True),
    owner(),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("secret_sha256", LargeBinary, nullable=False, unique=True),
    Column("login_of", BigInteger, ForeignKey("tokens.token_id"), index=True),
    Column("feed_ids", ARRAY(BigInteger)),
    Column("created_by", Text, nullable=False),
    instant("created_at", now=True),
    instant("expires_at"),
    instant("revoked_at"),
    instant("used_at"),
)

# `version` counts every change of the set-up; `subscription_version` those that the log of changes does not tell: the
# references of a subscription, by which its service finds a rate plan.
price_books = Table(
    "price_books",
    metadata,
    Column("owner_id", Integer, ForeignKey("owners.owner_id"), primary_key=True),
    Column("version", BigInteger, nullable=False, server_default="1"),
    Column("subscription_version", BigInteger, nullable=False, server_default="1"),
)

# Every change of a set-up object: rows are added and never changed, by whatever role. `before` and `after` are the object as
# the wire shows it; nothing refers to the object itself, which may be gone.
setup_changes = Table(
    "setup_changes",
    metadata,
    Column("setup_change_id", BigInteger, Identity(), nullable=False),
    owner(of_many=True),
    Column("changed_at", DateTime(timezone=True), nullable=False),
    Column("changed_by", Text, nullable=False),
    Column("via", Text, nullable=False),
    Column("list", Text, nullable=False),
    Column("object_id", BigInteger, nullable=False),
    Column("key_words", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("before", JSON),
    Column("after", JSON),
    PrimaryKeyConstraint("owner_id", "setup_change_id"),
)
Index("setup_changes_object_id_idx", setup_changes.c.owner_id, setup_changes.c.list, setup_changes.c.object_id)
