"""The log of what calls changed in characteristics: items, lists and fields. Rows are added and stay as they are."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, Identity, Index, SmallInteger, Table, Text

from ratemill.store.schema.columns import instant, metadata, owner

# `object` says what was changed: item, list or field; `object_id` is its number and `name` the id, description or name by
# which it is known. `before` and `after` are JSON as text, digits and order kept; null where there was nothing.
characteristic_changes = Table(
    "characteristic_changes",
    metadata,
    Column("change_id", BigInteger, Identity(), primary_key=True),
    owner(),
    Column("characteristic", SmallInteger, nullable=False),
    instant("changed_at", now=True),
    Column("changed_by", Text, nullable=False),
    Column("object", Text, nullable=False),
    Column("object_id", BigInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("before", Text),
    Column("after", Text),
    CheckConstraint("characteristic between 1 and 20", name="characteristic"),
)
Index(
    "characteristic_changes_owner_id_idx",
    characteristic_changes.c.owner_id,
    characteristic_changes.c.characteristic,
    characteristic_changes.c.change_id,
)
