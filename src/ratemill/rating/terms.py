"""A rate's texts as whole numbers, so that a price is worked out in integers and divided once, at the end.

Every part of a price stands over one denominator, ``per`` times 10^``scale``: a quantity (a whole number of 10^-12)
times ``price`` is a numerator, and so are ``connection``, ``minimum`` and ``maximum``. How many digits each may have
is told here (``ratemill.rating.checks`` asks), so that no product passes 128 bits: a quantity of 27 digits times a
price of 11 stays below 10^38, fixed parts and denominators stay below 10^37.
"""

from __future__ import annotations

import polars as pl

from ratemill.money import PRICE_DIGITS_MAX, QUANTITY_PLACES_MAX

PER_EVENT = "perEvent"
PLAIN = r"^(-?)([0-9]{1,38})(?:\.([0-9]{1,38}))?$"
FIXED = ("connection_charge", "minimum_charge", "maximum_charge")
ROUNDINGS = ("rounding_minimum", "rounding_increment")
MONEY = ("amount", *FIXED)
NUMBERS = (*MONEY, *ROUNDINGS)

# The columns of ``terms``.
TERMS = (
    "rate_id",
    "rate_group_id",
    "is_event",
    "price",
    "connection",
    "minimum",
    "maximum",
    "denominator",
    "rounding_minimum",
    "rounding_increment",
)

# Digits of a denominator and of a fixed part over it: one less than a product has, so that a sum of two still fits.
FIXED_DIGITS_MAX = 37
_POWERS_OF_TEN = pl.Series([10**exponent for exponent in range(39)], dtype=pl.Int128)


def power_of_ten(exponent: pl.Expr) -> pl.Expr:
    """Return 10^``exponent``, exact, for 0 to 38; null beyond."""
    return pl.lit(_POWERS_OF_TEN).gather(pl.when(exponent.is_between(0, 38)).then(exponent))


def read(rates: pl.DataFrame) -> pl.DataFrame:
    """Return ``rates`` with what this module works with, read once from the texts.

    For each number: ``…_digits``, the significant digits, at least to the point (0 for 0 or an absent one),
    ``…_places``, its decimal places, and ``…_mantissa``, the number times 10^places, null for an absent one or one
    that is no number. Then ``per_unit``, the base units that the amount pays for (1 for a rate per event, which counts
    records), ``per_digits``, its digits, and ``scale``, the power of ten of the common denominator.
    """
    parted = rates.with_columns(
        *(pl.col(name).str.extract(PLAIN, 2).alias(f"{name}_whole") for name in NUMBERS),
        *(
            pl.col(name).str.extract(PLAIN, 3).fill_null("").str.strip_chars_end("0").alias(f"{name}_fraction")
            for name in NUMBERS
        ),
    )
    written = parted.with_columns(
        *(
            pl.concat_str(f"{name}_whole", f"{name}_fraction").str.strip_chars_start("0").alias(f"{name}_text")
            for name in NUMBERS
        ),
        per_unit=pl.when(pl.col("calculation") == PER_EVENT).then(1).otherwise(pl.col("per")),
    )
    counted = written.with_columns(
        *(pl.col(f"{name}_fraction").str.len_chars().cast(pl.Int64).alias(f"{name}_places") for name in NUMBERS),
        *(_length(f"{name}_text").alias(f"{name}_digits") for name in NUMBERS),
        *(_mantissa(name).alias(f"{name}_mantissa") for name in NUMBERS),
        per_digits=_length("per_unit"),
    )
    scale = pl.max_horizontal(QUANTITY_PLACES_MAX + pl.col("amount_places"), *(f"{name}_places" for name in FIXED))
    return counted.with_columns(scale=scale)


def _length(name: str) -> pl.Expr:
    return pl.col(name).cast(pl.String).str.len_chars().fill_null(0).cast(pl.Int64)


def _mantissa(name: str) -> pl.Expr:
    text = pl.col(f"{name}_text")
    magnitude = pl.when(text == "").then(pl.lit("0")).otherwise(text).cast(pl.Int128, strict=False)
    sign = pl.when(pl.col(name).str.starts_with("-")).then(-1).otherwise(1).cast(pl.Int128)
    return magnitude * sign


def price_shift() -> pl.Expr:
    """Return by how many powers of ten the price must be raised to stand over the common denominator."""
    return pl.col("scale") - QUANTITY_PLACES_MAX - pl.col("amount_places")


def price_fits() -> pl.Expr:
    """Return whether the price times the largest quantity stays below 10^38."""
    return pl.col("amount_digits") + price_shift() <= PRICE_DIGITS_MAX


def denominator_fits() -> pl.Expr:
    """Return whether the common denominator stays below 10^37."""
    return pl.col("per_digits") + pl.col("scale") <= FIXED_DIGITS_MAX


def fixed_fits(name: str) -> pl.Expr:
    """Return whether a fixed part of the price stays below 10^37 over the common denominator."""
    digits = pl.col(f"{name}_digits")
    raised = digits + pl.col("scale") - pl.col(f"{name}_places") + pl.col("per_digits")
    return (digits == 0) | (raised <= FIXED_DIGITS_MAX)


def _fixed(name: str) -> pl.Expr:
    raised = pl.col(f"{name}_mantissa") * power_of_ten(pl.col("scale") - pl.col(f"{name}_places"))
    return raised * pl.col("per_unit").cast(pl.Int128)


def _in_quantity_places(name: str) -> pl.Expr:
    exact = pl.col(f"{name}_mantissa") * power_of_ten(QUANTITY_PLACES_MAX - pl.col(f"{name}_places"))
    return exact.fill_null(pl.lit(0, dtype=pl.Int128))


def terms(numbers: pl.DataFrame) -> pl.DataFrame:
    """Return the integers of each rate, in the order of ``numbers``: what ``read`` returns, without faults."""
    return numbers.select(
        "rate_id",
        "rate_group_id",
        is_event=pl.col("calculation") == PER_EVENT,
        price=pl.col("amount_mantissa") * power_of_ten(price_shift()),
        connection=_fixed("connection_charge"),
        minimum=_fixed("minimum_charge"),
        maximum=_fixed("maximum_charge"),
        denominator=pl.col("per_unit").cast(pl.Int128) * power_of_ten(pl.col("scale")),
        rounding_minimum=_in_quantity_places("rounding_minimum"),
        rounding_increment=_in_quantity_places("rounding_increment"),
    )
