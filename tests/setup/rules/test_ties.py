"""Rates of one group, class and place: one at any instant, told without a look at the others of the group and class."""

from __future__ import annotations

from typing import Any

import pytest

from ratemill.errors import BadRequest
from ratemill.setup.objects.registry import BY_LIST
from ratemill.setup.writing.apply import apply_document
from ratemill.setup.writing.changes import Author
from ratemill.setup.writing.editing import EditTarget, create, update
from ratemill.store import bulk
from ratemill.store.connections import Database

RATES, GROUPS = BY_LIST["usageRates"], BY_LIST["geoTreeLocationGroups"]
OWNER = 1
AUTHOR = Author("test", "http")
PLACES = 40
GROUND = "\n".join(
    [
        "ratemill: 1",
        "usageRateGroups: [{name: G, currencyName: USD}]",
        "usageClasses: [{name: c, usageBaseUnitName: Time, usageRaterTypeName: GeoTree}]",
        "geoTreeLocations:",
        *[f"  - {{name: L{n}}}" for n in range(PLACES)],
        "geoTreeLocationGroups: [{name: one, geoTreeLocationNames: [L1, L2]}, {name: two, geoTreeLocationNames: [L3]}]",
        "usageRates:",
        *[
            f"  - {{usageRateGroupName: G, usageClassName: c, geoTreeLocationName: L{n}, amount: 1, end: 2020-01-01}}"
            for n in range(PLACES)
        ],
        "  - {usageRateGroupName: G, usageClassName: c, amount: 2, end: 2020-01-01}",
        "  - {usageRateGroupName: G, usageClassName: c, geoTreeLocationGroupName: one, amount: 3, end: 2020-01-01}",
    ]
)


@pytest.fixture(scope="module", autouse=True)
def _ground(database: Database):
    assert apply_document(database, GROUND, None, create_owner=True, created_by="test").errors == []


@pytest.fixture
def rates_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many rates each reading brings from here on."""
    brought: list[int] = []
    read_rows = bulk.read_rows

    def noted(connection, table, *given, **named):
        found = read_rows(connection, table, *given, **named)
        if table == "rates":
            brought.append(len(found))
        return found

    monkeypatch.setattr(bulk, "read_rows", noted)
    return brought


def body(**members: Any) -> bytes:
    given = {"usageRateGroupName": "G", "usageClassName": "c", "amount": 9, **members}
    return str(given).replace("'", '"').encode()


@pytest.mark.parametrize(
    ("place", "read"),
    [({"geoTreeLocationName": "L7"}, 1), ({}, 1), ({"geoTreeLocationGroupName": "one"}, 2)],
    ids=["a location", "everywhere", "a location group"],
)
def test_one_that_meets_another_of_its_place_is_refused_and_only_those_are_read(
    database: Database, rates_read: list[int], place: dict[str, str], read: int
):
    with pytest.raises(BadRequest, match=r"holds at the same time|meets|same time"):
        create(database, OWNER, RATES, body(**place, start="2019-01-01"), AUTHOR)
    assert sum(rates_read) == read


@pytest.mark.parametrize("place", [{"geoTreeLocationName": "L7"}, {}, {"geoTreeLocationGroupName": "one"}])
def test_one_that_follows_another_is_made_and_may_not_be_moved_back(database: Database, place: dict[str, str]):
    made = create(database, OWNER, RATES, body(**place, start="2020-01-01"), AUTHOR).items[0]["identity"]
    with pytest.raises(BadRequest, match="same time"):
        update(database, OWNER, EditTarget(RATES, made), b'{"start": "2019-12-31"}', AUTHOR)
    with pytest.raises(BadRequest):
        create(database, OWNER, RATES, body(**place, start="2020-01-01"), AUTHOR)


def test_location_groups_that_come_to_share_a_location_are_told(database: Database):
    create(database, OWNER, RATES, body(geoTreeLocationGroupName="two", start="2018-01-01", end="2019-01-01"), AUTHOR)
    with database.worker() as connection:
        two = connection.exec_driver_sql("select location_group_id from location_groups where name = 'two'").scalar()
    with pytest.raises(BadRequest, match="common location"):
        update(database, OWNER, EditTarget(GROUPS, two or 0), b'{"geoTreeLocationNames": ["L3", "L1"]}', AUTHOR)
    update(database, OWNER, EditTarget(GROUPS, two or 0), b'{"geoTreeLocationNames": ["L3", "L4"]}', AUTHOR)


def test_rates_of_location_groups_with_a_common_location_are_told(database: Database):
    create(database, OWNER, GROUPS, b'{"name": "three", "geoTreeLocationNames": ["L2", "L9"]}', AUTHOR)
    with pytest.raises(BadRequest, match="another location group"):
        create(database, OWNER, RATES, body(geoTreeLocationGroupName="three", start="2017-01-01"), AUTHOR)
