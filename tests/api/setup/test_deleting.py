"""Set-up objects over HTTP: deleted with their parts, kept by whoever uses them and by usage, also by usage under way."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count
from typing import Any

import pytest
from httpx import Response
from tests.api.setup.calls import Json, done, identity_of, make, refused, send
from tests.fixtures.mill import Mill, guide_row

from ratemill.access.tokens import create_token
from ratemill.errors import InvariantFailure
from ratemill.intake import accept, conductor
from ratemill.intake.backlog import BacklogKeeper
from ratemill.records import Elements, read_elements
from ratemill.settings import Settings
from ratemill.setup.in_force.book import SetupCaches, setup_snapshot
from ratemill.setup.writing import deleting
from ratemill.setup.writing.deleting import carry_out
from ratemill.store.charges import charged_objects
from ratemill.store.charges.charged_objects import charged_object_cache


def test_a_delete_names_every_user(mine: Mill):
    group = make(mine, "Usage/Rate/Group", name="used", currencyName="USD")["identity"]
    plan = make(mine, "Usage/Rate/Plan", name="user", usageRateGroupNames=["used"])["identity"]
    make(mine, "Account", name="Payer", currencyName="USD", usageRatePlanName="user")
    (error,) = refused(send(mine, "DELETE", f"Usage/Rate/Group/{group}"))
    assert f"'user' ({plan})" in error["message"]
    (error,) = refused(send(mine, "DELETE", f"Usage/Rate/Plan/{plan}"))
    assert error["code"] == 1613
    assert "the account 'Payer'" in error["message"]


def test_an_account_goes_with_its_services_and_identifiers(mine: Mill):
    account = make(mine, "Account", name="Leaving", currencyName="USD")["identity"]
    service = make(mine, "Account/Service", accountId=account, name="L")["identity"]
    identifier = make(mine, "Account/Service/UsageIdentifier", accountServiceId=service, udrUsageIdentifier="gone")
    gone = done(send(mine, "DELETE", f"Account/{account}"), "delete")
    assert {(item.get("foreignKeyIdentity"), item["dtoTypeKey"]) for item in gone} == {
        (None, "account"),
        (service, "accountService"),
        (identifier["identity"], "usageIdentifier"),
    }


def test_what_usage_refers_to_stays(mine: Mill):
    assert mine.post_rows(guide_row(1)).status_code == 200
    mine.work()
    for table, key, path, name in (
        ("accounts", "account_id", "Account", "Acme"),
        ("services", "service_id", "Account/Service", "Line"),
        ("rate_plans", "rate_plan_id", "Usage/Rate/Plan", "Standard"),
        ("rate_groups", "rate_group_id", "Usage/Rate/Group", "Main USD"),
        ("usage_classes", "usage_class_id", "Usage/Class", "data_class"),
        ("feeds", "feed_id", "Udr/Feed", "Guide Feed"),
        ("data_profiles", "data_profile_id", "DataProfile", "guide_csv"),
    ):
        errors = refused(send(mine, "DELETE", f"{path}/{identity_of(mine, table, key, value=name)}"))
        assert any("charges" in e["message"] or "usage" in e["message"] for e in errors), errors
    rate = mine.value("select rate_id from charges limit 1")
    (error,) = refused(send(mine, "DELETE", f"Usage/Rate/{rate}"))
    assert "has charges" in error["message"]


def test_a_delete_waits_for_a_worker_that_holds_the_price_book(mine: Mill):
    made = make(mine, "Usage/Rate/Group", name="just now", currencyName="USD")["identity"]
    charged = {column: [made] if column == "rate_group_id" else [] for column in charged_objects.TABLES}
    owner_id = mine.value("select owner_id from owners where name = %s", mine.owner)
    with ThreadPoolExecutor() as threads:
        with mine.database.worker() as connection, setup_snapshot(connection, owner_id, SetupCaches.within(1)):
            deleted = _waiting(threads, mine, f"Usage/Rate/Group/{made}")
            charged_objects.note(connection, owner_id, charged, charged_object_cache())
        (error,) = refused(deleted.result())
    assert "has charges" in error["message"]


NEW = """
ratemill: 1
dataProfiles: [{name: new %(n)s, format: csv, fields: [{name: DateTime}, {name: UdrUsageIdentifier}, {name: Value},
  {name: UsageClassName}]}]
udrFeeds: [{name: new %(n)s, apiName: newFeed%(n)s, dataProfileName: new %(n)s, batchWaitSeconds: 0}]
accounts: [{name: new %(n)s, currencyName: USD, usageRatePlanName: Standard}]
accountServices: [{accountName: new %(n)s, name: Line}]
usageIdentifiers: [{udrUsageIdentifier: new-%(n)s, accountName: new %(n)s, accountServiceName: Line}]
"""
_numbers = count(1)
KINDS = {
    "Account": ("accounts", "account_id", "has charges"),
    "Account/Service": ("services", "service_id", "is of an account that has charges"),
    "Account/Service/UsageIdentifier": ("identifiers", "identifier_id", "is of an account that has charges"),
    "DataProfile": ("data_profiles", "data_profile_id", "has mediated usage"),
}


def newest(mill: Mill, kind: str) -> int:
    table, column, _ = KINDS[kind]
    found: int = mill.value(f"select max({column}) from {table}")
    return found


@pytest.fixture
def send_first_usage(mine: Mill) -> Callable[[], None]:
    """Set up a feed, its profile, an account, its service and identifier; return what sends the first usage of all."""
    number = next(_numbers)
    mine.apply(NEW % {"n": number})

    def send_usage() -> None:
        row = f"2022-05-01T01:01:00,new-{number},94,data_class"
        assert mine.post_rows(row, feed=f"newFeed{number}").status_code == 200

    return send_usage


@pytest.mark.parametrize("kind", KINDS)
def test_a_delete_waits_for_the_batch_that_is_the_first_to_use_it(
    mine: Mill, send_first_usage: Callable[[], None], monkeypatch: pytest.MonkeyPatch, kind: str
):
    path = f"{kind}/{newest(mine, kind)}"
    send_first_usage()
    deletes: list[Future[Response]] = []

    def delete_before_the_commit(point: str, _settings: Settings) -> None:
        if point == "before-commit" and not deletes:
            deletes.append(_waiting(threads, mine, path))

    monkeypatch.setattr(conductor, "die_at", delete_before_the_commit)
    with ThreadPoolExecutor() as threads:
        mine.work()
        errors = refused(deletes[0].result())
    assert any(KINDS[kind][2] in error["message"] for error in errors), errors
    mine.assert_ties()


@pytest.mark.parametrize("kind", ["Account", "Account/Service", "Account/Service/UsageIdentifier"])
def test_a_batch_waits_for_the_delete_of_what_it_would_be_the_first_to_use(
    mine: Mill, send_first_usage: Callable[[], None], monkeypatch: pytest.MonkeyPatch, kind: str
):
    identity = newest(mine, kind)
    send_first_usage()
    batches: list[Future[None]] = []

    def work_before_the_commit(*given: Any) -> list[Json]:
        items = carry_out(*given)
        batches.append(threads.submit(mine.work))
        while not mine.value("select count(*) from pg_locks where not granted"):
            assert not batches[0].done()
        return items

    monkeypatch.setattr(deleting, "carry_out", work_before_the_commit)
    with ThreadPoolExecutor() as threads:
        done(send(mine, "DELETE", f"{kind}/{identity}"), "delete")
        batches[0].result()
    assert mine.value("select reason_id from rating_exceptions order by rating_exception_id desc limit 1") == 2101
    mine.assert_ties()


def test_an_account_keeps_its_currency_if_a_batch_under_way_charges_it(
    mine: Mill, send_first_usage: Callable[[], None], monkeypatch: pytest.MonkeyPatch
):
    path = f"Account/{newest(mine, 'Account')}"
    send_first_usage()
    puts: list[Future[Response]] = []

    def put_before_the_commit(point: str, _settings: Settings) -> None:
        if point == "before-commit" and not puts:
            puts.append(_waiting(threads, mine, path, "PUT", {"currencyName": "EUR"}))

    monkeypatch.setattr(conductor, "die_at", put_before_the_commit)
    with ThreadPoolExecutor() as threads:
        mine.work()
        (error,) = refused(puts[0].result())
    assert "has charges" in error["message"]


def test_a_delete_of_a_feed_waits_for_a_request_that_is_being_taken(mine: Mill, monkeypatch: pytest.MonkeyPatch):
    made = make(mine, "Udr/Feed", name="just now", dataProfileName="guide_csv")["identity"]
    secret = create_token(mine.database, owner_name=mine.owner, role="import", name="sender")
    request = accept.ImportRequest(
        secret=secret, feed="just now", route="rows", body=b'{"data":["a"]}', fingerprint="POST /"
    )
    deletes: list[Future[Response]] = []

    def read_while_the_feed_is_deleted(*given: Any, **options: Any) -> Elements:
        deletes.append(_waiting(threads, mine, f"Udr/Feed/{made}"))
        return read_elements(*given, **options)

    monkeypatch.setattr(accept, "read_elements", read_while_the_feed_is_deleted)
    with ThreadPoolExecutor() as threads:
        assert accept.accept(mine.database, mine.settings, BacklogKeeper(mine.database), request).feed_id == made
        (error,) = refused(deletes[0].result())
    assert "has taken usage" in error["message"]
    mine.work()


def _waiting(
    threads: ThreadPoolExecutor, mill: Mill, path: str, method: str = "DELETE", body: Json | None = None
) -> Future[Response]:
    """Send a write and return when it waits for a lock."""
    sent = threads.submit(send, mill, method, path, body)
    while not mill.value("select count(*) from pg_locks where not granted"):
        assert not sent.done(), sent.result().text
    return sent


def test_a_worker_charges_nothing_that_is_gone(mine: Mill):
    made = make(mine, "Usage/Rate/Group", name="gone by now", currencyName="USD")["identity"]
    done(send(mine, "DELETE", f"Usage/Rate/Group/{made}"), "delete")
    charged = {column: [made] if column == "rate_group_id" else [] for column in charged_objects.TABLES}
    with pytest.raises(InvariantFailure), mine.database.worker() as connection:
        charged_objects.note(connection, 1, charged, charged_object_cache())
