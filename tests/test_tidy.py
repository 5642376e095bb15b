"""What the tree promises of itself, read from the tree."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from ratemill.store import migrate

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "ratemill"


def test_the_api_process_loads_no_table_engine():
    program = "import sys, ratemill.api.server; sys.exit('polars' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize("heavy", ["polars", "fastapi"])
def test_a_command_loads_neither_table_engine_nor_web_framework_before_it_needs_one(heavy):
    """The API is a command too, a worker sets the engine's threads before it loads, and every command starts soon."""
    program = f"import sys, ratemill.cli.app; sys.exit('{heavy}' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_the_newest_migration_is_the_one_that_a_start_looks_for():
    folder = SOURCE / "store" / "migrations" / "versions"
    found = [re.findall(r'^revision = "(\d+)"', path.read_text(), re.MULTILINE)[0] for path in folder.glob("r*.py")]
    assert max(found) == migrate.HEAD


def test_the_first_migration_is_written_from_the_schema():
    """Until the first release; after it, this test goes and migrations are added."""
    before = (SOURCE / "store/migrations/versions/r0001_first.sql").read_text()
    subprocess.run([sys.executable, ROOT / "scripts/write-first-migration"], check=True)
    assert (SOURCE / "store/migrations/versions/r0001_first.sql").read_text() == before


def test_no_float_is_made_in_the_rooms_of_money():
    made = re.compile(r"\bfloat\(|pl\.Float|cast\(float|\.mean\(")
    rooms = [*(SOURCE / "rating").rglob("*.py"), *(SOURCE / "mediation").rglob("*.py"), SOURCE / "money.py"]
    found = [f"{path.name}: {line}" for path in rooms for line in path.read_text().splitlines() if made.search(line)]
    assert not found


def test_the_reference_pages_are_those_that_the_code_writes():
    done = subprocess.run(
        [sys.executable, ROOT / "scripts/write-reference", "--check"], check=False, capture_output=True
    )
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()


def test_only_the_printing_layer_writes_to_a_terminal():
    """What is printed elsewhere could hold what a terminal obeys: ``printing``, ``tables`` and ``logs`` spell it out."""
    layer = {SOURCE / "printing.py", SOURCE / "cli/terminal/tables.py", SOURCE / "logs.py"}
    written = re.compile(
        r"typer\.s?echo\(|typer\.(confirm|prompt)|\bprint\(|sys\.std(out|err)\.(write|buffer)|\bConsole\("
    )
    found = [
        f"{path.relative_to(SOURCE)}: {line.strip()}"
        for path in sorted(SOURCE.rglob("*.py"))
        if path not in layer
        for line in path.read_text().splitlines()
        if written.search(line)
    ]
    assert not found


def test_code_and_docs_name_the_actor_and_refuse_records():
    """Not in our English: a native reader looks for who it is, and a record is refused, nothing worse."""
    banned = re.compile(r"\bsomebody\b|\bwhoever\b|condemn|doom", re.IGNORECASE)
    pages = [*SOURCE.rglob("*.py"), *(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "CHANGELOG.md"]
    found = [
        f"{page.relative_to(ROOT)}: {line}"
        for page in pages
        for line in page.read_text().splitlines()
        if banned.search(line)
    ]
    assert found == []


def test_tests_and_proofs_are_the_same_in_each_run():
    """A test that fails must fail again: random values have a seed, and ``hash`` of a text has none."""
    unseeded = re.compile(
        r"(?<![\w.])hash\(|uuid4|\bRandom\(\)|\brandom\.(random|choices?|randint|randrange|sample|shuffle|uniform)\(|"
        r"\burandom\(|\bsecrets\.token"
    )
    found = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for folder in ("tests", "proofs")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if path != Path(__file__)
        for line in path.read_text().splitlines()
        if unseeded.search(line)
    ]
    assert not found


def test_a_mill_on_a_new_database_is_opened_in_one_place():
    opened = [path.name for path in sorted((ROOT / "tests").rglob("*.py")) if "Database(new_" in path.read_text()]
    assert opened == ["mills.py", Path(__file__).name]
