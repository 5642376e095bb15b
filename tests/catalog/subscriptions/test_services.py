"""Active subscriptions become accounts, services and identifiers; the log, the price book and what waits follow."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from tests.fixtures.mill import GUIDE, Mill, guide_row, mill
from tests.fixtures.seeded import new_id

from ratemill.catalog.subscriptions.services import ActiveSubscription, end_services, make_services, reprocess_waiting
from ratemill.intake.caches import RatingCaches
from ratemill.jobs import reprocess
from ratemill.settings import Settings
from ratemill.store.connections import Database, driver
from ratemill.store.subscriptions import services as subscription_services
from ratemill.subscription_objects import SubscriptionTerms

START = datetime(2022, 1, 1, tzinfo=UTC)
END = datetime(2023, 1, 1, tzinfo=UTC)
ACCOUNT = UUID("3f1c2a64-6d2e-4a6e-9f0b-2c7a8b1d4e55")
PLAN = UUID("0d9ef1c2-5a3b-4f58-8c1e-7b2f6a9d4c11")


@pytest.fixture
def made(database: Database, settings: Settings) -> Iterator[Mill]:
    with mill(database, settings, f"owner_{new_id().hex}", GUIDE) as one:
        yield one


def owner_of(made: Mill) -> int:
    return int(made.value("select owner_id from owners where name = %s", made.owner))


def subscription(made: Mill, external_ref: str | None, plan: str = "plan-1", **more: Any) -> ActiveSubscription:
    """Write an active subscription as an import does, and return it; a taken reference is the same one again."""
    account_id, currency = more.pop("account_id", ACCOUNT), more.pop("currency", "USD")
    span = {"started_at": START, "ended_at": None, **more}
    import_number = span.pop("import_number", None)
    object_id, owner_id = new_id(), owner_of(made)
    with made.database.worker() as connection:
        number = (
            driver(connection)
            .execute(
                "insert into subscription_objects (owner_id, kind, object_id, external_ref, account_id, attributes,"
                " import_number) values (%s, 5, %s, %s, %s, '{}', %s) returning object_number",
                (owner_id, object_id, external_ref, account_id, import_number),
            )
            .fetchone()
        )
        assert number
        driver(connection).execute(
            "insert into subscriptions (object_number, owner_id, account_id, currency, plan_id, plan_external_ref,"
            " offering_external_ref, state) values (%s, %s, %s, %s, %s, %s, 'off-1', 'active')",
            (number[0], owner_id, account_id, currency, PLAN, plan),
        )
    terms = SubscriptionTerms(account_id, currency, PLAN, plan, "off-1", "active", **span)
    return ActiveSubscription(number[0], object_id, external_ref, terms)


def changed(live: ActiveSubscription, **more: Any) -> ActiveSubscription:
    terms = live.terms._replace(**{name: more.pop(name) for name in tuple(more) if name in SubscriptionTerms._fields})
    return live._replace(terms=terms, **more)


def make(made: Mill, *live: ActiveSubscription) -> dict[int, str]:
    with made.database.worker() as connection:
        done = make_services(connection, owner_of(made), live, made_by="tester")
        subscription_services.link(connection, done.service_of)
    return done.faults


def end(made: Mill, live: ActiveSubscription, at: datetime) -> None:
    with made.database.worker() as connection:
        end_services(connection, owner_of(made), [live.object_number], at, made_by="tester")


def services(made: Mill) -> list[tuple[Any, ...]]:
    """Return account, currency, service, start, end of every service but that of the guide."""
    return made.rows(
        "select a.name, a.currency, s.name, s.start_at, s.end_at from services s join accounts a using (account_id)"
        " where s.owner_id = %s and a.name <> 'Acme' order by s.service_id",
        owner_of(made),
    )


def identifiers(made: Mill) -> list[tuple[Any, ...]]:
    return made.rows(
        "select i.usage_identifier, t.name, s.name, i.start_at, i.end_at from identifiers i"
        " join identifier_types t using (identifier_type_id) join services s using (service_id)"
        " where i.owner_id = %s and s.name <> 'Line' order by i.identifier_id",
        owner_of(made),
    )


def version(made: Mill) -> int:
    return int(made.value("select version from price_books where owner_id = %s", owner_of(made)))


def test_a_subscription_becomes_an_account_a_service_and_two_identifiers(made: Mill):
    live = subscription(made, "sub-1", ended_at=END)
    before = version(made)
    assert make(made, live) == {}
    assert services(made) == [(str(ACCOUNT), "USD", "sub-1", START, END)]
    assert identifiers(made) == [(text, "Unknown", "sub-1", START, END) for text in ("sub-1", str(live.object_id))]
    assert version(made) == before + 1
    service_id = made.value("select service_id from subscriptions where object_number = %s", live.object_number)
    assert made.value("select name from services where service_id = %s", service_id) == "sub-1"
    logged = made.rows(
        "select list, key_words, action, changed_by, via from setup_changes where owner_id = %s and via = 'import'"
        " order by setup_change_id",
        owner_of(made),
    )
    by = ("created", "tester", "import")
    assert logged == [
        ("accounts", str(ACCOUNT), *by),
        ("accountServices", f"{ACCOUNT} / sub-1", *by),
        ("usageIdentifiers", "sub-1 / Unknown / 2022-01-01T00:00:00.000Z", *by),
        ("usageIdentifiers", f"{live.object_id} / Unknown / 2022-01-01T00:00:00.000Z", *by),
    ]


def test_the_same_again_changes_nothing(made: Mill):
    live = subscription(made, "sub-1")
    make(made, live)
    before = version(made), services(made), identifiers(made)
    assert make(made, live) == {}
    assert (version(made), services(made), identifiers(made)) == before


def test_accounts_are_found_by_name_and_currency(made: Mill):
    made.apply(f"ratemill: 1\naccounts: [{{name: {ACCOUNT}, currencyName: EUR}}]\n")
    one, two, three = (subscription(made, None, currency=currency) for currency in ("USD", "EUR", "USD"))
    assert make(made, one, two, three) == {}
    assert [each[:3] for each in services(made)] == [
        (f"{ACCOUNT} USD", "USD", str(one.object_id)),
        (str(ACCOUNT), "EUR", str(two.object_id)),
        (f"{ACCOUNT} USD", "USD", str(three.object_id)),
    ]
    assert [each[0] for each in identifiers(made)] == [str(each.object_id) for each in (one, two, three)]


def test_an_account_of_both_names_and_another_currency_is_a_fault(made: Mill):
    made.apply(
        f'ratemill: 1\naccounts: [{{name: {ACCOUNT}, currencyName: EUR}}, {{name: "{ACCOUNT} USD", currencyName: EUR}}]\n'
    )
    live = subscription(made, "sub-1")
    assert make(made, live) == {
        live.object_number: f"the accounts '{ACCOUNT}' and '{ACCOUNT} USD' have another currency than USD"
    }
    assert services(made) == []


def test_a_name_that_is_taken_in_the_account_is_told_apart(made: Mill):
    made.apply(f"ratemill: 1\naccounts: [{{name: {ACCOUNT}, currencyName: USD}}]\n"
               f"accountServices: [{{accountName: {ACCOUNT}, name: sub-1}}]\n")  # fmt: skip
    live = subscription(made, "sub-1")
    assert make(made, live) == {}
    assert [each[2] for each in services(made)] == ["sub-1", f"sub-1 {live.object_id}"]


@pytest.mark.parametrize("external_ref", ["", "  ", "x" * 256, None])
def test_a_reference_that_no_identifier_can_be_is_left_out(made: Mill, external_ref: str | None):
    live = subscription(made, external_ref)
    assert make(made, live) == {}
    assert [each[:3] for each in identifiers(made)] == [(str(live.object_id), "Unknown", str(live.object_id))]


def test_an_identifier_of_another_service_at_that_time_is_a_fault_and_the_others_are_made(made: Mill):
    taken, free = subscription(made, "648-688-4180"), subscription(made, "sub-2")
    message = "the identifier '648-688-4180' belongs to the service 'Line' of the account 'Acme' at that time"
    assert make(made, taken, free) == {taken.object_number: message}
    assert [each[2] for each in services(made)] == ["sub-2"]
    assert made.value("select service_id from subscriptions where object_number = %s", taken.object_number) is None


def test_of_two_in_one_call_that_want_one_identifier_the_first_has_it(made: Mill):
    first = subscription(made, None)
    second = subscription(made, str(first.object_id))
    message = f"the identifier '{first.object_id}' belongs to another subscription at that time"
    assert make(made, first, second) == {second.object_number: message}


def test_identifiers_may_follow_each_other(made: Mill):
    made.apply("""ratemill: 1
accountServices: [{accountName: Acme, name: Old}]
usageIdentifiers: [{udrUsageIdentifier: sub-1, accountName: Acme, accountServiceName: Old, end: 2022-01-01}]
""")
    assert make(made, subscription(made, "sub-1")) == {}


def test_a_service_ends_with_its_identifiers_and_once(made: Mill):
    live = subscription(made, "sub-1")
    make(made, live)
    at = START + timedelta(days=30)
    end(made, live, at)
    assert [each[-1] for each in services(made)] == [at]
    assert [each[-1] for each in identifiers(made)] == [at, at]
    before = version(made)
    end(made, live, at + timedelta(days=1))
    assert [each[-1] for each in services(made)] == [at]
    assert version(made) == before
    again = subscription(made, "sub-1b", started_at=at)
    assert make(made, changed(again, external_ref="sub-1")) == {}, "its identifier is free from then on"


def test_what_ends_before_it_began_leaves_no_identifier(made: Mill):
    live = subscription(made, "sub-1")
    make(made, live)
    end(made, live, START - timedelta(days=1))
    assert [each[-2:] for each in services(made)] == [(START, START + timedelta(milliseconds=1))]
    assert identifiers(made) == []


def test_a_subscription_that_changes_keeps_its_service(made: Mill):
    live = subscription(made, "sub-1")
    make(made, live)
    made.change("update subscription_objects set external_ref = 'sub-9' where object_number = %s", live.object_number)
    later = changed(live, external_ref="sub-9", started_at=START + timedelta(days=1), ended_at=END)
    assert make(made, later) == {}
    assert [each[2:] for each in services(made)] == [("sub-1", later.terms.started_at, END)]
    ended, *rest = identifiers(made)
    assert (ended[0], ended[3]) == ("sub-1", START)
    assert ended[-1] > END, "the old reference ends now"
    assert rest == [(text, "Unknown", "sub-1", later.terms.started_at, END) for text in (str(live.object_id), "sub-9")]
    assert make(made, later) == {}
    assert len(identifiers(made)) == 3


def test_a_subscription_that_changes_its_currency_gets_a_service_there_from_now_on(made: Mill):
    live = subscription(made, "sub-1")
    make(made, live)
    assert make(made, changed(live, currency="EUR")) == {}
    old, new = services(made)
    assert old[:4] == (str(ACCOUNT), "USD", "sub-1", START)
    assert new[:3] == (f"{ACCOUNT} EUR", "EUR", "sub-1")
    assert old[4] == new[3] > END
    assert [(each[3], each[4]) for each in identifiers(made)] == [(START, old[4])] * 2 + [(new[3], None)] * 2


PLANS = """ratemill: 1
usageRatePlans: [{name: By plan, usageRateGroupNames: [Main USD]}, {name: By offering, usageRateGroupNames: [Main USD]},
                 {name: By default, usageRateGroupNames: [Main USD]}]
"""


def post(made: Mill, *identifiers: str, **members: str) -> None:
    rows = [guide_row(number, identifier=each, **members) for number, each in enumerate(identifiers)]
    assert made.post_rows(*rows).status_code == 200
    made.work()


def plans_of_charges(made: Mill) -> list[str]:
    return [row[0] for row in made.rows(
        "select p.name from charges c join rate_plans p using (rate_plan_id) where c.owner_id = %s"
        " order by submission_id, row_index", owner_of(made))]  # fmt: skip


def test_the_most_specific_rate_plan_rates_and_a_change_of_the_list_counts_at_once(made: Mill):
    make(made, subscription(made, "sub-1"))
    made.apply(PLANS)
    for entry, plan in (
        ("default: true", "By default"),
        ("offeringExternalRef: off-1", "By offering"),
        ("planExternalRef: plan-1", "By plan"),
        ("planExternalRef: other", "Standard"),
    ):
        made.apply(f"ratemill: 1\nsubscriptionRatePlans: [{{{entry}, usageRatePlanName: {plan}}}]\n")
        post(made, "sub-1", unique=f"u{plan}")
    assert plans_of_charges(made) == ["By default", "By offering", "By plan", "By plan"]
    made.assert_ties()


def test_a_changed_plan_of_a_subscription_rates_the_next_usage(made: Mill):
    made.apply(PLANS)
    plans = "{planExternalRef: plan-1, usageRatePlanName: By plan}, {planExternalRef: plan-2, usageRatePlanName: By default}"
    made.apply(f"ratemill: 1\nsubscriptionRatePlans: [{plans}]\n")
    live = subscription(made, "sub-1")
    make(made, live)
    post(made, "sub-1", unique="before")
    make(made, changed(live, plan_external_ref="plan-2"))
    post(made, "sub-1", unique="after")
    assert plans_of_charges(made) == ["By plan", "By default"]


def test_without_a_plan_that_fits_the_usage_is_an_exception_of_the_kind_no_plan(made: Mill):
    make(made, subscription(made, "sub-1"))
    made.apply("ratemill: 1\nsubscriptionRatePlans: [{planExternalRef: other, usageRatePlanName: Standard}]\n")
    post(made, "sub-1")
    found = made.rows("select kind, service_id is not null from rating_exceptions where owner_id = %s", owner_of(made))
    assert found == [(3, True)]


def test_late_usage_of_a_subscription_that_is_gone_is_rated(made: Mill):
    made.apply("ratemill: 1\nsubscriptionRatePlans: [{planExternalRef: plan-1, usageRatePlanName: Standard}]\n")
    live = subscription(made, "sub-1")
    make(made, live)
    end(made, live, END)
    made.change("delete from subscription_objects where object_number = %s", live.object_number)
    post(made, "sub-1")
    assert plans_of_charges(made) == ["Standard"]


def test_what_waits_for_an_identifier_of_an_import_is_ordered_and_nothing_else(made: Mill):
    made.apply("ratemill: 1\nsubscriptionRatePlans: [{default: true, usageRatePlanName: Standard}]\n")
    post(made, "sub-1", "nobody", "sub-1")
    post(made, "sub-1", date="2021-12-31T23:59:59", unique="before its start")
    post(made, "sub-1", type="MSISDN", unique="of another type")
    with made.database.worker() as connection:
        row = driver(connection).execute(
            "insert into subscription_imports (owner_id, import_id, created_by) values (%s, %s, 'tester')"
            " returning import_number, import_id", (owner_of(made), new_id())).fetchone()  # fmt: skip
    assert row
    number, import_id = row
    make(made, subscription(made, "sub-1", import_number=number))
    with made.database.worker() as connection:
        order = reprocess_waiting(connection, owner_of(made), number, ordered_by="tester")
    assert order is not None
    shown = made.request("GET", f"/UsageRatedExceptionSchedule/{order}").json()["instance"]
    assert (shown["matchedCount"], shown["createdByUserName"]) == (2, "tester")
    assert shown["subscriptionImportId"] == str(import_id)
    assert len(shown["ids"]) == 2
    caches = RatingCaches.within(made.settings)
    while reprocess.run_table(made.database, made.settings, order, caches):
        pass
    shown = made.request("GET", f"/UsageRatedExceptionSchedule/{order}").json()["instance"]
    assert (shown["sentCount"], shown["ratedCount"], shown["failedCount"]) == (2, 2, 0)
    assert plans_of_charges(made) == ["Standard", "Standard"]
    with made.database.worker() as connection:
        assert reprocess_waiting(connection, owner_of(made), number, ordered_by="tester") is None
    made.assert_ties()
