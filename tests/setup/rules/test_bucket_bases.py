"""Bucket bases and their rows: retired and taken back, and which rows a base may have."""

from __future__ import annotations

import pytest
from tests.setup.rows import rows_of

from ratemill.periods import write_instant
from ratemill.setup.reading.export import export_document
from ratemill.setup.writing.apply import apply_document
from ratemill.store.connections import Database, clock

GROUND = """\
ratemill: 1
usageClasses:
  - {name: voice, usageBaseUnitName: Time, usageRaterTypeName: GeoTree}
  - {name: chat, usageBaseUnitName: Time}
  - {name: data, usageBaseUnitName: Data, usageRaterTypeName: GeoTree}
geoTreeLocations: [{name: North America}, {name: Hawaii, parentGeoTreeLocationName: North America}]
geoTreeLocationGroups: [{name: Islands, geoTreeLocationNames: [Hawaii]}]
usageBucketBases: [{name: Calls, usageBucketBaseUnitName: Time}, {name: Empty, usageBucketBaseUnitName: Time}]
usageBucketBaseDetails:
  - {usageBucketBaseName: Calls, usageClassName: voice, geoTreeLocationName: North America}
  - {usageBucketBaseName: Calls, usageClassName: voice, geoTreeLocationGroupName: Islands, exclude: true}
"""
FIRST, SECOND = "2021-04-26T15:25:27.587Z", "2030-01-01T00:00:00.000Z"


@pytest.fixture(scope="module", autouse=True)
def _ground(database: Database):
    assert apply(database, GROUND).errors == []


def apply(database: Database, text: str):
    return apply_document(database, text, None, create_owner=True, created_by="test")


def base(database: Database, members: str):
    """Apply one base and return its retired and end as they are stored."""
    applied = apply(database, f"ratemill: 1\nusageBucketBases: [{{{members}}}]\n")
    assert applied.errors == []
    with database.worker() as connection:
        statement = "select retired, end_at from bucket_bases where bucket_base_id = %s"
        return connection.exec_driver_sql(statement, (applied.items[0].identity,)).one()


def written(end) -> str:
    return write_instant(end) if end else "open"


def test_a_base_that_retires_ends_now_by_the_clock_of_the_database(database: Database):
    with database.worker() as connection:
        before = clock(connection)
    assert base(database, "name: now, usageBucketBaseUnitName: Data") == (False, None)
    retired, end = base(database, "name: now, retired: true")
    with database.worker() as connection:
        assert before.replace(microsecond=0) <= end <= clock(connection)
    assert (retired, end.microsecond % 1_000) == (True, 0)


def test_a_base_may_be_born_retired(database: Database):
    retired, end = base(database, "name: still, usageBucketBaseUnitName: Data, retired: true")
    assert retired
    assert end is not None


@pytest.mark.parametrize("made", ["", ", end: 2020-02-02"])
def test_a_date_that_is_given_with_it_marks_the_end_instead(database: Database, made):
    name = f"dated {bool(made)}"
    base(database, f"name: {name}, usageBucketBaseUnitName: Data{made}")
    retired, end = base(database, f'name: {name}, retired: true, end: "{FIRST}"')
    assert (retired, written(end)) == (True, FIRST)


def test_an_earlier_end_does_not_stand_for_the_date_of_retiring(database: Database):
    assert written(base(database, f'name: early, usageBucketBaseUnitName: Data, end: "{FIRST}"').end_at) == FIRST
    retired, end = base(database, "name: early, retired: true")
    assert retired
    assert written(end) > FIRST


def test_a_retired_base_keeps_its_mark_and_may_be_marked_anew(database: Database):
    base(database, f'name: kept, usageBucketBaseUnitName: Data, retired: true, end: "{FIRST}"')
    assert written(base(database, "name: kept, end: null").end_at) == FIRST
    assert written(base(database, f'name: kept, end: "{SECOND}"').end_at) == SECOND


def test_a_mark_that_is_cleared_in_vain_changes_nothing(database: Database):
    text = "ratemill: 1\nusageBucketBases: [{name: vain, usageBucketBaseUnitName: Data, retired: true, end: null}]\n"
    assert [apply(database, text).items[0].action for _ in range(2)] == ["created", "unchanged"]


@pytest.mark.parametrize(("end", "left"), [("", None), (", end: null", None), (f', end: "{FIRST}"', None)])
def test_a_base_that_is_taken_back_has_no_end(database: Database, end, left):
    name = f"back {len(end)}"
    base(database, f'name: {name}, usageBucketBaseUnitName: Data, retired: true, end: "{FIRST}"')
    assert base(database, f"name: {name}, retired: false{end}") == (False, left)


def test_an_end_without_retiring_and_a_start_are_stored_and_do_nothing(database: Database):
    text = f'name: only stored, usageBucketBaseUnitName: Data, start: "{SECOND}", end: "{FIRST}"'
    retired, end = base(database, text)
    assert (retired, written(end)) == (False, FIRST)


def test_applied_twice_and_exported_it_changes_nothing(database: Database):
    retired = "ratemill: 1\nusageBucketBases: [{name: twice, usageBucketBaseUnitName: Data, retired: true}]\n"
    assert [apply(database, retired).items[0].action for _ in range(2)] == ["created", "unchanged"]
    assert apply(database, GROUND).count("unchanged") == apply(database, GROUND).count("unchanged") > 0
    again = apply(database, export_document(database, "default"))
    assert (again.errors, again.count("created"), again.count("updated")) == ([], 0, 0)


def test_the_unit_of_a_base_without_rows_may_change(database: Database):
    text = "ratemill: 1\nusageBucketBases: [{name: Empty, usageBucketBaseUnitName: Data}]\n"
    assert apply(database, text).count("updated") == 1


ROW = "usageBucketBaseDetails: [{usageBucketBaseName: Calls, usageClassName: "


@pytest.mark.parametrize(
    ("text", "path", "message"),
    [
        ("usageBucketBases: [{name: A}]", "usageBucketBases[0].usageBucketBaseUnitName", "is required"),
        ("usageBucketBases: [{usageBucketBaseUnitName: Time}]", "usageBucketBases[0].name", "is required"),
        (
            "usageBucketBases: [{name: A, usageBucketBaseUnitName: Money}]",
            "usageBucketBases[0].usageBucketBaseUnitName",
            "there is no base unit 'Money'",
        ),
        (
            "usageBucketBases: [{name: Calls, usageBucketBaseUnitName: Count}]",
            "usageBucketBases[0].usageBucketBaseUnitName",
            "'Calls' has rows, so that its base unit stays Time",
        ),
        (
            "usageBucketBaseDetails: [{usageClassName: voice}]",
            "usageBucketBaseDetails[0].usageBucketBaseName",
            "is required",
        ),
        (
            "usageBucketBaseDetails: [{usageBucketBaseName: Calls}]",
            "usageBucketBaseDetails[0].usageClassName",
            "is required",
        ),
        (
            f"{ROW}data}}]",
            "usageBucketBaseDetails[0].usageClassName",
            "the usage class 'data' counts Data, the base Time",
        ),
        (
            f"{ROW}chat, geoTreeLocationName: Hawaii}}]",
            "usageBucketBaseDetails[0].geoTreeLocationName",
            "the usage class 'chat' is not rated by location",
        ),
        (
            f"{ROW}chat, geoTreeLocationGroupName: Islands}}]",
            "usageBucketBaseDetails[0].geoTreeLocationGroupName",
            "the usage class 'chat' is not rated by location",
        ),
        (
            f"{ROW}voice, geoTreeLocationName: Hawaii, geoTreeLocationGroupName: Islands}}]",
            "usageBucketBaseDetails[0].geoTreeLocationGroupName",
            "a row of a bucket base has a location or a location group, not both",
        ),
        (
            f"{ROW}chat}}, {{usageBucketBaseName: Calls, usageClassName: chat, exclude: true}}]",
            "usageBucketBaseDetails[1]",
            "is the same row of a bucket base as usageBucketBaseDetails[0]",
        ),
        (
            "usageClasses: [{name: voice, usageRaterTypeName: Class}]",
            "usageClasses[0].usageRaterTypeName",
            "'voice' has rows of bucket bases at locations, so that its rater stays GeoTree",
        ),
    ],
)
def test_a_broken_rule_is_one_fault_and_nothing_is_written(database: Database, text, path, message):
    before = rows_of(database)
    applied = apply(database, f"ratemill: 1\n{text}\n")
    assert [(fault.path, fault.message) for fault in applied.errors] == [(path, message)]
    assert rows_of(database) == before
