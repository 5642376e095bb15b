"""A record that makes a stage fail, or kills its worker, becomes an exception; every other record goes on."""

from collections.abc import Callable
from threading import Event
from typing import Any

import polars as pl
import pytest
from tests.fixtures.mill import Mill, guide_row

from ratemill.errors import Unavailable
from ratemill.intake import conductor
from ratemill.intake import worker as worker_module
from ratemill.intake.worker import Worker
from ratemill.mediation.mediate import begin
from ratemill.rating.rate import rate
from ratemill.reasons import BY_ID
from ratemill.settings import Settings

GUILTY = "guilty"


class Killed(BaseException):
    """Stands for the death of a worker: nothing in the product catches it."""


def failing(stage: Callable[..., Any], column: str, error: BaseException) -> Callable[..., Any]:
    """Return ``stage``, failing on every table that holds the guilty record."""

    def run(table: pl.DataFrame, *arguments: Any, **options: Any) -> Any:
        if table[column].str.contains(GUILTY).any():
            raise error
        return stage(table, *arguments, **options)

    return run


def work_until_done(guide: Mill) -> None:
    """Work as ever new workers would, each starting where the last one died."""
    for _ in range(200):
        try:
            guide.work()
        except Killed:
            continue
        return
    pytest.fail("the feed did not go on")


@pytest.mark.parametrize("error", [ValueError("too much"), Killed()], ids=["raises", "kills"])
@pytest.mark.parametrize(("stage", "column"), [("begin", "raw"), ("rate", "uniqueness_identifier")])
def test_the_guilty_record_becomes_an_exception_and_the_others_are_charged(
    guide: Mill,
    monkeypatch: pytest.MonkeyPatch,
    stage: str,
    column: str,
    error: BaseException,
):
    rows = [guide_row(number) for number in range(50)]
    rows[20] = guide_row(0, unique=GUILTY)
    monkeypatch.setattr(conductor, stage, failing(getattr(conductor, stage), column, error))
    guide.post_rows(*[guide_row(1_000 + number) for number in range(10)])
    guide.post_rows(*rows)
    guide.post_rows(*[guide_row(2_000 + number) for number in range(10)])
    work_until_done(guide)
    assert guide.value("select count(*) from charges") == 69
    table = "import_exceptions" if stage == "begin" else "rating_exceptions"
    found = guide.rows(f"select submission_id, row_index, reason_id, value from {table}")
    assert [(submission, row, BY_ID[reason].name) for submission, row, reason, _ in found] == [
        (2, 21, "could_not_be_processed"),
    ]
    assert found[0][3] == (
        "ValueError('too much')" if isinstance(error, ValueError) else "the worker died on it 10 times"
    )
    guide.assert_ties()


def test_a_failure_of_the_world_refuses_nothing(guide: Mill, monkeypatch: pytest.MonkeyPatch):
    failures = iter([True] * 5)
    monkeypatch.setattr(conductor, "rate", lambda *a: 1 / 0 if next(failures, False) else rate(*a))
    guide.post_rows(*[guide_row(number) for number in range(8)])
    guide.work()
    assert guide.value("select count(*) from charges") == 8
    guide.assert_ties()


def test_two_guilty_records_are_both_found(guide: Mill, monkeypatch: pytest.MonkeyPatch):
    rows = [guide_row(number) for number in range(30)]
    rows[3], rows[29] = guide_row(0, unique=f"{GUILTY} 1"), guide_row(0, unique=f"{GUILTY} 2")
    monkeypatch.setattr(conductor, "begin", failing(begin, "raw", ValueError("no")))
    guide.post_rows(*rows)
    guide.work()
    assert guide.rows("select row_index from import_exceptions order by 1") == [(4,), (30,)]
    assert guide.value("select count(*) from charges") == 28
    assert guide.value("select count(*) from suspects") == 0
    guide.assert_ties()


@pytest.mark.parametrize(("stage", "column"), [("begin", "raw"), ("rate", "uniqueness_identifier")])
def test_a_request_that_the_profile_takes_whole_is_not_taken_apart(
    guide: Mill, monkeypatch: pytest.MonkeyPatch, stage: str, column: str
):
    guide.apply("ratemill: 1\ndataProfiles: [{name: guide_csv, envelope: request}]")
    guide.post_rows(*[guide_row(number) for number in range(6)], guide_row(0, unique=GUILTY))
    guide.post_rows(*[guide_row(1_000 + number) for number in range(3)])
    monkeypatch.setattr(conductor, stage, failing(getattr(conductor, stage), column, ValueError("no")))
    guide.work()
    table = "import_exceptions" if stage == "begin" else "rating_exceptions"
    found = guide.rows(f"select submission_id, row_index, reason_id from {table} order by 1, 2")
    assert [(submission, row) for submission, row, _ in found] == [(1, row) for row in range(1, 8)]
    assert {BY_ID[reason].name for _, _, reason in found} == {"could_not_be_processed"}
    assert guide.value("select count(*) from charges where submission_id = 2") == 3
    guide.assert_ties()


def unavailable(*_: object) -> None:
    """Fail as a database does that is away, full or waits too long for a lock."""
    raise Unavailable("no space left on device")


def test_a_database_that_does_not_answer_refuses_nothing_however_often(guide: Mill, monkeypatch: pytest.MonkeyPatch):
    guide.post_rows(guide_row(1))
    worker = Worker(guide.database, guide.settings, Event())
    with monkeypatch.context() as away:
        away.setattr(conductor, "rate", unavailable)
        for _ in range(10):
            assert not worker.step()
        assert guide.value("select count(*) from work_attempts") == 0
        assert guide.value("select count(*) from suspects") == 0
    guide.work()
    assert guide.value("select count(*) from charges") == 1


def test_a_record_that_stands_alone_is_not_refused_because_the_database_does_not_answer(
    guide: Mill, monkeypatch: pytest.MonkeyPatch
):
    failures = iter([True] * 3)
    guide.post_rows(guide_row(1))
    worker = Worker(guide.database, guide.settings, Event())
    with monkeypatch.context() as failing_first:
        failing_first.setattr(conductor, "rate", lambda *a: 1 / 0 if next(failures, False) else unavailable(*a))
        for _ in range(13):
            worker.step()
    assert guide.rows("select first_row, last_row from suspects") == [(1, 1)]
    assert guide.rows("select first_row, error is not null from work_attempts order by begun_at") == [
        (None, True),
        (None, True),
        (1, True),
    ]
    guide.work()
    assert guide.value("select count(*) from charges") == 1
    guide.assert_ties()


def test_a_submission_that_was_divided_goes_on_by_its_parts(guide: Mill):
    guide.post_rows(*[guide_row(number) for number in range(4)])
    guide.change("insert into suspects (submission_id, first_row, last_row) values (1, 1, 2), (1, 3, 4)")
    worker = Worker(guide.database, guide.settings, Event())
    worker.step()
    assert guide.value("select rows_waiting from submissions") == 2
    guide.work()
    assert guide.value("select count(*) from charges") == 4
    assert guide.value("select count(*) from suspects") == 0
    guide.assert_ties()


def test_a_feed_that_is_put_off_does_not_hold_up_the_others(guide: Mill, monkeypatch: pytest.MonkeyPatch):
    guide.apply("ratemill: 1\nudrFeeds: [{name: Second, dataProfileName: guide_csv, batchWaitSeconds: 0}]")
    guide.post_rows(guide_row(1))
    guide.post_rows(guide_row(2), feed="Second")
    first = guide.value("select min(feed_id) from submissions")
    worker = Worker(guide.database, guide.settings, Event())

    def blocked(connection: Any, settings: Settings, work: Any) -> None:
        unavailable() if work.feed.feed_id == first else conductor.conduct(connection, settings, work)

    monkeypatch.setattr(worker_module, "conduct", blocked)
    assert worker.step()
    assert guide.rows("select feed_id <> %s from charges", first) == [(True,)]
