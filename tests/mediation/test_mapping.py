"""Mapping: what fills each target, unasked or declared, and by which name the sender knows it."""

import json
from typing import Any

import polars as pl
import pytest
from tests.mediation.tables import ends, faults, mediated, short

from ratemill.mediation.mediate import MediationResult
from ratemill.mediation.profiles.profile import read_profile

ROW = "a,1,2022-05-01,voice"


def noted(origin: dict[str, Any], *texts: str, **arguments: Any) -> MediationResult:
    """Mediate rows whose field `note` feeds the extension field `out`."""
    profile = short({"name": "note"}, {"name": "more"}, mappings=[{"target": "out", **origin}])
    return mediated([f"{ROW},{text}" for text in texts], profile, **arguments)


def outs(result: MediationResult) -> list[str | None]:
    return [json.loads(text)["out"] if text else None for text in result.usage["extension"].to_list()]


@pytest.mark.parametrize(
    ("origin", "text", "found"),
    [
        ({"source": "Note"}, "x,", "x"),
        ({"source": "note"}, ",", None),
        ({"literal": "always"}, ",", "always"),
        ({"combine": {"sources": ["note", "more"], "separator": "-"}}, "x,y", "x-y"),
        ({"combine": {"sources": ["note", "more"], "separator": "-"}}, "x,", "x"),
        ({"combine": {"sources": ["more", "note"]}}, "x,y", "yx"),
        ({"combine": {"sources": ["note", "more"], "separator": "-"}}, ",", None),
        ({"formula": "note * 1024"}, "1.5,", "1536"),
        ({"formula": "note * more"}, "1.5,", None),
        ({"map": {"source": "note", "values": {"A": "B", "": "none"}}}, "A,", "B"),
        ({"map": {"source": "note", "values": {"A": "B"}}}, ",", None),
        ({"map": {"source": "note", "values": {"A": "B"}, "default": "C"}}, "x,", "C"),
        ({"map": {"source": "note", "values": {"A": "B"}, "default": "C"}}, ",", "C"),
    ],
)
def test_a_target_is_filled(origin: dict[str, Any], text: str, found: str | None):
    assert outs(noted(origin, text)) == [found]


def test_a_text_that_the_map_lacks_is_refused_under_the_fields_name():
    result = noted({"map": {"source": "note", "values": {"A": "B"}}}, "A,", "a,", "A,")
    assert ends(result) == {1: "usage", 2: "value_must_be_in_map", 3: "usage"}
    assert faults(result, 2) == [("value_must_be_in_map", "note", "a")]


def test_a_required_target_that_a_map_cannot_fill_has_one_reason():
    mapping = {"target": "usageClassName", "map": {"source": "usageClassName", "values": {"v": "voice"}}}
    result = mediated(["a,1,2022-05-01,v", "a,1,2022-05-01,w", "a,1,2022-05-01,"], short(mappings=[mapping]))
    assert ends(result)[1] == "usage"
    assert faults(result, 2) == [("value_must_be_in_map", "usageClassName", "w")]
    assert faults(result, 3) == [("field_is_required", "usageClassName", None)]


LISTS = {
    "usageClasses": pl.DataFrame({"name": ["voice", "data", "x1", "x2"], "code": ["V", "D", "X", "X"]}),
    "codes": pl.DataFrame({"code": ["V"]}),
}


def test_a_match_gives_the_name_of_the_one_entry_that_bears_the_text():
    match = {"match": {"source": "note", "list": "usageClasses", "member": "code"}}
    result = noted(match, "V,", "D,", ",", "Q,", "X,", lists=LISTS)
    assert outs(result) == ["voice", "data", None]
    assert faults(result, 4) == [("match_not_found", "note", "Q")]
    assert faults(result, 5) == [("match_not_found", "note", "X")]


def test_a_match_in_a_list_without_names_gives_the_member():
    assert outs(noted({"match": {"source": "note", "list": "codes", "member": "code"}}, "V,", lists=LISTS)) == ["V"]


def test_a_list_that_is_not_there_has_no_match():
    match = {"match": {"source": "note", "list": "nothing", "member": "code"}}
    assert faults(noted(match, "V,")) == [("match_not_found", "note", "V")]


def test_one_field_may_feed_several_targets_and_a_mapping_goes_before_a_name():
    mappings = [
        {"target": "uniquenessIdentifier", "source": "udrUsageIdentifier"},
        {"target": "Value", "literal": "5"},
        {"target": "Characteristic3", "source": "udrUsageIdentifier"},
    ]
    [row] = mediated([ROW], short(mappings=mappings)).usage.to_dicts()
    assert (row["uniqueness_identifier"], row["quantity"], row["extension"]) == ("a", 5, '{"characteristic3":"a"}')


def test_a_field_called_datetime_feeds_the_date_unless_one_is_called_date():
    def used(*names: str) -> str:
        fields = [{"name": each} for each in ("udrUsageIdentifier", "value", *names, "usageClassName")]
        profile = read_profile({"name": "x", "format": "csv", "fields": fields})
        dates = ["2022-05-01", "2022-05-02"][: len(names)]
        return str(mediated([",".join(["a", "1", *dates, "voice"])], profile).usage["usage_at"][0].date())

    assert used("DATETIME") == "2022-05-01"
    assert used("DateTime", "Date") == "2022-05-02"
    assert used("Date", "DateTime") == "2022-05-01"


def test_fields_that_are_not_mapped_are_not_carried():
    assert mediated([f"{ROW},x"], short({"name": "note"})).usage["extension"].to_list() == [None]
