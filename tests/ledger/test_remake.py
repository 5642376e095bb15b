"""A stored usage record is what its raw row gives again by the version of the profile that it was mediated with."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from tests.fixtures.mill import Mill, guide_row
from tests.fixtures.two_mills import EVERY_END, items, post, two_mills

from ratemill.ledger.lookup import look_up
from ratemill.ledger.remake import OUTCOME, Difference, RemakeResult, remake
from ratemill.settings import Settings
from ratemill.store.connections import Database

FEEDS = """
ratemill: 1
dataProfiles:
  - name: wide
    format: columnar
    fields: [{name: DateTime, start: 1, length: 10}, {name: UdrUsageIdentifier, start: 11, length: 12},
             {name: Value, start: 23, length: 3}, {name: Class, start: 26, length: 10}]
    mappings: [{target: usageClassName, map: {source: Class, values: {D: data_class}}},
               {target: value, formula: Value * 1024}, {target: zone, source: Class}, {target: characteristic2, literal: ü}]
  - name: objects
    format: json
    duplicateKey: []
    fields: [{name: DateTime}, {name: UdrUsageIdentifier}, {name: Value}, {name: UsageClassName}]
  - name: with_header
    format: csv
    headerRow: true
    envelope: request
    timeZone: Europe/Rome
    fields: [{name: date}, {name: udrUsageIdentifier}, {name: value}, {name: usageClassName}]
  - name: by_match
    format: csv
    fields: [{name: date}, {name: udrUsageIdentifier}, {name: value}, {name: at}]
    mappings: [{target: usageClassName, literal: data_class},
               {target: place, match: {source: at, list: accounts, member: name}}]
udrFeeds:
  - {name: wide, apiName: wide, dataProfileName: wide, batchWaitSeconds: 0}
  - {name: objects, apiName: objects, dataProfileName: objects, batchWaitSeconds: 0}
  - {name: header, apiName: header, dataProfileName: with_header, batchWaitSeconds: 0}
  - {name: match, apiName: match, dataProfileName: by_match, batchWaitSeconds: 0}
"""
EQUAL = RemakeResult()
HELD = "648-688-4180"


@pytest.fixture(scope="module")
def mills(database: Database, settings: Settings) -> Iterator[tuple[Mill, Mill]]:
    with two_mills(database, settings) as made:
        made[0].apply(FEEDS)
        yield made


@pytest.fixture
def mine(mills: tuple[Mill, Mill]) -> Mill:
    return mills[0]


def send(mine: Mill, feed: str, body: dict[str, Any], route: str = "") -> str:
    answer = mine.request("POST", f"/DataImport/Usage/{route}{feed}", content=json.dumps(body))
    assert answer.status_code == 200, answer.text
    mine.work()
    return str(answer.json()["trackingId"])


def remade(mine: Mill, key: str) -> list[RemakeResult]:
    """Return how each record of a request compares, by row."""
    owner_id = mine.value("select owner_id from owners where name = %s", mine.owner)
    (match,) = look_up(mine.database, owner_id, key, 1_000)
    found = remake(
        mine.database,
        owner_id,
        match.records,
        field_chars_max=mine.settings.field_chars_max,
        growth_bytes_max=mine.settings.worker_growth_bytes_max,
    )
    return [found[life.submission_id, life.row_index] for life in match.records]


def test_what_was_not_mediated_has_nothing_to_remake_and_says_why(mine: Mill):
    found = remade(mine, post(mine, *EVERY_END))
    assert [each.nothing for each in found] == [
        None,
        "the row was refused",
        "the record is a duplicate",
        None,  # a rating exception keeps its usage record
        "the row was refused",
        "the row was skipped",
        None,
    ]
    assert [each.is_equal for each in found] == [True, None, None, True, None, None, True]


def test_a_record_that_waits_has_nothing_to_remake(mine: Mill):
    key = mine.post_rows(guide_row(10)).json()["trackingId"]
    assert remade(mine, key) == [RemakeResult(nothing="the record waits")]
    mine.work()
    assert remade(mine, key) == [EQUAL]


def test_fixed_width_is_remade_with_its_formula_and_extension(mine: Mill):
    key = send(mine, "wide", {"data": [f"2022-05-01{HELD}2.5D", "2022-05-02nobody      3.0D"]})
    assert remade(mine, key) == [EQUAL, EQUAL]
    assert mine.value("select extension ->> 'zone' from charges where extension is not null limit 1") == "D"


@pytest.mark.parametrize("route", ["", "Json/Multi/"])
def test_objects_are_remade_on_either_route(mine: Mill, route: str):
    one = {"DateTime": "2022-05-01", "UdrUsageIdentifier": HELD, "Value": "94.50", "UsageClassName": "data_class"}
    data = [{**one, "z": {"deep": [1, 2.50]}, "a": 1e2}, one]
    key = send(mine, "objects", {"data": data if route else [json.dumps(each) for each in data]}, route)
    assert remade(mine, key) == [EQUAL, EQUAL]


def test_objects_for_a_profile_of_texts_are_remade(mine: Mill):
    row = {"DateTime": "2022-05-01", "UdrUsageIdentifier": HELD, "Value": 12, "UsageClassName": "data_class"}
    assert remade(mine, send(mine, "guideFeed", {"data": row}, "Json/")) == [EQUAL]


def test_a_header_row_and_the_rows_below_it(mine: Mill):
    rows = ["date,udrUsageIdentifier,value,usageClassName", f"2022-05-01T12:00,{HELD},1,data_class"]
    assert remade(mine, send(mine, "header", {"data": rows})) == [RemakeResult(nothing="the row was skipped"), EQUAL]


def test_of_a_resubmitted_record_the_text_that_was_taken_is_the_raw_row(mine: Mill):
    key = post(mine, guide_row(20, value="ninety"))
    (refused,) = items(mine, "/DataImport/History/Exception/Paged", trackingId=key)
    path = f"/DataImport/History/Exception/{refused['dataImportExceptionId']}/Resubmit"
    assert mine.request("POST", path, json={"data": guide_row(20, value="90")}).status_code == 200
    assert remade(mine, key) == [RemakeResult(nothing="the record waits")]
    mine.work()
    assert remade(mine, key) == [EQUAL]
    mine.change("delete from submission_bodies where submission_id = %s", refused["dataImportHistoryId"])
    assert remade(mine, key) == [EQUAL]


def test_without_its_raw_body_nothing_is_remade(mine: Mill):
    key = post(mine, guide_row(30))
    mine.change("delete from submission_bodies where submission_id = (select max(submission_id) from submissions)")
    assert remade(mine, key) == [RemakeResult(nothing="the raw body was removed")]


CHANGES = {
    "usage_identifier": ("'other'", "other"),
    "reverse_rating": ("true", True),
    "usage_class_type": ("null", None),
    "extension": ("""'{"zone": "X"}'""", {"zone": "X"}),
}


@pytest.mark.parametrize("column", CHANGES)
@pytest.mark.parametrize(("table", "identifier"), [("charges", HELD), ("rating_exceptions", "nobody")])
def test_what_was_changed_in_the_store_is_a_difference(mine: Mill, table: str, identifier: str, column: str):
    key = post(mine, guide_row(unique=f"{table} {column}", identifier=identifier))
    assert remade(mine, key) == [EQUAL]
    value, shown = CHANGES[column]
    mine.change(
        f"update {table} set {column} = {value} where submission_id = (select max(submission_id) from submissions)"
    )
    ((difference,),) = [each.differences for each in remade(mine, key)]
    assert (difference.column, difference.stored) == (column, shown)


def test_a_row_that_would_not_be_mediated_now_says_so_and_its_neighbours_are_judged_alone(mine: Mill):
    mine.apply("ratemill: 1\naccounts: [{name: Away, currencyName: USD, usageRatePlanName: Standard}]")
    key = send(mine, "match", {"data": [f"2022-05-01,{HELD},1,Away", f"2022-05-01,{HELD},1,Acme"]})
    assert remade(mine, key) == [EQUAL, EQUAL]
    mine.change("update accounts set name = 'Gone' where name = 'Away'")
    refused = "refused: Row 1, field at: could not find a match for 'Away'."
    assert remade(mine, key) == [RemakeResult([Difference(OUTCOME, "mediated", refused)]), EQUAL]
