"""Rules of rate plans and their groups."""

from __future__ import annotations

from collections.abc import Iterator

from ratemill.setup.declaration import Entry, Finding
from ratemill.setup.rules.findings import Findings
from ratemill.setup.world import Row, World
from ratemill.visible import shown


def time_period_not_rated(entry: Entry, _world: World) -> Findings:
    """Keep a group from a time period that its rates would not obey."""
    if entry.row["time_period_id"] is not None:
        yield "timePeriodName", "time periods are not rated yet: a rate group cannot have one"


def pass_through_in_no_plan(entry: Entry, world: World) -> Findings:
    """Keep a group that passes money through out of plans, but for cost: a usage record carries no money yet."""
    if not _passes_through(entry.row) or entry.stored is None or _passes_through(entry.stored):
        return
    if world.stored_rows("rate_plan_groups", ("rate_plan_id",), "rate_group_id", [entry.identity]):
        message = (
            f"'{shown(entry.row['name'])}' stands in a rate plan, and usage records carry no money to pass through"
        )
        yield "isPassThrough", message


def plan_without_pass_through(entry: Entry, world: World) -> Findings:
    """Hold a plan to the same rule."""
    for index, group_id in enumerate(entry.row["rate_group_ids"]):
        group = world.row("usageRateGroups", group_id)
        if group is not None and _passes_through(group):
            message = f"'{shown(group['name'])}' passes money through, and usage records carry none"
            yield f"usageRateGroupNames[{index}]", message


def _passes_through(group: Row) -> bool:
    return bool(group.get("is_pass_through")) and not group.get("use_for_cost")


def currency_without_group(entries: list[Entry], world: World) -> Iterator[Finding]:
    """Warn of a plan that has no group in the currency of the account: all its usage will be exceptions."""
    for entry in entries:
        account = (
            entry.row if entry.object.list_name == "accounts" else world.row("accounts", entry.row.get("account_id"))
        )
        plan = world.row("usageRatePlans", entry.row.get("rate_plan_id"))
        if account is None or plan is None:
            continue
        groups = [world.row("usageRateGroups", each) for each in plan.get("rate_group_ids") or ()]
        currencies = {group.get("currency") for group in groups if group is not None}
        if currencies and account.get("currency") not in currencies:
            message = f"the rate plan '{shown(plan['name'])}' has no rate group in {account.get('currency')}"
            yield entry, "usageRatePlanName", message
