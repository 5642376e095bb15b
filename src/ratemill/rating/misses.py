"""Why a record found no rate: the first rule that no group of its plan keeps."""

from __future__ import annotations

import polars as pl

from ratemill.rating.book import PriceBook
from ratemill.rating.holders import first_broken, is_within
from ratemill.rating.places import NOWHERE, chains


def explain_misses(missed: pl.DataFrame, book: PriceBook) -> pl.DataFrame:
    """Return for each row of ``missed`` (placed rows without a rate): row, reason_id, value.

    Here rows times groups are spread out: few records miss, and each must be told which rule it broke.
    """
    ways = chains(missed["node"], book.places).lazy()
    wanted = missed.lazy().select("row", "ladder", "usage_class_id", "usage_at", "node")
    effective = wanted.join(book.plans.groups.lazy(), on="ladder").filter(is_within("usage_at", "start_at", "end_at"))
    of_class = effective.join(book.plans.sheets.lazy(), on=["rate_group_id", "usage_class_id"])
    of_place = _with_a_rate(of_class.join(ways, on="node"), book)
    rows = [found.select("row").unique() for found in (effective, of_class, of_place)]
    with_group, with_class, with_place_rate = pl.collect_all(rows)
    judged = missed.with_columns(
        has_group=pl.col("ladder").is_not_null(),
        has_effective_group=pl.col("row").is_in(with_group["row"].implode()),
        has_class=pl.col("row").is_in(with_class["row"].implode()),
        has_place_rate=pl.col("row").is_in(with_place_rate["row"].implode()),
    )
    return judged.select("row", reason_id=_reason(), value=_value(book))


def _with_a_rate(wanted: pl.LazyFrame, book: PriceBook) -> pl.LazyFrame:
    """Return the rows of ``wanted`` whose sheet has a rate at the node ``above``, at any time."""
    settled = _at(wanted, book.settled.stretches)
    if book.gone is not None:
        settled = settled.filter(~pl.lit(book.gone).gather(pl.col("rate")))
    if book.recent is None:
        return settled.select("row")
    return pl.concat([settled.select("row"), _at(wanted, book.recent.stretches).select("row")])


def _at(wanted: pl.LazyFrame, stretches: pl.DataFrame) -> pl.LazyFrame:
    return wanted.join(stretches.lazy(), left_on=["sheet", "above"], right_on=["sheet", "node"])


def _reason() -> pl.Expr:
    return first_broken(
        (
            (~pl.col("has_group"), "rate_group_not_found_in_currency"),
            (~pl.col("has_effective_group"), "rate_group_not_effective_on_usage_date"),
            (~pl.col("has_class"), "rate_not_found_for_usage_class"),
            (pl.col("node") == NOWHERE, "location_not_found"),
            (~pl.col("has_place_rate"), "rate_not_found_for_location"),
            (pl.lit(value=True), "rate_not_effective_on_usage_date"),
        )
    )


def _value(book: PriceBook) -> pl.Expr:
    """Return what the message names: the currency, the class, the number or the location."""
    class_name = pl.coalesce("usage_class", pl.col("usage_class_id").cast(pl.String))
    location = book.places.names
    node = pl.when(pl.col("node") != NOWHERE).then("node")
    return (
        pl.when(~pl.col("has_group"))
        .then("currency")
        .when(pl.col("has_effective_group") & ~pl.col("has_class"))
        .then(class_name)
        .when(pl.col("has_class") & (pl.col("node") == NOWHERE))
        .then("number")
        .when(pl.col("has_class") & ~pl.col("has_place_rate"))
        .then(pl.lit(location).gather(node))
    )
