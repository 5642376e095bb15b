"""The schemas of the tables that go from stage to stage.

A record is named by (``submission_id``, ``row_index``); ``row_index`` counts from 1, as on the wire. Quantities and
amounts are exact decimals; instants are UTC with microseconds. API processes hold no tables and do not import this.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass

import polars as pl

from ratemill.errors import invariant
from ratemill.money import AMOUNT_PLACES_MAX, QUANTITY_PLACES_MAX

INSTANT = pl.Datetime("us", "UTC")
QUANTITY = pl.Decimal(38, QUANTITY_PLACES_MAX)
AMOUNT = pl.Decimal(38, AMOUNT_PLACES_MAX)

Columns = Mapping[str, type[pl.DataType] | pl.DataType]


def _schema(columns: Columns) -> pl.Schema:
    return pl.Schema(columns)


RECORD: Columns = {"submission_id": pl.Int64, "row_index": pl.Int32}
RECORD_NAMES = list(RECORD)

# What mediation takes. `raw` is the element of `data` as text; where `is_object`, the element came as a JSON object on
# one of the JSON routes and `raw` is its JSON text.
RAW = _schema(
    {**RECORD, "batch_id": pl.Int64, "accepted_at": INSTANT, "is_object": pl.Boolean, "raw": pl.String},
)

# A usage record. `quantity` is in the base unit of the usage class. `extension` is a compact JSON object of the targets
# that have no column (characteristics, extension fields), null if there are none.
USAGE = _schema(
    {
        **RECORD,
        "batch_id": pl.Int64,
        "usage_at": INSTANT,
        "identifier_type": pl.String,
        "usage_identifier": pl.String,
        "originating_identifier": pl.String,
        "terminating_identifier": pl.String,
        "quantity": QUANTITY,
        "inbound": pl.Boolean,
        "reverse_rating": pl.Boolean,
        "usage_class_id": pl.Int32,
        "usage_class_type": pl.String,
        "uniqueness_identifier": pl.String,
        "extension": pl.String,
    },
)

# A usage record's duplicate key: the UTC day of its usage and 128 stable bits of its key fields, as 32 hex digits.
KEYS = _schema({**RECORD, "usage_on": pl.Date, "key_hash": pl.String})

SKIPPED = _schema({**RECORD, "batch_id": pl.Int64})

# A refused row. `reason_id`, `field` and `value` are of the first rule it breaks; `faults` is a JSON list of
# {"reason": id, "field": …, "value": …} of every rule, the first included.
REFUSED = _schema(
    {
        **RECORD,
        "batch_id": pl.Int64,
        "reason_id": pl.Int16,
        "field": pl.String,
        "value": pl.String,
        "faults": pl.String,
        "raw": pl.String,
    },
)

# What rating adds to a usage record. `quantity_rounded` is after the rounding rule, `quantity_charged` also after
# buckets.
CHARGES = _schema(
    {
        **USAGE,
        "run": pl.Int16,
        "account_id": pl.Int64,
        "service_id": pl.Int64,
        "rate_plan_id": pl.Int64,
        "rate_group_id": pl.Int64,
        "rate_id": pl.Int64,
        "location_id": pl.Int64,
        "quantity_rounded": QUANTITY,
        "quantity_charged": QUANTITY,
        "amount": AMOUNT,
        "currency": pl.String,
    },
)

# A usage record that could not be rated; what was found before the rule it broke is filled, the rest is null.
RATING_EXCEPTIONS = _schema(
    {
        **USAGE,
        "reason_id": pl.Int16,
        "value": pl.String,
        "account_id": pl.Int64,
        "service_id": pl.Int64,
        "rate_plan_id": pl.Int64,
    },
)

# Every service that may bear one of a table's identifiers, one row an effective span of an identifier.
IDENTIFIERS = _schema(
    {
        "usage_identifier": pl.String,
        "identifier_type": pl.String,
        "start_at": INSTANT,
        "end_at": INSTANT,
        "service_id": pl.Int64,
    },
)
SERVICES = _schema(
    {
        "service_id": pl.Int64,
        "service": pl.String,
        "account_id": pl.Int64,
        "rate_plan_id": pl.Int64,
        "start_at": INSTANT,
        "end_at": INSTANT,
    },
)
# The accounts of those services and all their parents.
ACCOUNTS = _schema(
    {
        "account_id": pl.Int64,
        "account": pl.String,
        "parent_account_id": pl.Int64,
        "currency": pl.String,
        "rate_plan_id": pl.Int64,
        "start_at": INSTANT,
        "end_at": INSTANT,
    },
)


def check(table: pl.DataFrame, schema: pl.Schema, *, stage: str) -> pl.DataFrame:
    """Return ``table`` with exactly the columns of ``schema`` in their order; raise ``InvariantFailure`` otherwise."""
    columns = set(table.columns)
    missing = [name for name in schema if name not in columns]
    invariant(not missing, f"{stage} left out the columns {missing}")
    ordered = table.select(schema.names())
    made = ordered.schema
    if made == schema:
        return ordered
    wrong = [f"{name}: {made[name]}, not {schema[name]}" for name in schema if made[name] != schema[name]]
    invariant(not wrong, f"{stage} made columns of another type: {wrong}")
    return ordered


def bytes_of(value: object) -> int:
    """Return about how many bytes the tables of a record have, those of the records in it included."""
    if isinstance(value, pl.DataFrame | pl.Series):
        return int(value.estimated_size())
    if is_dataclass(value):
        return sum(bytes_of(getattr(value, field.name)) for field in fields(value))
    return 0
