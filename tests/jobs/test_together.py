"""Import, resubmit, write off and reprocess all at once: nobody deadlocks, and an audit at any instant holds."""

import random
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event

import pytest
from tests.fixtures.mill import GUIDE, Mill, guide_row
from tests.fixtures.mills import NewMill

from ratemill.intake.worker import Worker
from ratemill.jobs.runner import Runner
from ratemill.ledger.audit import audit

REQUESTS, ROWS = 12, 30


@pytest.fixture
def guide(new_mill: NewMill) -> Iterator[Mill]:
    with new_mill() as made:
        Mill(made.database, made.settings, "other", made.client).apply(GUIDE)
        yield made


def one_request(number: int) -> list[str]:
    """Return rows of which a third is good, a third refused, and a third has an unknown identifier."""
    members: tuple[dict[str, str], ...] = ({}, {"value": "ninety"}, {"identifier": "nobody"})
    return [guide_row(ROWS * number + row, **members[row % 3]) for row in range(ROWS)]


def mend(guide: Mill, seed: int) -> set[int]:
    """Resubmit, write off and reprocess at random; return the statuses that were answered."""
    rng = random.Random(seed)
    answered = set()
    for _ in range(60):
        number = rng.randint(1, REQUESTS * ROWS // 3)
        import_exception = f"/DataImport/History/Exception/{number}"
        path, body = rng.choice(
            [
                (f"{import_exception}/Resubmit", {"data": guide_row(10_000 + number)}),
                (f"{import_exception}/Resubmit", {"data": guide_row(10_000 + number, value="still")}),
                (f"{import_exception}/WriteOff", {"note": "enough"}),
                (f"/Udr/Usage/Exception/{number}/WriteOff", {}),
                ("/UsageRatedExceptionSchedule/Reprocess", {"all": True}),
                ("/UsageRatedExceptionSchedule/Reprocess", {"ids": [number]}),
            ]
        )
        answered.add(guide.request("POST", path, json=body).status_code)
    return answered


def test_all_at_once_tie_at_every_instant(guide: Mill):
    stopping = Event()
    with ThreadPoolExecutor(8) as pool:
        running: list[Future[None]] = [
            pool.submit(Worker(guide.database, guide.settings, stopping).run),
            pool.submit(Runner(guide.database, guide.settings, stopping).run),
            pool.submit(Runner(guide.database, guide.settings, stopping).run),
        ]
        try:
            for number in range(REQUESTS // 2):
                guide.post_rows(*one_request(number))
            mending = [pool.submit(mend, guide, seed) for seed in range(3)]
            for number in range(REQUESTS // 2, REQUESTS):
                guide.post_rows(*one_request(number))
                found = audit(guide.database)
                assert found.holds, found.failures
            guide.apply(
                "ratemill: 1\nusageIdentifiers: [{udrUsageIdentifier: nobody, accountName: Acme, accountServiceName: Line}]"
            )
            assert set().union(*[each.result() for each in mending]) <= {200, 404, 409}
        finally:
            stopping.set()
        for each in running:
            each.result()
    guide.assert_ties()
    guide.work()
    assert guide.request("POST", "/UsageRatedExceptionSchedule/Reprocess", json={"all": True}).status_code == 200
    runner = Runner(guide.database, guide.settings, Event())
    while runner.step():
        pass
    guide.assert_ties()
    assert guide.value("select count(*) from rating_exceptions where state = 1") == 0
    assert guide.value("select count(*) from reprocesses where ended_at is null") == 0
    assert guide.value("select count(*) from rating_exceptions where reason_id = 2901") == 0
