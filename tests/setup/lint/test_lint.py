"""The lint of a rate plan: for each rule a plan that breaks it and one that keeps it."""

from __future__ import annotations

import json
from contextlib import nullcontext

import pytest
import structlog
from tests.fixtures.mill import mill
from typer.testing import CliRunner

from ratemill.cli import lint as lint_command
from ratemill.cli.app import app
from ratemill.setup.lint.lint import LintReport, lint
from ratemill.setup.lint.rules import RULES
from ratemill.setup.writing.apply import apply_document
from ratemill.store import owners
from ratemill.store.connections import Database, driver

COMMON = """ratemill: 1
owner: {owner}
usageClasses:
  - {{name: voice, usageBaseUnitName: Time, usageRaterTypeName: GeoTree}}
  - {{name: sms, usageBaseUnitName: Count}}
geoTreeLocations:
  - {{name: Europe}}
  - {{name: France, parentGeoTreeLocationName: Europe}}
  - {{name: Spain, parentGeoTreeLocationName: Europe}}
geoTreeLocationGroups:
  - {{name: West, geoTreeLocationNames: [France, Spain]}}
  - {{name: South, geoTreeLocationNames: [Spain]}}
"""
PLAN = """
usageRateGroups: [{name: First, currencyName: EUR}, {name: Second, currencyName: EUR, start: 2090-01-01}]
usageRatePlans: [{name: P, usageRateGroupNames: [First, Second], amountPrecision: 4}]
"""
ONE_GROUP = PLAN.replace(", start: 2090-01-01", "").replace("[First, Second]", "[First]")
PATTERNS = """
geoTreeLocationPatterns:
  - {name: 3, geoTreeLocationName: Europe}
  - {name: 33, geoTreeLocationName: France}
  - {name: 34, geoTreeLocationName: Spain}
"""


def rate(more: str, group: str = "First") -> str:
    return f"  - {{usageRateGroupName: {group}, {more}}}\n"


def rates(*each: str) -> str:
    return "usageRates:\n" + "".join(each)


VOICE = 'usageClassName: voice, amount: "0.01"'
DEARER = 'usageClassName: voice, amount: "0.02"'
SMS = 'usageClassName: sms, amount: "0.01"'
AT_FRANCE, AT_SPAIN, AT_EUROPE = (f"geoTreeLocationName: {each}" for each in ("France", "Spain", "Europe"))

# By rule: a plan that breaks it, what is found (list, key, member), and one that keeps it.
CASES = {
    "currency_without_group": (
        ONE_GROUP + "accounts: [{name: A, currencyName: USD, usageRatePlanName: P}]",
        [("accounts", "A", "currencyName")],
        ONE_GROUP + "accounts: [{name: A, currencyName: EUR, usageRatePlanName: P}]",
    ),
    "group_gap": (
        PLAN.replace("name: First, currencyName: EUR", "name: First, currencyName: EUR, end: 2089-01-01"),
        [("usageRateGroups", "Second", "start")],
        PLAN.replace("name: First, currencyName: EUR", "name: First, currencyName: EUR, end: 2090-01-01"),
    ),
    "rate_gap": (
        ONE_GROUP + rates(rate(f"{SMS}, end: 2030-01-01"), rate(f"{SMS}, start: 2030-01-02")),
        [("usageRates", "First / sms / 2030-01-02T00:00:00.000Z", "start")],
        ONE_GROUP + rates(rate(f"{SMS}, end: 2030-01-01"), rate(f"{SMS}, start: 2030-01-01")),
    ),
    "rates_expired": (
        ONE_GROUP + rates(rate(f"{SMS}, end: 2020-01-01"), rate(f"{SMS}, start: 2020-01-01, end: 2021-01-01")),
        [("usageRates", "First / sms / 2020-01-01T00:00:00.000Z", "end")],
        ONE_GROUP + rates(rate(f"{SMS}, end: 2020-01-01"), rate(f"{SMS}, start: 2020-01-01, end: 2090-01-01")),
    ),
    "location_never_reached": (
        ONE_GROUP + rates(rate(f"{VOICE}, {AT_SPAIN}")),
        [("geoTreeLocations", "Spain", None)],
        ONE_GROUP + PATTERNS + rates(rate(f"{VOICE}, {AT_EUROPE}")),
    ),
    "broad_over_exact": (
        ONE_GROUP.replace("[First]", "[First, Second]")
        + PATTERNS
        + rates(rate(f"{VOICE}, {AT_EUROPE}"), rate(f"{VOICE}, {AT_FRANCE}", "Second")),
        [("usageRates", "Second / voice / France", "geoTreeLocationName")],
        ONE_GROUP.replace("[First]", "[First, Second]")
        + PATTERNS
        + rates(rate(f"{VOICE}, {AT_EUROPE}", "Second"), rate(f"{VOICE}, {AT_FRANCE}")),
    ),
    "places_lost": (
        ONE_GROUP + rates(rate('usageClassName: sms, amount: "0.00123"')),
        [("usageRates", "First / sms", "amount")],
        ONE_GROUP + rates(rate('usageClassName: sms, amount: "0.0012"')),
    ),
    "groups_overlap": (
        PLAN,
        [("usageRateGroups", "Second", "start")],
        PLAN.replace("name: First, currencyName: EUR", "name: First, currencyName: EUR, end: 2090-01-01"),
    ),
    "pattern_shadowed": (
        ONE_GROUP + PATTERNS + rates(rate(f"{VOICE}, {AT_EUROPE}"), rate(f"{DEARER}, {AT_FRANCE}")),
        [("geoTreeLocationPatterns", "34", "name")],
        ONE_GROUP + PATTERNS + rates(rate(f"{VOICE}, {AT_EUROPE}"), rate(f"{DEARER}, geoTreeLocationGroupName: West")),
    ),
    "digits_near_limit": (
        ONE_GROUP + rates(rate('usageClassName: sms, amount: "0.000000000000000001", connectionCharge: 99999')),
        [("usageRates", "First / sms", "amount")],
        ONE_GROUP + rates(rate('usageClassName: sms, amount: "0.0001", connectionCharge: "0.5"')),
    ),
}


def apply(database: Database, owner: str, document: str) -> None:
    text = COMMON.format(owner=owner) + document
    assert apply_document(database, text, None, create_owner=True, created_by="test").errors == []


def linted(database: Database, owner: str) -> LintReport:
    with database.worker() as connection:
        owner_id = owners.find(connection, owner)
    return lint(database, owner_id or 0, "P")


def found(database: Database, owner: str, rule: str) -> list[tuple[str, str, str | None]]:
    return [(each.list, each.key, each.member) for each in linted(database, owner).findings if each.rule == rule]


@pytest.mark.parametrize("rule", CASES)
def test_a_plan_that_breaks_a_rule_is_found_and_one_that_keeps_it_is_not(database: Database, rule):
    broken, expected, kept = CASES[rule]
    apply(database, f"{rule} broken", broken)
    assert found(database, f"{rule} broken", rule) == expected
    apply(database, f"{rule} kept", kept)
    assert found(database, f"{rule} kept", rule) == []


def test_rates_that_overlap_are_found_though_set_up_refuses_them(database: Database):
    sound = ONE_GROUP + rates(rate(f"{SMS}, end: 2030-01-01"), rate(f"{SMS}, start: 2030-01-01"))
    apply(database, "overlap", sound)
    assert found(database, "overlap", "rates_overlap") == []
    change(database, "overlap", "update rates set end_at = '2031-01-01' where start_at is null")
    assert found(database, "overlap", "rates_overlap") == [
        ("usageRates", "First / sms / 2030-01-01T00:00:00.000Z", "start")
    ]


def test_rates_of_location_groups_that_tie_are_found_though_set_up_refuses_them(database: Database):
    west, south = (f"{VOICE}, geoTreeLocationGroupName: {each}" for each in ("West", "South"))
    apply(database, "tie", ONE_GROUP + rates(rate(f"{west}, end: 2030-01-01"), rate(f"{south}, start: 2030-01-01")))
    assert found(database, "tie", "rates_tie") == []
    change(database, "tie", "update rates set end_at = null where start_at is null")
    assert found(database, "tie", "rates_tie") == [
        ("usageRates", "First / voice / South / 2030-01-01T00:00:00.000Z", "geoTreeLocationGroupName")
    ]


def test_every_rule_has_a_case():
    assert {rule.__name__ for rule in RULES} == {*CASES, "rates_overlap", "rates_tie"}


def test_a_pattern_that_longer_ones_take_apart_reaches_nothing(database: Database):
    tens = ", ".join(f"{{name: 34{digit}, geoTreeLocationName: France}}" for digit in range(10))
    patterns = f"geoTreeLocationPatterns: [{{name: 34, geoTreeLocationName: Spain}}, {tens}]\n"
    apply(database, "ten", ONE_GROUP + patterns + rates(rate(f"{VOICE}, {AT_SPAIN}"), rate(f"{VOICE}, {AT_FRANCE}")))
    assert found(database, "ten", "location_never_reached") == [("geoTreeLocations", "Spain", None)]


def test_accounts_below_and_services_are_of_the_plan_too(database: Database):
    document = """
accounts:
  - {name: A, currencyName: EUR, usageRatePlanName: P}
  - {name: B, currencyName: USD, parentAccountName: A}
  - {name: C, currencyName: GBP}
accountServices: [{accountName: C, name: Line, usageRatePlanName: P}]
"""
    apply(database, "below", ONE_GROUP + document)
    keys = [key for _, key, _ in found(database, "below", "currency_without_group")]
    assert keys == ["B", "C"]


def test_many_findings_are_counted_and_the_first_shown(database: Database):
    classes = "".join(f"  - {{name: c{at}, usageBaseUnitName: Count}}\n" for at in range(150))
    text = COMMON.replace("usageClasses:\n", f"usageClasses:\n{classes.replace('{', '{{').replace('}', '}}')}")
    each = "".join(rate(f'usageClassName: c{at}, amount: "0.00001"') for at in range(150))
    applied = apply_document(
        database, text.format(owner="many") + ONE_GROUP + rates(each), None, create_owner=True, created_by="test"
    )
    assert applied.errors == []
    lost = linted(database, "many")
    assert (len(lost.findings), lost.count_of("warning")) == (100, 150)


def test_call_and_command_say_the_same(database: Database, settings, monkeypatch):
    document = COMMON.replace("owner: {owner}\n", "").replace("{{", "{").replace("}}", "}") + ONE_GROUP
    document += "accounts: [{name: A, currencyName: USD, usageRatePlanName: P}]\n"
    with mill(database, settings, owner="both", document=document) as made:
        number = made.value(
            "select p.rate_plan_id from rate_plans p join owners o using (owner_id) where o.name = 'both'"
        )
        answer = made.request("GET", f"/Usage/Rate/Plan/{number}/Lint")
        assert answer.status_code == 200
        instance = answer.json()["instance"]
        assert (instance["errorCount"], instance["findings"][0]["rule"]) == (1, "currency_without_group")
        assert made.request("GET", "/Usage/Rate/Plan/999999/Lint").status_code == 404
        monkeypatch.setattr(lint_command, "existing_database", lambda: nullcontext(database))
        with structlog.testing.capture_logs():
            done = CliRunner().invoke(app, ["lint", "P", "--owner", "both", "--json"])
            shown = CliRunner().invoke(app, ["lint", "P", "--owner", "both"])
        assert (done.exit_code, json.loads(done.stdout)) == (1, instance)
        assert shown.stdout.endswith("P: 1 errors, 0 warnings, 0 notices\n")


def change(database: Database, owner: str, statement: str) -> None:
    with database.worker() as connection:
        owned = f"{statement} and owner_id = (select owner_id from owners where name = %s)"
        driver(connection).execute(owned, (owner,))
