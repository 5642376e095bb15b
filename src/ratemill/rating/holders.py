"""Who bears an identifier: from the identifier of a record to its service, its account and their rate plan."""

from __future__ import annotations

import polars as pl

from ratemill.errors import invariant
from ratemill.reasons import RATING

UNKNOWN = "Unknown"  # the identifier type of a record that names none: every type may bear it


def find_holders(usage: pl.DataFrame, identifiers: pl.DataFrame, bearers: pl.DataFrame) -> pl.DataFrame:
    """Return for each row of ``usage``, in its order, its holder: what was found, reason_id and value.

    ``bearers`` are those of ``bearers_of``, each with the ``ladder`` of its plan and currency. ``reason_id`` is
    null where the holder was found.
    """
    asked = usage.select("row", "usage_identifier", "usage_at", "identifier_type")
    found = asked.join(_services_of(asked, identifiers), on="row", how="left", maintain_order="left")
    held = found.join(bearers, on="service_id", how="left", maintain_order="left")
    lost = held.filter(pl.col("service_id").is_not_null() & pl.col("account_id").is_null())
    invariant(lost.is_empty(), "an identifier's service or its account is missing from the holders")
    return held.with_columns(reason_id=_reason()).select(
        "row",
        "usage_at",
        "account_id",
        "service_id",
        "currency",
        "ladder",
        "reason_id",
        rate_plan_id=pl.when(pl.col("reason_id").is_null()).then("rate_plan_id"),
        value=_value(),
    )


def _services_of(asked: pl.DataFrame, identifiers: pl.DataFrame) -> pl.DataFrame:
    """Return for each row whose identifier is known: service_id (null if none is valid), is_ambiguous."""
    named = pl.col("identifier_type").fill_null("")
    spans = asked.join(identifiers, on="usage_identifier", suffix="_declared").filter(
        named.is_in(["", UNKNOWN]) | (named == pl.col("identifier_type_declared"))
    )
    valid = spans.select("row", service_id=pl.when(is_within("usage_at", "start_at", "end_at")).then("service_id"))
    of_row = valid.group_by("row").agg(service_id=pl.col("service_id").min(), last=pl.col("service_id").max())
    is_ambiguous = (pl.col("service_id") != pl.col("last")).fill_null(value=False)
    return of_row.select(
        "row",
        service_id=pl.when(~is_ambiguous).then("service_id"),
        is_ambiguous=is_ambiguous,
    )


def is_within(instant: str, start: str, end: str) -> pl.Expr:
    """Return whether ``instant`` is in [start, end); an absent bound is open."""
    begun = (pl.col(instant) >= pl.col(start)).fill_null(value=True)
    return begun & (pl.col(instant) < pl.col(end)).fill_null(value=True)


def bearers_of(services: pl.DataFrame, accounts: pl.DataFrame, owner_rate_plan_id: int | None) -> pl.DataFrame:
    """Return each service with its account, the account's currency, and the plan that it has or inherits."""
    joined = services.join(
        accounts.join(_inherited_plans(accounts), on="account_id").select(
            "account_id",
            "account",
            "currency",
            "inherited_plan_id",
            account_start_at="start_at",
            account_end_at="end_at",
        ),
        on="account_id",
    )
    owners = pl.lit(owner_rate_plan_id, dtype=pl.Int64)
    return joined.select(
        "service_id",
        "service",
        "account_id",
        "account",
        "currency",
        "start_at",
        "end_at",
        "account_start_at",
        "account_end_at",
        rate_plan_id=pl.coalesce("rate_plan_id", "inherited_plan_id", owners),
    )


def _inherited_plans(accounts: pl.DataFrame) -> pl.DataFrame:
    """Return the plan of each account or of the first of its parents that has one: account_id, inherited_plan_id."""
    ladder = accounts.select("account_id", inherited_plan_id="rate_plan_id", above="parent_account_id")
    parents = accounts.select(above="account_id", plan="rate_plan_id", next="parent_account_id")
    settled = []
    climbs = 0
    while not ladder.is_empty():
        invariant(climbs <= accounts.height, "accounts are their own parents")
        is_settled = pl.col("inherited_plan_id").is_not_null() | pl.col("above").is_null()
        settled.append(ladder.filter(is_settled).select("account_id", "inherited_plan_id"))
        climbing = ladder.filter(~is_settled)
        ladder = climbing.join(parents, on="above").select("account_id", inherited_plan_id="plan", above="next")
        invariant(ladder.height == climbing.height, "a parent account is missing from the holders")
        climbs += 1
    return pl.concat([accounts.select("account_id", inherited_plan_id="rate_plan_id").clear(), *settled])


def _reason() -> pl.Expr:
    before = (pl.col("usage_at") < pl.col("account_start_at")).fill_null(value=False)
    after = (pl.col("usage_at") >= pl.col("account_end_at")).fill_null(value=False)
    rules = (
        (pl.col("is_ambiguous").is_null(), "identifier_not_found"),
        (pl.col("is_ambiguous"), "identifier_is_ambiguous"),
        (pl.col("service_id").is_null(), "identifier_not_valid_on_usage_date"),
        (~is_within("usage_at", "start_at", "end_at"), "service_not_active_on_usage_date"),
        (before, "account_not_active_on_usage_date"),
        (after, "account_closed_on_usage_date"),
        (pl.col("rate_plan_id").is_null(), "rate_plan_not_found"),
    )
    return first_broken(rules)


def first_broken(rules: tuple[tuple[pl.Expr, str], ...]) -> pl.Expr:
    """Return the number of the reason of the first rule that is broken, null if none is."""
    return pl.coalesce(
        *(pl.when(broken).then(pl.lit(RATING[name].id, dtype=pl.Int16)) for broken, name in rules),
    )


def _value() -> pl.Expr:
    """Return what the message names: the account, the service or the identifier."""
    return (
        pl.when(pl.col("reason_id").is_in([RATING[name].id for name in _ABOUT_THE_ACCOUNT]))
        .then("account")
        .when(pl.col("reason_id") == RATING["service_not_active_on_usage_date"].id)
        .then("service")
        .when(pl.col("reason_id") < RATING["service_not_active_on_usage_date"].id)
        .then(pl.col("usage_identifier").fill_null(""))
    )


_ABOUT_THE_ACCOUNT = ("account_not_active_on_usage_date", "account_closed_on_usage_date")
