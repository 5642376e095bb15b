"""The bound of the backlog holds without a worker, and no owner takes the room or the workers of another."""

from collections.abc import Iterator
from threading import Event
from time import monotonic

import pytest
from tests.fixtures.mill import GUIDE, Mill, guide_row, mill
from tests.fixtures.mills import NewMill

from ratemill.intake.worker import Worker
from ratemill.settings import Settings
from ratemill.store.connections import driver
from ratemill.store.usage import backlog

BOUND = 8_000
REQUEST_ROWS = 500
FEEDS = 10
MORE_FEEDS = "\n".join(
    ["ratemill: 1", "udrFeeds:"]
    + [
        f"  - {{name: Feed {number}, apiName: feed{number}, dataProfileName: guide_csv, batchWaitSeconds: 0}}"
        for number in range(FEEDS)
    ]
)


@pytest.fixture
def bounded(settings: Settings) -> Settings:
    return settings.model_copy(update={"backlog_rows_max": BOUND, "worker_rows_max": 1_000})


@pytest.fixture
def guide(new_mill: NewMill) -> Iterator[Mill]:
    with new_mill(backlog_rows_max=BOUND, worker_rows_max=1_000) as made:
        yield made


def age(guide: Mill, seconds: float) -> None:
    """Let the last count, and the last look of the API at it, have been some time ago."""
    guide.client.app.state.backlog._looked_at = monotonic() - seconds  # type: ignore[attr-defined]
    guide.change("update backlog set counted_at = clock_timestamp() - make_interval(secs => %s), count_s = 0", seconds)


def rows(first: int, number: int = REQUEST_ROWS) -> list[str]:
    return [guide_row(row) for row in range(first, first + number)]


def fill(guide: Mill, *, seconds: float, requests: int = 40) -> int:
    """Send requests, each some time after the last count, until one is refused; return how many rows were accepted."""
    for request in range(requests):
        age(guide, seconds)
        answer = guide.post_rows(*rows(REQUEST_ROWS * request))
        if answer.status_code != 200:
            assert answer.status_code == 429, answer.text
            return REQUEST_ROWS * request
    pytest.fail("no request was refused")


def test_without_a_worker_the_api_counts_each_second_and_keeps_the_bound(guide: Mill):
    assert guide.value("select count(*) from workers") == 0
    # What comes after a count is not in it: a request that raises the count to the bound is the last.
    assert fill(guide, seconds=1) <= BOUND + REQUEST_ROWS
    answer = guide.post_rows(guide_row())
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0
    assert f"the bound is {BOUND}" in answer.text
    assert guide.value("select sum(rows_waiting) from submissions") == guide.value("select rows_waiting from backlog")


def test_what_comes_within_one_second_of_a_count_may_exceed_the_bound_and_no_more(guide: Mill):
    assert guide.post_rows(*rows(0)).status_code == 200
    with guide.database.worker() as connection:
        driver(connection).execute("update backlog set counted_at = clock_timestamp() + interval '1 hour'")
    accepted = [guide.post_rows(*rows(REQUEST_ROWS * request)).status_code for request in range(1, 20)]
    assert set(accepted) == {200}
    age(guide, 1)
    assert guide.post_rows(guide_row(1)).status_code == 200  # the answer is sent before the count
    assert guide.post_rows(guide_row(2)).status_code == 429


def test_requests_are_accepted_again_when_there_is_room(guide: Mill):
    fill(guide, seconds=6)
    guide.work()
    age(guide, 1)
    assert guide.post_rows(guide_row(100_000)).status_code == 200
    guide.work()
    guide.assert_ties()


def test_figures_that_are_old_and_cannot_be_counted_are_429(guide: Mill):
    age(guide, 6)
    with guide.database.worker() as connection:
        driver(connection).execute("select from backlog for update")
        answer = guide.post_rows(guide_row())
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0
    assert "last counted" in answer.text
    assert guide.post_rows(guide_row()).status_code == 200


def test_a_count_is_repeated_less_often_when_it_takes_long(guide: Mill):
    def is_counted(age_s: float, count_s: float) -> bool:
        with guide.database.worker() as connection:
            driver(connection).execute(
                "update backlog set counted_at = clock_timestamp() - make_interval(secs => %s), count_s = %s",
                (age_s, count_s),
            )
            return backlog.count_if_due(connection)

    assert is_counted(1, 0.01)
    assert not is_counted(1, 0.2)
    assert is_counted(2.1, 0.2)
    assert not is_counted(2.1, 60)
    assert is_counted(4.1, 60)


class TestOwners:
    """Two owners on one installation."""

    @pytest.fixture
    def other(self, guide: Mill) -> Iterator[Mill]:
        with mill(guide.database, guide.settings, "other", GUIDE) as made:
            yield made

    def test_the_only_owner_with_feeds_has_the_whole_bound(self, guide: Mill):
        assert guide.value("select owners from backlog") == 1
        assert fill(guide, seconds=6) >= BOUND

    def test_one_of_several_has_half_the_bound_and_the_other_is_accepted(self, guide: Mill, other: Mill):
        assert BOUND // 2 <= fill(guide, seconds=6) <= BOUND // 2 + REQUEST_ROWS
        refused = guide.post_rows(guide_row())
        assert f"the bound of one owner is {BOUND // 2}" in refused.text
        assert "RATEMILL_OWNER_BACKLOG_PERCENT_MAX" in refused.text
        assert other.post_rows(guide_row()).status_code == 200
        waiting = guide.value("select rows_waiting from owner_backlogs")
        assert str(waiting) in refused.text

    def test_an_owner_below_an_even_part_is_accepted_whatever_the_others_have(self, guide: Mill, other: Mill):
        other_id = guide.value("select owner_id from owners where name = 'other'")
        own_id = guide.value("select owner_id from owners where name = 'default'")
        guide.change("update backlog set rows_waiting = %s, owners = 4", BOUND)

        def set_waiting(owner_id: int, waiting: int) -> None:
            age(guide, 0)
            guide.change(
                "insert into owner_backlogs values (%s, %s) "
                "on conflict (owner_id) do update set rows_waiting = excluded.rows_waiting",
                owner_id,
                waiting,
            )

        set_waiting(own_id, BOUND // 4)
        set_waiting(other_id, BOUND // 4 - 1)
        assert guide.post_rows(guide_row()).status_code == 429
        assert other.post_rows(guide_row()).status_code == 200


def test_a_record_of_one_owner_is_charged_after_one_table_of_another(new_mill: NewMill):
    with new_mill(worker_rows_max=1_000) as guide, mill(guide.database, guide.settings, "other") as other:
        guide.apply(MORE_FEEDS)
        for number in range(FEEDS):
            for request in range(3):
                sent = guide.post_rows(*rows(10_000 * number + REQUEST_ROWS * request), feed=f"feed{number}")
                assert sent.status_code == 200, sent.text
        worker = Worker(guide.database, guide.settings, Event())
        assert worker.step()
        assert other.post_rows(guide_row()).status_code == 200
        owner_id = guide.value("select owner_id from owners where name = 'other'")
        waiting = guide.value("select sum(rows_waiting) from submissions where owner_id <> %s", owner_id)
        assert worker.step()
        assert guide.value("select count(*) from charges where owner_id = %s", owner_id) == 1
        assert guide.value("select sum(rows_waiting) from submissions where owner_id <> %s", owner_id) == waiting
        served = "select count(distinct feed_id) from batches where owner_id <> %s"
        for _ in range(FEEDS - 1):
            assert worker.step()
        assert guide.value(served, owner_id) == FEEDS
        guide.work()
        guide.assert_ties()
        other.assert_ties()


def test_nothing_of_another_owner_shows_in_the_figures_that_a_request_reads(guide: Mill):
    guide.post_rows(guide_row())
    age(guide, 6)
    guide.post_rows(guide_row(1))
    owner_id = guide.value("select owner_id from owner_backlogs")
    with guide.database.face(owner_id + 1) as connection:
        assert backlog.read(connection, owner_id).owner_rows_waiting == 0
    with guide.database.face(owner_id) as connection:
        assert backlog.read(connection, owner_id).owner_rows_waiting > 0
