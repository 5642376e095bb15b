"""Characteristics 1 to 20, and the batches that bring their items in by the page.

A document is kept as text: its members in the order, and its numbers with the digits, in which they were sent.
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
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.sql import func

from ratemill.store.schema.columns import count, instant, metadata, owner
from ratemill.store.schema.usage import HISTORY_NUMBER, submissions


def _owner_of_batch() -> Column[object]:
    """Return whose a row of a batch is. The batch refers to the owner; a look at it for each row would double its price."""
    return Column("owner_id", Integer, nullable=False)


# The name that a client gives to what it sends; the same name, whatever the case, is the same number for ever.
import_files = Table(
    "import_files",
    metadata,
    Column("import_file_id", BigInteger, Identity(), primary_key=True),
    owner(),
    Column("name", Text, nullable=False),
)
Index("import_files_owner_id_name_idx", import_files.c.owner_id, func.lower(import_files.c.name), unique=True)

# One batch and its job. `named` is the collection of its path: `UserXs`, `User1s` to `User20s`; of the first kind the
# characteristic is known once an item has told it. An item's number in its batch is page number x page size + index.
# The job goes through the items by number: (`pass`, `next_item`) says where it is. Pass 1 writes the items whose
# every name is known and stages the others, 2 settles at once which of those hold, 3 writes them with their outcomes,
# 4 links what was named ahead. A dry run leaves the batch open, and `dry_run_state` says how it ended. `history_id` is its
# number among the histories, of the same row of numbers as submissions have. `answered_warnings` are those that a repeat
# under the same Idempotency-Key gets again.
characteristic_batches = Table(
    "characteristic_batches",
    metadata,
    Column("batch_id", BigInteger, Identity(), primary_key=True),
    owner(),
    Column("history_id", BigInteger, nullable=False, unique=True, server_default=HISTORY_NUMBER),
    Column("job_id", Uuid, nullable=False, unique=True),
    Column("named", Text, nullable=False),
    Column("characteristic", SmallInteger),
    Column("import_file_id", BigInteger, ForeignKey("import_files.import_file_id"), nullable=False),
    Column("import_file_name", Text, nullable=False),
    Column("description", Text),
    Column("page_size", Integer, nullable=False),
    Column("total_items", Integer, nullable=False),
    Column("state", Text, nullable=False, server_default="open"),
    Column("dry_run", Boolean, nullable=False, server_default="false"),
    Column("dry_run_state", Text),
    instant("created_at", now=True),
    Column("created_by", Text, nullable=False),
    instant("submitted_at"),
    Column("submitted_by", Text),
    instant("started_at"),
    instant("ended_at"),
    instant("cleared_at"),
    Column("pass", SmallInteger, nullable=False, server_default="1"),
    Column("next_item", BigInteger, nullable=False, server_default="0"),
    count("items_received"),
    count("items_created"),
    count("items_updated"),
    count("items_unchanged"),
    count("items_refused"),
    count("warnings"),
    Column("attempts", SmallInteger, nullable=False, server_default="0"),
    Column("error", Text),
    Column("idempotency_key", Text),
    Column("idempotency_sha256", LargeBinary),
    Column("answered_warnings", JSONB),
    CheckConstraint("characteristic between 1 and 20", name="characteristic"),
)
characteristic_batches.add_is_dependent_on(submissions)  # for the default of the number
Index(
    "characteristic_batches_owner_id_history_id_idx",
    characteristic_batches.c.owner_id,
    characteristic_batches.c.history_id,
)
Index(
    "characteristic_batches_owner_id_created_at_idx",
    characteristic_batches.c.owner_id,
    characteristic_batches.c.created_at,
)
Index(
    "characteristic_batches_idempotency_idx",
    characteristic_batches.c.owner_id,
    characteristic_batches.c.idempotency_key,
    unique=True,
    postgresql_where=text("idempotency_key is not null"),
)
Index(
    "characteristic_batches_due_idx",
    characteristic_batches.c.submitted_at,
    postgresql_where=text("state in ('submitted', 'processing')"),
)

# The items of one page, a JSON list as it was sent, compressed with zstd. A page that is sent again replaces the first.
characteristic_pages = Table(
    "characteristic_pages",
    metadata,
    Column("batch_id", BigInteger, ForeignKey("characteristic_batches.batch_id"), nullable=False),
    Column("page_number", Integer, nullable=False),
    owner(),
    Column("item_count", Integer, nullable=False),
    Column("items", LargeBinary, nullable=False),
    Column("warnings", JSONB),
    instant("received_at", now=True),
    PrimaryKeyConstraint("batch_id", "page_number"),
)

# What an owner's characteristic is about now: the batch that changes it, for one does at a time, the number that the next
# item without an id gets, and how many items there are, which a trigger counts.
characteristics = Table(
    "characteristics",
    metadata,
    owner(),
    Column("characteristic", SmallInteger, nullable=False),
    Column("batch_id", BigInteger, ForeignKey("characteristic_batches.batch_id")),
    Column("next_number", BigInteger, nullable=False, server_default="1"),
    Column("item_count", BigInteger, nullable=False, server_default="0"),
    PrimaryKeyConstraint("owner_id", "characteristic"),
    CheckConstraint("characteristic between 1 and 20", name="characteristic"),
)

# The items of a batch while its job is at work, but for those that the first pass wrote: these bear the batch themselves.
# `id` is null for an item that has none yet and for one that repeats the id of another; `faults` are null while the item
# holds; `parent_cleared` says that it names no parent any more; `bills` are the members with bills of materials that it
# replaces. An item that the first pass found unchanged is `written`. The batch says whose they are.
characteristic_staged = Table(
    "characteristic_staged",
    metadata,
    Column("batch_id", BigInteger, nullable=False),
    Column("item_number", BigInteger, nullable=False),
    _owner_of_batch(),
    Column("id", Text),
    Column("description", Text),
    Column("parent_cleared", Boolean, nullable=False, server_default="false"),
    Column("bills", ARRAY(Text)),
    Column("written", Boolean, nullable=False, server_default="false"),
    Column("faults", JSONB),
    PrimaryKeyConstraint("batch_id", "item_number"),
    UniqueConstraint("batch_id", "id"),
)

# The items that the items of a batch name: by `key` (id, guid, sid, description) and `value`. What was found holds its
# item until it is linked: `used_item_id` in the store, else `used_id` in the batch.
characteristic_staged_uses = Table(
    "characteristic_staged_uses",
    metadata,
    Column("batch_id", BigInteger, nullable=False),
    Column("item_number", BigInteger, nullable=False),
    Column("member", Text, nullable=False),
    _owner_of_batch(),
    Column("characteristic", SmallInteger, nullable=False),
    Column("key", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("used_item_id", BigInteger, ForeignKey("characteristic_items.item_id")),
    Column("used_id", Text),
    PrimaryKeyConstraint("batch_id", "item_number", "member"),
)
Index(
    "characteristic_staged_uses_used_item_id_idx",
    characteristic_staged_uses.c.used_item_id,
    postgresql_where=text("used_item_id is not null"),
)

# What became of each item: created, updated, unchanged or refused.
characteristic_outcomes = Table(
    "characteristic_outcomes",
    metadata,
    Column("batch_id", BigInteger, nullable=False),
    Column("page_number", Integer, nullable=False),
    Column("item_index", Integer, nullable=False),
    _owner_of_batch(),
    Column("id", Text),
    Column("outcome", Text, nullable=False),
    Column("guid", Uuid),
    Column("errors", JSONB),
    Column("warnings", JSONB),
    PrimaryKeyConstraint("batch_id", "page_number", "item_index"),
)
Index(
    "characteristic_outcomes_refused_idx",
    characteristic_outcomes.c.batch_id,
    characteristic_outcomes.c.page_number,
    characteristic_outcomes.c.item_index,
    postgresql_where=text("outcome = 'refused'"),
)

# The items. `item_id` is their number on the wire (sid), `id` the text by which usage and other items know them,
# `batch_id` the batch that wrote them last, if one did.
characteristic_items = Table(
    "characteristic_items",
    metadata,
    Column("item_id", BigInteger, Identity(), primary_key=True),
    Column("owner_id", Integer, nullable=False),  # as the batch or the characteristic beside it
    Column("characteristic", SmallInteger, nullable=False),
    Column("guid", Uuid, nullable=False, unique=True),
    Column("id", Text, nullable=False),
    Column("description", Text),
    Column("parent_item_id", BigInteger, ForeignKey("characteristic_items.item_id")),
    Column("document", Text, nullable=False),
    Column("batch_id", BigInteger),
    Column("revision", Integer, nullable=False, server_default="1"),
    instant("created_at", now=True),
    Column("created_by", Text, nullable=False),
    instant("changed_at", now=True),
    Column("changed_by", Text, nullable=False),
    CheckConstraint("characteristic between 1 and 20", name="characteristic"),
    # With the identity, pages by id and counts are read from the index alone.
    UniqueConstraint("owner_id", "characteristic", "id", postgresql_include=["item_id"]),
)
Index("characteristic_items_parent_item_id_idx", characteristic_items.c.parent_item_id)
Index("characteristic_items_description_idx", characteristic_items.c.description, postgresql_using="hash")
# Descriptions may be longer than an index holds; what begins alike is sorted when it is read.
DESCRIPTION_SORTED_CHARS = 100
Index(
    "characteristic_items_description_order_idx",
    characteristic_items.c.owner_id,
    characteristic_items.c.characteristic,
    text(f'(left(description, {DESCRIPTION_SORTED_CHARS}) collate "C") nulls first'),
    characteristic_items.c.id,
)

# Where an item names another: a parent, a component of its bill of materials, a key of a lookup row. `member` is the
# place, such as `user1BOMHeaders[0].user1BOMDetails[2].udKey1Reference`.
characteristic_uses = Table(
    "characteristic_uses",
    metadata,
    Column("item_id", BigInteger, ForeignKey("characteristic_items.item_id", ondelete="CASCADE"), nullable=False),
    Column("member", Text, nullable=False),
    Column("owner_id", Integer, nullable=False),  # as its item
    Column("used_item_id", BigInteger, ForeignKey("characteristic_items.item_id"), nullable=False),
    PrimaryKeyConstraint("item_id", "member"),
)
Index("characteristic_uses_used_item_id_idx", characteristic_uses.c.used_item_id)

# What references point to and no call makes: administrative classes, contacts, periods, lists, procedures. Registered
# under kind, key and value when a reference names it for the first time.
named_objects = Table(
    "named_objects",
    metadata,
    Column("named_object_id", BigInteger, Identity(), primary_key=True),
    owner(),
    Column("kind", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("guid", Uuid, nullable=False, unique=True),
    instant("created_at", now=True),
    UniqueConstraint("owner_id", "kind", "key", "value"),
)

# The items that a list of a characteristic takes in with all below them, and those that it leaves out with all below them.
# The list is a named object, of a kind such as `user1list`.
characteristic_list_members = Table(
    "characteristic_list_members",
    metadata,
    Column("list_id", BigInteger, ForeignKey("named_objects.named_object_id"), nullable=False),
    Column("item_id", BigInteger, ForeignKey("characteristic_items.item_id"), nullable=False),
    owner(),
    Column("excluded", Boolean, nullable=False),
    PrimaryKeyConstraint("list_id", "item_id"),
)
Index("characteristic_list_members_item_id_idx", characteristic_list_members.c.item_id)

# The user-defined fields of a characteristic: `ud_…` of its items, `udLookup_…` with rows of their own. `declared` by
# a call, or inferred from the first item that bears it.
characteristic_fields = Table(
    "characteristic_fields",
    metadata,
    Column("field_id", BigInteger, Identity(), primary_key=True),
    owner(),
    Column("characteristic", SmallInteger, nullable=False),
    Column("name", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("declared", Boolean, nullable=False, server_default="false"),
    instant("created_at", now=True),
    UniqueConstraint("owner_id", "characteristic", "name"),
    CheckConstraint("characteristic between 1 and 20", name="characteristic"),
)
