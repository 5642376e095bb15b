"""The command `lint`: what is likely a mistake in a rate plan."""

from __future__ import annotations

from typing import Annotated

import typer

from ratemill.access.database import DEFAULT_OWNER
from ratemill.access.owners import owner_of
from ratemill.cli.terminal.common import AsJson, existing_database
from ratemill.printing import print_json, print_line
from ratemill.setup.lint.lint import LintReport, as_json
from ratemill.setup.lint.lint import lint as lint_plan

Plan = Annotated[str, typer.Argument(help="The name of the rate plan.")]


def lint(
    plan: Plan,
    owner: Annotated[str, typer.Option("--owner", help="Whose plan.")] = DEFAULT_OWNER,
    json: AsJson = False,
) -> None:
    """Say what is likely a mistake in a rate plan; exit 1 if anything is an error."""
    with existing_database() as database:
        linted = lint_plan(database, owner_of(database, owner), plan)
    if json:
        print_json(as_json(linted))
    else:
        _print(linted)
    if linted.count_of("error"):
        raise typer.Exit(1)


def _print(linted: LintReport) -> None:
    for finding in linted.findings:
        print_line(f"{finding.severity} {finding.rule}: {finding.list} {finding.key}: {finding.message}")
    for rule, (_, total, shown) in linted.totals().items():
        if total > shown:
            print_line(f"{rule}: {total - shown} more")
    counts = ", ".join(f"{linted.count_of(each)} {each}s" for each in ("error", "warning", "notice"))
    print_line(f"{linted.plan_name}: {counts}")
