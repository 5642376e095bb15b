"""Eight workers take 100,000 requests of one record each: none is refused, none is lost and none is charged twice.

The workers meet all the time: each looks for the oldest requests, and the senders keep the queue short. So whatever one
worker counts while another holds a request would show as a refusal.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from decimal import Decimal
from time import monotonic

import pytest
from proofs.installation import wait_for
from proofs.senders import PRICE, quantity, row, waiting
from tests.fixtures.mill import Mill
from tests.fixtures.processes import start

from ratemill.intake.accept import ImportRequest, accept
from ratemill.intake.backlog import BacklogKeeper

WORKERS = 8
SENDERS = 4
REQUESTS = 100_000
SHARES = 400  # the requests are sent in this many shares, by whichever sender is free
END_S_MAX = 600.0  # for what still waits when the last request is accepted


@pytest.fixture
def workers(guide: Mill) -> Iterator[Callable[[], list[int | None]]]:
    """Start the workers; yield a function that returns the exit code of each, None while it runs."""
    with ExitStack() as ending:
        processes = [start("worker", database_url=guide.database.dsn, log_level="WARNING") for _ in range(WORKERS)]
        for process in processes:
            ending.callback(process.wait)
            ending.callback(process.kill)
        wait_for(lambda: guide.value("select count(*) from workers") == WORKERS, "all workers run")
        yield lambda: [process.poll() for process in processes]


def send(guide: Mill, keeper: BacklogKeeper, numbers: range) -> None:
    """Accept requests of one record each."""
    for number in numbers:
        body = json.dumps({"data": [row(number)]}).encode()
        accept(guide.database, guide.settings, keeper, ImportRequest(guide.token, "guideFeed", "rows", body, "POST /"))


def send_all(guide: Mill) -> None:
    """Accept all requests, several at a time."""
    share, keeper = REQUESTS // SHARES, BacklogKeeper(guide.database)
    with ThreadPoolExecutor(SENDERS) as senders:
        shares = [range(first, first + share) for first in range(0, REQUESTS, share)]
        for _ in senders.map(lambda numbers: send(guide, keeper, numbers), shares):
            pass


@pytest.mark.timeout(1_800)
def test_eight_workers_charge_each_of_many_small_requests_once(
    guide: Mill, workers: Callable[[], list[int | None]], figures: Callable[[str], None]
):
    began = monotonic()
    send_all(guide)
    accepted_s, left = monotonic() - began, waiting(guide.database)
    wait_for(lambda: waiting(guide.database) == 0, "every record is processed", seconds=END_S_MAX)
    processed_s = monotonic() - began
    assert workers() == [None] * WORKERS, "a worker ended"
    assert_each_charged_once(guide)
    tables = guide.value("select count(*) from batches")
    figures(
        f"{WORKERS} workers, {REQUESTS} requests of one record, accepted in {accepted_s:.0f} s"
        f" ({REQUESTS / accepted_s:.0f} per second, {left} left waiting), processed in {processed_s:.0f} s"
        f" ({REQUESTS / processed_s:.0f} per second) in {tables} batches; none refused, the counts tie"
    )


def assert_each_charged_once(guide: Mill) -> None:
    """Fail unless each record has one charge of its own price and nothing is known against any."""
    for table in ("import_exceptions", "rating_exceptions", "duplicates", "skipped", "suspects", "work_attempts"):
        assert guide.value(f"select count(*) from {table}") == 0, table
    charged = guide.rows("select uniqueness_identifier::bigint, amount from charges")
    amounts: dict[int, Decimal] = dict(charged)
    assert len(charged) == len(amounts) == REQUESTS
    assert all(amounts[number] == quantity(number) * PRICE for number in range(REQUESTS))
    guide.assert_ties()
