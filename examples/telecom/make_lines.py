"""Make the lists of the 300 lines and of the sample record's, each with an account of its own.

Run `python make_lines.py` in this folder.
"""

from __future__ import annotations

import csv
from pathlib import Path

from make_day import LINES, line

HERE = Path(__file__).parent


def write(name: str, rows: list[dict[str, str]]) -> None:
    """Write a list, its header being the members' names."""
    with (HERE / name).open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def main() -> None:
    """Write accounts, services and identifiers."""
    lines = {line(number): f"Subscriber {number:03d}" for number in range(LINES)}
    plans = {"Acme": "Standard", **dict.fromkeys(lines.values(), "World")}
    write("accounts.csv", [{"name": name, "usageRatePlanName": plan} for name, plan in plans.items()])
    write("account_services.csv", [{"accountName": name} for name in plans])
    keys = {"648-688-4180": "Acme", **lines}
    write("usage_identifiers.csv", [{"udrUsageIdentifier": key, "accountName": name} for key, name in keys.items()])


if __name__ == "__main__":
    main()
