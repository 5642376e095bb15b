"""What a worker keeps of owners is within its bound, and what it forgot is read again."""

from __future__ import annotations

from threading import Event

from tests.fixtures.mill import Mill, guide_row

from ratemill.intake.caches import RatingCaches
from ratemill.intake.worker import Worker


def caches_of(worker: Worker) -> RatingCaches:
    return worker._caches


def take(worker: Worker, mill: Mill) -> None:
    while mill.value("select count(*) from submissions where rows_waiting > 0"):
        worker.step()


def test_owners_over_the_bound_are_forgotten_and_read_again(mine: Mill, others: Mill):
    worker = Worker(mine.database, mine.settings.model_copy(update={"worker_cache_bytes_max": 1}), Event())
    for number in range(3):
        for mill in (mine, others):
            mill.post_rows(guide_row(number))
            take(worker, mill)
            assert len(caches_of(worker).setup.books) == len(caches_of(worker).holders) == 1
    assert mine.rows("select owner_id, count(*) from charges group by 1 order by 1") == [(1, 3), (2, 3)]


def test_what_is_kept_is_weighed(mine: Mill):
    worker = Worker(mine.database, mine.settings, Event())
    mine.post_rows(guide_row(10))
    take(worker, mine)
    caches = caches_of(worker)
    assert 0 < caches.setup.books.weight < 100_000
    assert 0 < caches.holders.weight < 100_000
    mine.post_rows(guide_row(11))  # what the first table wrote itself may have been rolled back
    take(worker, mine)
    assert caches.charged.objects.weight == 4  # a class, a plan, a group and a rate
