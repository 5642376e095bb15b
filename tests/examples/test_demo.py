"""`ratemill demo` as a user runs it: it holds, it is short, and it removes nothing that it did not make."""

import csv
import subprocess
import sys
import sysconfig
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from tests.fixtures.processes import environment

from ratemill.cli.demo.bill import _BillLine, _compared, _rounded
from ratemill.cli.demo.shown import DemoFailure

ROOT = Path(__file__).parents[2]
BILL = ROOT / "examples" / "focus" / "focus_usage_500.csv"
SECONDS_MAX = 120


def run(folder: Path, *, program: Path = Path(sys.executable)) -> subprocess.CompletedProcess[str]:
    """Run the demo outside the checkout."""
    return subprocess.run(
        [str(program), "-m", "ratemill", "demo", "--home", str(folder)],
        env=environment(),
        cwd=folder.parent,
        capture_output=True,
        text=True,
        timeout=4 * SECONDS_MAX,
        check=False,
    )


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """Build the wheel, install it in a new environment and return that environment's Python.

    What the wheel depends on is taken from this environment, so that nothing is downloaded.
    """
    uv, venv = ROOT / ".tools/uv", tmp_path / "venv"
    python = venv / "bin/python"
    for command in (
        [uv, "build", "--quiet", "--offline", "--no-build-isolation", "--wheel", "--out-dir", tmp_path, ROOT],
        [uv, "venv", "--quiet", "--offline", "--python", sys.executable, venv],
    ):
        subprocess.run([str(part) for part in command], check=True)
    (wheel,) = tmp_path.glob("*.whl")
    subprocess.run(
        [str(uv), "pip", "install", "--quiet", "--offline", "--no-deps", "--python", str(python), str(wheel)],
        check=True,
    )
    (packages,) = venv.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return python


def test_a_wheel_has_every_file_of_the_package_and_the_examples(installed: Path):
    (package,) = installed.parents[1].glob("lib/python*/site-packages/ratemill")
    for source, copy in ((ROOT / "src/ratemill", package), (ROOT / "examples", package / "examples")):
        files = [path.relative_to(source) for path in source.rglob("*") if path.is_file() and path.suffix != ".pyc"]
        assert [path for path in files if not (copy / path).is_file()] == []


@pytest.mark.slow
def test_the_demo_holds_twice_in_a_row_the_second_time_from_a_wheel(tmp_path: Path, installed: Path):
    folder = tmp_path / "demo"
    command = [str(installed), "-c", "import ratemill; print(ratemill.__file__)"]
    assert subprocess.check_output(command, cwd=tmp_path, text=True).startswith(str(tmp_path))
    for program in (Path(sys.executable), installed):
        done = run(folder, program=program)
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
