"""`import subscriptions` against a real server and its jobs: killed and begun again, a file comes in once."""

from __future__ import annotations

import gzip
import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.client.usage.test_kill import Served
from tests.fixtures.mill import Mill
from tests.fixtures.processes import answers, free_port, started, wait_until

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[3] / "examples" / "subscriptions"
COMMAND = ("import", "subscriptions")


@pytest.fixture
def served(guide: Mill, tmp_path: Path) -> Iterator[Served]:
    port = free_port()
    with (
        started("api", "--port", str(port), database_url=guide.database.dsn),
        started("jobs", database_url=guide.database.dsn),
    ):
        wait_until(lambda: answers(port))
        yield Served(guide, port, tmp_path)


def copied(tmp_path: Path, name: str = "subscription_products_and_plans.jsonl") -> Path:
    path = tmp_path / name
    path.write_bytes((EXAMPLES / name).read_bytes())
    return path


def test_an_import_that_was_killed_is_ended_by_the_same_command(served: Served, tmp_path: Path):
    path = copied(tmp_path)
    assert served.run(*COMMAND, str(path), die_at="import-after-submit-is-written").returncode == -signal.SIGKILL
    again = served.run(*COMMAND, str(path), "--json")
    assert again.returncode == 0, again.stderr
    outcome = json.loads(again.stdout)
    assert outcome["import"]["meta"]["lines"] == {"total": 112, "imported": 112, "refused": 0, "errors": 0}
    assert served.guide.value("select count(*) from subscription_imports") == 1
    third = served.run(*COMMAND, str(path))
    assert (third.returncode, b"was imported before" in third.stdout) == (0, True)
    assert served.guide.value("select count(*) from subscription_objects") == 112
    fourth = served.run(*COMMAND, str(path), "--again")
    assert (fourth.returncode, b"--upsert changes it instead" in fourth.stderr) == (1, True)
    fifth = served.run(*COMMAND, str(path), "--again", "--upsert")
    assert (fifth.returncode, b"112 imported" in fifth.stdout) == (0, True)
    assert served.guide.value("select count(*) from subscription_objects") == 112


def test_an_answer_that_was_lost_is_found_by_the_reference(served: Served, tmp_path: Path):
    """The journal says that a file was about to be sent; the server has it."""
    path = copied(tmp_path)
    assert served.run(*COMMAND, str(path)).returncode == 0
    journal = path.with_name(f"{path.name}.ratemill-import-subscriptions")
    journal.write_text(journal.read_text().splitlines()[0] + "\n")
    done = served.run(*COMMAND, str(path))
    assert done.returncode == 0, done.stderr
    assert b"112 imported" in done.stdout
    assert served.guide.value("select count(*) from subscription_imports") == 1


def test_the_refused_lines_are_written_as_they_were_sent_and_can_be_mended_and_sent_again(
    served: Served, tmp_path: Path
):
    path, refused = tmp_path / "data.jsonl", tmp_path / "refused.jsonl"
    good = '{"data":{"type":"subscription_product","attributes":{"external_ref":"p1","name":"First"}}}'
    bad = '{"data": {"type":"subscription_product", "attributes":{"external_ref":"p2","name":"No"}}}'
    path.write_text(f"{good}\n\n{bad}\n")
    done = served.run(*COMMAND, str(path), "--refused", str(refused))
    assert done.returncode == 1
    assert b"line 3 (p2): name: " in done.stderr
    assert b"2 lines, 1 imported, 1 refused" in done.stdout
    assert refused.read_text() == f"{bad}\n"
    refused.write_text(bad.replace('"No"', '"Second"'))
    assert served.run(*COMMAND, str(refused)).returncode == 0
    assert served.guide.value("select count(*) from subscription_objects") == 2


def test_a_dry_run_of_a_packed_file_on_standard_input_counts_and_makes_nothing(served: Served, tmp_path: Path):
    packed = gzip.compress((EXAMPLES / "subscription_all_types.jsonl").read_bytes())
    done = served.run(*COMMAND, "-", "--dry-run", stdin=packed)
    assert done.returncode == 0, done.stderr
    assert b"7 would be imported" in done.stdout
    assert served.guide.value("select count(*) from subscription_objects") == 0
    done = served.run(*COMMAND, str(copied(tmp_path, "subscription_all_types.jsonl")), "--external-ref", "all")
    assert done.returncode == 0, done.stderr
    assert served.guide.value("select count(*) from subscription_imports where external_ref = 'all'") == 1


def test_what_the_server_refuses_as_a_whole_is_said(served: Served, tmp_path: Path):
    path = tmp_path / "empty.jsonl"
    path.write_text("\n")
    done = served.run(*COMMAND, str(path))
    assert (done.returncode, done.stdout) == (1, b"")
    assert b'"import_file" is empty' in done.stderr
    assert b"the server answered 400; nothing is imported" in done.stderr
    done = served.run(*COMMAND, str(path), "--json")
    assert json.loads(done.stdout)["faults"][0]["message"].startswith("Validation Error")
