"""Duplicate keys: one text for one key, and the same bits for ever."""

import pytest
from tests.mediation.tables import GUIDE_ROW, guide, guide_row, mediated, short


def keys(*rows: str, **members: object) -> list[str]:
    return mediated(rows, guide(**members)).keys["key_hash"].to_list()


def test_the_bits_of_the_guides_record_never_change():
    """A change here would let every record that was sent before be charged again."""
    [row] = mediated([GUIDE_ROW], guide()).keys.to_dicts()
    assert str(row["usage_on"]) == "2022-05-01"
    assert row["key_hash"] == "9d49244b7faaaf40b5b645f6d2492f2d"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"Value": "94"}, {"Value": "94.0"}),
        ({"Value": "94"}, {"Value": "9.4e1"}),
        ({"Value": "0"}, {"Value": "-0"}),
        ({"DateTime": "2022-05-01T01:01:00.010Z"}, {"DateTime": "2022-05-01 03:01:00.01+02:00"}),
        ({"Inbound": "1"}, {"Inbound": "TRUE"}),
        ({"UdrIdentifierTypeName": ""}, {"UdrIdentifierTypeName": "Unknown"}),
    ],
)
def test_what_means_the_same_has_one_key(one: dict[str, str], other: dict[str, str]):
    first, second = keys(guide_row(**one), guide_row(**other))
    assert first == second


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"Value": "94"}, {"Value": "94.000000000001"}),
        (
            {"OriginatingIdentifier": "1", "TerminatingIdentifier": ""},
            {"OriginatingIdentifier": "", "TerminatingIdentifier": "1"},
        ),
        (
            {"OriginatingIdentifier": "12", "TerminatingIdentifier": "3"},
            {"OriginatingIdentifier": "1", "TerminatingIdentifier": "23"},
        ),
        ({"DateTime": "2022-05-01T01:01:00.01"}, {"DateTime": "2022-05-01T01:01:00.010001"}),
        ({"UsageClassName": "voice"}, {"UsageClassName": "data_class"}),
        ({"UniquenessIdentifier": ""}, {"UniquenessIdentifier": "null"}),
    ],
)
def test_what_differs_has_two_keys(one: dict[str, str], other: dict[str, str]):
    first, second = keys(guide_row(**one), guide_row(**other))
    assert first != second


def test_only_the_named_targets_count_in_any_order_and_case():
    rows = (guide_row(), guide_row(Value="5", Inbound="1"))
    assert len(set(keys(*rows, duplicateKey=["udrUsageIdentifier", "date"]))) == 1
    assert keys(*rows, duplicateKey=["date", "UdrUsageIdentifier"]) == keys(
        *rows, duplicateKey=["udrUsageIdentifier", "date"]
    )
    assert keys(rows[0], duplicateKey=["date"]) != keys(rows[0], duplicateKey=["udrUsageIdentifier"])


def test_extension_fields_may_be_part_of_the_key():
    profile = short({"name": "note"}, mappings=[{"target": "zone", "source": "note"}], duplicateKey=["zone"])
    one, two, three = mediated([f"a,1,2022-05-01,voice,{each}" for each in "xyx"], profile).keys["key_hash"]
    assert one == three != two


def test_an_empty_key_checks_nothing():
    assert keys(GUIDE_ROW, duplicateKey=[]) == []


def test_there_is_one_key_for_each_usage_record_in_its_order():
    result = mediated([guide_row(Value=str(value)) for value in ("1", "x", "2", "3")], guide())
    assert result.keys.select("submission_id", "row_index").equals(result.usage.select("submission_id", "row_index"))
    assert all(len(each) == 32 and each == each.lower() for each in result.keys["key_hash"])


def test_the_day_is_that_of_the_instant_in_utc():
    profile = guide(timeZone="America/New_York")
    assert str(mediated([guide_row(DateTime="2022-05-01T23:00:00")], profile).keys["usage_on"][0]) == "2022-05-02"
