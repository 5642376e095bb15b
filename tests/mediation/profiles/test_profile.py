"""Data profiles are read from the wire with every fault named, and written back the same."""

from typing import Any

import pytest
import yaml
from tests.mediation.tables import GUIDE_NAMES, guide

from ratemill.mediation.profiles.profile import ProfileFaults, read_profile, write_profile

FULL = """
name: Full
format: columnar
fields:
  - name: DateTime
    start: 1
    length: 10
    required: true
    transforms: [{type: date, format: "%d.%m.%Y", timeZone: Asia/Tokyo}]
  - name: Id
    start: "11"
    length: "5"
    default: "0123"
    transforms: [{type: trim}, {type: case, to: upper}, {type: time}]
  - name: Value
    start: 16
    length: 5
    transforms:
      - {type: substitute, from: ",", to: "."}
      - {type: regex, pattern: "[^0-9.]", replacement: ""}
      - type: conditional
        when: {condition: or, search: [{name: id, operator: in, value: [A, 5]}, {name: Id, operator: isNull}]}
        then: [{type: trim}]
        else: [{type: substitute, from: x}]
  - {name: Class, start: 21, length: 5}
delimiter: "|"
quote: "'"
headerRow: true
timeZone: Europe/Berlin
mappings:
  - {target: UdrUsageIdentifier, source: ID}
  - {target: Value, formula: "Value * 1024"}
  - {target: usageClassName, map: {source: Class, values: {A: data_class, B: voice}, default: other}}
  - {target: originatingIdentifier, literal: "here"}
  - {target: zone, combine: {sources: [Id, Class], separator: "-"}}
  - {target: characteristic20, match: {source: Class, list: usageClasses, member: name}}
filter: {search: [{name: Class, operator: notEq, value: Z}]}
duplicateKey: [date, udrUsageIdentifier, zone]
duplicateWindowDays: 90
creditsAllowed: true
unknownKeys: refuse
envelope: request
requiredCharacteristics: [characteristic20]
"""


def test_a_full_profile_comes_back_as_it_was_written():
    profile = read_profile(yaml.safe_load(FULL))
    written = write_profile(profile)
    assert read_profile(written) == profile
    assert write_profile(read_profile(written)) == written
    assert set(written) == set(yaml.safe_load(FULL))


def test_scalars_may_come_as_texts_alone():
    typed = yaml.safe_load(FULL)
    texts = yaml.load(FULL, Loader=yaml.BaseLoader)
    assert read_profile(texts) == read_profile(typed)


def test_defaults_are_left_out():
    assert write_profile(guide(delimiter=",", headerRow="false", mappings=[], unknownKeys="keep")) == {
        "name": "guide_csv",
        "format": "csv",
        "fields": [{"name": name} for name in GUIDE_NAMES],
    }


def test_an_empty_key_is_not_the_default_key():
    assert write_profile(guide(duplicateKey=[]))["duplicateKey"] == []
    assert read_profile(write_profile(guide(duplicateKey=[]))).duplicate_key == ()


def found(document: dict[str, Any]) -> list[str]:
    with pytest.raises(ProfileFaults) as caught:
        read_profile(document)
    return [f"{path}: {message}" for path, message in caught.value.faults]


BASE: dict[str, Any] = {"name": "x", "format": "csv", "fields": [{"name": name} for name in GUIDE_NAMES]}
EQ = {"operator": "eq", "value": "1"}


@pytest.mark.parametrize(
    ("members", "faults"),
    [
        ({"name": None}, ["name: a value is required"]),
        ({"format": "xml"}, ["format: 'xml' is none of csv, columnar, json"]),
        ({"fields": []}, ["fields: a profile has at least one field"]),
        ({"fields": "x"}, ["fields: a list is expected"]),
        ({"fields": ["x"]}, ["fields[0]: an object is expected"]),
        ({"speed": 1}, ["speed: there is no such member"]),
        ({"delimiter": ";;"}, ["delimiter: one character, and no line break, is expected"]),
        ({"quote": ","}, ["quote: delimiter and quote must be different"]),
        ({"headerRow": "maybe"}, ["headerRow: true or false is expected"]),
        ({"timeZone": "Mars/Base"}, ["timeZone: 'Mars/Base' is no time zone"]),
        ({"duplicateWindowDays": 0}, ["duplicateWindowDays: a whole number from 1 to 36500 is expected"]),
        ({"duplicateWindowDays": 1.5}, ["duplicateWindowDays: a text is expected"]),
        ({"duplicateKey": ["zone"]}, ["duplicateKey[0]: 'zone' is not a target that a field or a mapping fills"]),
        ({"envelope": "file"}, ["envelope: 'file' is none of row, request"]),
        ({"mappings": [{"target": "a"}]}, ["mappings[0]: a mapping has exactly one of source, literal"]),
        (
            {"mappings": [{"target": "a", "literal": "x"}, {"target": "a", "source": "Nope"}]},
            [
                "mappings[1].target: another mapping fills 'a'",
                "mappings[1].source: 'Nope' is not a field of the profile",
            ],
        ),
        ({"mappings": [{"target": "v", "formula": "Value *"}]}, ["mappings[0].formula: the formula ends too early"]),
        ({"mappings": [{"target": "v", "map": {"source": "Value"}}]}, ["mappings[0].map.values: a map has at least"]),
        ({"mappings": [{"target": "v", "combine": {}}]}, ["mappings[0].combine.sources: combine takes at least"]),
        (
            {"mappings": [{"target": "v", "match": {"source": "Value"}}]},
            ["mappings[0].match.list: a value is", "mappings[0].match.member: a value is"],
        ),
        ({"filter": {"search": []}}, ["filter.search: a condition compares at least one field"]),
        ({"filter": {"condition": "xor", "search": [{"name": "Value", **EQ}]}}, ["filter.condition: 'xor' is none of"]),
        ({"filter": {"search": [{"name": "Nope", **EQ}]}}, ["filter.search[0].name: 'Nope' is not a field"]),
        (
            {"filter": {"search": [{"name": "Value", "operator": "like", "value": "x"}]}},
            ["filter.search[0].operator: 'like'"],
        ),
        (
            {"filter": {"search": [{"name": "Value", "operator": "eq"}]}},
            ["filter.search[0].value: a value is required"],
        ),
    ],
)
def test_every_fault_is_named(members: dict[str, Any], faults: list[str]):
    told = found(BASE | members)
    assert len(told) >= len(faults)
    for fault in faults:
        assert any(each.startswith(fault) for each in told), told


@pytest.mark.parametrize(
    ("transform", "fault"),
    [
        ({"type": "spin"}, "'spin' is none of"),
        ({"type": "case", "to": "sideways"}, "'sideways' is none of"),
        ({"type": "regex", "pattern": "(", "replacement": ""}, "not a regular expression"),
        ({"type": "regex", "pattern": "(?=a)", "replacement": ""}, "not a regular expression"),
        ({"type": "date"}, "a value is required"),
        ({"type": "date", "format": "%H"}, "'%H' is no date format"),
        ({"type": "date", "format": "%Q"}, "'%Q' is no date format"),
        ({"type": "date", "format": "plain"}, "'plain' is no date format"),
        ({"type": "trim", "to": "x"}, "there is no such member"),
        ({"type": "substitute", "to": "x"}, "a value is required"),
        ({"type": "conditional", "then": []}, "an object is expected"),
    ],
)
def test_every_fault_of_a_transform_is_named(transform: dict[str, Any], fault: str):
    fields = [{"name": name} for name in GUIDE_NAMES[1:]] + [{"name": "DateTime", "transforms": [transform]}]
    told = found(BASE | {"fields": fields})
    assert any(each.startswith("fields[10].transforms[0]") and fault in each for each in told), told


def test_targets_that_must_be_filled_are_named():
    told = found({"name": "x", "format": "csv", "fields": [{"name": "udrUsageIdentifier"}]})
    assert [each.rsplit(" ", 1)[1] for each in told] == ["'date'", "'value'", "'usageClassName'"]


def test_fields_are_told_apart_whatever_their_case_and_columns_belong_to_columnar():
    told = found({"name": "x", "format": "csv", "fields": [{"name": "a", "start": 1}, {"name": "A"}]})
    assert told == [
        "fields[1].name: another field is called 'A', whatever the case",
        "fields[0].start: only a field of a columnar profile has a start and a length",
    ]
    told = found({"name": "x", "format": "columnar", "fields": [{"name": "a", "start": 0}]})
    assert told == [
        "fields[0].length: a field of a columnar profile has a start and a length",
        "fields[0].start: a whole number from 1 to 1000000 is expected",
    ]


@pytest.mark.parametrize(
    "document", [None, [], "x", {}, {"fields": [None]}, {"filter": 1, "mappings": {}, "fields": [{}]}]
)
def test_no_document_raises_anything_else(document: Any):
    assert found(document)
