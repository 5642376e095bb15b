"""What workers and requests read of the set-up."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from ratemill.intake.caches import RatingCaches
from ratemill.rating.book import PriceBook
from ratemill.settings import Settings
from ratemill.setup.in_force import book, price_books
from ratemill.setup.in_force.feeds import find_feed
from ratemill.setup.in_force.holders import holders_of
from ratemill.setup.writing.apply import apply_document
from ratemill.store import owners
from ratemill.store.connections import Database

EXAMPLE = (Path(__file__).parents[1] / "example.yaml").read_text()
FULL = (Path(__file__).parents[1] / "full.yaml").read_text()
CACHES = RatingCaches.within(Settings())  # of this module's database


def apply(database: Database, text: str) -> None:
    assert apply_document(database, text, None, create_owner=True, created_by="test").errors == []


@pytest.fixture(scope="module")
def owner_id(database: Database) -> int:
    apply(database, EXAMPLE)
    with database.worker() as connection:
        return owners.find(connection, "default") or 0


def book_of(database: Database, owner_id: int) -> PriceBook:
    with database.worker() as connection, book.setup_snapshot(connection, owner_id, CACHES.setup) as setup:
        return setup.book


def test_what_no_price_is_made_of_leaves_the_book_as_it_is(database: Database, owner_id: int):
    first = book_of(database, owner_id)
    apply(database, "ratemill: 1\nusageClassTypes: [{name: Another}]\n")
    second = book_of(database, owner_id)
    assert second.version == first.version + 1
    assert dataclasses.replace(second, version=first.version) == first


def test_the_tables_hold_every_member_that_makes_a_price(database: Database):
    apply(database, FULL)
    with database.worker() as connection:
        full = owners.find(connection, "full") or 0
        tables = price_books.read_tables(connection, full)
    assert book_of(database, full).classes["usage_class"].to_list() == ["voice"]
    (rate,) = tables.rates.filter(tables.rates["location_id"].is_not_null()).to_dicts()
    assert (rate["amount"], rate["per"], rate["calculation"]) == ("0.1", 60, "perEvent")
    assert (rate["rounding_minimum"], rate["rounding_increment"]) == ("60", "30")
    assert (rate["connection_charge"], rate["minimum_charge"], rate["maximum_charge"]) == ("0.05", "0.01", "100")
    assert tables.plan_groups["priority"].to_list() == [1, 2]
    assert sorted(tables.patterns["pattern"]) == ["0033", "331"]


def test_all_that_a_table_reads_is_of_one_state(database: Database, owner_id: int):
    with database.worker() as connection, book.in_force(connection, 1, CACHES.setup) as (_, setup):
        apply(database, "ratemill: 1\ndataProfiles: [{name: guide_csv, headerRow: true}]\n")
        apply(database, "ratemill: 1\nusageClasses: [{name: late, usageBaseUnitName: Count}]\n")
        assert "late" not in setup.book.classes["usage_class"].to_list()
        assert not book.worker_feed(setup.connection, 1, CACHES.setup).profile.header_row
        assert owners.version(setup.connection, owner_id) == setup.book.version == setup.position.version
    apply(database, "ratemill: 1\ndataProfiles: [{name: guide_csv, headerRow: false}]\n")
    after = book_of(database, owner_id)
    assert "late" in after.classes["usage_class"].to_list()
    assert after.version == setup.book.version + 3


def test_holders_are_identifiers_services_and_accounts_with_their_parents(database: Database):
    with database.worker() as connection:
        owner_id = owners.find(connection, "full") or 0
        with book.setup_snapshot(connection, owner_id, CACHES.setup) as setup:
            found = holders_of(setup, pl.Series(["0033 1", "0033 1", "nobody", None]), CACHES.holders)
    assert found.identifiers["identifier_type"].to_list() == ["MSISDN", "MSISDN"]
    assert found.services["service"].to_list() == ["Line"]
    assert sorted(found.accounts["account"]) == ["Child", "Parent"]


def test_a_worker_gets_the_profile_in_its_version(database: Database, owner_id: int):
    with database.worker() as connection:
        feed = book.worker_feed(connection, 1, CACHES.setup)
        assert (feed.owner_id, feed.name, feed.profile.name, feed.profile_version) == (
            owner_id,
            "Guide Feed",
            "guide_csv",
            3,
        )
    apply(database, "ratemill: 1\ndataProfiles: [{name: guide_csv, headerRow: true}]\n")
    with database.worker() as connection:
        feed = book.worker_feed(connection, 1, CACHES.setup)
    assert (feed.profile.header_row, feed.profile_version) == (True, 4)


def test_a_worker_gets_the_lists_that_a_match_looks_in(database: Database):
    with database.worker() as connection:
        full = owners.find(connection, "full")
    with database.face(full) as connection:
        feed = find_feed(connection, "every1")
    assert feed is not None
    with database.worker() as connection:
        lists = book.worker_feed(connection, feed.feed_id, CACHES.setup).lists
    assert lists["usageClassTypes"]["name"].to_list() == ["Calls"]


def test_a_feed_is_found_by_number_api_name_and_name(database: Database, owner_id: int):
    more = """ratemill: 1
udrFeeds:
  - {name: "1", dataProfileName: guide_csv}
  - {name: "777", dataProfileName: guide_csv}
  - {name: shadow, apiName: other, dataProfileName: guide_csv}
  - {name: other, dataProfileName: guide_csv, enabled: false}
"""
    apply(database, more)
    asked = ["1", "777", "guidefeed", "GUIDE FEED", "OTHER", "9" * 30, "no\0body", "1 or 1=1"]
    with database.face(owner_id) as connection:
        found = [find_feed(connection, each) for each in asked]
    assert [feed and feed.name for feed in found] == [
        "Guide Feed",
        "777",
        "Guide Feed",
        "Guide Feed",
        "shadow",
        *[None] * 3,
    ]
    with database.face(owner_id) as connection:
        disabled = find_feed(connection, str(max(feed.feed_id for feed in found if feed) + 1))
    assert disabled is not None
    assert not disabled.enabled
    with database.face(owner_id + 1) as connection:
        assert find_feed(connection, "1") is None


def test_requests_find_feeds_and_tokens_without_the_table_engine():
    code = "import sys, ratemill.setup.in_force.feeds, ratemill.access.tokens; sys.exit('polars' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
