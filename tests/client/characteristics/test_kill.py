"""`import userx` against a real server and its jobs: from a file to a charge; killed and begun again, each item once."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.client.usage.test_kill import Served
from tests.fixtures.mill import Mill
from tests.fixtures.processes import answers, free_port, started, wait_until
from tests.fixtures.two_mills import items

pytestmark = pytest.mark.slow

COUNT = 2_500
ROYALTIES = Path(__file__).parents[3] / "examples" / "royalties"


@pytest.fixture
def served(guide: Mill, tmp_path: Path) -> Iterator[Served]:
    port = free_port()
    with (
        started("api", "--port", str(port), database_url=guide.database.dsn),
        started("jobs", database_url=guide.database.dsn),
    ):
        wait_until(lambda: answers(port))
        yield Served(guide, port, tmp_path)


@pytest.mark.parametrize("point", ["import-after-second-page-is-written", "import-after-submit-is-written"])
def test_an_import_that_was_killed_is_ended_by_the_same_command(served: Served, tmp_path: Path, point: str):
    path = tmp_path / "items.jsonl"
    path.write_text("".join(json.dumps({"id": f"P{number}", "ud_n": 1.50}) + "\n" for number in range(COUNT)))
    command = ("import", "userx", "3", str(path), "--json")
    assert served.run(*command, die_at=point).returncode == -signal.SIGKILL
    again = served.run(*command)
    assert again.returncode == 0, again.stderr
    outcome = json.loads(again.stdout)
    assert outcome["pagesResumed"] >= 2
    assert outcome["job"]["createdCount"] == COUNT
    assert served.guide.rows("select count(*), count(distinct id) from characteristic_items") == [(COUNT, COUNT)]
    assert served.guide.value("select count(*) from characteristic_batches") == 1


def test_the_refused_items_are_written_as_they_were_sent_and_can_be_sent_again(served: Served, tmp_path: Path):
    path, refused = tmp_path / "items.jsonl", tmp_path / "refused.json"
    orphan = '{"id":"child", "ud_share":87.0, "parentReference":{"id":"parent"}}'
    path.write_text('{"id":"first"}\n' + orphan + "\n")
    done = served.run("import", "userx", "3", str(path), "--refused", str(refused))
    assert done.returncode == 1
    assert b"item 2 (child)" in done.stderr
    assert json.loads(refused.read_text()) == [json.loads(orphan)]
    assert "87.0" in refused.read_text()
    path.write_text('{"id":"parent"}\n')
    assert served.run("import", "userx", "3", str(path)).returncode == 0
    assert served.run("import", "userx", "3", str(refused)).returncode == 0
    assert served.guide.value("select count(*) from characteristic_items") == 3


def test_a_dry_run_counts_and_writes_nothing(served: Served, tmp_path: Path):
    path = tmp_path / "items.csv"
    path.write_text("id,ud_n:number\na,1\nb,2\n")
    done = served.run("import", "userx", "3", str(path), "--dry-run")
    assert b"would be 2 created" in done.stdout
    assert done.returncode == 0
    assert served.guide.value("select count(*) from characteristic_items") == 0
    done = served.run("import", "userx", "3", str(path), "--json")
    outcome = json.loads(done.stdout)
    assert (outcome["pagesResumed"], outcome["dryRun"], outcome["job"]["state"]) == (1, False, "completed")
    assert served.guide.rows("select id from characteristic_items order by 1") == [("a",), ("b",)]


def test_the_example_of_royalties_goes_from_its_files_to_charges(served: Served, tmp_path: Path):
    """As its README and the page on importing characteristics say."""
    guide = served.guide
    guide.apply((ROYALTIES / "royalties.yaml").read_text(), ROYALTIES)
    for number, name, count in ((1, "products.json", 3), (2, "languages.csv", 4)):
        done = served.run("import", "userx", str(number), str(ROYALTIES / name), "--journal", str(tmp_path / name))
        assert done.returncode == 0, done.stderr
        assert f"{count} created".encode() in done.stdout
    sales = (ROYALTIES / "sales.csv").read_text().splitlines()
    assert guide.post_rows(*sales, feed="sales").status_code == 200
    guide.work()
    guide.assert_ties()

    charges = items(guide, "/Udr/Charge/Paged", characteristic1="004 Product")
    assert [(charge["amount"], charge["characteristic2"]) for charge in charges] == [("45", "en"), ("30", "de")]
    assert [charge["characteristics"]["characteristic2"]["description"] for charge in charges] == ["English", "German"]
    charge = items(guide, "/Udr/Charge/Paged", characteristic2="xx")[0]
    assert charge["characteristics"]["characteristic2"] == {"id": "xx", "guid": None, "description": None}
    refused = items(guide, "/DataImport/History/Exception/Paged")
    assert [each["fieldValue"] for each in refused] == ["005 Product"]

    score = charge["characteristics"]["characteristic1"]["guid"]
    answer = guide.request("DELETE", f"api/data/user1/{score}")
    assert answer.status_code == 409, answer.text
    assert "charges name characteristic1 'Pebbles Score'" in answer.text
