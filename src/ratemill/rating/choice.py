"""Which rate a record is charged by: the plan's groups by priority, and in each the way up from the record's place."""

from __future__ import annotations

import polars as pl

from ratemill.rating.book import PriceBook
from ratemill.rating.places import ANYWHERE, NOWHERE, nodes_of


def place(usage: pl.DataFrame, book: PriceBook) -> pl.DataFrame:
    """Return ``usage`` with usage_class, number (null for a class not rated by location) and node.

    The number is the terminating one, for reverse rating the originating one. ``node`` is ``NOWHERE`` for a number
    without a place and ``ANYWHERE`` for a class that is not rated by location.
    """
    classed = usage.join(book.classes, on="usage_class_id", how="left", maintain_order="left")
    reverse = pl.col("reverse_rating").fill_null(value=False)
    number = pl.when(reverse).then("originating_identifier").otherwise("terminating_identifier").fill_null("")
    numbered = classed.with_columns(number=pl.when("by_location").then(number))
    if not numbered["by_location"].any():
        return numbered.with_columns(node=pl.lit(ANYWHERE, dtype=pl.Int64))
    nodes = nodes_of(numbered["number"], book.places)
    return numbered.with_columns(node=pl.when(pl.col("number").is_null()).then(ANYWHERE).otherwise(nodes))


def choose(placed: pl.DataFrame, book: PriceBook) -> pl.DataFrame:
    """Return for each row that has a rate: row, rate (its row in the book's terms), places (of its money).

    Every row climbs on its own: at one rung it goes from its node to the next on the way up, then on to the next rung
    and back to its node. Rows that found their rate leave, so a step costs what is still searching.
    """
    searching = _start(placed, book)
    found = [searching.clear().select("row", "rung", rate=pl.lit(0, dtype=pl.Int64))]
    while not searching.is_empty():
        tried = searching.with_columns(rate=_rates_at(searching, book))
        found.append(tried.drop_nulls("rate").select("row", "rung", "rate"))
        searching = _step(tried.filter(pl.col("rate").is_null()).drop("rate"), book)
    chosen = pl.concat(found)
    return chosen.select("row", "rate", places=book.plans.rungs["places"].gather(chosen["rung"]))


def _start(placed: pl.DataFrame, book: PriceBook) -> pl.DataFrame:
    """Return the rows that have a place and a rung to start from: row, rung, rung_end, node, home, epoch, recent_epoch."""
    recent = None if book.recent is None else book.recent.timeline.epochs_of(placed["usage_at"])
    wanted = placed.select(
        "row",
        "ladder",
        "usage_class_id",
        "node",
        home="node",
        epoch=book.settled.timeline.epochs_of(placed["usage_at"]),
        recent_epoch=pl.lit(recent, dtype=pl.Int64),
    )
    located = wanted.filter(pl.col("node") != NOWHERE)
    return located.join(book.plans.climbs, on=["ladder", "usage_class_id"]).drop("ladder", "usage_class_id")


def _rates_at(searching: pl.DataFrame, book: PriceBook) -> pl.Series:
    """Return the rate in force at the rung and the node of each row; null where there is none.

    A rate that is not settled any more is passed over: where it still is in force, the recent ones have it.
    """
    sheets = book.plans.rungs["sheet"].gather(searching["rung"])
    rates = book.settled.timeline.rates_at(sheets, searching["node"], searching["epoch"])
    if book.gone is not None:
        rates = rates.set(book.gone.gather(rates).fill_null(value=False), None)
    if book.recent is not None:
        recent = book.recent.timeline.rates_at(sheets, searching["node"], searching["recent_epoch"])
        rates = rates.zip_with(rates.is_not_null(), recent)
    return rates


def _step(missed: pl.DataFrame, book: PriceBook) -> pl.DataFrame:
    """Go one node up, or from the top to the next rung; rows past their last rung have no rate and are left out."""
    if missed.is_empty():
        return missed
    is_top = pl.col("above") == NOWHERE
    return (
        missed.with_columns(above=book.places.following.gather(missed["node"]))
        .with_columns(
            rung=pl.col("rung") + is_top.cast(pl.Int64),
            node=pl.when(is_top).then("home").otherwise("above"),
        )
        .filter(pl.col("rung") < pl.col("rung_end"))
        .drop("above")
    )
