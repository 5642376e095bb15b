"""A book or holders brought forward by the log of changes are those that are read and compiled of everything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import polars as pl
import pytest
from tests.api.setup.calls import done, send
from tests.fixtures.mill import Mill, mill
from tests.fixtures.mills import NewMill

from ratemill.intake.caches import RatingCaches
from ratemill.rating.book import SCHEMAS, PriceBook
from ratemill.rating.holders import bearers_of
from ratemill.rating.rate import Holders
from ratemill.settings import Settings
from ratemill.setup.in_force import holders, price_books
from ratemill.setup.in_force.book import setup_snapshot
from ratemill.setup.price_lists.laying import PriceList, lay
from ratemill.setup.writing.changes import Author
from ratemill.store import owners
from ratemill.store.connections import Database

SET_UP = """
ratemill: 1
usageClasses: [{name: voice, usageBaseUnitName: Time, usageRaterTypeName: GeoTree}, {name: data, usageBaseUnitName: Data}]
usageUnits: [{name: Block, usageBaseUnitName: Time, multiplierToBaseUnitType: 6}]
usageRoundings: [{name: Half, usageBaseUnitName: Time, increment: "30"}]
geoTreeLocations: [{name: France}, {name: Paris, parentGeoTreeLocationName: France}, {name: Spain}]
geoTreeLocationPatterns: [{name: "33", geoTreeLocationName: France}, {name: "331", geoTreeLocationName: Paris}]
geoTreeLocationGroups: [{name: West, geoTreeLocationNames: [France, Spain]}]
usageRateGroups: [{name: A, currencyName: USD}, {name: B, currencyName: USD}]
usageRatePlans: [{name: P, usageRateGroupNames: [A, B]}, {name: Q, usageRateGroupNames: [B]}]
usageRates:
  - {usageRateGroupName: A, usageClassName: voice, geoTreeLocationName: France, amount: "1", usageUnitName: Block}
  - {usageRateGroupName: A, usageClassName: voice, geoTreeLocationName: Paris, amount: "1", usageRoundingName: Half}
  - {usageRateGroupName: B, usageClassName: voice, geoTreeLocationGroupName: West, amount: "2"}
  - {usageRateGroupName: B, usageClassName: data, amount: "3"}
accounts: [{name: Top, currencyName: USD, usageRatePlanName: P}, {name: Child, currencyName: USD, parentAccountName: Top}]
accountServices: [{accountName: Top, name: Line}, {accountName: Child, name: Line}]
usageIdentifiers:
  - {udrUsageIdentifier: one, accountName: Top, accountServiceName: Line}
  - {udrUsageIdentifier: two, accountName: Child, accountServiceName: Line}
"""
ASKED = pl.Series(["one", "two", "three", "four", "nobody"])


@pytest.fixture(scope="module")
def made(database: Database, settings: Settings) -> Iterator[Mill]:
    with mill(database, settings, document=SET_UP) as found:
        yield found


@pytest.fixture
def caches(settings: Settings) -> RatingCaches:
    return RatingCaches.within(settings)


def in_force(made: Mill, caches: RatingCaches) -> tuple[PriceBook, Holders]:
    with made.database.worker() as connection:
        owner_id = owners.find(connection, made.owner) or 0
        with setup_snapshot(connection, owner_id, caches.setup) as setup:
            return setup.book, holders.holders_of(setup, ASKED, caches.holders)


def live_rates(book: PriceBook) -> pl.DataFrame:
    settled = book.settled.rates if book.gone is None else book.settled.rates.filter(~book.gone)
    recent = settled.clear() if book.recent is None else book.recent.rates
    return pl.concat([settled, recent]).sort("rate_id")


def bearers(found: Holders) -> pl.DataFrame:
    identifiers = found.identifiers.filter(pl.col("usage_identifier").is_in(ASKED.implode()))
    joined = identifiers.join(bearers_of(found.services, found.accounts, None), on="service_id", how="left")
    return joined.sort("usage_identifier", "start_at", "service_id")


def assert_as_read_afresh(made: Mill, caches: RatingCaches, about: str) -> None:
    book, found = in_force(made, caches)
    fresh, asked = in_force(made, RatingCaches.within(made.settings))
    assert book.version == fresh.version, about
    assert live_rates(book).equals(live_rates(fresh)), about
    for name in SCHEMAS:
        one, other = (getattr(each.tables, name) for each in (book, fresh))
        assert one.sort(pl.all()).equals(other.sort(pl.all())), (name, about)
    assert (book.rounding, book.owner_rate_plan_id) == (fresh.rounding, fresh.owner_rate_plan_id)
    assert bearers(found).equals(bearers(asked)), about


def applied(entries: str) -> Callable[[Mill], None]:
    return lambda made: made.apply(f"ratemill: 1\n{entries}")


def deleted(path: str, table: str, key: str, where: str) -> Callable[[Mill], None]:
    def delete(made: Mill) -> None:
        done(send(made, "DELETE", f"{path}/{made.value(f'select {key} from {table} where {where}')}"), "delete")

    return delete


def laid(text: str, **options: Any) -> Callable[[Mill], None]:
    def lay_list(made: Mill) -> None:
        owner_id = made.value("select owner_id from owners where name = %s", made.owner)
        asked = PriceList(text=text, **options)
        assert not lay(made.database, owner_id, asked, preview=False, author=Author("tester", "http")).refused.total

    return lay_list


def change_owner(made: Mill) -> None:
    owner_id = made.value("select owner_id from owners where name = %s", made.owner)
    done(send(made, "PUT", f"Owner/{owner_id}", {"amountPrecision": 4, "usageRatePlanName": "P"}), "update")


RATE = "usageRates: [{usageRateGroupName: %s, usageClassName: voice, geoTreeLocationName: %s, amount: '%s'}]"
CHANGES: dict[str, Callable[[Mill], None]] = {
    "a rate's amount": applied(RATE % ("A", "France", "7")),
    "a new rate": applied(RATE % ("B", "Paris", "8")),
    "a rate goes": deleted("Usage/Rate", "rates", "rate_id", "amount = 8"),
    "the rate is back": applied(RATE % ("B", "Paris", "9")),
    "a unit counts otherwise": applied(
        "usageUnits: [{name: Block, usageBaseUnitName: Time, multiplierToBaseUnitType: 12}]"
    ),
    "a rounding rounds otherwise": applied("usageRoundings: [{name: Half, usageBaseUnitName: Time, increment: '15'}]"),
    "a new location": applied("geoTreeLocations: [{name: Lyon, parentGeoTreeLocationName: France}]"),
    "its pattern": applied("geoTreeLocationPatterns: [{name: '334', geoTreeLocationName: Lyon}]"),
    "its rate": applied(RATE % ("A", "Lyon", "4")),
    "a location moves": applied("geoTreeLocations: [{name: Lyon, parentGeoTreeLocationName: Spain}]"),
    "a pattern goes": deleted("GeoTree/Location/Pattern", "location_patterns", "location_pattern_id", "name = '334'"),
    "a group of locations": applied("geoTreeLocationGroups: [{name: West, geoTreeLocationNames: [Spain, Lyon]}]"),
    "a class": applied("usageClasses: [{name: late, usageBaseUnitName: Count}]"),
    "a rate group's span": applied("usageRateGroups: [{name: B, currencyName: USD, start: 2020-01-01}]"),
    "a plan's groups": applied("usageRatePlans: [{name: P, usageRateGroupNames: [B, A]}]"),
    "the owner": change_owner,
    "a list": laid("usageClassName,geoTreeLocationName,amount\nvoice,France,11\nvoice,Spain,12\n", rate_group="A"),
    "a list in the place of another": laid(
        "usageClassName,geoTreeLocationName,amount\nvoice,France,13\nvoice,Paris,14\n", rate_group="A", replaces=True
    ),
    "an identifier": applied(
        "usageIdentifiers: [{udrUsageIdentifier: three, accountName: Top, accountServiceName: Line}]"
    ),
    "an identifier goes": deleted(
        "Account/Service/UsageIdentifier", "identifiers", "identifier_id", "usage_identifier = 'one'"
    ),
    "a service's plan": applied("accountServices: [{accountName: Top, name: Line, usageRatePlanName: Q}]"),
    "an account's plan": applied("accounts: [{name: Top, currencyName: USD, usageRatePlanName: Q}]"),
    "an account's parent": applied(
        "accounts: [{name: Third, currencyName: USD, usageRatePlanName: P}, {name: Child, "
        "currencyName: USD, parentAccountName: Third}]"
    ),
    "a type of identifiers": applied(
        "udrIdentifierTypes: [{name: IMSI}]\nusageIdentifiers: [{udrUsageIdentifier: four, "
        "udrIdentifierTypeName: IMSI, accountName: Top, accountServiceName: Line}]"
    ),
    "an account goes": deleted("Account", "accounts", "account_id", "name = 'Child'"),
}


def test_each_change_brings_the_book_and_the_holders_to_what_is_read_afresh(made: Mill, caches: RatingCaches):
    in_force(made, caches)
    for about, change in CHANGES.items():
        change(made)
        assert_as_read_afresh(made, caches, about)


def test_changes_between_two_tables_are_brought_in_together(new_mill: NewMill, caches: RatingCaches):
    with new_mill(SET_UP) as made:
        in_force(made, caches)
        for change in CHANGES.values():
            change(made)
        assert_as_read_afresh(made, caches, "all of them")


def test_a_changed_set_up_is_not_read_again_as_a_whole(
    made: Mill, caches: RatingCaches, monkeypatch: pytest.MonkeyPatch
):
    before, _ = in_force(made, caches)
    monkeypatch.delattr(price_books, "compile_book")
    applied(RATE % ("A", "Spain", "99"))(made)
    applied("accounts: [{name: Other, currencyName: USD}]")(made)
    after, _ = in_force(made, caches)
    assert "99" in [format(price, "d").rstrip("0") for price in after.recent.rates["price"]]  # type: ignore[union-attr]
    assert after.settled is before.settled


def test_more_changes_than_are_gone_through_read_the_book_again(
    made: Mill, caches: RatingCaches, monkeypatch: pytest.MonkeyPatch
):
    in_force(made, caches)
    monkeypatch.setattr(price_books, "CHANGES_MAX", 0)
    monkeypatch.setattr(holders, "CHANGES_MAX", 0)
    applied(RATE % ("A", "Spain", "98"))(made)
    applied("usageIdentifiers: [{udrUsageIdentifier: nobody, accountName: Top, accountServiceName: Line}]")(made)
    book, found = in_force(made, caches)
    assert book.recent is None
    assert "nobody" in found.identifiers["usage_identifier"].to_list()
