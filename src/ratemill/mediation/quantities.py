"""Texts become exact decimals, or break one of three rules; no text is ever rounded and none raises.

The table engine would round digits beyond its scale and take forms that are no numbers, so the form is checked first.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from ratemill.columns import QUANTITY
from ratemill.money import QUANTITY_INTEGER_DIGITS_MAX, QUANTITY_PLACES_MAX

_PLAIN = rf"^-?[0-9]{{1,{QUANTITY_INTEGER_DIGITS_MAX}}}(?:\.[0-9]{{1,{QUANTITY_PLACES_MAX}}})?$"
# Digits with a point, a sign, an exponent: the form of `ratemill.money`.
_NUMBER = r"^([+-]?)(?:([0-9]+)\.?([0-9]*)|\.([0-9]+))(?:[eE]([+-]?[0-9]{1,4}))?$"


@dataclass(frozen=True, slots=True)
class Quantities:
    """The numbers of a column, null where a text is absent or breaks a rule, and the rows that break each, if any."""

    value: pl.Series
    not_number: pl.Series | None = None
    too_many_places: pl.Series | None = None
    too_many_digits: pl.Series | None = None


def read_quantities(texts: pl.Series) -> Quantities:
    """Return the exact numbers of a column of texts."""
    plain = texts.str.contains(_PLAIN)
    if plain.all():  # absent texts are null here and count for nothing
        return Quantities(texts.cast(QUANTITY))
    frame = pl.DataFrame({"text": texts, "plain": plain}).with_row_index("row")
    usual = frame.filter(pl.col("plain") | pl.col("plain").is_null())
    others = _read_others(frame.filter(~pl.col("plain")))
    read = pl.concat([usual.select("row", "text"), others], how="diagonal").sort("row")
    flags = read.select(pl.col("not_number", "places", "digits").fill_null(value=False))
    return Quantities(read["text"].cast(QUANTITY), flags["not_number"], flags["places"], flags["digits"])


def _read_others(frame: pl.DataFrame) -> pl.DataFrame:
    """Write numbers of any form plainly, and say which are none or have too much on either side of the point."""
    parts = frame.select("row", part=pl.col("text").str.extract_groups(_NUMBER)).unnest("part")
    sign, whole, places, bare, exponent = (pl.col(str(group)).fill_null("") for group in range(1, 6))
    digits = parts.select(
        "row",
        not_number=pl.col("1").is_null(),
        sign=sign.str.replace("+", "", literal=True),
        # The digits from the first that is not zero to the last, and where the point stands among them.
        significant=pl.concat_str(whole, places, bare).str.strip_chars_start("0").str.strip_chars_end("0"),
        point=whole.str.len_bytes().cast(pl.Int64)
        + exponent.str.replace("+", "", literal=True).cast(pl.Int64, strict=False).fill_null(0)
        - _leading_zeros(pl.concat_str(whole, places, bare)),
    )
    length = pl.col("significant").str.len_bytes().cast(pl.Int64)
    is_zero = length == 0
    judged = digits.with_columns(
        places=~is_zero & (length - pl.col("point") > QUANTITY_PLACES_MAX),
        digits=~is_zero & (pl.col("point") > QUANTITY_INTEGER_DIGITS_MAX),
    )
    good = ~(pl.col("not_number") | pl.col("places") | pl.col("digits"))
    scaled_length = pl.when(good & ~is_zero).then(pl.col("point") + QUANTITY_PLACES_MAX).otherwise(0)
    scaled = pl.col("significant").str.pad_end(scaled_length, "0")
    text = pl.when(is_zero).then(pl.lit("0")).otherwise(pl.concat_str("sign", point_shifted(scaled)))
    return judged.select("row", "not_number", "places", "digits", text=pl.when(good).then(text))


def _leading_zeros(digits: pl.Expr) -> pl.Expr:
    return (digits.str.len_bytes() - digits.str.strip_chars_start("0").str.len_bytes()).cast(pl.Int64)


def point_shifted(digits: pl.Expr) -> pl.Expr:
    """Return digits without a sign, which count the last place of a quantity, with their decimal point."""
    padded = digits.str.pad_start(QUANTITY_PLACES_MAX + 1, "0")
    return pl.concat_str(padded.str.head(-QUANTITY_PLACES_MAX), padded.str.tail(QUANTITY_PLACES_MAX), separator=".")


def plain_text(quantity: pl.Expr) -> pl.Expr:
    """Write quantities in plain notation, without zeros at the end: one text for one number."""
    return quantity.cast(pl.String).str.strip_chars_end("0").str.strip_chars_end(".")
