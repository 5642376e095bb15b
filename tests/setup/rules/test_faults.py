"""Every rule of set-up, broken: where the fault is said to be, and what is said of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.setup.rows import rows_of

from ratemill.setup.writing.apply import apply_document
from ratemill.store.connections import Database

GROUND = """\
ratemill: 1
usageClasses:
  - {name: voice, usageBaseUnitName: Time, usageRaterTypeName: GeoTree}
  - {name: data, usageBaseUnitName: Data}
geoTreeLocations: [{name: Europe}, {name: France, parentGeoTreeLocationName: Europe}, {name: Asia}]
geoTreeLocationPatterns: [{name: "33", geoTreeLocationName: France}]
geoTreeLocationGroups:
  - {name: Old World, geoTreeLocationNames: [Europe, Asia]}
  - {name: East, geoTreeLocationNames: [Asia]}
  - {name: West, geoTreeLocationNames: [Europe]}
usageRoundings: [{name: Minute, usageBaseUnitName: Time, usageUnitName: Minutes, minimum: 1, increment: 1}]
dataProfiles:
  - name: raw
    format: csv
    fields: [{name: DateTime}, {name: UdrUsageIdentifier}, {name: Value}, {name: UsageClassName}]
udrFeeds: [{name: Guide Feed, apiName: guideFeed, dataProfileName: raw}]
usageRateGroups:
  - {name: USD, currencyName: USD}
  - {name: Passing, currencyName: USD, isPassThrough: true}
usageRatePlans: [{name: Standard, usageRateGroupNames: [USD]}]
usageRates:
  - {usageRateGroupName: USD, usageClassName: data, amount: 1, start: 2020-01-01, end: 2021-01-01}
  - {usageRateGroupName: USD, usageClassName: voice, geoTreeLocationGroupName: Old World, amount: 1}
  - {usageRateGroupName: USD, usageClassName: voice, geoTreeLocationGroupName: West, amount: 1, end: 1990-01-01,
     start: 1980-01-01}
accounts:
  - {name: Acme, currencyName: USD, usageRatePlanName: Standard, timeZone: Europe/Paris}
  - {name: Sub, currencyName: USD, parentAccountName: Acme}
accountServices: [{accountName: Acme, name: Line}, {accountName: Sub, name: Line}]
usageIdentifiers:
  - {udrUsageIdentifier: "1", accountName: Acme, accountServiceName: Line, start: 2020-01-01, end: 2021-01-01}
"""
# The rates of West and Old World tie from 1980 on, so that the ground lets only Old World stand.
GROUND = GROUND.replace(
    """  - {usageRateGroupName: USD, usageClassName: voice, geoTreeLocationGroupName: West, amount: 1, end: 1990-01-01,
     start: 1980-01-01}
""",
    "",
)

CHARGE = """
    insert into charges (submission_id, row_index, run, entry, owner_id, feed_id, batch_id, usage_at, usage_identifier,
        quantity, usage_class_id, account_id, service_id, rate_plan_id, rate_group_id, rate_id, quantity_rounded,
        quantity_charged, amount, currency, rated_at)
    select 1, 1, 1, 0, 1, 1, 1, now(), '1', 1, 1, account_id, 1, 1, 1, 1, 1, 1, 1, 'USD', now()
    from accounts where name = 'Acme'"""
BLOCKS = (Path(__file__).parents[1] / "broken.txt").read_text().split("\n\n")[1:]
BROKEN = [tuple(block.strip().split("\n")) for block in BLOCKS]
NAMES = [f"{path}: {message}"[:80] for _, path, message in BROKEN]


@pytest.fixture(scope="module", autouse=True)
def _ground(database: Database):
    applied = apply_document(database, GROUND, None, created_by="test")
    assert applied.errors == []


@pytest.mark.parametrize(
    ("broken", "path", "message"), BROKEN, ids=[f"{path}: {message}"[:90] for _, path, message in BROKEN]
)
def test_a_broken_rule_is_one_fault_with_its_place_and_nothing_is_written(database: Database, broken, path, message):
    before = rows_of(database)
    for dry_run in (True, False):
        applied = apply_document(database, f"ratemill: 1\n{broken}\n", None, dry_run=dry_run, created_by="test")
        assert [(fault.path, fault.line, fault.message) for fault in applied.errors] == [(path, 2, message)]
        assert applied.as_json()["items"] == []
    assert rows_of(database) == before


def test_all_the_broken_rules_are_told_at_once(database: Database):
    text = """\
ratemill: 1
usageClassTypes:
  - name: A
    sortOrder: x
  - sortOrder: 0
udrFeeds:
  - name: F
    dataProfileName: none
    batchWaitSeconds: 99
"""
    errors = apply_document(database, text, None, created_by="test").as_json()["errors"]
    assert errors == [
        {"path": "usageClassTypes[0].sortOrder", "line": 4, "message": "'x' is not a whole number"},
        {"path": "usageClassTypes[1].name", "line": 5, "message": "is required"},
        {"path": "usageClassTypes[1].sortOrder", "line": 5, "message": "'0' is not at least 1"},
        {"path": "udrFeeds[0].dataProfileName", "line": 8, "message": "there is no data profile 'none'"},
        {"path": "udrFeeds[0].batchWaitSeconds", "line": 9, "message": "'99' is not between 0 and 30"},
    ]


@pytest.mark.parametrize(
    ("text", "line", "start"),
    [
        ("a: [", 2, "this is not YAML"),
        ("- 1", 1, "a document is a mapping"),
        ("", 1, "a document is a mapping"),
        ("ratemill: 1\n---\nratemill: 1\n", 2, "this is not YAML"),
        ("ratemill: 1\nx: &a [*a]\n", 2, "an alias stands inside what it names"),
        ('{"ratemill": 1,\n "owner": "a" "b"}', 2, "this is not JSON"),
        ('{"ratemill": 1} x', 1, "this is not JSON"),
        ("ratemill: 1\nx: *gone\n", 2, "this is not YAML"),
        ("ratemill: 1\nx:\n  " + "[" * 101 + "]" * 101, 3, "nested too deeply: at most 100 levels"),
        ('{"ratemill": 1,\n"x":' + "[" * 100_000, 2, "nested too deeply: at most 100 levels"),
    ],
)
def test_what_is_no_document_is_told_with_its_line(database: Database, text, line, start):
    (fault,) = apply_document(database, text, None, created_by="test").errors
    assert (fault.path, fault.line) == ("", line)
    assert fault.message.startswith(start)


@pytest.mark.parametrize("text", ["owner: default", "ratemill: 2"])
def test_the_version_is_required(database: Database, text):
    (fault,) = apply_document(database, text, None, created_by="test").errors
    assert (fault.path, fault.line, fault.message) == ("ratemill", 1, "must be 1")


@pytest.mark.parametrize(
    ("member", "value", "message"),
    [
        ("name", 5, 'a number stands where a text belongs: write "5"'),
        ("name", True, 'true or false stands where a text belongs: write "true"'),
        ("enabled", "true", "'true' is neither true nor false"),
        ("description", 1.5, 'a number stands where a text belongs: write "1.5"'),
    ],
)
def test_json_is_typed(database: Database, member, value, message):
    feed = {"name": "F", "dataProfileName": "raw", member: value}
    text = json.dumps({"ratemill": 1, "udrFeeds": [feed]})
    (fault,) = apply_document(database, text, None, created_by="test").errors
    assert (fault.path, fault.message) == (f"udrFeeds[0].{member}", message)


def test_a_key_that_json_has_twice_is_a_fault(database: Database):
    (fault,) = apply_document(
        database, '{"ratemill": 1,\n"owner": "default",\n"owner": "default"}', None, created_by="t"
    ).errors
    assert (fault.path, fault.line, fault.message) == ("owner", 3, "'owner' stands here twice")


def test_the_members_of_a_group_may_not_bring_two_rates_together(database: Database):
    two = """\
ratemill: 1
geoTreeLocationGroups: [{name: Left, geoTreeLocationNames: [France]}, {name: Right, geoTreeLocationNames: [Asia]}]
usageClasses: [{name: calls, usageBaseUnitName: Time, usageRaterTypeName: GeoTree}]
usageRates:
  - {usageRateGroupName: USD, usageClassName: calls, amount: 1, geoTreeLocationGroupName: Left}
  - {usageRateGroupName: USD, usageClassName: calls, amount: 1, geoTreeLocationGroupName: Right}
"""
    assert apply_document(database, two, None, created_by="test").errors == []
    move = "ratemill: 1\ngeoTreeLocationGroups: [{name: Left, geoTreeLocationNames: [France, Asia]}]\n"
    (fault,) = apply_document(database, move, None, created_by="test").errors
    assert fault.path == "geoTreeLocationGroups[0].geoTreeLocationNames"
    assert fault.message == "two rates of one group and class would meet at a common location"


def test_a_charged_account_keeps_its_currency(database: Database):
    with database.worker() as connection:
        connection.exec_driver_sql(CHARGE)
    text = "ratemill: 1\naccounts: [{name: Acme, currencyName: EUR}]\n"
    (fault,) = apply_document(database, text, None, created_by="test").errors
    assert fault.path == "accounts[0].currencyName"
    assert fault.message == "'Acme' has charges, so that its currency stays USD"


def test_a_plan_without_a_group_in_the_currency_is_a_warning_only(database: Database):
    text = "ratemill: 1\naccounts: [{name: Euro, currencyName: EUR, usageRatePlanName: Standard}]\n"
    applied = apply_document(database, text, None, dry_run=True, created_by="test")
    assert applied.errors == []
    (warning,) = applied.as_json()["warnings"]
    assert warning["path"] == "accounts[0].usageRatePlanName"
    assert warning["message"] == "the rate plan 'Standard' has no rate group in EUR"
