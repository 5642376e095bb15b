"""What a record costs: how far the price moves when the record moves its counter, and the rounding of the money.

The price stands here as the function F of a counter that counts one record; the charge is F(moved), rounded once. It
has one open step, the rate's amount for each ``per``. A credit costs what its opposite costs, with the sign turned.
"""

from __future__ import annotations

import polars as pl

from ratemill.columns import AMOUNT, QUANTITY
from ratemill.money import AMOUNT_PLACES_MAX, QUANTITY_INTEGER_DIGITS_MAX, QUANTITY_PLACES_MAX
from ratemill.rating.quantities import ONE, ZERO, round_magnitude
from ratemill.rating.terms import power_of_ten

TWO = pl.lit(2, dtype=pl.Int128)
# One record, counted in the places of a quantity.
ONE_RECORD = pl.lit(10**QUANTITY_PLACES_MAX, dtype=pl.Int128)
# The first magnitude that is too large: with fewer digits every product of a checked rate fits.
MAGNITUDE_END = pl.lit(10 ** (QUANTITY_INTEGER_DIGITS_MAX + QUANTITY_PLACES_MAX), dtype=pl.Int128)


def charge(priced: pl.DataFrame, rounding: str) -> pl.DataFrame:
    """Return ``priced`` with quantity_rounded and amount, both null where the quantity is too large to rate.

    ``priced`` has the quantity, the places of the money, and the columns of ``ratemill.rating.terms``.
    """
    physical = pl.col("quantity").to_physical()
    return (
        priced.with_columns(sign=pl.when(physical < ZERO).then(-1).otherwise(1).cast(pl.Int128))
        .with_columns(magnitude=round_magnitude(physical * pl.col("sign")))
        .with_columns(magnitude=pl.when(pl.col("magnitude") < MAGNITUDE_END).then("magnitude"))
        .with_columns(cost=_price())
        .with_columns(
            quantity_rounded=(pl.col("magnitude") * pl.col("sign")).reinterpret(dtype=QUANTITY),
            amount=_round_money(rounding).reinterpret(dtype=AMOUNT),
        )
    )


def _price() -> pl.Expr:
    """Return F of the record's magnitude over the rate's denominator: the step, the connection, then the limits."""
    counted = pl.when("is_event").then(ONE_RECORD).otherwise(pl.col("magnitude"))
    connection = pl.when(pl.col("magnitude") == ZERO).then(ZERO).otherwise(pl.col("connection"))
    cost = counted * pl.col("price") + connection
    limited = pl.min_horizontal(pl.max_horizontal(cost, "minimum"), "maximum")
    return pl.when(pl.col("magnitude").is_null()).then(None).when(counted == ZERO).then(ZERO).otherwise(limited)


def _round_money(rounding: str) -> pl.Expr:
    """Return the amount in the last place of an amount column: the price rounded to ``places``, with its sign."""
    divisor = pl.col("denominator") // power_of_ten(pl.col("places"))
    is_negative = pl.col("cost") < ZERO
    sign = pl.col("sign") * pl.when(is_negative).then(-1).otherwise(1).cast(pl.Int128)
    rounded = round_quotient(pl.col("cost").abs(), divisor, rounding)
    return rounded * power_of_ten(AMOUNT_PLACES_MAX - pl.col("places")) * sign


def round_quotient(magnitude: pl.Expr, divisor: pl.Expr, rounding: str) -> pl.Expr:
    """Return ``magnitude`` / ``divisor`` as a whole number, rounded as ``rounding`` says."""
    whole = magnitude // divisor
    rest = magnitude - whole * divisor
    if rounding == "down":
        return whole
    if rounding == "up":
        goes_up = rest > ZERO
    elif rounding == "half_even":
        goes_up = (rest * TWO + whole % TWO) > divisor
    else:
        goes_up = rest * TWO >= divisor
    return whole + pl.when(goes_up).then(ONE).otherwise(ZERO)
