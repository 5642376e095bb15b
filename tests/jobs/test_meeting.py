"""Two runners that meet at any step of a job, and a database that goes away there, lose nothing and do nothing twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import Event
from typing import Any

import pytest
from tests.fixtures.item_jobs import child, submitted
from tests.fixtures.mill import Mill
from tests.fixtures.mills import NewMill
from tests.intake.test_attempts import at_each_call, cut_off, until_available
from tests.jobs.subscriptions.test_imports import send, sold
from tests.jobs.test_reprocess import MENDED, ordered, unknown

from ratemill.intake.attempts import Trial
from ratemill.jobs import reprocess
from ratemill.jobs.characteristics import batches as characteristic_batches
from ratemill.jobs.characteristics import passes as characteristic_passes
from ratemill.jobs.runner import Runner
from ratemill.jobs.subscriptions import imports as subscription_imports
from ratemill.jobs.work import tables
from ratemill.store import work_attempts
from ratemill.store.characteristics import items as characteristic_items
from ratemill.store.characteristics import jobs as characteristic_jobs
from ratemill.store.charges import outcomes, reprocesses
from ratemill.store.embedded.embedded import Server
from ratemill.store.subscriptions import jobs as subscription_jobs
from ratemill.store.subscriptions import objects as subscription_objects

ROWS = 6  # in tables of four


@dataclass(frozen=True)
class JobKind:
    """A kind of job: how the test orders one, whether one waits, and that each of its rows was processed once."""

    order: Callable[[Mill], None]
    waiting: str
    check: Callable[[Mill], None]
    steps: dict[str, tuple[Any, str]]


def order_reprocess(guide: Mill) -> None:
    unknown(guide, ROWS)
    guide.apply(MENDED)
    ordered(guide, all=True)


def check_reprocess(guide: Mill) -> None:
    assert guide.value("select count(*) from charges") == ROWS
    assert guide.rows("select rows_matched, rows_rated, rows_failed from reprocesses") == [(ROWS, ROWS, 0)]
    assert guide.value("select count(*) from rating_attempts") == ROWS


def order_items(guide: Mill) -> None:
    submitted(guide, [child(str(at), str(at + 1)) if at < ROWS - 1 else {"id": str(at)} for at in range(ROWS)])


def check_items(guide: Mill) -> None:
    assert guide.value("select count(*) from characteristic_items") == ROWS
    assert guide.value("select count(*) from characteristic_items where parent_item_id is not null") == ROWS - 1
    assert guide.rows("select outcome, count(*) from characteristic_outcomes group by 1") == [("created", ROWS)]
    assert guide.value("select max(revision) from characteristic_items") == 1


def order_import(guide: Mill) -> None:
    send(guide, sold(ROWS))


def check_import(guide: Mill) -> None:
    assert guide.value("select count(*) from subscription_objects") == ROWS + 3
    assert guide.value("select count(*) from services where name like 'sub-%%'") == ROWS
    assert guide.rows("select state, lines, lines_refused from subscription_imports") == [("success", ROWS + 3, 0)]


STEPS: dict[str, tuple[Any, str]] = {
    "attempts": (work_attempts, "of_job"),
    "begin": (Trial, "begin"),
    "clear": (work_attempts, "clear_job"),
    "die_at": (tables, "die_at"),  # before the commit and after it
    "finish": (work_attempts, "finish"),
}
KINDS = {
    "reprocess": JobKind(
        order_reprocess,
        "select count(*) from reprocesses where ended_at is null",
        check_reprocess,
        {
            "due": (reprocesses, "due"),
            "hold": (reprocesses, "hold"),
            "take": (reprocesses, "take"),
            "write": (outcomes, "rate_anew"),
            "advance": (reprocesses, "advance"),
        },
    ),
    "items": JobKind(
        order_items,
        "select count(*) from characteristic_batches where ended_at is null",
        check_items,
        {
            "due": (characteristic_jobs, "due"),
            "hold": (characteristic_jobs, "hold"),
            "stage": (characteristic_batches, "stage"),
            "settle": (characteristic_batches, "settle"),
            "write": (characteristic_items, "insert"),
            "link": (characteristic_batches, "link"),
            "advance": (characteristic_jobs, "advance"),
            "end": (characteristic_jobs, "end"),
        },
    ),
    "import": JobKind(
        order_import,
        "select count(*) from subscription_imports where finished_at is null",
        check_import,
        {
            "due": (subscription_jobs, "due"),
            "hold": (subscription_jobs, "hold"),
            "write": (subscription_objects, "new_numbers"),
            "advance": (subscription_jobs, "advance"),
            "end": (subscription_jobs, "end"),
        },
    ),
}
# What every kind does alike is met at each step in one of them. To come after a step is to come before the next.
CASES = [
    *(("reprocess", step) for step in STEPS),
    *((kind, step) for kind in ("items", "import") for step in ("begin", "die_at")),
    *((kind, step) for kind, job in KINDS.items() for step in job.steps),
]


@pytest.fixture
def guide(new_mill: NewMill, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mill]:
    """Yield a mill whose jobs take four rows to a table."""
    monkeypatch.setattr(reprocess, "ROWS_MAX", 4)
    monkeypatch.setattr(characteristic_batches, "ITEMS_MAX", 4)
    monkeypatch.setattr(characteristic_passes, "LINKS_MAX", 4)
    monkeypatch.setattr(subscription_imports, "LINES_MAX", 4)
    with new_mill() as made:
        yield made


def work(guide: Mill, job: JobKind, *runners: Runner) -> None:
    for _ in range(100):
        if not guide.value(job.waiting):
            return
        for each in runners:
            until_available(each.step)
    pytest.fail("the job did not end")


def assert_done_once(guide: Mill, job: JobKind) -> None:
    job.check(guide)
    assert guide.value("select count(*) from work_attempts") == 0
    guide.assert_ties()


@pytest.mark.parametrize(("kind", "step"), CASES)
def test_two_runners_that_meet_process_each_row_once(
    guide: Mill, monkeypatch: pytest.MonkeyPatch, kind: str, step: str
):
    job = KINDS[kind]
    job.order(guide)
    one, other = (Runner(guide.database, guide.settings, Event()) for _ in range(2))
    errors: list[int] = []

    def meet() -> None:
        other.step()
        errors.append(guide.value("select count(*) from work_attempts where error is not null"))

    with monkeypatch.context() as meeting:
        at_each_call(meeting, {**STEPS, **job.steps}[step], before=False, meet=meet)
        work(guide, job, one, other)
    assert errors
    assert not any(errors)
    assert_done_once(guide, job)


@pytest.mark.parametrize(("kind", "step"), CASES)
def test_an_outage_at_any_step_counts_nothing_against_a_row(
    guide: Mill, server: Server, monkeypatch: pytest.MonkeyPatch, kind: str, step: str
):
    job = KINDS[kind]
    job.order(guide)
    runner = Runner(guide.database, guide.settings, Event())
    outages: list[bool] = []

    def cut() -> None:
        if len(outages) < 2:
            outages.append(True)
            cut_off(server, guide)

    with monkeypatch.context() as away:
        at_each_call(away, {**STEPS, **job.steps}[step], before=False, meet=cut)
        for _ in range(12):
            until_available(runner.step)
    until_available(lambda: tables.settle(guide.database))
    guide.database.close()  # the pool still has connections that were cut off
    assert guide.value("select count(*) from work_attempts") == 0
    work(guide, job, runner)
    assert outages
    assert_done_once(guide, job)
