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

# Digits of a denominator and of a fixed part over it: one less than a product has, so that a sum of two still fits.
FIXED_DIGITS_MAX = 37
_POWERS_OF_TEN = pl.Series([10**exponent for exponent in range(39)], dtype=pl.Int128)


def power_of_ten(exponent: pl.Expr) -> pl.Expr:
    """Return 10^``exponent``, exact, for 0 to 38; null beyond."""
    return pl.lit(_POWERS_OF_TEN).gather(pl.when(exponent.is_between(0, 38)).then(exponent))


def _fraction(name: str) -> pl.Expr:
    return pl.col(name).str.extract(PLAIN, 3).fill_null("").str.strip_chars_end("0")


def _digits(name: str) -> pl.Expr:
    """Return the digits of a number without point, sign and the zeros around it; empty for 0."""
    return pl.concat_str(pl.col(name).str.extract(PLAIN, 2), _fraction(name)).str.strip_chars_start("0")


def places(name: str) -> pl.Expr:
    """Return how many decimal places the number in column ``name`` needs; 0 for an absent one."""
    return pl.when(digit_count(name) > 0).then(_fraction(name).str.len_chars()).otherwise(0).cast(pl.Int64)


def digit_count(name: str) -> pl.Expr:
    """Return the significant digits of the number in column ``name``, at least to the point; 0 for 0 or absent."""
    return _digits(name).str.len_chars().fill_null(0).cast(pl.Int64)


def mantissa(name: str) -> pl.Expr:
    """Return the number in column ``name`` times 10^``places``, null for an absent one."""
    magnitude = pl.when(digit_count(name) == 0).then(pl.lit("0")).otherwise(_digits(name)).cast(pl.Int128, strict=False)
    return (
        pl.when(pl.col(name).is_null())
        .then(None)
        .when(pl.col(name).str.starts_with("-"))
        .then(magnitude * pl.lit(-1, dtype=pl.Int128))
        .otherwise(magnitude)
    )


def per() -> pl.Expr:
    """Return the base units that the amount pays for; 1 for a rate per event, which counts records."""
    return pl.when(pl.col("calculation") == PER_EVENT).then(1).otherwise(pl.col("per"))


def scale() -> pl.Expr:
    """Return the power of ten of the common denominator: enough places for every part of the price."""
    return pl.max_horizontal(QUANTITY_PLACES_MAX + places("amount"), *(places(name) for name in FIXED))


def price_shift() -> pl.Expr:
    """Return by how many powers of ten the price must be raised to stand over the common denominator."""
    return scale() - QUANTITY_PLACES_MAX - places("amount")


def per_digits() -> pl.Expr:
    """Return how many digits ``per`` has."""
    return per().cast(pl.String).str.len_chars().cast(pl.Int64)


def price_fits() -> pl.Expr:
    """Return whether the price times the largest quantity stays below 10^38."""
    return digit_count("amount") + price_shift() <= PRICE_DIGITS_MAX


def denominator_fits() -> pl.Expr:
    """Return whether the common denominator stays below 10^37."""
    return per_digits() + scale() <= FIXED_DIGITS_MAX


def fixed_fits(name: str) -> pl.Expr:
    """Return whether a fixed part of the price stays below 10^37 over the common denominator."""
    digits = digit_count(name)
    return (digits == 0) | (digits + scale() - places(name) + per_digits() <= FIXED_DIGITS_MAX)


def _fixed(name: str) -> pl.Expr:
    return mantissa(name) * power_of_ten(scale() - places(name)) * per().cast(pl.Int128)


def _in_quantity_places(name: str) -> pl.Expr:
    exact = mantissa(name) * power_of_ten(QUANTITY_PLACES_MAX - places(name))
    return exact.fill_null(pl.lit(0, dtype=pl.Int128))


def terms(rates: pl.DataFrame) -> pl.DataFrame:
    """Return the integers of each rate, in the order of ``rates``; the rates have passed the checks."""
    return rates.select(
        "rate_id",
        "rate_group_id",
        is_event=pl.col("calculation") == PER_EVENT,
        price=mantissa("amount") * power_of_ten(price_shift()),
        connection=_fixed("connection_charge").fill_null(pl.lit(0, dtype=pl.Int128)),
        minimum=_fixed("minimum_charge"),
        maximum=_fixed("maximum_charge"),
        denominator=per().cast(pl.Int128) * power_of_ten(scale()),
        rounding_minimum=_in_quantity_places("rounding_minimum"),
        rounding_increment=_in_quantity_places("rounding_increment"),
    )
