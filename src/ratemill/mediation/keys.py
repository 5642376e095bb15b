"""Duplicate keys: the usage day and 128 stable bits of the key fields.

The bits are xxh3 of one text: the names of the key's targets, then their values in the order of the usage record, NUL
between them. No value can bear a NUL (such rows are refused) nor be empty (that is absent), so the text names one key
only. A date is its microseconds, a quantity has twelve places: 94 and 94.0 are one.
"""

from __future__ import annotations

import polars as pl
import polars_hash as plh

from ratemill.columns import KEYS
from ratemill.mediation.profiles.declared import Profile
from ratemill.mediation.profiles.targets import COLUMN_OF, DATE, FLAGS, VALUE, position
from ratemill.mediation.working import target_column

_HEX = pl.Series([f"{number:04x}" for number in range(1 << 16)])
_HALF = 1 << 64
_QUANTITY = pl.Decimal(38, 12)  # part of the key: it stays, even if quantities get more places


def key_targets(profile: Profile) -> tuple[str, ...]:
    """Return the targets of the duplicate key in their order; none where the profile checks nothing."""
    names = profile.duplicate_key
    if names is None:
        names = tuple(each.target for each in profile.mapped())
    return tuple(sorted(names, key=position))


def keys_of(usage: pl.DataFrame, profile: Profile) -> pl.DataFrame:
    """Return the keys of usage records, which still bear the texts of their targets; empty if nothing is checked."""
    targets = key_targets(profile)
    if not targets:
        return pl.DataFrame(schema=KEYS)
    first, *others = (_canonical(target).fill_null("") for target in targets)
    # The names stand before the first value: as a value of their own they would cost as much as all the others.
    values = [pl.lit(",".join(targets) + "\x00") + first, *others]
    hashed = usage.select("submission_id", "row_index", "usage_at", text=pl.concat_str(values, separator="\x00"))
    halved = hashed.with_columns(bits=plh.col("text").nchash.xxh3_128()).with_columns(
        high=(pl.col("bits") // _HALF).cast(pl.UInt64), low=pl.col("bits").cast(pl.UInt64, wrap_numerical=True)
    )
    digits = [_hex_digits(half, shift) for half in ("high", "low") for shift in (48, 32, 16, 0)]
    return halved.select(
        "submission_id", "row_index", usage_on=pl.col("usage_at").dt.date(), key_hash=pl.concat_str(digits)
    )


def _canonical(target: str) -> pl.Expr:
    if target == DATE:
        return pl.col("usage_at").dt.epoch("us").cast(pl.String)
    if target == VALUE:
        return pl.col("quantity").cast(_QUANTITY).cast(pl.String)
    if target in FLAGS:
        return pl.when(pl.col(COLUMN_OF[target])).then(pl.lit("1")).otherwise(pl.lit("0"))
    return pl.col(COLUMN_OF[target]) if target in COLUMN_OF else pl.col(target_column(target))


def _hex_digits(half: str, shift: int) -> pl.Expr:
    """Return four hexadecimal digits of 64 bits, looked up: quicker than any formatting the engine has."""
    return pl.lit(_HEX).gather((pl.col(half) // (1 << shift) % (1 << 16)).cast(pl.UInt32))
