"""Validation: each rule with a bad row between two good ones, and the order in which the rules are checked."""

import json

import pytest
from tests.mediation.tables import ends, faults, guide, guide_row, mediated, short

BAD_FIELDS = {
    "no date": ({"DateTime": ""}, "field_is_required", "DateTime", None),
    "no identifier": ({"UdrUsageIdentifier": ""}, "field_is_required", "UdrUsageIdentifier", None),
    "no value": ({"Value": ""}, "field_is_required", "Value", None),
    "no class": ({"UsageClassName": ""}, "field_is_required", "UsageClassName", None),
    "bad date": ({"DateTime": "2022-02-30"}, "value_must_be_a_date", "DateTime", "2022-02-30"),
    "bad number": ({"Value": "ninety"}, "value_must_be_a_number", "Value", "ninety"),
    "places": ({"Value": "0.1234567890123"}, "quantity_has_too_many_places", "Value", "0.1234567890123"),
    "digits": ({"Value": "9" * 400}, "quantity_has_too_many_digits", "Value", "9" * 200),
    "negative": ({"Value": "-0.5"}, "quantity_must_not_be_negative", "Value", "-0.5"),
    "flag": ({"Inbound": "maybe"}, "value_must_be_true_or_false", "Inbound", "maybe"),
    "other flag": ({"ReverseRating": "2"}, "value_must_be_true_or_false", "ReverseRating", "2"),
    "class": ({"UsageClassName": "Data_Class"}, "usage_class_not_found", "UsageClassName", "Data_Class"),
    "old": ({"DateTime": "2022-04-01T23:59:59"}, "older_than_duplicate_window", "DateTime", "30"),
}


@pytest.mark.parametrize(("fields", "reason", "field", "value"), list(BAD_FIELDS.values()), ids=list(BAD_FIELDS))
def test_a_bad_field_stops_no_other_row(fields: dict[str, str], reason: str, field: str, value: str | None):
    result = mediated([guide_row(), guide_row(**fields), guide_row()], guide(duplicateWindowDays=30))
    assert ends(result) == {1: "usage", 2: reason, 3: "usage"}
    assert faults(result, 2) == [(reason, field, value)]
    assert result.refused.select("field", "value").row(0) == (field, value)


def test_a_window_counts_from_acceptance_to_the_microsecond():
    profile = guide(duplicateWindowDays=30)
    result = mediated([guide_row(DateTime=f"2022-04-0{day}") for day in (1, 2)], profile)
    assert ends(result) == {1: "older_than_duplicate_window", 2: "usage"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("True", True),
        ("true", True),
        ("TRUE", True),
        ("tRuE", True),
        ("1", True),
        ("0", False),
        ("fALSE", False),
        ("", False),
    ],
)
def test_flags_are_read_whatever_their_case(text: str, found: bool):
    assert mediated([guide_row(Inbound=text)], guide()).usage["inbound"].to_list() == [found]


def test_credits_are_taken_where_the_profile_allows_them():
    usage = mediated([guide_row(Value="-94.5")], guide(creditsAllowed="true")).usage
    assert str(usage["quantity"][0]) == "-94.500000000000"


def test_an_absent_identifier_type_is_unknown_and_an_unknown_class_type_is_kept():
    usage = mediated([guide_row(UdrIdentifierTypeName="", UsageClassTypeName="whatever")], guide()).usage
    assert usage["identifier_type"][0] == "Unknown"
    assert usage["usage_class_type"][0] == "whatever"


def test_a_field_may_be_required_by_the_profile():
    profile = short({"name": "note", "required": True}, {"name": "date", "required": True})
    result = mediated(["a,1,,voice,"], profile)
    assert faults(result) == [("field_is_required", "note", None), ("field_is_required", "date", None)] or faults(
        result
    ) == [("field_is_required", "date", None), ("field_is_required", "note", None)]


# In the order of the rules; each row breaks its own rule and all that come after it, as far as one field allows.
LADDER = [
    ("a,1,2022-02-30,nothing,,maybe,q,x", "field_is_required"),
    ("a,ninety,2022-02-30,nothing,n,maybe,q,x", "value_must_be_a_date"),
    ("a,ninety,1999-01-01,nothing,n,maybe,q,x", "value_must_be_a_number"),
    ("a,0.1234567890123,1999-01-01,nothing,n,maybe,q,x", "quantity_has_too_many_places"),
    ("a,-1234567890123456,1999-01-01,nothing,n,maybe,q,x", "quantity_has_too_many_digits"),
    ("a,-1,1999-01-01,nothing,n,maybe,q,x", "quantity_must_not_be_negative"),
    ("a,1,1999-01-01,nothing,n,maybe,q,x", "value_must_be_true_or_false"),
    ("a,1,1999-01-01,nothing,n,1,q,x", "value_must_be_in_map"),
    ("a,1,1999-01-01,nothing,n,1,A,x", "value_must_be_a_time"),
    ("a,1,1999-01-01,nothing,n,1,A,9:00", "usage_class_not_found"),
    ("a,1,1999-01-01,voice,n,1,A,9:00", "older_than_duplicate_window"),
    ("a,1,2022-05-01,voice,n,1,A,9:00", "usage"),
]


def test_the_first_rule_in_order_is_a_rows_reason_and_all_are_told():
    profile = short(
        {"name": "note", "required": True},
        {"name": "inbound"},
        {"name": "code"},
        {"name": "at", "transforms": [{"type": "time"}]},
        mappings=[{"target": "zone", "map": {"source": "code", "values": {"A": "B"}}}],
        duplicateWindowDays=30,
    )
    result = mediated([row for row, _ in LADDER], profile)
    assert list(ends(result).values()) == [reason for _, reason in LADDER]
    first_ids = result.refused["reason_id"].to_list()
    assert first_ids == sorted(first_ids)
    for text, reason_id in zip(result.refused["faults"], first_ids, strict=True):
        told = [each["reason"] for each in json.loads(text)]
        assert told[0] == reason_id
        assert told == sorted(told)
    assert [reason for reason, _, _ in faults(result, 1)] == [
        "field_is_required",
        "value_must_be_a_date",
        "value_must_be_true_or_false",
        "value_must_be_in_map",
        "value_must_be_a_time",
        "usage_class_not_found",
    ]
