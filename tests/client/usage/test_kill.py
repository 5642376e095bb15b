"""`import usage` and `watch` against a real server: killed anywhere and begun again, each row counts once."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.fixtures.mill import Mill, guide_row
from tests.fixtures.processes import answers, environment, free_port, started, wait_until

# The feed checks for no duplicates: a row that came twice would be charged twice.
UNCHECKED = """
ratemill: 1
dataProfiles:
  - name: unchecked_csv
    format: csv
    duplicateKey: []
    fields: [{name: DateTime}, {name: UdrIdentifierTypeName}, {name: OriginatingIdentifier}, {name: TerminatingIdentifier},
             {name: UdrUsageIdentifier}, {name: Value}, {name: Inbound}, {name: ReverseRating}, {name: UsageClassName},
             {name: UsageClassTypeName}, {name: UniquenessIdentifier}]
udrFeeds: [{name: Unchecked, apiName: unchecked, dataProfileName: unchecked_csv, batchWaitSeconds: 0}]
"""
GOOD = 3_300
pytestmark = pytest.mark.slow


class Served:
    """A mill with its API as a process, and the commands that speak to it."""

    def __init__(self, guide: Mill, port: int, folder: Path) -> None:
        self.guide, self.folder = guide, folder
        self.options = {"url": f"http://127.0.0.1:{port}", "token": guide.token, "home": str(folder / "home")}

    def run(self, *arguments: str, stdin: bytes = b"", **settings: str) -> subprocess.CompletedProcess[bytes]:
        """Run a command of the product to its end."""
        command = [sys.executable, "-m", "ratemill", *arguments]
        options = environment(**{**self.options, **settings})
        return subprocess.run(command, env=options, input=stdin, capture_output=True, timeout=120, check=False)

    def charged(self) -> dict[str, int]:
        """Return how many charges each row has, of those that are not one."""
        self.guide.work()
        self.guide.assert_ties()
        rows = "select uniqueness_identifier, count(*) from charges group by 1"
        counts = dict(self.guide.rows(rows))
        assert len(counts) == GOOD
        return {name: count for name, count in counts.items() if count != 1}


@pytest.fixture
def served(guide: Mill, tmp_path: Path) -> Iterator[Served]:
    guide.apply(UNCHECKED)
    port = free_port()
    with started("api", "--port", str(port), database_url=guide.database.dsn):
        wait_until(lambda: answers(port))
        yield Served(guide, port, tmp_path)


def write_rows(path: Path) -> Path:
    rows = [guide_row(number) for number in range(GOOD)]
    rows[1_500:1_500] = [guide_row(9_000, value="ninety"), "too,few", guide_row(9_001, identifier="nobody")]
    path.write_text("\n".join(rows) + "\n")
    return path


def outcome_of(done: subprocess.CompletedProcess[bytes]) -> Any:
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("point", "resumed", "replayed"),
    [
        ("import-before-first-answer-is-written", 0, 1),
        ("import-after-second-answer-is-written", 2, 0),
        ("import-before-last-answer-is-written", 3, 1),
    ],
)
def test_an_import_that_was_killed_is_begun_again_and_each_row_counts_once(
    served: Served, point: str, resumed: int, replayed: int
):
    path = write_rows(served.folder / "usage.csv")
    command = ("import", "usage", "unchecked", str(path), "--in-flight", "1", "--json")
    assert served.run(*command, die_at=point).returncode == -9
    outcome = outcome_of(served.run(*command))
    assert (outcome["requestsResumed"], outcome["requestsReplayed"]) == (resumed, replayed)
    assert (outcome["records"], outcome["requests"], len(outcome["trackingIds"])) == (GOOD + 3, 4, 4)
    assert served.charged() == {}
    assert outcome_of(served.run(*command))["alreadyImported"]
    assert served.charged() == {}


def test_with_many_requests_under_way_and_without_the_journal_each_row_still_counts_once(served: Served):
    path = write_rows(served.folder / "usage.csv")
    command = ("import", "usage", "unchecked", str(path), "--in-flight", "4", "--json")
    assert served.run(*command, die_at="import-after-second-answer-is-written").returncode == -9
    path.with_name("usage.csv.ratemill-import").unlink()
    assert outcome_of(served.run(*command))["requestsReplayed"] >= 2
    assert served.charged() == {}


def test_standard_input_is_imported_once_too(served: Served):
    content = write_rows(served.folder / "usage.csv").read_bytes()
    command = ("import", "usage", "unchecked", "-", "--json")
    assert served.run(*command, stdin=content, die_at="import-after-second-answer-is-written").returncode == -9
    assert outcome_of(served.run(*command, stdin=content))["requestsResumed"] == 2
    assert served.charged() == {}


def test_a_watch_that_was_killed_goes_on_and_each_row_counts_once(served: Served):
    folder = served.folder / "incoming"
    folder.mkdir()
    write_rows(folder / "usage.csv")
    command = ("watch", "unchecked", str(folder), "--once", "--settle", "0", "--json")
    for point in ("import-after-second-answer-is-written", "watch-before-move"):
        assert served.run(*command, die_at=point).returncode == -9
        assert (folder / "usage.csv").exists()
    result = outcome_of(served.run(*command))
    assert (result["done"], result["failed"], result["left"]) == (1, 0, 0)
    assert json.loads((folder / "done" / "usage.csv.result.json").read_text())["records"] == GOOD + 3
    assert (folder / "done" / "usage.csv").exists()
    assert served.charged() == {}


def test_a_command_says_what_is_wrong_with_its_use_or_with_the_file(served: Served):
    path = served.folder / "usage.csv"
    path.write_bytes(b"a\ncaf\xe9\n")
    for arguments, status in [
        (("import", "usage", "unchecked", str(path.with_name("none.csv"))), 2),
        (("import", "usage", "unchecked", str(path), "--format", "xml"), 2),
        (("import", "usage", "unchecked", str(path), "--url", "localhost"), 2),
        (("watch", "unchecked", str(path)), 2),
        (("import", "usage", "unchecked", str(path)), 1),
        (("import", "usage", "nosuch", str(path)), 1),
    ]:
        assert served.run(*arguments).returncode == status, arguments
    assert served.run("import", "usage", "unchecked", str(path), token="").returncode == 2
    done = served.run("import", "usage", "unchecked", str(path), "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["errors"][0]["line"] == 2
