"""Requests whose rows grow in mediation are processed in smaller tables: each row is charged once, no attempt counts."""

from collections.abc import Iterator
from threading import Event

import pytest
from tests.fixtures.mill import Mill, guide_row, mill

from ratemill.intake.table_rows import COMMITS_MIN, TableRows
from ratemill.intake.worker import Worker
from ratemill.ledger.lookup import look_up
from ratemill.ledger.remake import RemakeResult, remake
from ratemill.settings import Settings
from ratemill.store.connections import Database
from ratemill.store.usage.submissions import ClaimedSubmission, DueFeed

GROWING = """
ratemill: 1
dataProfiles:
  - name: {name}
    format: csv
    envelope: {envelope}
    fields: [{{name: DateTime}}, {{name: UdrIdentifierTypeName}}, {{name: OriginatingIdentifier}},
             {{name: TerminatingIdentifier, transforms: [{{type: regex, pattern: "^x$", replacement: "{text}"}}]}},
             {{name: UdrUsageIdentifier}}, {{name: Value}}, {{name: Inbound}}, {{name: ReverseRating}},
             {{name: UsageClassName}}, {{name: UsageClassTypeName}}, {{name: UniquenessIdentifier}}]
udrFeeds: [{{name: {name}, apiName: {name}, dataProfileName: {name}, batchWaitSeconds: 0}}]
"""
CHARS = 1_000


@pytest.fixture(scope="module")
def guide(database: Database, settings: Settings) -> Iterator[Mill]:
    bounded = settings.model_copy(update={"worker_growth_bytes_max": 12 * CHARS})
    with mill(database, bounded) as made:
        for name in ("row", "request"):
            made.apply(GROWING.format(name=name, envelope=name, text="y" * CHARS))
        yield made


def growing_rows(name: str, count: int) -> list[str]:
    return [guide_row(terminating="x", unique=f"{name} {row}") for row in range(count)]


def post(guide: Mill, feed: str, name: str, count: int) -> str:
    answer = guide.post_rows(*growing_rows(name, count), feed=feed)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["trackingId"])


def assert_charged(guide: Mill, name: str, count: int) -> None:
    """Hold that each row is charged once, in full, and that nothing is left of how the tables were divided."""
    found = guide.rows(
        "select length(terminating_identifier), amount from charges where uniqueness_identifier like %s", f"{name} %"
    )
    assert [length for length, _ in found] == [CHARS] * count
    assert len({amount for _, amount in found}) == 1
    for table in ("work_attempts", "suspects", "import_exceptions", "rating_exceptions"):
        assert guide.value(f"select count(*) from {table}") == 0
    guide.assert_ties()


def test_requests_that_grow_together_are_taken_in_fewer_to_a_table(guide: Mill):
    for request in range(7):
        post(guide, "row", f"few {request}", 5)
    worker = Worker(guide.database, guide.settings, Event())
    waiting = [35]
    while waiting[-1]:
        assert worker.step()
        waiting.append(guide.value("select sum(rows_waiting) from submissions"))
    assert waiting == [35, 35, 35, 30, 25, 20, 15, 10, 5, 0]  # 35 rows and 15 are too many, 7 are one request of 5
    assert_charged(guide, "few", 35)


def test_a_request_that_grows_too_much_alone_is_processed_in_parts(guide: Mill):
    post(guide, "row", "parts", 100)
    post(guide, "row", "small", 3)
    guide.work()
    assert_charged(guide, "parts", 100)
    assert_charged(guide, "small", 3)
    assert guide.value("select max(last_row - first_row + 1) from batch_spans where rows_received < 100") <= 12


def test_a_request_that_the_profile_takes_whole_stays_whole(guide: Mill):
    post(guide, "request", "whole", 40)
    post(guide, "request", "another", 40)
    guide.work()
    assert_charged(guide, "whole", 40)
    assert_charged(guide, "another", 40)


def test_a_part_that_failed_before_is_divided_like_any_other(guide: Mill, monkeypatch: pytest.MonkeyPatch):
    """The submission has failed twice for another reason; nothing of what it gains is refused."""
    post(guide, "row", "failed", 50)

    def fail(*_: object) -> None:
        raise ValueError("no table is conducted")

    with monkeypatch.context() as patched:
        patched.setattr("ratemill.intake.worker.conduct", fail)
        worker = Worker(guide.database, guide.settings, Event())
        worker.step()
        worker.step()
    assert guide.value("select count(*) from work_attempts") == 2
    guide.work()
    assert_charged(guide, "failed", 50)


def test_rows_that_were_sent_in_again_and_grow_are_charged(guide: Mill):
    """They wait in one submission, and each becomes a part of its own."""
    count = 20
    answer = guide.post_rows(
        *[guide_row(terminating="x", unique=f"again {row}", value="no") for row in range(count)], feed="row"
    )
    assert answer.status_code == 200, answer.text
    guide.work()
    numbers = guide.rows("select import_exception_id from import_exceptions order by row_index")
    assert len(numbers) == count
    for (number,), row in zip(numbers, growing_rows("again", count), strict=True):
        path = f"/DataImport/History/Exception/{number}/Resubmit"
        assert guide.request("POST", path, json={"data": row}).status_code == 200
    guide.work()
    lengths = "select length(terminating_identifier) from charges where uniqueness_identifier like %s"
    assert guide.rows(lengths, "again %") == [(CHARS,)] * count
    guide.assert_ties()
    guide.change("delete from import_exceptions")


def test_another_worker_may_process_the_request_before_it_is_divided(guide: Mill, monkeypatch: pytest.MonkeyPatch):
    """The first finds it too large; the second processes it; then the first finds nothing to divide, and goes on."""
    post(guide, "row", "two", 30)
    divided = []

    def meanwhile(worker: Worker, feed: DueFeed, taken: list[ClaimedSubmission]) -> None:
        monkeypatch.undo()
        guide.work()
        divided.append(len(taken))
        worker._take_fewer(feed, taken)

    monkeypatch.setattr(Worker, "_take_fewer", meanwhile)
    assert Worker(guide.database, guide.settings, Event()).step()
    assert divided == [1]
    assert_charged(guide, "two", 30)


def test_records_are_remade_in_smaller_tables(guide: Mill):
    key = post(guide, "row", "remade", 40)
    guide.work()
    (match,) = look_up(guide.database, 1, key, 1_000)
    bounds = {"field_chars_max": guide.settings.field_chars_max, "growth_bytes_max": 5 * CHARS}
    found = remake(guide.database, 1, match.records, **bounds)
    assert [*found.values()] == [RemakeResult()] * 40


def test_a_larger_table_is_tried_again_after_some_commits():
    tables = TableRows()
    tables.halve(1, 20_000)
    assert (tables.of(1, 20_000), tables.of(1, 500), tables.of(2, 20_000)) == (10_000, 500, 20_000)
    tables.halve(1, 1)
    assert tables.of(1, 20_000) == 1
    for _ in range(COMMITS_MIN):
        assert tables.of(1, 20_000) == 1
        tables.note_commit(1)
    assert tables.of(1, 20_000) == 20_000
