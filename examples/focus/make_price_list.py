"""Make the set-up's lists from the cloud bill, once: a price list by price id, and an account for each sub-account.

A price id is the line's SkuPriceId, or its SkuId where it has none. The lists are committed: rating reads prices from
them and never from a line of the bill. Run `python make_price_list.py` in this folder to make them anew.
"""

from __future__ import annotations

import csv
from decimal import Decimal
from pathlib import Path

HERE = Path(__file__).parent
BILL = HERE / "focus_usage_500.csv"
ABSENT = {"", "NULL"}

Line = dict[str, str]


def price_id(line: Line) -> str:
    """Return the id by which the line is priced."""
    return line["SkuId"] if line["SkuPriceId"] in ABSENT else line["SkuPriceId"]


def price_list(lines: list[Line]) -> dict[str, str | None]:
    """Return the list price of each price id, None where no line has one; refuse two prices for one id."""
    prices: dict[str, str | None] = {}
    for line in lines:
        text = line["ListUnitPrice"]
        price = None if text in ABSENT else plain(Decimal(text))
        if prices.setdefault(price_id(line), price) != price:
            raise ValueError(f"{price_id(line)} has two prices")
    return dict(sorted(prices.items()))


def plain(number: Decimal) -> str:
    """Write a price without exponent and without zeros at its end."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def write(name: str, rows: list[dict[str, str]]) -> None:
    """Write a list, its header being the members' names."""
    with (HERE / name).open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def main() -> None:
    """Write every list."""
    with BILL.open(newline="") as file:
        lines = list(csv.DictReader(file))
    prices = price_list(lines)
    write("usage_classes.csv", [{"name": name} for name in prices])
    write("usage_rates.csv", [{"usageClassName": name, "amount": price} for name, price in prices.items() if price])
    names = {line["SubAccountId"]: f"{line['SubAccountName']} {line['SubAccountId'][-12:]}" for line in lines}
    write("accounts.csv", [{"name": name} for name in names.values()])
    write("account_services.csv", [{"accountName": name} for name in names.values()])
    write("usage_identifiers.csv", [{"udrUsageIdentifier": key, "accountName": name} for key, name in names.items()])


if __name__ == "__main__":
    main()
