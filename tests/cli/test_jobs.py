"""``ratemill reprocess`` and ``ratemill jobs``: what they print, how they end, and what they load."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.fixtures.mill import GUIDE, Mill, guide_row
from tests.fixtures.mills import NewMill
from tests.fixtures.processes import environment, free_port, started, wait_until

MENDED = """
ratemill: 1
usageIdentifiers: [{udrUsageIdentifier: a, accountName: Acme, accountServiceName: Line},
                   {udrUsageIdentifier: b, accountName: Acme, accountServiceName: Line}]
"""


@pytest.fixture
def guide(new_mill: NewMill) -> Iterator[Mill]:
    """Yield a mill with three exceptions, of which two are mended, and another owner with the same three."""
    with new_mill() as made:
        other = Mill(made.database, made.settings, "other", made.client)
        other.apply(GUIDE)
        for each in (other, made):
            each.post_rows(*[guide_row(row, identifier=name) for row, name in enumerate(("a", "b", "c"))])
            each.work()
        made.apply(MENDED)
        yield made


def run(guide: Mill, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ratemill", "reprocess", *arguments]
    settings = environment(database_url=guide.database.dsn, log_level="ERROR")
    return subprocess.run(command, env=settings, check=False, capture_output=True, text=True)


def instance(guide: Mill, *arguments: str) -> dict[str, Any]:
    done = run(guide, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_waiting_does_the_work_here_and_says_what_came_of_it(guide: Mill):
    shown = instance(guide, "--all", "--wait")
    assert [shown[f"{name}Count"] for name in ("matched", "sent", "rated", "failed")] == [3, 3, 2, 1]
    assert shown["complete"] is not None
    guide.assert_ties()
    assert run(guide, "--all", "--wait").stdout == "reprocess 2: 1 matched, 1 tried, 0 rated, 1 not\n"


def test_without_waiting_the_order_stands(guide: Mill):
    assert instance(guide, "--id", "4", "--id", "5")["matchedCount"] == 2
    assert run(guide, "--filter", "udrUsageIdentifier=b").stdout == "reprocess 2: 1 exceptions will be rated anew\n"
    assert guide.value("select count(*) from rating_attempts") == 0


def test_all_filters_must_hold(guide: Mill):
    shown = instance(guide, "--filter", "udrUsageIdentifier=a", "--filter", "originatingFileRecordIndex=2", "--wait")
    assert (shown["matchedCount"], shown["filterCriteria"]["condition"]) == (0, "and")


def test_another_owner_is_named(guide: Mill):
    assert instance(guide, "--all", "--wait", "--owner", "other")["failedCount"] == 3
    assert guide.value("select count(*) from charges") == 0


@pytest.mark.parametrize("arguments", [[], ["--all", "--id", "1"], ["--filter", "udrUsageIdentifier"]])
def test_what_does_not_say_which_is_wrong_usage(guide: Mill, arguments: list[str]):
    assert run(guide, *arguments).returncode == 2


@pytest.mark.parametrize("arguments", [["--filter", "nothing=1"], ["--filter", "id=one"]])
def test_a_filter_that_cannot_be_is_refused(guide: Mill, arguments: list[str]):
    done = run(guide, *arguments)
    assert done.returncode == 1
    assert done.stderr.startswith("ratemill: ")


def jobs_of(serve: subprocess.Popen[bytes]) -> list[int]:
    children = Path(f"/proc/{serve.pid}/task/{serve.pid}/children").read_text().split()
    return [int(pid) for pid in children if b"\0jobs\0" in Path(f"/proc/{pid}/cmdline").read_bytes()]


def test_serve_runs_the_jobs_and_goes_on_with_one_whose_process_was_killed(guide: Mill, tmp_path: Path):
    for first in range(0, 20_000, 1_000):
        guide.post_rows(*[guide_row(first + row, identifier="d") for row in range(1_000)])
    guide.work()
    guide.apply(MENDED.replace("udrUsageIdentifier: a,", "udrUsageIdentifier: d,"))
    options = {"database_url": guide.database.dsn, "home": str(tmp_path), "log_level": "ERROR"}
    with started("serve", "--port", str(free_port()), **options) as serve:
        wait_until(lambda: guide.value("select count(*) from workers") and jobs_of(serve))
        answer = guide.request("POST", "/UsageRatedExceptionSchedule/Reprocess", json={"all": True})
        assert answer.status_code == 200
        wait_until(lambda: guide.value("select rows_sent from reprocesses"))
        os.kill(jobs_of(serve)[0], signal.SIGKILL)
        killed_at = guide.value("select clock_timestamp()")
        wait_until(lambda: guide.value("select ended_at from reprocesses"))
        serve.send_signal(signal.SIGTERM)
        assert serve.wait(15) == 0
    assert guide.value("select ended_at - %s from reprocesses", killed_at) < timedelta(seconds=15)
    assert guide.rows("select rows_matched, rows_rated, rows_failed from reprocesses") == [(20_003, 20_002, 1)]
    assert guide.value("select count(*) from rating_attempts") == 20_003
    guide.assert_ties()


def test_a_spare_stands_by_and_takes_over(guide: Mill, tmp_path: Path):
    options = {"database_url": guide.database.dsn, "home": str(tmp_path), "log_level": "ERROR"}
    with started("serve", "--port", str(free_port()), **options) as serve:
        wait_until(lambda: len(jobs_of(serve)) == 2)
        process, spare = jobs_of(serve)
        os.kill(process, signal.SIGKILL)
        wait_until(lambda: process not in jobs_of(serve))
        answer = guide.request("POST", "/UsageRatedExceptionSchedule/Reprocess", json={"all": True})
        assert answer.status_code == 200
        wait_until(lambda: guide.value("select ended_at from reprocesses"))
        assert spare in jobs_of(serve)
        wait_until(lambda: len(jobs_of(serve)) == 2)
        serve.send_signal(signal.SIGTERM)
        assert serve.wait(15) == 0


def test_an_idle_runner_loads_no_table_engine():
    program = (
        "import sys, ratemill.cli.app, ratemill.jobs.runner; "
        "from ratemill.store.charges import reprocesses; sys.exit('polars' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
