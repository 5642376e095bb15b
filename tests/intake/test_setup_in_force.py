"""Which set-up a table is rated by: the one at its claim, never one from before the answer to an earlier change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from threading import Event
from typing import Any

import pytest
from tests.api.setup.calls import done, identity_of, refused, send
from tests.fixtures.mill import Mill, guide_row
from tests.fixtures.mills import NewMill

from ratemill.intake import conductor
from ratemill.intake.worker import Worker
from ratemill.jobs import reprocess
from ratemill.jobs.runner import Runner
from ratemill.settings import Settings
from ratemill.setup.in_force.book import SetupCaches, setup_snapshot

MORE = """
ratemill: 1
usageRateGroups: [{name: Dear, currencyName: USD}]
usageRatePlans: [{name: Dear, usageRateGroupNames: [Dear]}]
usageRates: [{usageRateGroupName: Dear, usageClassName: data_class, amount: "5"}]
accounts: [{name: Second, currencyName: USD, usageRatePlanName: Dear}]
accountServices: [{accountName: Second, name: Line}]
"""


@pytest.fixture
def guide(new_mill: NewMill) -> Iterator[Mill]:
    with new_mill() as made:
        made.apply(MORE)
        yield made


@pytest.fixture
def quick(new_mill: NewMill) -> Iterator[Mill]:
    """Yield a mill whose locks are waited for one second."""
    with new_mill(lock_timeout_s=1) as made:
        yield made


def put(guide: Mill, path: str, table: str, key: str, name: str, **members: Any) -> None:
    identity = identity_of(guide, table, key, value=name) if name else guide.value(f"select min({key}) from {table}")
    done(send(guide, "PUT", f"{path}/{identity}", members), "update")


def raise_rate(guide: Mill) -> None:
    put(guide, "Usage/Rate", "rates", "rate_id", "", amount="1")


def move_identifier(guide: Mill) -> None:
    service = guide.value("select service_id from services join accounts a using (account_id) where a.name = 'Second'")
    put(guide, "Account/Service/UsageIdentifier", "identifiers", "identifier_id", "", accountServiceId=service)


def change_account(guide: Mill) -> None:
    put(guide, "Account", "accounts", "account_id", "Acme", usageRatePlanName="Dear")


def change_service(guide: Mill) -> None:
    put(guide, "Account/Service", "services", "service_id", "Line", usageRatePlanName="Dear")


def change_plan(guide: Mill) -> None:
    put(guide, "Usage/Rate/Plan", "rate_plans", "rate_plan_id", "Standard", usageRateGroupNames=["Dear", "Main USD"])


def change_profile(guide: Mill) -> None:
    guide.apply("ratemill: 1\ndataProfiles: [{name: guide_csv, headerRow: true}]")


def change_owner(guide: Mill) -> None:
    put(guide, "Owner", "owners", "owner_id", guide.owner, amountPrecision=0)


# What one unit costs before is 0.0123; after each of these:
CHANGES: dict[Callable[[Mill], None], str] = {
    raise_rate: "1",
    move_identifier: "5",
    change_account: "5",
    change_service: "5",
    change_plan: "5",
}


def charged(guide: Mill) -> list[str]:
    rows = guide.rows("select amount from charges order by submission_id, row_index, entry")
    return [format(amount.normalize(), "f") for (amount,) in rows]


def post(guide: Mill, number: int) -> None:
    assert guide.post_rows(guide_row(number, value="1")).status_code == 200


@contextmanager
def changed_after_claim(monkeypatch: pytest.MonkeyPatch, change: Callable[[], None]) -> Iterator[list[str]]:
    """Make a change while each table is between mediation and rating; yield the points at which it was made."""
    points: list[str] = []

    def change_after_mediation(point: str, _settings: Settings) -> None:
        if point == "after-mediate":
            points.append(point)
            change()

    with monkeypatch.context() as patch:
        patch.setattr(conductor, "die_at", change_after_mediation)
        yield points


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_record_accepted_after_the_answer_is_rated_by_the_change(guide: Mill, change: Callable[[Mill], None]):
    post(guide, 1)
    guide.work()
    change(guide)
    post(guide, 2)
    guide.work()
    assert charged(guide) == ["0.0123", CHANGES[change]]
    guide.assert_ties()


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_table_claimed_before_a_change_ends_by_the_version_that_its_batch_records(
    guide: Mill, change: Callable[[Mill], None], monkeypatch: pytest.MonkeyPatch
):
    before = guide.value("select version from price_books join owners using (owner_id) where name = %s", guide.owner)
    post(guide, 1)
    with changed_after_claim(monkeypatch, lambda: change(guide)) as points:
        guide.work()
    assert len(points) == 1
    post(guide, 2)
    guide.work()
    assert charged(guide) == ["0.0123", CHANGES[change]]
    assert guide.rows("select book_version from batches order by batch_id") == [(before,), (before + 1,)]
    guide.assert_ties()


def test_a_batch_is_mediated_and_rated_by_one_state(guide: Mill, monkeypatch: pytest.MonkeyPatch):
    post(guide, 1)

    def change_all() -> None:
        for change in (change_profile, move_identifier, raise_rate):
            change(guide)

    with changed_after_claim(monkeypatch, change_all):
        guide.work()
    assert charged(guide) == ["0.0123"]
    assert guide.rows("select profile_version from batches") == [(1,)]
    assert guide.value("select version from data_profiles") == 2


def test_rating_goes_on_while_the_set_up_changes_with_every_table(guide: Mill, monkeypatch: pytest.MonkeyPatch):
    for first in range(0, 20_000, 1_000):
        assert guide.post_rows(*[guide_row(row, value="1") for row in range(first, first + 1_000)]).status_code == 200
    settings = guide.settings.model_copy(update={"worker_rows_max": 1_000})
    worker = Worker(guide.database, settings, Event())
    changes = iter([raise_rate, change_account, move_identifier, change_service, change_plan] * 4)
    with changed_after_claim(monkeypatch, lambda: next(changes)(guide)) as points:
        steps = [worker.step() for _ in range(20)]
    assert (steps, len(points)) == ([True] * 20, 20), "no table is put off"
    assert guide.value("select sum(rows_rated) from batch_spans") == 20_000
    assert guide.value("select count(distinct book_version) from batches") > 1
    guide.assert_ties()


def test_an_order_to_reprocess_rates_by_what_was_answered_before_it(guide: Mill, monkeypatch: pytest.MonkeyPatch):
    for number in range(2):
        assert guide.post_rows(guide_row(number, value="1", identifier=f"late {number}")).status_code == 200
    guide.work()
    runner = Runner(guide.database, guide.settings, Event())

    def run() -> None:
        answer = guide.request("POST", "/UsageRatedExceptionSchedule/Reprocess", json={"all": True})
        assert answer.status_code == 200, answer.text
        while runner.step():
            pass

    guide.apply(
        "ratemill: 1\nusageIdentifiers: [{udrUsageIdentifier: late 0, accountName: Acme, accountServiceName: Line}]"
    )
    take = setup_snapshot

    @contextmanager
    def change_once_read(*given: Any) -> Iterator[Any]:
        with take(*given) as setup:
            raise_rate(guide)
            guide.apply(
                "ratemill: 1\nusageIdentifiers: [{udrUsageIdentifier: late 1, accountName: Acme, accountServiceName: Line}]"
            )
            yield setup

    with monkeypatch.context() as patch:
        patch.setattr(reprocess, "setup_snapshot", change_once_read)
        run()
    assert charged(guide) == ["0.0123"], "the table was claimed before the changes"
    run()
    assert charged(guide) == ["0.0123", "1"]
    guide.assert_ties()


def test_a_delete_that_waits_beyond_the_lock_time_out_is_a_conflict(quick: Mill):
    made = quick.request("POST", "/Usage/Rate/Group", json={"name": "idle", "currencyName": "USD"}).json()
    group = made["results"]["items"][0]["identity"]
    owner_id = quick.value("select owner_id from owners where name = %s", quick.owner)
    with quick.database.worker() as connection, setup_snapshot(connection, owner_id, SetupCaches.within(1)):
        (error,) = refused(send(quick, "DELETE", f"Usage/Rate/Group/{group}"), 409)
        post(quick, 1)
    assert error["message"].startswith(f"cannot delete the rate group {group}: usage that may name it is being rated")
    quick.work()
    assert charged(quick) == ["0.0123"], "the delete held no worker up"
    done(send(quick, "DELETE", f"Usage/Rate/Group/{group}"), "delete")


def test_amounts_have_the_places_of_the_owner_at_the_claim(guide: Mill):
    post(guide, 1)
    guide.work()
    change_owner(guide)
    post(guide, 2)
    guide.work()
    assert [Decimal(each) for each in charged(guide)] == [Decimal("0.0123"), Decimal(0)]
