"""An attempt counts only where a worker began the work and did not finish it, however workers and outages meet."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from tests.fixtures.mill import Mill, guide_row
from tests.fixtures.mills import NewMill

from ratemill.errors import DatabaseAway, StatementDefect, StatementLimit, Unavailable
from ratemill.heartbeat import Stopping
from ratemill.intake import conductor, quarantine
from ratemill.intake.attempts import DEATHS_ALONE_MAX, Trial
from ratemill.intake.worker import Worker
from ratemill.rating.rate import rate
from ratemill.settings import WORKER_CONNECTIONS
from ratemill.setup.in_force import book
from ratemill.store import work_attempts
from ratemill.store.charges import outcomes
from ratemill.store.connections import Database, driver
from ratemill.store.embedded.embedded import Server
from ratemill.store.usage import submissions, suspects

# Each step of the work on a table, and on a part, at which another worker or an outage may come.
STEPS: dict[str, tuple[Any, str]] = {
    "choose": (submissions, "choose"),
    "take": (submissions, "take"),
    "begin": (Trial, "begin"),
    "conduct": (conductor, "_mediate"),
    "write": (conductor, "write_ends"),
    "finish": (work_attempts, "finish"),
}
QUARANTINE_STEPS: dict[str, tuple[Any, str]] = {
    **STEPS,
    "list": (quarantine, "_list"),
    "first": (suspects, "first"),
    "halve": (quarantine, "_halve"),
    "remove": (suspects, "remove"),
    "clear": (work_attempts, "clear_part"),
}

BEFORE_AND_AFTER = [pytest.param(True, marks=pytest.mark.slow, id="before"), pytest.param(False, id="after")]


@pytest.fixture(scope="module")
def shared(new_mill: NewMill) -> Iterator[Mill]:
    with new_mill() as made:
        yield made


@pytest.fixture
def guide(shared: Mill) -> Mill:
    """Return a mill without a record: a database for each test would take longer than the tests."""
    with shared.database.schema_owner() as connection:
        driver(connection).execute(
            "truncate submissions, submission_bodies, batches, batch_spans, charges, rating_exceptions, import_exceptions,"
            " duplicate_keys, duplicates, suspects, work_attempts restart identity"
        )
    return shared


class Killed(BaseException):
    """Stands for the death of a worker: nothing in the product catches it."""


def at_each_call(
    monkeypatch: pytest.MonkeyPatch, step: tuple[Any, str], *, before: bool, meet: Callable[[], None]
) -> None:
    """Call ``meet`` before or after each call of a step, but never within itself."""
    holder, name = step
    call = getattr(holder, name)
    busy: list[bool] = []

    def met() -> None:
        if not busy:
            busy.append(True)
            try:
                meet()
            finally:
                busy.clear()

    def run(*arguments: Any, **options: Any) -> Any:
        if before:
            met()
        found = call(*arguments, **options)
        if not before:
            met()
        return found

    monkeypatch.setattr(holder, name, run)


def fail_at_first(monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """Let the rating of the first tables fail, as if by a fault that is gone afterwards."""
    failures = iter([True] * times)
    monkeypatch.setattr(conductor, "rate", lambda *a: 1 / 0 if next(failures, False) else rate(*a))


def work(guide: Mill, *workers: Worker) -> None:
    for _ in range(200):
        if not guide.value("select count(*) from submissions where rows_waiting > 0"):
            return
        for each in workers:
            each.step()
    pytest.fail("the records were not processed")


def assert_all_charged(guide: Mill, rows: int) -> None:
    for table in ("import_exceptions", "rating_exceptions", "suspects", "work_attempts"):
        assert guide.value(f"select count(*) from {table}") == 0, table
    assert guide.value("select count(*) from charges") == rows
    guide.assert_ties()


def cut_off(server: Server, guide: Mill) -> None:
    """End every connection of the product with its database."""
    with psycopg.connect(server.admin_dsn(), autocommit=True) as connection:
        connection.execute(
            "select pg_terminate_backend(pid, 10000) from pg_stat_activity where datname = %s and pid <> pg_backend_pid()",
            (conninfo_to_dict(guide.database.dsn)["dbname"],),
        )


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_two_workers_that_meet_leave_no_attempt_against_a_record(
    guide: Mill, monkeypatch: pytest.MonkeyPatch, step: str, before: bool
):
    for number in range(8):
        guide.post_rows(guide_row(number))
    one, other = (Worker(guide.database, guide.settings, Event()) for _ in range(2))
    errors: list[int] = []

    def meet() -> None:
        other.step()
        errors.append(guide.value("select count(*) from work_attempts where error is not null"))

    at_each_call(monkeypatch, STEPS[step], before=before, meet=meet)
    work(guide, one, other)
    assert errors
    assert not any(errors)
    assert_all_charged(guide, 8)


@pytest.mark.parametrize("before", BEFORE_AND_AFTER)
@pytest.mark.parametrize("step", QUARANTINE_STEPS)
def test_two_workers_that_meet_in_quarantine_refuse_nothing(
    guide: Mill, monkeypatch: pytest.MonkeyPatch, step: str, before: bool
):
    guide.post_rows(guide_row(1), guide_row(2))
    fail_at_first(monkeypatch, 4)
    one, other = (Worker(guide.database, guide.settings, Event()) for _ in range(2))
    met: list[bool] = []
    at_each_call(monkeypatch, QUARANTINE_STEPS[step], before=before, meet=lambda: met.append(other.step()))
    work(guide, one, other)
    assert met
    assert_all_charged(guide, 2)


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_an_outage_at_any_step_leaves_no_attempt_against_a_record(
    guide: Mill, server: Server, monkeypatch: pytest.MonkeyPatch, step: str, before: bool
):
    for number in range(3):
        guide.post_rows(guide_row(number))
    worker = Worker(guide.database, guide.settings, Event())
    with monkeypatch.context() as away:
        at_each_call(away, STEPS[step], before=before, meet=lambda: cut_off(server, guide))
        for _ in range(2):
            until_available(worker.step)
    until_available(worker._attempts.settle)
    guide.database.close()  # the pool still has connections that were cut off
    assert guide.value("select count(*) from work_attempts") == 0
    work(guide, worker)
    assert_all_charged(guide, 3)


@pytest.mark.parametrize("before", BEFORE_AND_AFTER)
@pytest.mark.parametrize("step", QUARANTINE_STEPS)
def test_an_outage_in_quarantine_refuses_nothing(
    guide: Mill, server: Server, monkeypatch: pytest.MonkeyPatch, step: str, before: bool
):
    guide.post_rows(guide_row(1), guide_row(2))
    fail_at_first(monkeypatch, 4)
    worker = Worker(guide.database, guide.settings, Event())
    outages = iter(range(3))

    def meet() -> None:
        if next(outages, None) is not None:
            cut_off(server, guide)

    at_each_call(monkeypatch, QUARANTINE_STEPS[step], before=before, meet=meet)
    for _ in range(24):
        until_available(worker.step)
        if not waiting(guide):
            break
    guide.database.close()
    assert_all_charged(guide, 2)


def waiting(guide: Mill) -> int:
    """Return how many records wait, while the pool may still have connections that were cut off."""
    found: list[int] = []
    until_available(
        lambda: found.append(guide.value("select coalesce(sum(rows_waiting), 0)::integer from submissions"))
    )
    return found[0]


def until_available(call: Callable[[], object]) -> None:
    """Call again while the pool still has connections that were cut off."""
    for _ in range(20):
        try:
            call()
        except Unavailable:
            continue
        return
    pytest.fail("the database did not come back")


def test_an_attempt_whose_end_could_not_be_written_is_settled_before_the_next_one(
    guide: Mill, monkeypatch: pytest.MonkeyPatch
):
    guide.post_rows(guide_row(1))
    worker = Worker(guide.database, guide.settings, Event())

    def away(*_: object) -> None:
        raise Unavailable("the database is away")

    with monkeypatch.context() as broken:
        broken.setattr(conductor, "rate", away)
        broken.setattr(work_attempts, "forget", away)
        assert not worker.step()
        assert guide.value("select count(*) from work_attempts") == 1
        with pytest.raises(Unavailable):
            worker.step()
        assert guide.value("select count(*) from work_attempts") == 1  # nothing else was begun
    worker.step()
    assert_all_charged(guide, 1)


class LostAnswers(Database):
    """Lets the answer to a commit be lost: what was written is there, and the caller cannot know."""

    losing = False

    @contextmanager
    def worker(self) -> Iterator[Any]:
        with super().worker() as connection:
            yield connection
        if self.losing:
            self.losing = False
            raise DatabaseAway("the answer to the commit was lost")


def test_an_attempt_whose_begin_got_no_answer_does_not_count(guide: Mill, monkeypatch: pytest.MonkeyPatch):
    guide.post_rows(guide_row(1))
    database = LostAnswers(guide.database.dsn, guide.settings)
    begin = work_attempts.begin
    began: list[bool] = []

    def begin_unanswered(*arguments: Any) -> None:
        begin(*arguments)
        database.losing = not began
        began.append(True)

    monkeypatch.setattr(work_attempts, "begin", begin_unanswered)
    worker = Worker(database, guide.settings, Event())
    worker.step()
    assert guide.value("select count(*) from work_attempts") == 0
    work(guide, worker)
    assert_all_charged(guide, 1)
    database.close()


def test_no_transaction_is_idle_while_a_table_is_written(guide: Mill, monkeypatch: pytest.MonkeyPatch, server: Server):
    guide.post_rows(guide_row(1))
    idle: list[int] = []
    note_charged = outcomes.note_charged

    def count_idle(*arguments: Any) -> None:
        note_charged(*arguments)
        with psycopg.connect(server.admin_dsn(), autocommit=True) as connection:
            waiting = connection.execute(
                "select count(*) from pg_stat_activity where datname = %s and state = 'idle in transaction'",
                (conninfo_to_dict(guide.database.dsn)["dbname"],),
            ).fetchone()
        idle.append(waiting[0] if waiting else 0)

    monkeypatch.setattr(outcomes, "note_charged", count_idle)
    work(guide, Worker(guide.database, guide.settings, Event()))
    assert idle == [1]  # the transaction that writes
    assert_all_charged(guide, 1)


def test_a_worker_needs_no_more_connections_than_the_server_is_sized_for(guide: Mill, monkeypatch: pytest.MonkeyPatch):
    guide.post_rows(guide_row(1), guide_row(2, unique="poison"))
    narrow = Database(guide.database.dsn, guide.settings, connections_max=WORKER_CONNECTIONS - 1)
    monkeypatch.setattr(conductor, "rate", lambda usage, *a: 1 / 0 if usage.height > 1 else rate(usage, *a))
    work(guide, Worker(narrow, guide.settings, Event()))
    assert_all_charged(guide, 2)
    narrow.close()


def test_a_record_that_was_hit_by_chance_again_and_again_is_charged(guide: Mill, monkeypatch: pytest.MonkeyPatch):
    deaths = iter([True] * (2 + DEATHS_ALONE_MAX - 1))

    def dying(*arguments: Any) -> Any:
        if next(deaths, False):
            raise Killed
        return rate(*arguments)

    monkeypatch.setattr(conductor, "rate", dying)
    guide.post_rows(guide_row(1))
    for _ in range(2 + DEATHS_ALONE_MAX + 5):
        try:
            Worker(guide.database, guide.settings, Event()).step()
        except Killed:
            continue
    assert_all_charged(guide, 1)


def crash_on(guide: Mill, monkeypatch: pytest.MonkeyPatch, unique: str) -> None:
    """Let the server crash on a record, for all that a worker sees: the connection is lost, the statistics begin again."""

    def crashing(usage: Any, *arguments: Any) -> Any:
        if usage["uniqueness_identifier"].is_in([unique]).any():
            guide.change("update work_attempts set server_run = server_run - interval '1 day'")
            raise Unavailable("server closed the connection unexpectedly")
        return rate(usage, *arguments)

    monkeypatch.setattr(conductor, "rate", crashing)


def test_a_record_that_crashes_the_server_each_time_is_refused_at_last_and_the_others_are_charged(
    guide: Mill, monkeypatch: pytest.MonkeyPatch
):
    guide.post_rows(*[guide_row(number) for number in range(4)])
    guide.post_rows(guide_row(4))
    crash_on(guide, monkeypatch, "u2")
    work(guide, Worker(guide.database, guide.settings, Event()))
    assert guide.rows("select submission_id, row_index, value from rating_exceptions") == [
        (1, 3, f"the worker died on it {DEATHS_ALONE_MAX} times")
    ]
    assert guide.value("select count(*) from charges") == 4
    assert guide.value("select count(*) from work_attempts") == 0
    guide.assert_ties()


def test_requests_of_one_record_are_divided_as_tables_before_each_is_taken_alone(
    guide: Mill, monkeypatch: pytest.MonkeyPatch
):
    sizes: list[int] = []

    def failing(usage: Any, *arguments: Any) -> Any:
        sizes.append(usage.height)
        if usage["uniqueness_identifier"].is_in(["u5"]).any():
            raise ValueError("too much")
        return rate(usage, *arguments)

    monkeypatch.setattr(conductor, "rate", failing)
    for number in range(16):
        guide.post_rows(guide_row(number))
    work(guide, Worker(guide.database, guide.settings, Event()))
    assert sizes[:5] == [16, 16, 8, 4, 2]
    assert guide.rows("select submission_id from rating_exceptions") == [(6,)]
    assert guide.value("select count(*) from charges") == 15
    assert guide.value("select count(*) from work_attempts") == 0
    guide.assert_ties()


def test_suspects_and_other_requests_take_turns(guide: Mill, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(conductor, "rate", lambda *_: 1 / 0)
    guide.post_rows(*[guide_row(number) for number in range(64)])
    worker = Worker(guide.database, guide.settings, Event())
    for _ in range(2):
        worker.step()
    monkeypatch.setattr(conductor, "rate", rate)
    guide.post_rows(guide_row(1_000))
    worker.step()
    assert guide.rows("select submission_id from charges") == [(2,)]
    guide.work()
    assert_all_charged(guide, 65)


def test_what_is_known_against_a_table_is_taken_back_request_by_request(guide: Mill, monkeypatch: pytest.MonkeyPatch):
    guide.post_rows(guide_row(1))
    guide.post_rows(guide_row(2))
    worker = Worker(guide.database, guide.settings.model_copy(update={"worker_rows_max": 1}), Event())
    guide.change(
        "insert into work_attempts (attempt_id, owner_id, kind, numbers, server_run)"
        " select gen_random_uuid(), 1, 'usage', array[1, 2], clock_timestamp()"
    )
    worker.step()
    with guide.database.worker() as connection:
        assert driver(connection).execute("select numbers from work_attempts").fetchall() == [([2],)]
    work(guide, worker)
    assert_all_charged(guide, 2)


IN_DOUBT = [
    StatementLimit("statement time-out"),
    StatementDefect("no such table"),
    MemoryError(),
    OSError("no space left on device"),
]


@pytest.mark.parametrize("error", IN_DOUBT, ids=lambda error: type(error).__name__)
def test_an_error_that_may_be_the_servers_refuses_a_record_only_if_it_fails_again_after_others_passed(
    guide: Mill, monkeypatch: pytest.MonkeyPatch, error: Exception
):
    def failing(usage: Any, *arguments: Any) -> Any:
        if usage["uniqueness_identifier"].is_in(["u1"]).any():
            raise error
        return rate(usage, *arguments)

    monkeypatch.setattr(conductor, "rate", failing)
    guide.post_rows(guide_row(0), guide_row(1))
    worker = Worker(guide.database, guide.settings, Event())
    for _ in range(25):
        worker.step()
    assert guide.value("select rows_waiting from submissions") == 1
    guide.post_rows(guide_row(2))
    for _ in range(10):
        worker.step()
    assert guide.value("select sum(rows_waiting) from submissions") == 1, "it failed again, and nothing passed since"
    guide.post_rows(guide_row(3))
    work(guide, worker)
    assert guide.rows("select row_index, value from rating_exceptions") == [(2, repr(error))]
    assert guide.value("select count(*) from charges") == 3
    assert guide.value("select count(*) from work_attempts") == 0
    guide.assert_ties()


@pytest.mark.parametrize("error", IN_DOUBT, ids=lambda error: type(error).__name__)
def test_a_server_or_machine_that_fails_at_everything_for_long_costs_no_record(
    guide: Mill, monkeypatch: pytest.MonkeyPatch, error: Exception
):
    def failing(*_: object) -> None:
        raise error

    guide.post_rows(guide_row(0), guide_row(1))
    guide.post_rows(guide_row(2))
    worker = Worker(guide.database, guide.settings, Event())
    with monkeypatch.context() as broken:
        broken.setattr(conductor, "rate", failing)
        for _ in range(25):
            worker.step()
        assert worker.pause_s > 1
    guide.post_rows(guide_row(3))
    work(guide, worker)
    assert worker.pause_s == guide.settings.poll_interval_s
    assert_all_charged(guide, 4)


def test_a_worker_that_cannot_load_the_price_book_has_not_begun(guide: Mill, monkeypatch: pytest.MonkeyPatch):
    def dying(*_: object) -> None:
        raise Killed

    guide.post_rows(guide_row(0))
    with monkeypatch.context() as broken:
        broken.setattr(book, "book_at", dying)
        with pytest.raises(Killed):
            Worker(guide.database, guide.settings, Event()).step()
    assert guide.value("select count(*) from work_attempts") == 0
    guide.work()
    assert_all_charged(guide, 1)


def test_a_worker_that_stops_leaves_no_attempt_though_the_end_could_not_be_written_immediately(
    guide: Mill, monkeypatch: pytest.MonkeyPatch
):
    stopping, forget = Event(), work_attempts.forget
    tries: list[bool] = []

    def stop(*_: object) -> None:
        stopping.set()
        raise Stopping("this process is stopping")

    def forget_at_second(*arguments: Any) -> None:
        tries.append(True)
        if len(tries) == 1:
            stop()
        forget(*arguments)

    monkeypatch.setattr(conductor, "rate", stop)
    monkeypatch.setattr(work_attempts, "forget", forget_at_second)
    guide.post_rows(guide_row(0))
    Worker(guide.database, guide.settings, stopping).run()
    assert guide.value("select count(*) from work_attempts") == 0
    assert guide.value("select rows_waiting from submissions") == 1


def test_attempts_at_work_that_has_ended_are_deleted_in_time(guide: Mill):
    guide.post_rows(guide_row(0))
    for kind, number, age in (("usage", 1, "1 day"), ("usage", 2, "1 day"), ("reprocess", 7, "8 days")):
        guide.change(
            "insert into work_attempts (attempt_id, owner_id, kind, numbers, server_run, begun_at)"
            " select gen_random_uuid(), 1, %s, array[%s], clock_timestamp(), clock_timestamp() - %s::interval",
            kind,
            number,
            age,
        )
    with guide.database.worker() as connection:
        work_attempts.clear_stale(connection)
    assert guide.rows("select kind, numbers from work_attempts") == [("usage", [1])]
