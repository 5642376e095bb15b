"""A history's counts tie at every instant, also while workers commit, and a caller may wait for the last record."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest
from tests.fixtures.mill import Mill, guide_row
from tests.fixtures.two_mills import EVERY_END, instance, items, two_mills

from ratemill.intake.worker import Worker
from ratemill.settings import Settings
from ratemill.store.connections import Database


@pytest.fixture(scope="module")
def mills(database: Database, settings: Settings) -> Iterator[tuple[Mill, Mill]]:
    with two_mills(database, settings) as made:
        yield made


def assert_ties(counted: dict[str, Any]) -> None:
    imported = counted["importCount"]
    others = ("importExceptionCount", "importSkipRecordCount", "importDuplicateCount", "importWaitingCount")
    assert counted["recordCount"] == imported + sum(counted[name] for name in others)
    ends = ("ratedCount", "ratingExceptionCount", "ratingWaitingCount", "ratingWrittenOffCount")
    assert imported == sum(counted[name] for name in ends)


def test_the_counts_tie_at_every_instant_while_a_worker_commits(mills: tuple[Mill, Mill], settings: Settings):
    mine, others = mills
    for number in range(12):
        rows = [guide_row(number * 1_000 + row) for row in range(200)]
        mine.post_rows(*EVERY_END, *rows)
        others.post_rows(*rows)
    worker = Worker(mine.database, settings.model_copy(update={"worker_rows_max": 1_000}), Event())
    with ThreadPoolExecutor(1) as pool:
        working = pool.submit(lambda: [worker.step() for _ in range(12)])
        while not working.done():
            for history in items(mine, "/DataImport/History/Paged"):
                assert_ties(history)
                assert history["recordCount"] == 207
                for batch_id in history["importBatchIds"]:
                    assert_ties(instance(mine, f"/DataImport/Batch/{batch_id}"))
    mine.work()
    shown = items(mine, "/DataImport/History/Paged")
    assert {history["dataImportHistoryStatusTypeName"] for history in shown} == {"Done"}
    assert sum(history["recordCount"] for history in shown) == 12 * 207
    mine.assert_ties()


def test_a_caller_who_waits_is_answered_when_the_last_record_is_done(mills: tuple[Mill, Mill]):
    mine = mills[0]
    sent_id = mine.post_rows(guide_row(90_000)).json()["trackingId"]
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(instance, mine, f"/DataImport/History/{sent_id}?wait=60")
        mine.work()
        assert waiting.result(timeout=30)["importWaitingCount"] == 0


def test_the_profile_is_that_of_the_last_batch(mills: tuple[Mill, Mill]):
    mine = mills[0]
    before, after = (mine.post_rows(guide_row(number)).json()["trackingId"] for number in (91_000, 91_001))
    first = instance(mine, f"/DataImport/History/{before}")["dataProfileVersion"]
    mine.work()
    mine.apply("ratemill: 1\ndataProfiles: [{name: guide_csv, timeZone: Europe/Berlin}]")
    fresh = mine.post_rows(guide_row(91_002)).json()["trackingId"]
    versions = [instance(mine, f"/DataImport/History/{key}")["dataProfileVersion"] for key in (before, after, fresh)]
    mine.work()
    assert versions == [first, first, first + 1]
