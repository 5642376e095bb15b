"""A worker takes as many requests into one table as its bounds allow: records, and bytes of bodies."""

from collections.abc import Iterator
from threading import Event

import pytest
from tests.fixtures.mill import Mill, guide_row, mill

from ratemill.intake.worker import Worker
from ratemill.settings import Settings
from ratemill.store.connections import Database


@pytest.fixture(scope="module")
def guide(database: Database, settings: Settings) -> Iterator[Mill]:
    with mill(database, settings) as made:
        yield made


def test_a_table_takes_fewer_requests_where_their_bodies_are_large(guide: Mill):
    """Their bodies count unpacked; one that is over the bound alone has a table of its own."""
    chars = [30_000] * 4 + [60_000, 30_000, 300]
    for number, size in enumerate(chars):
        answer = guide.post_rows(guide_row(number, originating="4" * size))
        assert answer.status_code == 200, answer.text
    worker = Worker(guide.database, guide.settings.model_copy(update={"worker_bytes_max": 62_000}), Event())
    left = []
    while waiting := guide.value("select sum(rows_waiting) from submissions"):
        left.append(waiting)
        worker.step()
    assert left == [7, 5, 3, 2]
    assert guide.value("select count(*) from charges") == len(chars)
    guide.assert_ties()


def test_a_request_over_the_bound_is_processed_alone(guide: Mill):
    before = guide.value("select count(*) from charges")
    guide.post_rows(*[guide_row(100 + row) for row in range(10)])
    guide.post_rows(guide_row(200))
    worker = Worker(guide.database, guide.settings.model_copy(update={"worker_bytes_max": 1}), Event())
    assert worker.step()
    assert guide.value("select sum(rows_waiting) from submissions") == 1
    assert worker.step()
    assert guide.value("select count(*) from charges") == before + 11
    guide.assert_ties()
