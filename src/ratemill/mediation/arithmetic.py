"""Exact arithmetic over columns of numbers: what computes a formula.

A column of numbers is a table of a whole number ``m`` and a power of ten ``e`` (m x 10^e), m without zeros at the end.
A formula is carried as one fraction of two such columns, so that everything but the one division at the end is exact;
that one is rounded half up (away from zero) at the places of a quantity. A number that would need more than the 38
digits of a 128-bit integer on the way, or a division by zero, leaves a null in its row and raises nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import polars as pl

from ratemill.mediation.profiles.formulas import FieldTerm, NumberTerm, Tree
from ratemill.mediation.quantities import plain_text, point_shifted
from ratemill.money import QUANTITY_PLACES_MAX

_DIGITS_MAX = 38  # any number of so many digits fits 128 bits; so does the sum of two with one digit less
_POWERS = pl.Series([10**power for power in range(_DIGITS_MAX + 1)], dtype=pl.Int128)
_M, _E = pl.col("m"), pl.col("e")


@dataclass(frozen=True, slots=True)
class _Fraction:
    """Two columns of numbers; no ``bottom`` stands for one."""

    top: pl.DataFrame
    bottom: pl.DataFrame | None = None


def compute(tree: Tree, operands: dict[str, pl.Series], rows: int) -> pl.Series:
    """Return the results as plain texts, null where there is none; ``operands`` are exact decimals by field."""
    numbers = {name: _from_decimals(column) for name, column in operands.items()}
    return _rounded(_evaluate(tree, numbers, rows))


def _evaluate(tree: Tree, numbers: dict[str, pl.DataFrame], rows: int) -> _Fraction:
    if isinstance(tree, FieldTerm):
        return _Fraction(numbers[tree.field])
    if isinstance(tree, NumberTerm):
        return _Fraction(_constant(tree.value, rows))
    left, right = _evaluate(tree.left, numbers, rows), _evaluate(tree.right, numbers, rows)
    match tree.sign:
        case "*":
            return _Fraction(_times(left.top, right.top), _both(left.bottom, right.bottom))
        case "/":
            divisor = right.top.with_columns(m=pl.when(_M != 0).then(_M))
            return _Fraction(_scaled(left.top, right.bottom), _both(left.bottom, divisor))
        case "-":
            right = _Fraction(right.top.with_columns(m=pl.lit(0, pl.Int128) - _M), right.bottom)
    top = _plus(_scaled(left.top, right.bottom), _scaled(right.top, left.bottom))
    return _Fraction(top, _both(left.bottom, right.bottom))


def _scaled(numbers: pl.DataFrame, by: pl.DataFrame | None) -> pl.DataFrame:
    return numbers if by is None else _times(numbers, by)


def _both(left: pl.DataFrame | None, right: pl.DataFrame | None) -> pl.DataFrame | None:
    return right if left is None else _scaled(left, right)


def _times(left: pl.DataFrame, right: pl.DataFrame) -> pl.DataFrame:
    pair = _paired(left, right)
    fits = _digits("m") + _digits("n") <= _DIGITS_MAX
    return _normal(pair.select(m=pl.when(fits).then(_M * pl.col("n")), e=_E + pl.col("f")))


def _plus(left: pl.DataFrame, right: pl.DataFrame) -> pl.DataFrame:
    pair = _paired(left, right).with_columns(least=pl.min_horizontal("e", "f"))
    up_left, up_right = _E - pl.col("least"), pl.col("f") - pl.col("least")
    fits = (_digits("m") + up_left < _DIGITS_MAX) & (_digits("n") + up_right < _DIGITS_MAX)
    # Zero goes with any power: the other number stands as it is.
    total = (
        pl.when(_M == 0)
        .then(pl.col("n"))
        .when(pl.col("n") == 0)
        .then(_M)
        .when(fits)
        .then(_M * _power(up_left) + pl.col("n") * _power(up_right))
    )
    power = pl.when(_M == 0).then(pl.col("f")).when(pl.col("n") == 0).then(_E).otherwise(pl.col("least"))
    known = _M.is_not_null() & pl.col("n").is_not_null()
    return _normal(pair.select(m=pl.when(known).then(total), e=power))


def _rounded(fraction: _Fraction) -> pl.Series:
    """Divide once, round half up at the last place of a quantity, and write the number plainly."""
    bottom = fraction.bottom if fraction.bottom is not None else _constant(Decimal(1), fraction.top.height)
    pair = _paired(fraction.top, bottom).with_columns(shift=_E - pl.col("f") + QUANTITY_PLACES_MAX)
    up, down = pl.col("shift").clip(0), (-pl.col("shift")).clip(0)
    fits = (_digits("n") + pl.max_horizontal(up, down)) < _DIGITS_MAX
    # A divisor with two digits more than the dividend: the quotient is nothing at that place.
    nothing = (_M == 0) | (_digits("n") + down >= _digits("m") + up + 2)
    divided = pair.select(
        top=_M.abs(),
        bottom=pl.when(fits).then(pl.col("n").abs() * _power(down)),
        up=up,
        negative=(_M < 0) != (pl.col("n") < 0),
        nothing=nothing & _M.is_not_null() & pl.col("n").is_not_null(),
    )
    # Long division in two steps: the whole part, and then the rest moved up to the last place.
    divided = divided.with_columns(m=pl.col("top") // pl.col("bottom"), rest=pl.col("top") % pl.col("bottom"))
    moved = pl.col("rest") * _power(pl.col("up"))
    half_up = moved // pl.col("bottom") + _is_half(moved % pl.col("bottom"))
    count = pl.when(_digits("m") + pl.col("up") < _DIGITS_MAX).then(_M * _power(pl.col("up")) + half_up)
    counted = divided.select("negative", count=pl.when("nothing").then(pl.lit(0, pl.Int128)).otherwise(count))
    text = plain_text(point_shifted(pl.col("count").cast(pl.String)))
    signed = pl.when(pl.col("negative") & (pl.col("count") != 0)).then(pl.lit("-") + text).otherwise(text)
    return counted.select(signed).to_series()


def _is_half(rest: pl.Expr) -> pl.Expr:
    """Return one where the rest of a division is half the divisor or more, else nothing."""
    return (rest >= pl.col("bottom") - rest).cast(pl.Int128)


def _from_decimals(column: pl.Series) -> pl.DataFrame:
    digits = pl.col("x").cast(pl.String).str.replace(".", "", literal=True).cast(pl.Int128)
    return _normal(column.to_frame("x").select(m=digits, e=pl.lit(-QUANTITY_PLACES_MAX, pl.Int64)))


def _constant(number: Decimal, rows: int) -> pl.DataFrame:
    sign, digits, exponent = number.as_tuple()
    whole = int("".join(map(str, digits))) * (-1 if sign else 1)
    one = pl.DataFrame({"m": [whole], "e": [exponent]}, schema={"m": pl.Int128, "e": pl.Int64})
    return _normal(one.select(pl.all().repeat_by(rows).explode()) if rows else one.clear())


def _paired(left: pl.DataFrame, right: pl.DataFrame) -> pl.DataFrame:
    return left.hstack(right.rename({"m": "n", "e": "f"}))


def _normal(numbers: pl.DataFrame) -> pl.DataFrame:
    """Move the zeros at the end of ``m`` into ``e``."""
    text = _M.cast(pl.String)
    short = text.str.strip_chars_end("0")
    moved = (text.str.len_bytes() - short.str.len_bytes()).cast(pl.Int64)
    return numbers.select(
        m=pl.when(_M == 0).then(_M).otherwise(short.cast(pl.Int128, strict=False)),
        e=pl.when(_M == 0).then(pl.lit(0, pl.Int64)).otherwise(_E + moved),
    )


def _digits(column: str) -> pl.Expr:
    return pl.col(column).cast(pl.String).str.strip_chars_start("-").str.len_bytes().cast(pl.Int64)


def _power(of: pl.Expr) -> pl.Expr:
    """Return ten to that power; one that does not fit is cut, for its row is put aside by the digits."""
    return pl.lit(_POWERS).gather(of.clip(0, _DIGITS_MAX).fill_null(0).cast(pl.UInt32))
