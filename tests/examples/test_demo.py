"""`ratemill demo` as a user runs it: it holds, it is short, and it removes nothing that it did not make."""

import csv
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from tests.fixtures.processes import environment

from ratemill.cli.demo.bill import _BillLine, _compared, _rounded
from ratemill.cli.demo.shown import DemoFailure

BILL = Path(__file__).parents[2] / "examples" / "focus" / "focus_usage_500.csv"
SECONDS_MAX = 120


def run(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ratemill", "demo", "--home", str(folder)]
    return subprocess.run(
        command, env=environment(), capture_output=True, text=True, timeout=4 * SECONDS_MAX, check=False
    )


@pytest.mark.slow
def test_the_demo_holds_twice_in_a_row(tmp_path: Path):
    folder = tmp_path / "demo"
    for _ in range(2):
        done = run(folder)
        assert done.returncode == 0, done.stdout + done.stderr
        lines = done.stdout.splitlines()
        assert lines[-1] == "The counts tie: 20501 of 20501 records accounted for"
        assert "on 480 of 499 priced lines: AWS 470, Oracle 4, Microsoft 6" in done.stdout
        assert "94 x 0.0123 = 1.1562 USD" in done.stdout
        assert "sent 213, rated 211, failed 2" in done.stdout
        assert len(lines) < 60
        assert not done.stderr


def test_a_folder_that_no_demo_made_is_left_alone(tmp_path: Path):
    (tmp_path / "mine.txt").touch()
    done = run(tmp_path)
    assert done.returncode == 1
    assert "no demo made it" in done.stderr
    assert (tmp_path / "mine.txt").exists()


def test_an_amount_that_differs_is_named_by_its_row():
    with BILL.open(newline="") as file:
        bills = list(csv.DictReader(file))
    priced = [(row, bill) for row, bill in enumerate(bills, 2) if bill["ListUnitPrice"] != "NULL"]
    lines = [_BillLine(row, bill, _rounded(_BillLine(row, bill, None).product)) for row, bill in priced]
    assert [len(each) for each in _compared(lines)] == [480, 19, 0]
    wrong = replace(lines[5], amount=_rounded(lines[5].product) + Decimal("1e-10"))
    with pytest.raises(DemoFailure, match=r"^row 7: "):
        _compared([*lines[:5], wrong, *lines[6:]])
