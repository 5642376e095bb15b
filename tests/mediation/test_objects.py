"""JSON objects become fields by name, numbers by their digits."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.mediation.tables import CLASSES, ends, fate, faults, guide, mediated, raw, short

from ratemill.mediation.mediate import rehearse
from ratemill.mediation.profiles.profile import read_profile

OBJECT = {
    "DateTime": "2023-04-25T01:01:00.06",
    "UdrIdentifierTypeName": "Unknown",
    "OriginatingIdentifier": "4038675310",
    "TerminatingIdentifier": "4038675346",
    "UdrUsageIdentifier": "814-241-4332",
    "Value": 134,
    "Inbound": False,
    "ReverseRating": True,
    "UsageClassName": "data_class",
    "UsageClassTypeName": "data_classType",
}


def member(text: str) -> str | None:
    """Return what the field `note` of a row gets from a member's JSON text."""
    row = f'{{"udrUsageIdentifier":"a","value":1,"date":"2022-05-01","usageClassName":"voice","note":{text}}}'
    shown = rehearse(raw([row], objects=True), short({"name": "note"}), usage_classes=CLASSES).parsed
    value = shown["note"][0]
    assert value is None or isinstance(value, str)
    return value


def test_the_object_of_the_json_routes_is_read_by_a_csv_profile():
    [row] = mediated([json.dumps(OBJECT)], guide(), objects=True).usage.to_dicts()
    assert (row["usage_identifier"], str(row["quantity"]), row["usage_class_id"]) == (
        "814-241-4332",
        "134.000000000000",
        7,
    )
    assert (row["inbound"], row["reverse_rating"]) == (False, True)
    assert row["uniqueness_identifier"] is None
    assert row["extension"] is None


def test_names_are_found_whatever_their_case():
    shouted = {name.upper(): value for name, value in OBJECT.items()}
    one, two = (mediated([json.dumps(each)], guide(), objects=True) for each in (OBJECT, shouted))
    assert one.usage.equals(two.usage)
    assert one.keys.equals(two.keys)


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ('"a b"', "a b"),
        ("94.50", "94.50"),
        ("1e2", "1e2"),
        ("0.1", "0.1"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ("-0", "0"),
        ("-0.0", "-0.0"),
        ("9" * 5000, "9" * 5000),
        ("true", "true"),
        ("false", "false"),
        ("null", None),
        ('""', None),
        ('{ "a" : [1.50, "x y",\n true ] }', '{"a":[1.50,"x y",true]}'),
        ("[]", "[]"),
        ('"\\u00e9\\ud83d\\ude00"', "é😀"),
        ('"\\\\u0000"', "\\u0000"),
    ],
)
def test_a_member_becomes_text(text: str, field: str | None):
    assert member(text) == field


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("not json", "row_must_be_a_json_object"),
        ("[1]", "row_must_be_a_json_object"),
        ("1", "row_must_be_a_json_object"),
        ("", "row_must_be_a_json_object"),
        ('{"a":1},{"a":2}', "row_must_be_a_json_object"),
        ('{"a":NaN}', "row_must_be_a_json_object"),
        ('{"a":' + "[" * 100_000 + "]" * 100_000 + "}", "row_must_not_be_nested_too_deeply"),
        ('{"a":' + "[" * 100 + "]" * 100 + "}", "row_must_not_be_nested_too_deeply"),
        ('{"a":"\\u0000"}', "row_must_not_contain_nul"),
        ('{"a\\u0000":1}', "row_must_not_contain_nul"),
        ('{"a":{"b":"x\\\\\\u0000"}}', "row_must_not_contain_nul"),
        ('{"a":"\\ud800"}', "row_must_not_contain_lone_surrogates"),
        ('{"a\\udfff":1}', "row_must_not_contain_lone_surrogates"),
        ('{"a":["\\ud800x"]}', "row_must_not_contain_lone_surrogates"),
    ],
)
def test_a_row_that_is_no_object_stops_no_other(text: str, reason: str):
    good = json.dumps(OBJECT)
    assert ends(mediated([good, text, good], guide(format="json"))) == {1: "usage", 2: reason, 3: "usage"}


def test_a_row_of_a_hundred_levels_is_read():
    row = json.dumps(OBJECT)[:-1] + ',"more":' + "[" * 99 + "]" * 99 + "}"
    assert mediated([row], guide(format="json")).usage.height == 1


def test_members_that_are_no_fields_are_kept_or_refused():
    row = json.dumps(OBJECT | {"zone": 5, "Alpha": 'q"', "none": None}).replace('"zone": 5', '"zone": 1.50')
    kept = mediated([row], guide(), objects=True)
    assert kept.usage["extension"][0] == '{"Alpha":"q\\"","zone":"1.50"}'
    refused = mediated([row], guide(unknownKeys="refuse"), objects=True)
    assert faults(refused) == [("key_must_be_known", None, "Alpha")]


def test_an_extension_target_goes_before_a_member_of_its_name():
    profile = read_profile(
        {
            "name": "x",
            "format": "json",
            "fields": [{"name": each} for each in ("date", "value", "udrUsageIdentifier", "usageClassName", "n")],
            "mappings": [{"target": "zone", "source": "n"}],
        }
    )
    row = {"date": "2022-05-01", "value": 1, "udrUsageIdentifier": "a", "usageClassName": "voice", "n": 5, "zone": 6}
    assert mediated([json.dumps(row)], profile).usage["extension"][0] == '{"zone":"5"}'


def test_of_two_members_for_one_field_the_profiles_spelling_holds():
    row = (
        '{"udrusageidentifier":"low","udrUsageIdentifier":"own","value":1,"date":"2022-05-01","usageClassName":"voice"}'
    )
    usage = mediated([row], short(), objects=True).usage
    assert usage["usage_identifier"][0] == "own"
    assert usage["extension"][0] == '{"udrusageidentifier":"low"}'


def test_texts_and_objects_may_stand_in_one_table():
    rows = raw(["a,1,2022-05-01,voice", json.dumps(OBJECT)])
    mixed = rows.with_columns(is_object=rows["row_index"] == 2)
    shown = rehearse(mixed, short(), usage_classes=CLASSES)
    assert shown.parsed["udrUsageIdentifier"].to_list() == ["a", "814-241-4332"]
    assert fate(json.dumps(OBJECT), short(), objects=True) == "field_is_required"


@given(st.dictionaries(st.sampled_from("abcde"), st.text(st.characters(exclude_categories=["Cs"])), max_size=5))
@settings(deadline=None)
def test_what_is_kept_reads_back(members: dict[str, str]):
    base = {"udrUsageIdentifier": "x", "value": "1", "date": "2022-05-01", "usageClassName": "voice"}
    result = mediated([json.dumps(base | members)], short(), objects=True)
    if any("\x00" in text for text in members.values()):
        assert result.refused.height == 1
        return
    extension = result.usage["extension"][0]
    assert json.loads(extension or "{}") == {name: text for name, text in members.items() if text}
