"""Usage records and a price book become charges and rating exceptions.

The order of the steps: identifier, service, plan, run, group, rate, rounding of the quantity, price, rounding of the
money. Every record ends once for each run, as a charge or as an exception with the first rule that it breaks.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from ratemill.columns import ACCOUNTS, CHARGES, IDENTIFIERS, RATING_EXCEPTIONS, SERVICES, USAGE, check
from ratemill.errors import invariant
from ratemill.rating.amounts import charge
from ratemill.rating.book import PriceBook
from ratemill.rating.choice import choose, place
from ratemill.rating.holders import bearers_of, explain_losses, find_holders
from ratemill.rating.misses import explain_misses
from ratemill.rating.terms import TERMS
from ratemill.reasons import RATING

STAGE = "rating"
RETAIL_RUN = 1  # the one run that a plan has today; further runs have roles and numbers of their own
TOO_LARGE = RATING["quantity_is_too_large_to_rate"].id


@dataclass(frozen=True, slots=True)
class Holders:
    """Who may bear the identifiers of a table: ``columns.IDENTIFIERS``, ``SERVICES``, ``ACCOUNTS`` with all parents."""

    identifiers: pl.DataFrame
    services: pl.DataFrame
    accounts: pl.DataFrame


@dataclass(frozen=True, slots=True)
class RatingResult:
    """What became of a table of usage records: ``columns.CHARGES`` and ``columns.RATING_EXCEPTIONS``, in its order."""

    charges: pl.DataFrame
    exceptions: pl.DataFrame


def rate(usage: pl.DataFrame, book: PriceBook, holders: Holders) -> RatingResult:
    """Return the charge or the exception of each row of ``usage`` (``columns.USAGE``)."""
    numbered = check(usage, USAGE, stage=STAGE).with_row_index("row")
    bearers = _bearers(holders, book)
    held = find_holders(numbered, check(holders.identifiers, IDENTIFIERS, stage=STAGE), bearers)
    placed = _place(numbered, held, book)
    chosen = choose(placed, book)
    priced = _price(numbered, chosen, book)
    lost = explain_losses(held, numbered, bearers)
    missed = explain_misses(placed.join(chosen, on="row", how="anti"), book)
    charges = _charges(numbered, held, placed, priced, book)
    exceptions = _exceptions(numbered, held, pl.concat([lost, missed, _too_large(numbered, priced)]))
    invariant(charges.height + exceptions.height == usage.height, "rating lost or doubled a record")
    return RatingResult(charges, exceptions)


def _bearers(holders: Holders, book: PriceBook) -> pl.DataFrame:
    services = check(holders.services, SERVICES, stage=STAGE)
    accounts = check(holders.accounts, ACCOUNTS, stage=STAGE)
    bearers = bearers_of(services, accounts, book.owner_rate_plan_id)
    return bearers.join(book.plans.ladders, on=["rate_plan_id", "currency"], how="left")


def _place(numbered: pl.DataFrame, held: pl.DataFrame, book: PriceBook) -> pl.DataFrame:
    """Return the rows whose holder was found, with ladder, class, number and node."""
    of_usage = ("usage_class_id", "reverse_rating", "originating_identifier", "terminating_identifier")
    of_holder = ("row", "usage_at", "ladder", "currency", "is_found")
    both = pl.concat([held.select(of_holder), numbered.select(of_usage)], how="horizontal")
    return place(both.filter("is_found").drop("is_found"), book)


def _price(numbered: pl.DataFrame, chosen: pl.DataFrame, book: PriceBook) -> pl.DataFrame:
    """Return the rows that have a rate with quantity_rounded and amount: null where the quantity is too large."""
    chosen, terms = _terms(chosen, book)
    quantities = numbered["quantity"].gather(chosen["row"]).to_frame()
    return charge(pl.concat([chosen, quantities, terms], how="horizontal"), book.rounding).select(
        "row", "rate_group_id", "rate_id", "quantity_rounded", "amount"
    )


def _terms(chosen: pl.DataFrame, book: PriceBook) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Return ``chosen``, those of settled rates first, and the terms of each."""
    settled = book.settled.rates.select(TERMS)
    if book.recent is None:
        return chosen, settled[chosen["rate"]]
    is_recent = pl.col("rate") >= settled.height
    old, new = chosen.filter(~is_recent), chosen.filter(is_recent)
    recent = book.recent.rates.select(TERMS)[new["rate"] - settled.height]
    return pl.concat([old, new], rechunk=True), pl.concat([settled[old["rate"]], recent], rechunk=True)


def _charges(
    numbered: pl.DataFrame, held: pl.DataFrame, placed: pl.DataFrame, priced: pl.DataFrame, book: PriceBook
) -> pl.DataFrame:
    good = priced.drop_nulls("amount").sort("row")
    holders = held.select("account_id", "service_id", "rate_plan_id", "currency")[good["row"]]
    nodes = placed.select("row", "node").join(good.select("row"), on="row", how="semi", maintain_order="left")["node"]
    columns = [
        numbered[good["row"]],
        holders,
        good.drop("row"),
        book.places.location_ids.gather(nodes).alias("location_id").to_frame(),
    ]
    charges = pl.concat(columns, how="horizontal").with_columns(
        run=pl.lit(RETAIL_RUN, dtype=pl.Int16), quantity_charged="quantity_rounded"
    )
    return check(charges, CHARGES, stage=STAGE)


def _exceptions(numbered: pl.DataFrame, held: pl.DataFrame, broken: pl.DataFrame) -> pl.DataFrame:
    ordered = broken.sort("row")
    holders = held.select("account_id", "service_id", "rate_plan_id")[ordered["row"]]
    columns = [numbered[ordered["row"]], holders, ordered.drop("row")]
    return check(pl.concat(columns, how="horizontal"), RATING_EXCEPTIONS, stage=STAGE)


def _too_large(numbered: pl.DataFrame, priced: pl.DataFrame) -> pl.DataFrame:
    rows = priced.filter(pl.col("amount").is_null()).select("row")
    digits = numbered["quantity"].gather(rows["row"]).cast(pl.String)
    value = digits.str.strip_chars_end("0").str.strip_chars_end(".")
    return rows.select("row", reason_id=pl.lit(TOO_LARGE, dtype=pl.Int16), value=value)
