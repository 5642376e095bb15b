"""Usage buckets and where they are attached: each rule broken once, and what keeps it."""

from __future__ import annotations

import pytest
from tests.setup.rows import rows_of

from ratemill.setup.reading.export import export_document
from ratemill.setup.writing.apply import apply_document
from ratemill.store.connections import Database

GROUND = """\
ratemill: 1
usageBucketBases:
  - {name: Calls, usageBucketBaseUnitName: Time}
  - {name: Roaming, usageBucketBaseUnitName: Time}
  - {name: Volume, usageBucketBaseUnitName: Data}
usageRateGroups: [{name: USD, currencyName: USD}]
usageRatePlans: [{name: Over, usageRateGroupNames: [USD]}]
usageBuckets:
  - {name: Minutes, usageBucketBaseNames: [Calls, Roaming], size: 100, usageUnitName: Minutes}
  - {name: Purse, currencyName: USD, size: 20, mayOwe: true}
  - {name: Euros, currencyName: EUR, size: 20}
accounts: [{name: Acme, currencyName: USD, timeZone: Europe/Paris}]
accountServices: [{accountName: Acme, name: Line}, {accountName: Acme, name: Other}]
accountUsageBuckets: [{accountName: Acme, usageBucketName: Purse, start: 2020-01-01, end: 2021-01-01}]
accountServiceUsageBuckets: [{accountName: Acme, accountServiceName: Line, usageBucketName: Minutes}]
"""


@pytest.fixture(scope="module", autouse=True)
def _ground(database: Database):
    assert apply(database, GROUND).errors == []


def apply(database: Database, text: str):
    return apply_document(database, text, None, create_owner=True, created_by="test")


def test_an_attachment_says_that_buckets_are_not_drawn_on_yet(database: Database):
    applied = apply(database, GROUND)
    assert [(each.path, each.message) for each in applied.warnings] == [
        (f"{name}[0].usageBucketName", "buckets are not drawn on yet: charges are as without it")
        for name in ("accountUsageBuckets", "accountServiceUsageBuckets")
    ]


def test_applied_twice_and_exported_it_changes_nothing(database: Database):
    applied = apply(database, GROUND)
    assert (applied.errors, applied.count("created"), applied.count("updated")) == ([], 0, 0)
    again = apply(database, export_document(database, "default"))
    assert (again.errors, again.count("created"), again.count("updated")) == ([], 0, 0)


def test_a_bare_date_of_an_attachment_is_midnight_in_the_zone_of_the_account(database: Database):
    exported = export_document(database, "default")
    assert '- {accountName: Acme, usageBucketName: Purse, start: "2019-12-31T23:00:00.000Z"' in exported


def test_steps_are_kept_by_their_digits_and_in_their_order(database: Database):
    text = """{"ratemill": 1, "usageBuckets": [{"name": "Steps", "usageBucketBaseNames": ["Calls"],
      "isInfiniteLastTier": true, "steps": [{"upTo": 100}, {"upTo": 200.50, "flat": "0.10"}]}]}"""
    assert [apply(database, text).items[0].action for _ in range(2)] == ["created", "unchanged"]
    with database.worker() as connection:
        document = connection.exec_driver_sql("select document from buckets where name = 'Steps'").scalar_one()
    assert document == {"steps": [{"upTo": "100", "flat": "0"}, {"upTo": "200.5", "flat": "0.1"}]}


def test_steps_take_the_place_of_a_size_and_the_bases_may_be_cleared_of_money(database: Database):
    make = "ratemill: 1\nusageBuckets: [{name: M, currencyName: USD, usageBucketBaseNames: [Calls], size: 5}]\n"
    change = """ratemill: 1
usageBuckets: [{name: M, usageBucketBaseNames: null, size: null, steps: [{upTo: 5}]}]
"""
    actions = [apply(database, each).items[0].action for each in (make, change, change)]
    assert actions == ["created", "updated", "unchanged"]


def test_a_retired_base_is_not_chosen_by_a_new_bucket_and_stays_with_an_old_one(database: Database):
    old = "usageBuckets: [{name: Old, usageBucketBaseNames: [Leaving], size: 1}]"
    make = f"ratemill: 1\nusageBucketBases: [{{name: Leaving, usageBucketBaseUnitName: Time}}]\n{old}\n"
    assert apply(database, make).errors == []
    retire = "ratemill: 1\nusageBucketBases: [{name: Leaving, retired: true}]\n"
    assert apply(database, retire).errors == []
    assert apply(database, f"ratemill: 1\n{old.replace('size: 1', 'size: 2')}\n").count("updated") == 1
    (fault,) = apply(database, f"ratemill: 1\n{old.replace('Old', 'New')}\n").errors
    assert fault.path == "usageBuckets[0].usageBucketBaseNames[0]"
    assert fault.message == "the bucket base 'Leaving' is retired"
    back = "ratemill: 1\nusageBucketBases: [{name: Leaving, retired: false}]\n" + old.replace("Old", "New") + "\n"
    assert apply(database, back).errors == []


BUCKET = "usageBuckets: [{name: X, usageBucketBaseNames: [Calls], "
MONEY = "usageBuckets: [{name: X, currencyName: USD, "


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        (
            "usageBuckets: [{name: X, size: 1}]",
            "usageBucketBaseNames",
            "is required: only a bucket of money goes without a base",
        ),
        (
            "usageBuckets: [{name: X, usageBucketBaseNames: [Calls, Volume], size: 1}]",
            "usageBucketBaseNames",
            "'Volume' counts Data, 'Calls' Time",
        ),
        (f"{BUCKET}size: 1, usageUnitName: GB}}]", "usageUnitName", "'GB' counts Data, not Time"),
        (f"{BUCKET}priority: 1}}]", "size", "a bucket has a size or steps: one of the two"),
        (f"{BUCKET}size: 1, steps: [{{upTo: 1}}]}}]", "size", "a bucket has a size or steps: one of the two"),
        (f"{BUCKET}size: 0}}]", "size", "must be more than 0"),
        (
            f"{BUCKET}size: 999999999999999, usageUnitName: Hours}}]",
            "size",
            "'999999999999999' is too large in the base unit",
        ),
        (
            f"{BUCKET}steps: [{{upTo: 999999999999999}}], usageUnitName: Hours}}]",
            "steps[0].upTo",
            "'999999999999999' is too large in the base unit",
        ),
        (
            f"{BUCKET}size: 1, isInfiniteLastTier: true}}]",
            "isInfiniteLastTier",
            "there are no steps whose last could repeat",
        ),
        (f"{BUCKET}steps: []}}]", "steps", "a list of 1 to 100 steps is expected: {upTo, flat}"),
        (f"{BUCKET}steps: [5]}}]", "steps[0]", "a mapping of upTo and flat is expected"),
        (f"{BUCKET}steps: [{{flat: 1}}]}}]", "steps[0].upTo", "one value is required"),
        (f"{BUCKET}steps: [{{upTo: x}}]}}]", "steps[0].upTo", "'x' is not a number"),
        (f"{BUCKET}steps: [{{upTo: 1, flat: -1}}]}}]", "steps[0].flat", "'-1' is not at least 0"),
        (f"{BUCKET}steps: [{{upTo: 1, price: 1}}]}}]", "steps[0].price", "there is no member 'price' in a step"),
        (
            f"{BUCKET}steps: [{{upTo: 2}}, {{upTo: 2}}]}}]",
            "steps[1].upTo",
            "'2' is not more than 2, where the step begins",
        ),
        (f"{BUCKET}size: 1, increment: 0}}]", "increment", "must be more than 0"),
        (f"{BUCKET}size: 1, priority: 0}}]", "priority", "'0' is not at least 1"),
        (
            f"{BUCKET}size: 1, usageBucketRefillTypeName: weekly}}]",
            "usageBucketRefillTypeName",
            "'weekly' is none of once, recurring, rollover",
        ),
        (
            f"{BUCKET}size: 1, usageBucketRefillTypeName: recurring, refillFrequency: 1}}]",
            "refillFrequencyTypeName",
            "refillFrequency and refillFrequencyTypeName are set together",
        ),
        (
            f"{BUCKET}size: 1, expireAfterFrequencyTypeName: day}}]",
            "expireAfterFrequency",
            "expireAfterFrequency and expireAfterFrequencyTypeName are set together",
        ),
        (
            f"{BUCKET}size: 1, refillFrequency: 1, refillFrequencyTypeName: day}}]",
            "refillFrequency",
            "the bucket is filled once",
        ),
        (
            f"{BUCKET}size: 1, overageUsageRatePlanName: Over}}]",
            "overageUsageRatePlanName",
            "what is over goes to a plan only if whenEmpty is rate",
        ),
        (f"{BUCKET}size: 1, mayOwe: true}}]", "mayOwe", "only a bucket of money may go below zero"),
        (f"{MONEY}size: 1, usageUnitName: Count}}]", "usageUnitName", "the bucket holds USD, not units"),
        (
            "usageBuckets: [{name: Purse, currencyName: EUR}]",
            "currencyName",
            "is fixed once the usage bucket exists",
        ),
    ],
)
def test_a_broken_rule_of_a_bucket_is_one_fault(database: Database, text, path, message):
    before = rows_of(database)
    applied = apply(database, f"ratemill: 1\n{text}\n")
    assert [(fault.path, fault.message) for fault in applied.errors] == [(f"usageBuckets[0].{path}", message)]
    assert rows_of(database) == before


ATTACHED = "accountUsageBuckets: [{accountName: Acme, usageBucketName: "


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        (
            f"{ATTACHED}Euros}}]",
            "accountUsageBuckets[0].usageBucketName",
            "the bucket 'Euros' holds EUR, the account 'Acme' is in USD",
        ),
        (
            "accountServiceUsageBuckets: [{accountName: Acme, accountServiceName: Line, usageBucketName: Euros}]",
            "accountServiceUsageBuckets[0].usageBucketName",
            "the bucket 'Euros' holds EUR, the account 'Acme' is in USD",
        ),
        (
            f"{ATTACHED}Purse, start: 2020-06-01}}]",
            "accountUsageBuckets[0].start",
            (
                "the bucket 'Purse' is there already at that time: see the stored one, "
                "2019-12-31T23:00:00.000Z to 2020-12-31T23:00:00.000Z"
            ),
        ),
        (
            (
                "accountServiceUsageBuckets: [{accountName: Acme, accountServiceName: Line, usageBucketName: Minutes, "
                "start: 2020-01-01}]"
            ),
            "accountServiceUsageBuckets[0].start",
            "the bucket 'Minutes' is there already at that time: see the stored one, always to open",
        ),
        (
            f"{ATTACHED}Purse, start: 2022-01-01, end: 2021-01-01}}]",
            "accountUsageBuckets[0].end",
            "the end 2020-12-31T23:00:00.000Z is not after the start 2021-12-31T23:00:00.000Z",
        ),
        (f"{ATTACHED}None}}]", "accountUsageBuckets[0].usageBucketName", "there is no usage bucket 'None'"),
        (
            "accountServiceUsageBuckets: [{accountName: Acme, accountServiceName: None, usageBucketName: Purse}]",
            "accountServiceUsageBuckets[0].accountServiceName",
            "the account 'Acme' has no service 'None'",
        ),
        (
            (
                "usageBucketBases: [{name: Volume, usageBucketBaseUnitName: Data}, "
                "{name: Calls, usageBucketBaseUnitName: Count}]"
            ),
            "usageBucketBases[1].usageBucketBaseUnitName",
            "'Calls' has buckets, so that its base unit stays Time",
        ),
    ],
)
def test_a_broken_rule_of_an_attachment_or_a_base_in_use_is_one_fault(database: Database, text, path, message):
    before = rows_of(database)
    applied = apply(database, f"ratemill: 1\n{text}\n")
    assert [(fault.path, fault.message) for fault in applied.errors] == [(path, message)]
    assert rows_of(database) == before


def test_one_bucket_may_be_attached_again_and_to_another_service(database: Database):
    text = """ratemill: 1
accountUsageBuckets: [{accountName: Acme, usageBucketName: Purse, start: 2021-01-01}]
accountServiceUsageBuckets: [{accountName: Acme, accountServiceName: Other, usageBucketName: Minutes}]
"""
    assert apply(database, text).count("created") == 2


CURRENCIES = """ratemill: 1
usageBuckets: [{name: Yen, currencyName: JPY, size: 500}, {name: Yen of a line, currencyName: JPY, size: 500}]
accounts: [{name: Tokyo, currencyName: JPY}, {name: Lyon, currencyName: EUR}]
accountServices: [{accountName: Tokyo, name: Line}]
accountUsageBuckets: [{accountName: Tokyo, usageBucketName: Yen}]
accountServiceUsageBuckets: [{accountName: Tokyo, accountServiceName: Line, usageBucketName: Yen of a line}]
"""


def test_an_account_keeps_its_currency_while_money_is_attached_to_it_or_its_services(database: Database):
    assert apply(database, CURRENCIES).errors == []
    before = rows_of(database)
    for dry_run in (True, False):
        text = "ratemill: 1\naccounts: [{name: Tokyo, currencyName: EUR}]"
        applied = apply_document(database, text, None, dry_run=dry_run, create_owner=True, created_by="test")
        assert [(fault.path, fault.message) for fault in applied.errors] == [
            ("accounts[0].currencyName", "the bucket 'Yen' is attached, and holds JPY"),
            ("accounts[0].currencyName", "the bucket 'Yen of a line' is attached, and holds JPY"),
        ]
    assert rows_of(database) == before
    assert apply(database, "ratemill: 1\naccounts: [{name: Lyon, currencyName: CHF}]").count("updated") == 1
