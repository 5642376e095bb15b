"""Lint of a rate plan: its stored set-up, read in bulk at one instant, goes through every rule of ``lint_rules``."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from ratemill.errors import NotFound
from ratemill.setup.lint.plan import Finding, PlanSetup
from ratemill.setup.lint.rules import RULES
from ratemill.setup.objects.registry import WRITABLE
from ratemill.setup.world import Row
from ratemill.setup.writing.apply import no_collection
from ratemill.store import bulk, owners
from ratemill.store.connections import Connection, Database, clock
from ratemill.visible import shown

SHOWN_MAX = 100  # findings of one rule that are shown one by one; the rest is counted

Json = dict[str, Any]


@dataclass(slots=True)
class LintReport:
    """The findings of a plan, the first ones of each rule, with how many there are of each."""

    plan_id: int
    plan_name: str
    findings: list[Finding] = field(default_factory=list)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)

    def count_of(self, severity: str) -> int:
        """Return how many findings have this severity."""
        return sum(count for (_, each), count in self.counts.items() if each == severity)

    def totals(self) -> dict[str, tuple[str, int, int]]:
        """Return severity, count and how many are shown, by rule."""
        shown = Counter(finding.rule for finding in self.findings)
        return {rule: (severity, count, shown[rule]) for (rule, severity), count in self.counts.items()}


def lint(database: Database, owner_id: int, plan: int | str) -> LintReport:
    """Return what is likely a mistake in a rate plan, by identity or name; raise ``NotFound``."""
    with no_collection():
        with database.reader(owner_id) as connection:
            setup = _read(connection, owner_id, plan)
        return check(setup)


def check(setup: PlanSetup) -> LintReport:
    """Hold a plan to every rule."""
    linted = LintReport(setup.plan["rate_plan_id"], setup.plan["name"])
    for rule in RULES:
        for at, finding in enumerate(rule(setup)):
            linted.counts[finding.rule, finding.severity] += 1
            if at < SHOWN_MAX:
                linted.findings.append(finding)
    return linted


def as_json(linted: LintReport) -> Json:
    """Return the members that are shown of a lint."""
    return {
        "identity": linted.plan_id,
        "name": linted.plan_name,
        "errorCount": linted.count_of("error"),
        "warningCount": linted.count_of("warning"),
        "noticeCount": linted.count_of("notice"),
        "rules": [
            {"rule": rule, "severity": severity, "totalCount": total}
            for rule, (severity, total, _) in linted.totals().items()
        ],
        "findings": [
            {
                "rule": finding.rule,
                "severity": finding.severity,
                "message": finding.message,
                "list": finding.list,
                "identity": finding.identity,
                "key": finding.key,
                "member": finding.member,
            }
            for finding in linted.findings
        ],
    }


def _read(connection: Connection, owner_id: int, plan_key: int | str) -> PlanSetup:
    reader = _PlanReader(connection, owner_id)
    column = "name" if isinstance(plan_key, str) else "rate_plan_id"
    plans = reader.rows("usageRatePlans", column, [plan_key])
    if not plans:
        raise NotFound(f"there is no rate plan '{shown(plan_key)}'")
    plan = plans[0]
    plan_id = plan["rate_plan_id"]
    linked = bulk.read_links(connection, "rate_plan_groups", "rate_plan_id", "rate_group_id", [plan_id])
    group_ids = list(linked.get(plan_id, ()))
    groups = reader.by_id("usageRateGroups", "rate_group_id", group_ids)
    rates = reader.rows("usageRates", "rate_group_id", group_ids) if group_ids else []
    location_groups = reader.by_id("geoTreeLocationGroups")
    members = bulk.read_links(
        connection, "location_group_members", "location_group_id", "location_id", list(location_groups)
    )
    is_placed = any(rate["location_id"] or rate["location_group_id"] for rate in rates)
    return PlanSetup(
        plan=plan,
        groups=[groups[group_id] for group_id in group_ids],
        rates=rates,
        classes=reader.by_id("usageClasses"),
        units=reader.by_id("usageUnits"),
        locations=reader.by_id("geoTreeLocations") if is_placed else {},
        location_groups=location_groups,
        members=members,
        patterns=reader.rows("geoTreeLocationPatterns") if is_placed else [],
        accounts=_priced_accounts(reader, plan_id),
        owner_places=owners.read(connection, owner_id).amount_places,
        now=clock(connection),
    )


def _priced_accounts(reader: _PlanReader, plan_id: int) -> list[Row]:
    """Return the accounts with the plan, those below them without a plan of their own, and those of its services."""
    found = {row["account_id"]: row for row in reader.rows("accounts", "rate_plan_id", [plan_id])}
    level = list(found)
    while level:
        below = reader.rows("accounts", "parent_account_id", level)
        level = [row["account_id"] for row in below if row["rate_plan_id"] is None and row["account_id"] not in found]
        found |= {row["account_id"]: row for row in below if row["account_id"] in set(level)}
    services = {row["account_id"] for row in reader.rows("accountServices", "rate_plan_id", [plan_id])}
    missing = sorted(services - found.keys())
    if missing:
        found |= reader.by_id("accounts", "account_id", missing)
    return [found[account_id] for account_id in sorted(found)]


class _PlanReader:
    """Reads whole rows of the lists of one owner."""

    def __init__(self, connection: Connection, owner_id: int) -> None:
        self._connection, self._owner_id = connection, owner_id

    def rows(self, list_name: str, column: str = "", values: list[Any] | None = None) -> list[Row]:
        """Return the rows that have one of the values in a column; without one, all."""
        kind = WRITABLE[list_name]
        by = {column: values or []} if column else None
        columns = (kind.identity, *kind.columns)
        return bulk.read_rows(self._connection, kind.table, columns, self._owner_id, by)

    def by_id(self, list_name: str, column: str = "", values: list[Any] | None = None) -> dict[int, Row]:
        """Return the same by identity."""
        identity = WRITABLE[list_name].identity
        return {row[identity]: row for row in self.rows(list_name, column, values)}
