"""Charges of many requests: however they are asked for, the same ones come, in their order, by the indexes there are."""

from collections.abc import Iterator
from itertools import product

import pytest
from tests.fixtures.mill import Mill, guide_row
from tests.fixtures.two_mills import items, post, two_mills

from ratemill.ledger import charges
from ratemill.pages import Paging
from ratemill.periods import read_instant
from ratemill.records import ChargeName, charge_identity, charge_name, record_identity
from ratemill.settings import Settings
from ratemill.store.charges import charges as charge_store
from ratemill.store.charges.charges import Charge, ChargeFilters
from ratemill.store.connections import Database

MORE = """
ratemill: 1
udrFeeds: [{name: Second Feed, apiName: second, dataProfileName: guide_csv, batchWaitSeconds: 0}]
accounts: [{name: Bolt, currencyName: USD, usageRatePlanName: Standard}]
accountServices: [{accountName: Bolt, name: Line}, {accountName: Bolt, name: Spare}]
usageIdentifiers:
  - {udrUsageIdentifier: "b-1", accountName: Bolt, accountServiceName: Line}
  - {udrUsageIdentifier: "b-2", accountName: Bolt, accountServiceName: Spare, end: 2022-05-03}
  - {udrUsageIdentifier: "b-2", accountName: Acme, accountServiceName: Line, start: 2022-05-03}
"""
IDENTIFIERS, DAYS, FEEDS = ("648-688-4180", "b-1", "b-2", "nobody"), (1, 2, 3, 4), ("guideFeed", "second")


@pytest.fixture(scope="module")
def mills(database: Database, settings: Settings) -> Iterator[tuple[Mill, Mill]]:
    """Two owners with the same requests: each feed, each day, a request of each identifier."""
    with two_mills(database, settings) as made:
        for each in made:
            each.apply(MORE)
            for feed, day in product(FEEDS, DAYS):
                rows = [guide_row(day, date=f"2022-05-0{day}T10:00:00", identifier=name) for name in IDENTIFIERS]
                assert each.post_rows(*rows, feed=feed).status_code == 200
        made[0].work()
        yield made


@pytest.fixture(scope="module")
def everything(mills: tuple[Mill, Mill], database: Database) -> list[Charge]:
    page = charges.page(database, 1, ChargeFilters(), Paging(size=1_000))
    assert page.total == len(page.rows) == 24
    return page.rows


@pytest.mark.parametrize("narrow_rows_max", [50_000, 2], ids=["narrow", "wide"])
@pytest.mark.parametrize("usage_identifier", [None, "b-2", "nobody"])
@pytest.mark.parametrize("account", [None, "Bolt"])
@pytest.mark.parametrize("service", [None, "Line"])
@pytest.mark.parametrize("feed", [None, "second feed"])
@pytest.mark.parametrize("span", [(None, None), ("2022-05-02", "2022-05-04"), ("2022-05-04", None)])
def test_filters_are_joined_by_and(  # noqa: PLR0917 -- one argument a filter
    database: Database,
    everything: list[Charge],
    monkeypatch: pytest.MonkeyPatch,
    narrow_rows_max: int,
    usage_identifier: str | None,
    account: str | None,
    service: str | None,
    feed: str | None,
    span: tuple[str | None, str | None],
):
    monkeypatch.setattr(charge_store, "NARROW_ROWS_MAX", narrow_rows_max)
    from_at, to_at = (read_instant(text) if text else None for text in span)
    filters = ChargeFilters(
        usage_identifier=usage_identifier, account=account, service=service, feed=feed, from_at=from_at, to_at=to_at
    )
    expected = [
        charge
        for charge in everything
        if usage_identifier in {None, charge.usage_identifier}
        and account in {None, charge.account}
        and service in {None, charge.service}
        and (feed is None or charge.feed == "Second Feed")
        and (from_at is None or from_at <= charge.usage_at)
        and (to_at is None or charge.usage_at < to_at)
    ]
    found = charges.page(database, 1, filters, Paging(size=1_000))
    assert (found.rows, found.total) == (expected, len(expected))
    paged = [charges.page(database, 1, filters, Paging(number, 5, with_total=False)).rows for number in range(1, 7)]
    assert [charge for page in paged for charge in page] == expected


def test_they_come_by_request_then_row(everything: list[Charge]):
    names = [(charge.submission_id, charge.row_index) for charge in everything]
    assert names == sorted(names)


def test_an_identifier_that_went_to_another_account_shows_under_both(everything: list[Charge], database: Database):
    found = charges.page(database, 1, ChargeFilters(usage_identifier="b-2"), Paging())
    assert [charge.account for charge in found.rows] == ["Bolt", "Bolt", "Acme", "Acme"] * 2


def test_a_page_however_deep_begins_where_it_must(everything: list[Charge], database: Database):
    for size, with_total in product((1, 5, 7), (True, False)):
        for number in range(1, 24 // size + 3):
            page = charges.page(database, 1, ChargeFilters(), Paging(number, size, with_total=with_total))
            assert page.rows == everything[(number - 1) * size : number * size]
            assert page.total == (24 if with_total else None)
    assert charges.page(database, 1, ChargeFilters(), Paging(2**40, 10_000)).rows == []


def test_the_other_owner_has_as_many_and_none_of_these(mills: tuple[Mill, Mill], everything: list[Charge]):
    mine, others = mills
    ids = {(charge.submission_id, charge.row_index) for charge in everything}
    theirs = items(others, "/Udr/Charge/Paged", pageSize=1000)
    assert len(theirs) == 24
    assert not {(row["dataImportHistoryId"], row["originatingFileRecordIndex"]) for row in theirs} & ids
    post(others, guide_row(99))
    assert len(items(mine, "/Udr/Charge/Paged", pageSize=1000)) == 24


@pytest.mark.parametrize("name", [ChargeName(1, 1, 1, 0), ChargeName(2**33, 1_000, 7, 63), ChargeName(5, 1, 1, 2)])
def test_the_number_of_a_charge_is_made_of_its_name_and_leads_back(name: ChargeName):
    assert charge_name(charge_identity(name)) == name
    assert charge_identity(name) < 2**53
    assert record_identity(name.submission_id, name.row_index) == charge_identity(name) // 512


def test_the_dates_of_all_that_was_imported_lie_within_those_of_its_span(mills: tuple[Mill, Mill]):
    outside = """
        select count(*), count(*) filter (where usage_at not between first_usage_at and last_usage_at)
        from batch_spans join {} using (batch_id, submission_id)
    """
    assert mills[0].rows(outside.format("charges"))[0][1] == 0
    assert mills[0].rows(outside.format("rating_exceptions")) == [(16, 0)]
