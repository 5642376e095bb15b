"""Who bears an identifier: from the identifier of a record to its service, its account and their rate plan."""

from __future__ import annotations

import polars as pl

from ratemill.errors import invariant
from ratemill.reasons import RATING

UNKNOWN = "Unknown"  # the identifier type of a record that names none: every type may bear it


def find_holders(usage: pl.DataFrame, identifiers: pl.DataFrame, bearers: pl.DataFrame) -> pl.DataFrame:
    """Return for each row of ``usage``, in its order, its holder: what was found, and ``is_found``.

    ``bearers`` are those of ``bearers_of``, each with the ``ladder`` of its plan and currency. What comes after the
    first rule that a row breaks is null.
    """
    borne = find_services(usage, identifiers)
    within = bearers.select("service_id", "account_id", "currency", "rate_plan_id", "ladder", "active_at", "ended_at")
    held = borne.join(within, on="service_id", how="left", maintain_order="left")
    lost = held.filter(pl.col("service_id").is_not_null() & pl.col("account_id").is_null())
    invariant(lost.is_empty(), "an identifier's service or its account is missing from the holders")
    is_active = pl.col("account_id").is_not_null() & is_within("usage_at", "active_at", "ended_at")
    plan = pl.when(is_active).then("rate_plan_id")
    return held.with_columns(rate_plan_id=plan, is_found=plan.is_not_null()).drop("active_at", "ended_at")


def find_services(usage: pl.DataFrame, identifiers: pl.DataFrame) -> pl.DataFrame:
    """Return for each row of ``usage``, in its order: row, usage_at, is_known, is_ambiguous, service_id.

    The service is null unless exactly one bears the identifier on the usage date.
    """
    asked = usage.select("row", "usage_identifier", "usage_at", "identifier_type")
    spans = asked.join(identifiers, on="usage_identifier", how="left", maintain_order="left", suffix="_declared")
    named = pl.col("identifier_type").fill_null(UNKNOWN)
    is_known = (named == UNKNOWN) | (named == "") | (named == pl.col("identifier_type_declared"))
    is_valid = is_known & is_within("usage_at", "start_at", "end_at")
    judged = spans.select(
        "row",
        "usage_at",
        is_known=is_known & pl.col("service_id").is_not_null(),
        is_ambiguous=pl.lit(value=False),
        service_id=pl.when(is_valid).then("service_id"),
    )
    return judged if judged.height == usage.height else _one_per_row(judged)


def _one_per_row(judged: pl.DataFrame) -> pl.DataFrame:
    first, last = pl.col("service_id").min(), pl.col("service_id").max()
    is_ambiguous = (first != last).fill_null(value=False)
    return judged.group_by("row", maintain_order=True).agg(
        pl.col("usage_at").first(),
        pl.col("is_known").any(),
        is_ambiguous=is_ambiguous,
        service_id=pl.when(~is_ambiguous).then(first),
    )


def is_within(instant: str, start: str, end: str) -> pl.Expr:
    """Return whether ``instant`` is in [start, end); an absent bound is open."""
    begun = (pl.col(instant) >= pl.col(start)).fill_null(value=True)
    return begun & (pl.col(instant) < pl.col(end)).fill_null(value=True)


def bearers_of(services: pl.DataFrame, accounts: pl.DataFrame, owner_rate_plan_id: int | None) -> pl.DataFrame:
    """Return each service with its account, the account's currency, and the plan that it has or inherits."""
    payers = _with_inherited_plans(accounts).select(
        "account_id",
        "account",
        "currency",
        account_plan_id="rate_plan_id",
        account_start_at="start_at",
        account_end_at="end_at",
    )
    owners = pl.lit(owner_rate_plan_id, dtype=pl.Int64)
    return services.join(payers, on="account_id").with_columns(
        active_at=pl.max_horizontal("start_at", "account_start_at"),
        ended_at=pl.min_horizontal("end_at", "account_end_at"),
        rate_plan_id=pl.coalesce("rate_plan_id", "account_plan_id", owners),
    )


def _with_inherited_plans(accounts: pl.DataFrame) -> pl.DataFrame:
    """Return ``accounts``, each without a plan with that of the first of its parents that has one."""
    parents = accounts.select(above="account_id", plan="rate_plan_id", next="parent_account_id")
    is_heir = pl.col("rate_plan_id").is_null() & pl.col("parent_account_id").is_not_null()
    climbing = accounts.filter(is_heir).select("account_id", above="parent_account_id")
    inherited: list[pl.DataFrame] = []
    while not climbing.is_empty():
        invariant(len(inherited) < accounts.height, "accounts are their own parents")
        met = climbing.join(parents, on="above")
        invariant(met.height == climbing.height, "a parent account is missing from the holders")
        inherited.append(met.drop_nulls("plan").select("account_id", "plan"))
        is_above_another = pl.col("plan").is_null() & pl.col("next").is_not_null()
        climbing = met.filter(is_above_another).select("account_id", above="next")
    if not inherited:
        return accounts
    joined = accounts.join(pl.concat(inherited), on="account_id", how="left")
    return joined.with_columns(rate_plan_id=pl.coalesce("rate_plan_id", "plan"))


def explain_losses(held: pl.DataFrame, usage: pl.DataFrame, bearers: pl.DataFrame) -> pl.DataFrame:
    """Return for each row of ``held`` whose holder was not found: row, reason_id, value."""
    lost = held.filter(~pl.col("is_found")).select("row", "usage_at", "is_known", "is_ambiguous", "service_id")
    told = lost.join(bearers, on="service_id", how="left", maintain_order="left").with_columns(
        usage["usage_identifier"].gather(lost["row"]).fill_null("")
    )
    return told.with_columns(reason_id=_reason()).select("row", "reason_id", value=_value())


def _reason() -> pl.Expr:
    before = (pl.col("usage_at") < pl.col("account_start_at")).fill_null(value=False)
    after = (pl.col("usage_at") >= pl.col("account_end_at")).fill_null(value=False)
    return first_broken(
        (
            (~pl.col("is_known"), "identifier_not_found"),
            (pl.col("is_ambiguous"), "identifier_is_ambiguous"),
            (pl.col("service_id").is_null(), "identifier_not_valid_on_usage_date"),
            (~is_within("usage_at", "start_at", "end_at"), "service_not_active_on_usage_date"),
            (before, "account_not_active_on_usage_date"),
            (after, "account_closed_on_usage_date"),
            (pl.lit(value=True), "rate_plan_not_found"),
        )
    )


def first_broken(rules: tuple[tuple[pl.Expr, str], ...]) -> pl.Expr:
    """Return the number of the reason of the first rule that is broken, null if none is."""
    numbers = (pl.when(broken).then(pl.lit(RATING[name].id, dtype=pl.Int16)) for broken, name in rules)
    return pl.coalesce(*numbers)


def _value() -> pl.Expr:
    """Return what the message names: the identifier, the service or the account; nothing for a missing plan."""
    reason, service_step = pl.col("reason_id"), RATING["service_not_active_on_usage_date"].id
    return (
        pl.when(reason < service_step)
        .then("usage_identifier")
        .when(reason == service_step)
        .then("service")
        .when(reason < RATING["rate_plan_not_found"].id)
        .then("account")
    )
