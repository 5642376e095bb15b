"""The examples: what the lists were made from, and that a fresh mill charges what the files say."""

import csv
import runpy
from collections import Counter
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.fixtures.mill import GUIDE_ROW, Mill

from ratemill.client.records import Form, make_requests, read_records
from ratemill.records import read_elements

EXAMPLES = Path(__file__).parents[2] / "examples"
BILL = EXAMPLES / "focus" / "focus_usage_500.csv"


def apply(guide: Mill, name: str) -> None:
    path = EXAMPLES / name
    guide.apply(path.read_text(), path.parent)


def send(guide: Mill, feed: str, content: bytes) -> None:
    for request in make_requests(read_records([content], Form("csv")), Form("csv")):
        rows = read_elements(request.body, "rows", rows_max=1_000).texts
        assert guide.post_rows(*rows, feed=feed).status_code == 200
    guide.work()
    guide.assert_ties()


def run_script(name: str, tmp_path: Path) -> Any:
    """Return the names of a script, whose lists go to a folder of the test's own."""
    script = EXAMPLES / name
    (tmp_path / script.name).write_bytes(script.read_bytes())
    return runpy.run_path(str(tmp_path / script.name))


def bill() -> list[dict[str, str]]:
    with BILL.open(newline="") as file:
        return list(csv.DictReader(file))


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_price_list_is_what_its_script_makes(tmp_path: Path):
    (tmp_path / BILL.name).write_bytes(BILL.read_bytes())
    run_script("focus/make_price_list.py", tmp_path)["main"]()
    made = [path for path in tmp_path.glob("*.csv") if path.name != BILL.name]
    assert len(made) == 5
    for path in made:
        assert path.read_bytes() == (BILL.parent / path.name).read_bytes(), path.name


def test_the_lists_of_the_lines_are_what_their_script_makes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(EXAMPLES / "telecom"))
    run_script("telecom/make_lines.py", tmp_path)["main"]()
    for path in tmp_path.glob("*.csv"):
        assert path.read_bytes() == (EXAMPLES / "telecom" / path.name).read_bytes(), path.name


def test_the_bill_is_charged_line_by_line_as_it_says(guide: Mill):
    apply(guide, "focus/focus.yaml")
    send(guide, "cloudBill", BILL.read_bytes())
    amounts = dict(guide.rows("select row_index, amount from charges"))
    lines = dict(enumerate(bill(), 2))
    place = Decimal("1e-10")
    for row, amount in amounts.items():
        line = lines[row]
        product = Decimal(line["PricingQuantity"]) * Decimal(line["ListUnitPrice"])
        assert amount == product.quantize(place, ROUND_HALF_UP), row
    costs = {row: Decimal(line["ListCost"]).quantize(place, ROUND_HALF_UP) for row, line in lines.items()}
    equal = [row for row, amount in amounts.items() if amount == costs[row]]
    assert (len(amounts), len(equal)) == (499, 480)
    assert Counter(lines[row]["ProviderName"] for row in equal) == {"AWS": 470, "Oracle": 4, "Microsoft": 6}


def test_the_lines_that_differ_are_priced_by_blocks_of_ten_thousand():
    place = Decimal("1e-10")
    factors: Counter[tuple[Decimal, str]] = Counter()
    for line in bill():
        if line["ListUnitPrice"] != "NULL":
            product = Decimal(line["PricingQuantity"]) * Decimal(line["ListUnitPrice"])
            cost = Decimal(line["ListCost"])
            if product.quantize(place, ROUND_HALF_UP) != cost.quantize(place, ROUND_HALF_UP):
                factors[cost / product, line["ProviderName"]] += 1
    assert factors == {(Decimal(10_000), "Microsoft"): 19}


def test_the_credit_without_a_price_waits_and_the_header_is_skipped(guide: Mill):
    apply(guide, "focus/focus.yaml")
    send(guide, "cloudBill", BILL.read_bytes())
    assert guide.rows("select row_index, reason_id from rating_exceptions") == [(230, 2501)]
    assert guide.rows("select row_index from skipped") == [(1,)]


def test_two_lines_alike_in_all_that_is_priced_are_both_charged(guide: Mill):
    lines = bill()
    alike = Counter(
        (line["ChargePeriodStart"], line["SubAccountId"], line["PricingQuantity"], line["SkuPriceId"]) for line in lines
    )
    assert sum(count > 1 for count in alike.values()) == 2
    apply(guide, "focus/focus.yaml")
    send(guide, "cloudBill", BILL.read_bytes())
    assert guide.value("select count(*) from duplicates") == 0
    send(guide, "cloudBill", BILL.read_bytes())
    assert guide.value("select count(*) from duplicates") == 500


def test_the_smallest_set_up_charges_the_sample_record_and_the_day_adds_to_it(guide: Mill):
    apply(guide, "telecom/guide.yaml")
    assert guide.post_rows(GUIDE_ROW).status_code == 200
    guide.work()
    assert guide.rows("select amount from charges") == [(Decimal("1.1562"),)]
    apply(guide, "telecom/telecom.yaml")
    apply(guide, "telecom/guide.yaml")


def test_the_day_is_charged_by_the_longest_prefix_and_a_place_without_price_by_its_parent(guide: Mill):
    apply(guide, "telecom/telecom.yaml")
    make_day = runpy.run_path(str(EXAMPLES / "telecom" / "make_day.py"))
    rows = make_day["make_rows"]()
    assert len(rows) == 20_000
    send(guide, "guideFeed", "\n".join(rows).encode())
    ends = {
        table: guide.value(f"select count(*) from {table}") for table in ("charges", "duplicates", "import_exceptions")
    }
    assert ends == {"charges": 19_440, "duplicates": 154, "import_exceptions": 121}
    assert guide.value("select amount from charges where usage_identifier = '648-688-4180'") == Decimal("1.1562")
    charged = guide.rows(
        "select terminating_identifier, quantity_rounded, amount from charges where usage_identifier <> '648-688-4180'"
    )
    price_of = prices()
    for called, seconds, amount in charged:
        expected = Decimal("0.005") + seconds * price_of(called) / 60
        assert amount == expected.quantize(Decimal("1e-6"), ROUND_HALF_UP), called
    apply(guide, "telecom/late_lines.yaml")


def prices() -> Callable[[str], Decimal]:
    """Return the price of a number, worked out from the lists."""
    folder = EXAMPLES / "telecom"
    patterns = {each["name"]: each["geoTreeLocationName"] for each in rows_of(folder / "patterns.csv")}
    parents = {each["name"]: each["parentGeoTreeLocationName"] for each in rows_of(folder / "locations.csv")}
    rates = {each["geoTreeLocationName"]: Decimal(each["amount"]) for each in rows_of(folder / "usage_rates.csv")}

    def price_of(called: str) -> Decimal:
        place = next(patterns[called[:length]] for length in range(6, 0, -1) if called[:length] in patterns)
        while place not in rates:
            place = parents[place]
        return rates[place]

    return price_of
