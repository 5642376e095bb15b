"""What workers and requests read of the set-up."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ratemill.setup.in_force import book
from ratemill.setup.in_force.feeds import find_feed
from ratemill.setup.writing.apply import apply_document
from ratemill.store import owners
from ratemill.store.connections import Database

EXAMPLE = (Path(__file__).parent / "example.yaml").read_text()
FULL = (Path(__file__).parent / "full.yaml").read_text()


def apply(database: Database, text: str) -> None:
    assert apply_document(database, text, None, create_owner=True, created_by="test").errors == []


@pytest.fixture(scope="module")
def owner_id(database: Database) -> int:
    apply(database, EXAMPLE)
    with database.worker() as connection:
        return owners.find(connection, "default") or 0


def test_the_book_is_kept_until_its_version_changes(database: Database, owner_id: int):
    with database.worker() as connection:
        first = book.price_book(connection, owner_id)
        assert book.price_book(connection, owner_id) is first
    apply(database, "ratemill: 1\nusageClassTypes: [{name: Another}]\n")
    with database.worker() as connection:
        second = book.price_book(connection, owner_id)
    assert second is not first
    assert second.version == first.version + 1


def test_the_tables_hold_every_member_that_makes_a_price(database: Database):
    apply(database, FULL)
    with database.worker() as connection:
        full = owners.find(connection, "full") or 0
        tables = book.read_tables(connection, full)
        assert book.price_book(connection, full).classes["usage_class"].to_list() == ["voice"]
    (rate,) = tables.rates.filter(tables.rates["location_id"].is_not_null()).to_dicts()
    assert (rate["amount"], rate["per"], rate["calculation"]) == ("0.1", 60, "perEvent")
    assert (rate["rounding_minimum"], rate["rounding_increment"]) == ("60", "30")
    assert (rate["connection_charge"], rate["minimum_charge"], rate["maximum_charge"]) == ("0.05", "0.01", "100")
    assert tables.plan_groups["priority"].to_list() == [1, 2]
    assert sorted(tables.patterns["pattern"]) == ["0033", "331"]


def test_tables_are_read_again_if_set_up_changes_meanwhile(database: Database, owner_id: int, monkeypatch):
    read = book.read_tables
    calls: list[int] = []

    def read_and_change(connection, of):
        tables = read(connection, of)
        if not calls:
            apply(database, "ratemill: 1\nusageClasses: [{name: late, usageBaseUnitName: Count}]\n")
        calls.append(of)
        return tables

    monkeypatch.setattr(book, "read_tables", read_and_change)
    monkeypatch.setattr(book, "_books", {})
    with database.worker() as connection:
        compiled = book.price_book(connection, owner_id)
        assert compiled.version == owners.version(connection, owner_id)
    assert len(calls) == 2
    assert "late" in compiled.classes["usage_class"].to_list()


def test_holders_are_identifiers_services_and_accounts_with_their_parents(database: Database):
    with database.worker() as connection:
        found = book.holders(connection, owners.find(connection, "full") or 0, ["0033 1", "0033 1", "nobody"])
    assert found.identifiers["identifier_type"].to_list() == ["MSISDN", "MSISDN"]
    assert found.services["service"].to_list() == ["Line"]
    assert sorted(found.accounts["account"]) == ["Child", "Parent"]


def test_holders_of_another_version_are_refused(database: Database, owner_id: int):
    with database.worker() as connection, pytest.raises(book.BookChanged):
        book.holders(connection, owner_id, ["648-688-4180"], version=0)


def test_a_worker_gets_the_profile_in_its_version(database: Database, owner_id: int):
    with database.worker() as connection:
        feed = book.worker_feed(connection, 1)
        assert (feed.owner_id, feed.name, feed.profile.name, feed.profile_version) == (
            owner_id,
            "Guide Feed",
            "guide_csv",
            1,
        )
    apply(database, "ratemill: 1\ndataProfiles: [{name: guide_csv, headerRow: true}]\n")
    with database.worker() as connection:
        feed = book.worker_feed(connection, 1)
    assert (feed.profile.header_row, feed.profile_version) == (True, 2)


def test_a_worker_gets_the_lists_that_a_match_looks_in(database: Database):
    with database.worker() as connection:
        full = owners.find(connection, "full")
    with database.face(full) as connection:
        feed = find_feed(connection, "every1")
    assert feed is not None
    with database.worker() as connection:
        lists = book.worker_feed(connection, feed.feed_id).lists
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
    code = "import sys, ratemill.setup.in_force.feeds, ratemill.setup.tokens; sys.exit('polars' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
