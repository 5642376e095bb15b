"""The demo's first step: 500 lines of a cloud bill, priced anew, and equal to the bill's own cost to the last digit."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

from ratemill.cli.demo.mill import Mill, examples
from ratemill.cli.demo.shown import Transcript, counts, hold
from ratemill.client.calls import Json
from ratemill.money import parse_decimal, plain

PLACES = Decimal("1e-10")  # of the plan's amounts
EQUAL = {"AWS": 470, "Oracle": 4, "Microsoft": 6}
BLOCK_PRICED = 19


@dataclass(frozen=True, slots=True)
class _BillLine:
    """One line of the bill: what it says, and what it was charged."""

    row: int
    bill: dict[str, str]
    amount: Decimal | None

    @property
    def product(self) -> Decimal:
        """Quantity times list price, as the bill says them."""
        return parse_decimal(self.bill["PricingQuantity"]) * parse_decimal(self.bill["ListUnitPrice"])

    @property
    def cost(self) -> Decimal:
        """The list cost that the bill says."""
        return parse_decimal(self.bill["ListCost"])

    @property
    def is_equal(self) -> bool:
        """Whether the amount is the bill's cost at the places of the plan."""
        return self.amount == _rounded(self.cost)


def show(transcript: Transcript, mill: Mill) -> None:
    """Import the bill, and compare every charge with the line that it came from."""
    folder = examples() / "focus"
    path = folder / "focus_usage_500.csv"
    transcript.head(
        "A cloud bill: 500 lines of three providers, priced by a list of 163 prices",
        f"ratemill apply {folder / 'focus.yaml'}",
        f"ratemill import usage cloudBill {path}",
    )
    objects = mill.apply(folder / "focus.yaml")
    outcome = mill.send("cloudBill", path)
    histories = mill.histories(outcome)
    tracking_id = outcome.tracking_ids[0]
    charges = list(mill.client.charges({"trackingId": tracking_id}))
    lines = _lines(path, charges)
    equal, other, unpriced = _compared(lines)
    transcript.facts(f"{objects} objects of set-up; {counts(histories)}")
    transcript.facts(
        f"amount = ListCost, decimal by decimal, on {len(equal)} of {len(equal) + len(other)} priced lines: "
        + ", ".join(f"{provider} {count}" for provider, count in _by_provider(equal).items())
    )
    _show_block_priced(transcript, other)
    _show_unpriced(transcript, mill, unpriced, tracking_id)
    amount = sum((line.amount for line in lines if line.amount is not None), Decimal(0))
    transcript.facts(
        f"{len(charges)} charges come to {plain(amount)} USD",
        f"$ ratemill charges --tracking-id {tracking_id}",
        f"$ ratemill exceptions --tracking-id {tracking_id}",
    )


def _lines(path: Path, charges: list[Json]) -> list[_BillLine]:
    """Return the lines of the bill with their charges; the header is row 1."""
    amounts = {charge["originatingFileRecordIndex"]: parse_decimal(charge["amount"]) for charge in charges}
    hold(len(amounts) == len(charges), "a line was charged twice")
    with path.open(newline="", encoding="utf-8") as file:
        return [_BillLine(row, bill, amounts.get(row)) for row, bill in enumerate(csv.DictReader(file), 2)]


def _compared(lines: list[_BillLine]) -> tuple[list[_BillLine], list[_BillLine], list[_BillLine]]:
    """Return the lines whose amount is the bill's, those that are priced otherwise, and those without a price."""
    unpriced = [line for line in lines if line.bill["ListUnitPrice"] == "NULL"]
    priced = [line for line in lines if line not in unpriced]
    for line in priced:
        hold(line.amount == _rounded(line.product), f"row {line.row}: {line.amount} is not {_rounded(line.product)}")
    for line in unpriced:
        hold(line.amount is None, f"row {line.row} has no price and was charged {line.amount}")
    equal = [line for line in priced if line.is_equal]
    other = [line for line in priced if not line.is_equal]
    hold(_by_provider(equal) == EQUAL, f"equal are {_by_provider(equal)}, not {EQUAL}")
    hold(len(other) == BLOCK_PRICED, f"row {other[0].row if other else 0}: {len(other)} lines differ")
    return equal, other, unpriced


def _show_block_priced(transcript: Transcript, lines: list[_BillLine]) -> None:
    """Show the lines that the bill prices by blocks, with the factor between it and the list price."""
    factors = Counter(plain(line.cost / line.product) for line in lines)
    hold(len(factors) == 1, f"the lines priced by blocks have the factors {dict(factors)}")
    one = lines[0]
    transcript.facts(
        f"the other {len(lines)}, all of Microsoft, are billed by blocks of units that the file does not name: factor "
        f"{next(iter(factors))}",
        f"  such as row {one.row}: {plain(parse_decimal(one.bill['PricingQuantity']))} x {one.bill['ListUnitPrice']} = "
        f"{plain(one.product)}, billed {plain(one.cost)}",
        f"  rows {' '.join(str(line.row) for line in lines)}",
    )


def _show_unpriced(transcript: Transcript, mill: Mill, lines: list[_BillLine], tracking_id: str) -> None:
    """Show the line without a price, which waits as a rating exception."""
    found = list(mill.client.pages("/Udr/Usage/Exception/Paged", {"trackingId": tracking_id}))
    rows = [each["originatingFileRecordIndex"] for each in found]
    hold(rows == [line.row for line in lines], f"the rating exceptions are of the rows {rows}")
    transcript.facts(f"row {rows[0]}, a credit without a price, waits: {found[0]['message']}")


def _by_provider(lines: list[_BillLine]) -> dict[str, int]:
    return dict(Counter(line.bill["ProviderName"] for line in lines))


def _rounded(number: Decimal) -> Decimal:
    return number.quantize(PLACES, ROUND_HALF_UP)
