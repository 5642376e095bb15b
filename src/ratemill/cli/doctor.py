"""``ratemill doctor``: check the installation."""

from __future__ import annotations

from dataclasses import asdict

import typer

from ratemill.access import doctor as checks
from ratemill.cli.terminal.common import AsJson, read_settings
from ratemill.printing import print_json, print_line

FAILED, DATABASE_AWAY = 1, 3


def doctor(as_json: AsJson = False) -> None:
    """Check the installation and print a line for each check; 1 if one fails, 3 if the database cannot be reached.

    Nothing is started, created or changed.
    """
    results = list(checks.check(read_settings()))
    if as_json:
        print_json([asdict(check) for check in results])
    else:
        for check in results:
            remedy = f" ({check.remedy})" if check.remedy else ""
            print_line(f"{check.level:<4} {check.name}: {check.message}{remedy}")
    failed = {check.name for check in results if check.level == "FAIL"}
    if failed:
        raise typer.Exit(DATABASE_AWAY if "database" in failed else FAILED)
