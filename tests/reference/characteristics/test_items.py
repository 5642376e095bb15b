"""What an item of a characteristic may look like: the documented item, and each rule with what breaks it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ratemill.reference import json_text
from ratemill.reference.characteristics.items import bill_warnings, characteristic_of, check, is_kept, kept, merged
from ratemill.reference.characteristics.values import (
    DESCRIPTION_CHARS_MAX,
    ID_CHARS_MAX,
    NAME_CHARS_MAX,
    REFERENCE_CHARS_MAX,
    TEXT_CHARS_MAX,
    ItemFault,
    key_of,
)
from ratemill.reference.json_text import Number, Value

GUID = "e29a07ac-4391-4846-9cf6-492fbba5b2dc"


@pytest.fixture
def documented(cases: Path) -> Value:
    page = json_text.read((cases / "characteristic_batches" / "page_request.json").read_bytes())
    assert isinstance(page, dict)
    assert isinstance(page["items"], list)
    return page["items"][0]


def value_of(made: Any) -> Value:
    return json_text.read(json.dumps(made))


def told(found: list[ItemFault]) -> list[tuple[str, str]]:
    return [(each.code, each.property) for each in found]


def faults_of(item: Any, number: int | None = 1) -> list[tuple[str, str]]:
    return told(check(value_of(item), number, "items[3]")[0])


def warnings_of(item: Any, number: int | None = 1) -> list[tuple[str, str]]:
    return told(check(value_of(item), number, "items[3]")[1])


def in_row(**members: Any) -> dict[str, Any]:
    return {"id": "a", "udLookup_X": {"udfLookupItems": [{}, members]}}


def in_header(**members: Any) -> dict[str, Any]:
    return {"id": "a", "user1BOMHeaders": [members]}


def in_detail(**members: Any) -> dict[str, Any]:
    return in_header(user1BOMDetails=[{"udKey1Reference": {"id": "b"}, **members}])


ROW, HEADER = "items[3].udLookup_X.udfLookupItems[1]", "items[3].user1BOMHeaders[0]"
DETAIL = f"{HEADER}.user1BOMDetails[0]"


def test_the_documented_item_has_no_fault_and_no_warning(documented: Value):
    assert check(documented, 1, "items[0]") == ([], [])
    assert check(documented, None, "items[0]") == ([], [])
    assert characteristic_of([documented]) == 1
    assert isinstance(documented, dict)
    assert all(is_kept(name) for name in documented)


def test_each_member_of_the_documented_item_is_known_and_has_a_type(documented: Value):
    """Key by key: a wrong value in the place of any scalar is one fault, with its path."""
    places = 0

    def walk(value: Value, path: str) -> None:
        nonlocal places
        if isinstance(value, dict):
            for name, member in value.items():
                if not isinstance(member, dict | list):
                    places += 1
                    value[name] = []
                    found, _ = check(documented, 1, "items[0]")
                    assert [each.property for each in found] == [f"{path}.{name}"], found
                    value[name] = member
                walk(member, f"{path}.{name}")
        elif isinstance(value, list):
            for index, element in enumerate(value):
                walk(element, f"{path}[{index}]")

    walk(documented, "items[0]")
    assert places == 46


@pytest.mark.parametrize(
    ("item", "found"),
    [
        # the item itself
        (5, [("must_be_an_object", "items[3]")]),
        (None, [("must_be_an_object", "items[3]")]),
        ({}, [("must_not_be_empty", "items[3]")]),
        # texts
        ({"id": 5}, [("must_be_a_text", "items[3].id")]),
        ({"id": ""}, [("must_not_be_empty", "items[3].id")]),
        ({"id": " \t"}, [("must_not_be_empty", "items[3].id")]),
        ({"id": "x" * ID_CHARS_MAX}, []),
        ({"id": "x" * (ID_CHARS_MAX + 1)}, [("text_too_long", "items[3].id")]),
        ({"id": None}, []),
        ({"description": "x" * (DESCRIPTION_CHARS_MAX + 1)}, [("text_too_long", "items[3].description")]),
        ({"comment": "x" * (TEXT_CHARS_MAX + 1)}, [("text_too_long", "items[3].comment")]),
        ({"comment": "a\0"}, [("text_not_storable", "items[3].comment")]),
        ({"comment": "\ud800"}, [("text_not_storable", "items[3].comment")]),
        ({"comment": "\U0001f600ü"}, []),
        (
            {"description": {}, "comment": True},
            [("must_be_a_text", "items[3].description"), ("must_be_a_text", "items[3].comment")],
        ),
        # flags
        ({"ipRightsBearingFlag": "true"}, [("must_be_true_or_false", "items[3].ipRightsBearingFlag")]),
        ({"royaltyBearingFlag": 1}, [("must_be_true_or_false", "items[3].royaltyBearingFlag")]),
        ({"royaltyBearingFlag": False}, []),
        # references
        ({"parentReference": "x"}, [("must_be_a_reference", "items[3].parentReference")]),
        ({"parentReference": {}}, [("reference_without_key", "items[3].parentReference")]),
        ({"parentReference": {"ID": "x"}}, []),
        ({"parentReference": {"ID": 5}}, [("must_be_a_text", "items[3].parentReference.ID")]),
        ({"parentReference": {"key": "x"}}, [("reference_without_key", "items[3].parentReference")]),
        ({"parentReference": {"id": "x", "guid": GUID}}, [("reference_with_many_keys", "items[3].parentReference")]),
        ({"parentReference": {"_type": "user1", "displayName": "x", "guid": GUID, "sid": 4}}, []),
        ({"parentReference": {"id": ""}}, [("must_not_be_empty", "items[3].parentReference.id")]),
        ({"parentReference": {"id": 5}}, [("must_be_a_text", "items[3].parentReference.id")]),
        ({"parentReference": {"id": "x" * (REFERENCE_CHARS_MAX + 1)}}, [("text_too_long", "items[3].parentReference.id")]),
        ({"parentReference": {"id": "\0"}}, [("text_not_storable", "items[3].parentReference.id")]),
        ({"parentReference": {"guid": "x"}}, [("must_be_a_guid", "items[3].parentReference.guid")]),
        ({"parentReference": {"guid": GUID.upper()}}, []),
        ({"parentReference": {"sid": 5}}, []),
        ({"parentReference": {"sid": "5"}}, []),
        ({"parentReference": {"sid": -5}}, [("must_be_a_whole_number", "items[3].parentReference.sid")]),
        ({"parentReference": None}, []),
        # user-defined fields
        ({"ud_a": "x", "ud_b": 0, "ud_c": True, "ud_d": {"id": "x"}, "ud_e": None, "ud_f": "2019-08-24T14:15:22Z"}, []),
        ({"ud_a": []}, [("must_not_be_a_list", "items[3].ud_a")]),
        ({"ud_a": {}}, [("reference_without_key", "items[3].ud_a")]),
        ({"ud_a": 10**70}, [("number_too_long", "items[3].ud_a")]),
        ({"ud_" + "a" * NAME_CHARS_MAX: 1}, [("text_too_long", "items[3].ud_" + "a" * NAME_CHARS_MAX)]),
        ({"ud_\0": 1}, [("text_not_storable", "items[3].ud_\0")]),
        # lookups
        ({"udLookup_X": []}, [("must_be_an_object", "items[3].udLookup_X")]),
        ({"udLookup_X": {}}, [("member_required", "items[3].udLookup_X.udfLookupItems")]),
        ({"udLookup_X": {"udfLookupItems": {}}}, [("must_be_a_list", "items[3].udLookup_X.udfLookupItems")]),
        ({"udLookup_X": {"udfLookupItems": [1]}}, [("must_be_an_object", "items[3].udLookup_X.udfLookupItems[0]")]),
        (in_row(amount1Range="3:1"), [("range_must_not_fall", f"{ROW}.amount1Range")]),
        (in_row(amount1Range=1), [("must_be_a_range", f"{ROW}.amount1Range")]),
        (in_row(sortOrderNumber=1.5), [("must_be_a_whole_number", f"{ROW}.sortOrderNumber")]),
        (in_row(sortOrderNumber="1"), [("must_be_a_whole_number", f"{ROW}.sortOrderNumber")]),
        (in_row(sortOrderNumber=10**18), [("number_too_long", f"{ROW}.sortOrderNumber")]),
        (in_row(text1=1, text2=2), [("must_be_a_text", f"{ROW}.text1"), ("must_be_a_text", f"{ROW}.text2")]),
        (in_row(contact4Reference={}), [("reference_without_key", f"{ROW}.contact4Reference")]),
        (in_row(udKeyXListReference={}), [("reference_without_key", f"{ROW}.udKeyXListReference")]),
        (in_row(udKey20HierarchyTypeReference=1), [("must_be_a_reference", f"{ROW}.udKey20HierarchyTypeReference")]),
        (in_row(ud_X=[]), [("must_not_be_a_list", f"{ROW}.ud_X")]),
        (in_row(fromDate="2020-01-02", toDate="2020-01-01"), [("must_not_end_before_it_begins", f"{ROW}.toDate")]),
        (in_row(fromDate="2020-01-01T01:00:00+02:00", toDate="2019-12-31T23:00:00Z"), []),
        # bills of materials
        ({"user1BOMHeaders": {}}, [("must_be_a_list", "items[3].user1BOMHeaders")]),
        ({"user1BOMHeaders": [None]}, [("must_be_an_object", HEADER)]),
        (in_header(allocationMethodReference={"registeredProcedureName": "x"}), []),
        (in_header(allocationUDFReference={"name": 1}), [("must_be_a_text", f"{HEADER}.allocationUDFReference.name")]),
        (
            in_header(effectiveFromDate="9999-12-31T23:59:59", effectiveToDate="2021-08-06T00:00:00"),
            [("must_not_end_before_it_begins", f"{HEADER}.effectiveToDate")],
        ),
        (in_header(effectiveToDate="9999-12-31T23:59:59-05:00", effectiveFromDate="9999-12-31T23:59:59"), []),
        (in_header(user2BOMDetails=[]), [("other_characteristic", f"{HEADER}.user2BOMDetails")]),
        (in_header(user1BOMDetails=[{}]), [("member_required", f"{DETAIL}.udKey1Reference")]),
        (in_detail(udKey2Reference={"id": "x"}), [("other_characteristic", f"{DETAIL}.udKey2Reference")]),
        (in_detail(allocationPercent="100"), [("must_be_a_number", f"{DETAIL}.allocationPercent")]),
        (in_detail(allocationPercent=33.3333, quantity=0.5, largeSortOrderNumber=10), []),
        (in_detail(quantity=True), [("must_be_a_number", f"{DETAIL}.quantity")]),
    ],
)  # fmt: skip
def test_each_fault_is_said_with_its_path(item: Any, found: list[tuple[str, str]]):
    assert faults_of(item) == found


@pytest.mark.parametrize(
    "text", ["1:3", "0:0", "-5:-4.99", "4.21:30.45", "10.3:87.0", "5:5.000", "007:8", f"{'9' * 60}:{'9' * 60}"]
)
def test_a_range_is_a_low_and_a_high_number(text: str):
    assert faults_of(in_row(rate3Range=text)) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "1:",
        ":3",
        "1-3",
        "1 : 3",
        "1:3 ",
        "1:2:3",
        "+1:3",
        "1.:3",
        ".5:3",
        "1e1:1e2",
        "1,5:2",
        "\u0661:\u0663",
        "1:3\n",
    ],
)
def test_anything_else_is_no_range(text: str):
    assert faults_of(in_row(rate3Range=text)) == [("must_be_a_range", f"{ROW}.rate3Range")]


def test_the_ends_of_a_range_are_compared_as_exact_decimals():
    assert faults_of(in_row(unit1Range="0.10000000000000000000000002:0.10000000000000000000000001")) == [
        ("range_must_not_fall", f"{ROW}.unit1Range")
    ]


@pytest.mark.parametrize(
    "text",
    [
        "2019-08-24T14:15:22Z",
        "2021-08-06T00:00:00",
        "9999-12-31T23:59:59",
        "2021-08-06",
        "2021-08-06T00:00",
        "2021-08-06T15:52:50.72",
        "2021-08-06T15:52:50.1234567+05:30",
    ],
)
def test_a_date_is_a_time_with_or_without_a_zone(text: str):
    assert faults_of(in_row(fromDate=text)) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2022-27-25",
        "2021-02-29",
        "20210806",
        "2021-8-6",
        "06.08.2021",
        "2021-08-06T25:00:00",
        "2021-08-06 00:00:00",
    ],
)
def test_anything_else_is_no_date(text: str):
    assert faults_of(in_row(fromDate=text)) == [("must_be_a_date", f"{ROW}.fromDate")]


@pytest.mark.parametrize(
    ("digits", "is_taken"),
    [
        ("87.0", True),
        ("-0", True),
        ("1e10", True),
        ("1.5E-7", True),
        ("1e400", False),
        ("1e-99999999999999999999", False),
        ("9" * 65, False),
    ],
)
def test_a_number_is_bounded_however_it_is_written(digits: str, is_taken: bool):
    item = json_text.read(f'{{"ud_n": {digits}}}')
    assert isinstance(item, dict)
    assert item["ud_n"] == Number(digits)
    assert (told(check(item, 1, "")[0]) == []) is is_taken


@pytest.mark.parametrize(
    ("item", "found"),
    [
        ({"id": "a", "colour": 1}, [("member_not_known", "items[3].colour")]),
        ({"id": "a", "ud_": 1}, [("member_not_known", "items[3].ud_")]),
        ({"id": "a", "user21BOMHeaders": []}, [("member_not_known", "items[3].user21BOMHeaders")]),
        (
            {"id": "a", "guid": GUID, "_type": "user1"},
            [("member_read_only", "items[3].guid"), ("member_read_only", "items[3]._type")],
        ),
        ({"id": "a", "parentReference": {"id": "b", "x": 1}}, [("member_not_known", "items[3].parentReference.x")]),
        ({"id": "a", "udLookup_X": {"udfLookupItems": [], "x": 1}}, [("member_not_known", "items[3].udLookup_X.x")]),
        (in_row(price3Range="1:2"), [("member_not_known", f"{ROW}.price3Range")]),
        (in_row(rate4Range="1:2"), [("member_not_known", f"{ROW}.rate4Range")]),
        (in_row(ud_Y="1:2"), [("member_not_known", f"{ROW}.ud_Y")]),
        (in_header(x=1), [("member_not_known", f"{HEADER}.x")]),
        (in_detail(x=1), [("member_not_known", f"{DETAIL}.x")]),
        ({"id": "a", "user2BOMHeaders": []}, [("other_characteristic", "items[3].user2BOMHeaders")]),
    ],
)  # fmt: skip
def test_what_is_not_known_is_warned_of_and_is_no_fault(item: Any, found: list[tuple[str, str]]):
    assert (faults_of(item), warnings_of(item)) == ([], found)


def test_a_name_of_another_letter_case_is_pointed_at():
    _, warnings = check({"Comment": "x"}, 1, "items[0]")
    assert warnings[0].message == "Comment is no member of an item and is not kept; meant is perhaps 'comment'"


def test_all_faults_come_at_once():
    item = {"id": 5, "comment": 5, **in_row(amount1Range="x", fromDate="y"), "x": 1}
    assert [code for code, _ in faults_of({**item, "id": 5})] == ["must_be_a_text"] * 2 + [
        "must_be_a_range",
        "must_be_a_date",
    ]
    assert len(warnings_of(item)) == 1


@pytest.mark.parametrize(
    ("items", "number"),
    [
        ([], None),
        ([{"id": "a"}, 5, None], None),
        ([{"id": "a"}, {"user12BOMHeaders": []}], 12),
        ([{"udLookup_X": {"udfLookupItems": [{"udKey3Reference": {"id": "x"}}]}}, {"user2BOMHeaders": []}], 2),
        ([{"udLookup_X": {"udfLookupItems": [{"udKeyXReference": {}}, {"udKey3ListReference": {}}]}}], 3),
        ([{"udLookup_X": {"udfLookupItems": 5}}, {"udLookup_X": 5}], None),
        ([{"user21BOMHeaders": []}], None),
    ],
)
def test_the_characteristic_is_told_by_the_names_of_members(items: Any, number: int | None):
    assert characteristic_of(items) == number


@pytest.mark.parametrize(
    ("reference", "key"),
    [
        ({"id": "A"}, ("id", "A")),
        ({"Description": "A"}, ("description", "A")),
        ({"guid": GUID.upper()}, ("guid", GUID)),
        ({"sid": Number("7")}, ("sid", "7")),
        ({"registeredProcedureName": "p"}, ("registeredProdedureName", "p")),
        ({"_type": "user1", "displayName": "A", "guid": GUID, "sid": Number("7"), "id": "A"}, ("guid", GUID)),
        ({"x": "y"}, None),
    ],
)
def test_a_reference_names_by_one_key(reference: Any, key: Any):
    assert key_of(reference) == key


# How an item joins what is stored


def read_item(text: str) -> dict[str, Any]:
    value = json_text.read(text)
    assert isinstance(value, dict)
    return value


@pytest.mark.parametrize(
    ("stored", "sent", "expected"),
    [
        ('{"id":"a"}', '{"id":"a"}', None),
        ('{"id":"a"}', '{"id":"a","comment":null}', None),
        ('{"n":1,"m":{"x":[1,"2"]}}', '{"m":{"x":[1,"2"]}}', None),
        ('{"n":1}', '{"n":1.0}', '{"n":1.0}'),
        ('{"n":1}', '{"n":"1"}', '{"n":"1"}'),
        ('{"m":{"x":[1]}}', '{"m":{"x":["1"]}}', '{"m":{"x":["1"]}}'),
        ('{"a":1,"b":2}', '{"c":3,"a":null}', '{"a":null,"b":2,"c":3}'),
        ('{"a":true}', '{"a":"true"}', '{"a":"true"}'),
    ],
)
def test_what_is_sent_takes_the_place_of_what_is_stored(stored: str, sent: str, expected: str | None):
    found = merged(read_item(stored), read_item(sent))
    assert (json_text.write(found) if found is not None else None) == expected


def test_members_that_an_item_does_not_have_are_not_kept():
    assert list(kept(read_item('{"ud_a":1,"nonsense":2,"id":"x","user2BOMHeaders":[],"guid":"g"}'))) == [
        "ud_a",
        "id",
        "user2BOMHeaders",
    ]


def test_bills_that_follow_each_other_are_not_warned_of():
    bills = """{"user1BOMHeaders":[
        {"effectiveFromDate":"2021-01-01T00:00:00","effectiveToDate":"2021-12-31T23:59:59",
         "user1BOMDetails":[{"allocationPercent":33.3},{"allocationPercent":66.7}]},
        {"effectiveFromDate":"2022-01-01T00:00:00+00:00","effectiveToDate":"9999-12-31T23:59:59","user1BOMDetails":[{}]},
        {"effectiveToDate":"2020-01-01T00:00:00","user1BOMDetails":[{"allocationPercent":1e2}]}]}"""
    assert bill_warnings(read_item(bills), 1, "items[0]") == []
