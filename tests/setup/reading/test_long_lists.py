"""What is kept of long lists: totals stay exact over every change, pages are the same wherever they are looked for from."""

from __future__ import annotations

from itertools import pairwise
from types import SimpleNamespace

import pytest

from ratemill.pages import Paging
from ratemill.setup.objects.registry import BY_LIST
from ratemill.setup.reading import long_lists, searching
from ratemill.setup.reading.long_lists import LongLists
from ratemill.setup.reading.searching import SetupQuery
from ratemill.setup.writing.apply import apply_document
from ratemill.setup.writing.changes import Author
from ratemill.setup.writing.deleting import delete
from ratemill.setup.writing.editing import EditTarget, create, update
from ratemill.store.connections import Database, driver
from ratemill.store.setup import searches

RATES, TYPES, LOCATIONS = BY_LIST["usageRates"], BY_LIST["usageClassTypes"], BY_LIST["geoTreeLocations"]
OWNER = 1
AUTHOR = Author("test", "http")
ROWS = 60
GROUND = "\n".join(
    [
        "ratemill: 1",
        "usageRateGroups: [{name: G, currencyName: USD}]",
        "usageClasses: [{name: b, usageBaseUnitName: Time, usageRaterTypeName: GeoTree},",
        "  {name: a, usageBaseUnitName: Time, usageRaterTypeName: GeoTree}, {name: none, usageBaseUnitName: Time}]",
        "geoTreeLocations:",
        *[f"  - {{name: at {n % 7}{n}}}" for n in range(ROWS // 2)],
        "usageRates:",
        *[
            f"  - {{usageRateGroupName: G, usageClassName: {'ab'[n % 2]}, geoTreeLocationName: at {n // 2 % 7}{n // 2}, "
            f"amount: {n % 5}}}"
            for n in range(ROWS)
        ],
    ]
)


KEPT = SimpleNamespace(lists=LongLists())  # by the test that runs


@pytest.fixture(autouse=True)
def _short_lists_are_long(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(long_lists, "ROWS_MIN", 5)
    monkeypatch.setattr(KEPT, "lists", LongLists())


@pytest.fixture(scope="module", autouse=True)
def _ground(database: Database):
    assert apply_document(database, GROUND, None, create_owner=True, created_by="test").errors == []


def page(database: Database, each, asked: SetupQuery, paging: Paging) -> tuple[list[int], int | None]:
    found = searching.page(database, OWNER, each, asked, paging, lists=KEPT.lists)
    return [one.identity for one in found.rows], found.total


def total(database: Database, asked: SetupQuery = SetupQuery()) -> int | None:  # noqa: B008 -- it is frozen
    return page(database, RATES, asked, Paging(size=1))[1]


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tables that are counted from here on."""
    counted: list[str] = []
    count = searches.count

    def noted(connection, search):
        counted.append(search.table)
        return count(connection, search)

    monkeypatch.setattr(searches, "count", noted)
    return counted


def test_a_total_is_brought_up_by_what_was_created_and_deleted_since(database: Database, counts: list[str]):
    assert (total(database), total(database)) == (ROWS, ROWS)
    made = [
        create(database, OWNER, RATES, body.encode(), AUTHOR).items[0]["identity"]
        for body in (
            f'{{"usageRateGroupName": "G", "usageClassName": "none", "amount": 1, "start": "20{n}-01-01", '
            f'"end": "20{n}-06-01"}}'
            for n in (10, 11, 12)
        )
    ]
    assert total(database) == ROWS + len(made)
    for identity in made:
        delete(database, OWNER, EditTarget(RATES, identity), AUTHOR)
    assert (total(database), counts) == (ROWS, ["rates"])


def test_the_total_of_a_filter_outlives_changes_of_other_lists_only(database: Database, counts: list[str]):
    asked = SetupQuery((searching.comparison(RATES, "usageClassName", "eq", "a"),))
    assert total(database, asked) == ROWS // 2
    create(database, OWNER, TYPES, b'{"name": "another"}', AUTHOR)
    assert (total(database, asked), counts) == (ROWS // 2, ["rates"])
    body = (
        b'{"usageRateGroupName": "G", "usageClassName": "a", "amount": 1, "start": "2010-01-01", "end": "2011-01-01"}'
    )
    made = create(database, OWNER, RATES, body, AUTHOR).items[0]["identity"]
    assert total(database, asked) == ROWS // 2 + 1
    delete(database, OWNER, EditTarget(RATES, made), AUTHOR)
    assert (total(database, asked), counts) == (ROWS // 2, ["rates"] * 3)


def test_too_many_changes_are_not_looked_through(
    database: Database, counts: list[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(long_lists, "CHANGES_MAX", 1)
    assert total(database) == ROWS
    for name in ("one", "two"):
        create(database, OWNER, TYPES, f'{{"name": "{name} more"}}'.encode(), AUTHOR)
    assert (total(database), counts) == (ROWS, ["rates", "rates"])


@pytest.mark.parametrize("with_total", [True, False])
def test_pages_are_the_same_from_whatever_place_they_are_looked_for(database: Database, with_total: bool):
    numbers = [9, 3, 8, 4, 20, 1, 5, 4, 21, 12, 2]
    expected = sorted(row[0] for row in rows(database, "select rate_id from rates"))
    for size in (3, 7):
        for number in numbers:
            found, _ = page(database, RATES, SetupQuery(), Paging(number=number, size=size, with_total=with_total))
            assert found == expected[(number - 1) * size : number * size], (number, size)
    (((_, places), _),) = KEPT.lists._places._values.values()
    assert all(one < other for one, other in pairwise(places))


def test_places_are_forgotten_with_the_version(database: Database):
    expected = sorted(row[0] for row in rows(database, "select rate_id from rates"))
    third = Paging(number=3, size=10)
    assert page(database, RATES, SetupQuery(), third)[0] == expected[20:30]
    with database.worker() as connection:
        connection.exec_driver_sql(f"update rates set rate_id = default where rate_id = {expected[0]}")
        connection.exec_driver_sql("update price_books set version = version + 1")
    assert page(database, RATES, SetupQuery(), third)[0] == expected[21:31]


@pytest.mark.parametrize("descends", [False, True])
@pytest.mark.parametrize("name", ["usageClassName", "geoTreeLocationName", "geoTreeLocationGroupName", "amount"])
@pytest.mark.parametrize("names_max", [2_000, 3])
def test_an_order_is_the_same_by_target_and_by_a_sort(
    database: Database, monkeypatch: pytest.MonkeyPatch, name: str, descends: bool, names_max: int
):
    asked = SetupQuery(order=((name, descends),))
    everything = page(database, RATES, asked, Paging(size=1_000))[0]
    monkeypatch.setattr(searches, "_by_target", lambda *_: None)
    assert page(database, RATES, asked, Paging(size=1_000))[0] == everything
    monkeypatch.undo()
    monkeypatch.setattr(searches, "_NAMES_MAX", names_max)
    for number in (1, 2, 5, 9):
        found = page(database, RATES, asked, Paging(number=number, size=7))[0]
        assert found == everything[(number - 1) * 7 : number * 7], number


def test_what_has_no_parent_comes_first_where_the_order_descends(database: Database):
    asked = SetupQuery(order=(("parentGeoTreeLocationName", True),))
    (first, *_), _ = page(database, LOCATIONS, asked, Paging(size=3))
    assert rows(database, "select location_id from locations where built_in and owner_id = 1") == [(first,)]


def rows(database: Database, statement: str) -> list[tuple[int, ...]]:
    with database.worker() as connection:
        return driver(connection).execute(statement).fetchall()


def counted(database: Database) -> list[tuple[int, ...]]:
    return sorted(rows(database, "select rate_group_id, usage_class_id, rates from rate_counts"))


def test_the_counts_of_rates_follow_every_change(database: Database):
    by_hand = "select rate_group_id, usage_class_id, count(*) from rates group by 1, 2"
    body = b'{"usageRateGroupName": "G", "usageClassName": "none", "amount": 1}'
    made = create(database, OWNER, RATES, body, AUTHOR).items[0]["identity"]
    assert counted(database) == sorted(rows(database, by_hand))
    update(database, OWNER, EditTarget(RATES, made), b'{"usageClassName": "a", "start": "2030-01-01"}', AUTHOR)
    assert counted(database) == sorted(rows(database, by_hand))
    for operator, value in (("eq", "a"), ("notEq", "a"), ("in", ["a", "b"]), ("startsWith", "n"), ("isNull", None)):
        asked = SetupQuery((searching.comparison(RATES, "usageClassName", operator, value),))
        assert total(database, asked) == len(page(database, RATES, asked, Paging(size=1_000))[0])
    either = tuple(
        searching.comparison(RATES, name, "eq", value) for name, value in (("usageClassName", "a"), ("amount", "1"))
    )
    for any_of in (False, True):
        asked = SetupQuery(either, any_of=any_of)
        assert total(database, asked) == len(page(database, RATES, asked, Paging(size=1_000))[0])
    delete(database, OWNER, EditTarget(RATES, made), AUTHOR)
    assert counted(database) == sorted(rows(database, by_hand))
    assert total(database) == ROWS


@pytest.mark.parametrize("most", [20_000, 13])
@pytest.mark.parametrize("operator", ["lt", "ltEq", "gt", "gtEq", "eq"])
@pytest.mark.parametrize("bound", ["-1", "0", "1.5", "3", "9"])
def test_what_is_above_or_below_a_bound_is_counted_from_one_end(
    database: Database, monkeypatch: pytest.MonkeyPatch, operator: str, bound: str, most: int
):
    monkeypatch.setattr(searches, "_FROM_END_MAX", most)
    asked = SetupQuery((searching.comparison(RATES, "amount", operator, bound),))
    assert total(database, asked) == len(page(database, RATES, asked, Paging(size=1_000))[0])


def test_places_of_all_searches_are_bounded_together(database: Database, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(long_lists, "ALL_PLACES_MAX", 10)
    lists = LongLists()
    for amount in range(5):
        asked = SetupQuery((searching.comparison(RATES, "amount", "notEq", str(amount)),))
        for number in range(3, 9):
            searching.page(database, OWNER, RATES, asked, Paging(number=number, size=3), lists=lists)
    assert 0 < lists._places.weight <= 10
    assert len(lists._totals) == 5
