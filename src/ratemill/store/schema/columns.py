"""The columns that tables have in common, and what every table belongs to."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Computed,
    DateTime,
    ForeignKey,
    Identity,
    Integer,
    MetaData,
    Numeric,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
)
from sqlalchemy.dialects.postgresql import JSONB
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


def owner(*, of_many: bool = False) -> Column[object]:
    """Return the column that says whose a row is.

    That of rows which come by the hundred thousand refers to nothing: the check takes as long as an index of the row.
    Owners are never deleted, and row-level security lets in only rows of the one entered.
    """
    references = [] if of_many else [ForeignKey("owners.owner_id")]
    return Column("owner_id", Integer, *references, nullable=False)


def count(name: str) -> Column[object]:
    """Return a column that counts rows, from 0."""
    return Column(name, Integer, nullable=False, server_default="0")


def digest(column: str) -> Column[object]:
    """Return the column ``…_digest`` of a text of any length, for an index to hold in the text's place.

    An index entry ends at 2,704 bytes and refuses the row of a longer text. Two texts may have one digest, so a query
    compares the text as well. A column rather than an index over the expression: row-level security lets an index
    compare columns and not the results of ``md5``.
    """
    return Column(f"{column}_digest", Uuid, Computed(f"md5({column})::uuid", persisted=True))


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


def setup_table(
    name: str,
    key: str,
    *columns: Column[object],
    unique: tuple[str, ...] = ("owner_id", "name"),
    of_many: bool = False,
) -> Table:
    """Return the table of one kind of set-up object, ``key`` being its identity; ``of_many``: see ``owner``."""
    return Table(
        name,
        metadata,
        Column(key, BigInteger, Identity(), primary_key=True),
        owner(of_many=of_many),
        Column("revision", Integer, nullable=False, server_default="1"),
        Column("built_in", Boolean, nullable=False, server_default="false"),
        *columns,
        *([changing_places(*unique)] if unique else []),
    )


def changing_places(*columns: Column[object] | str, name: str | None = None) -> UniqueConstraint:
    """Return a key that is looked at when a statement ends, so that two rows may change places in one; null is a value."""
    return UniqueConstraint(
        *columns, name=name, deferrable=True, initially="IMMEDIATE", postgresql_nulls_not_distinct=True
    )


def name() -> Column[object]:
    """Return the name of a set-up object."""
    return Column("name", Text, nullable=False)


def reference(name: str, target: str, *, required: bool = False, leads_key: bool = False) -> Column[object]:
    """Return a reference to another set-up object; ``leads_key``: it is the first of a key, whose index does for it."""
    return Column(name, BigInteger, ForeignKey(target), nullable=not required, index=not leads_key)
