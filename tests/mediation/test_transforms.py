"""Field transforms: in order, before the filter; what they cannot read they leave, with a reason."""

from typing import Any

import pytest
from tests.mediation.tables import CLASSES, ends, faults, mediated, raw, short

from ratemill.mediation.mediate import rehearse
from ratemill.mediation.profiles.profile import ProfileFaults

MAPPED = [{"target": "note", "source": "note"}]


def transformed(text: str, *transforms: dict[str, Any], **members: Any) -> str | None:
    """Return what transforms make of a field's text."""
    profile = short({"name": "note", "transforms": list(transforms)}, mappings=MAPPED, delimiter="|", **members)
    shown = rehearse(raw([f"a|1|2022-05-01|voice|{text}"]), profile, usage_classes=CLASSES).mapped
    value = shown["note"][0]
    assert value is None or isinstance(value, str)
    return value


UPPER = {"type": "case", "to": "upper"}
IS_API = {"search": [{"name": "note", "operator": "eq", "value": "API"}]}


@pytest.mark.parametrize(
    ("text", "transforms", "found"),
    [
        ("  a b\t", [{"type": "trim"}], "a b"),
        ("   ", [{"type": "trim"}], None),
        ("straße", [UPPER], "STRASSE"),
        ("A b", [{"type": "case", "to": "lower"}], "a b"),
        ("new york", [{"type": "case", "to": "title"}], "New York"),
        ("a.b.c", [{"type": "substitute", "from": ".", "to": "-"}], "a-b-c"),
        ("a.b.c", [{"type": "substitute", "from": "."}], "abc"),
        ("+1 (648) 688", [{"type": "regex", "pattern": "[^0-9]", "replacement": ""}], "1648688"),
        ("648-688", [{"type": "regex", "pattern": "^(\\d+)-(\\d+)$", "replacement": "${2}x$1"}], "688x648"),
        (" api ", [{"type": "trim"}, UPPER], "API"),
        ("1:05 PM", [{"type": "time"}], "13:05:00"),
        ("12:00 am", [{"type": "time"}], "00:00:00"),
        ("12:30:15 p.m.", [{"type": "time"}], "12:30:15"),
        ("9:07", [{"type": "time"}], "09:07:00"),
        ("31/12/2021 23:05", [{"type": "date", "format": "%d/%m/%Y %H:%M"}], "2021-12-31T23:05:00.000000Z"),
        ("31.12.21", [{"type": "date", "format": "%d.%m.%y"}], "2021-12-31T00:00:00.000000Z"),
        ("20220501010203", [{"type": "date", "format": "%Y%m%d%H%M%S"}], "2022-05-01T01:02:03.000000Z"),
        (
            "31.12.2021 23:05:06.25",
            [{"type": "date", "format": "dd.MM.yyyy HH:mm:ss.fff"}],
            "2021-12-31T23:05:06.250000Z",
        ),
        ("12/31/21 1:05 PM", [{"type": "date", "format": "MM/dd/yy h:mm tt"}], "2021-12-31T13:05:00.000000Z"),
        ("2021-12-31T23:05", [{"type": "date", "format": "yyyy-MM-ddTHH:mm"}], "2021-12-31T23:05:00.000000Z"),
        ("1650000000", [{"type": "date", "format": "%s"}], "2022-04-15T05:20:00.000000Z"),
        (
            "01/07/2022 12:00",
            [{"type": "date", "format": "%d/%m/%Y %H:%M", "timeZone": "Europe/Berlin"}],
            "2022-07-01T10:00:00.000000Z",
        ),
        (
            "2022-01-01 00:00:00+0200",
            [{"type": "date", "format": "%Y-%m-%d %H:%M:%S%z"}],
            "2021-12-31T22:00:00.000000Z",
        ),
        ("API", [{"type": "conditional", "when": IS_API, "then": [{"type": "case", "to": "lower"}]}], "api"),
        ("CPU", [{"type": "conditional", "when": IS_API, "then": [{"type": "case", "to": "lower"}]}], "CPU"),
        ("CPU", [{"type": "conditional", "when": IS_API, "else": [{"type": "substitute", "from": "CP"}]}], "U"),
        ("api", [UPPER, {"type": "conditional", "when": IS_API, "then": [{"type": "substitute", "from": "A"}]}], "PI"),
    ],
)
def test_a_field_is_transformed(text: str, transforms: list[dict[str, Any]], found: str | None):
    assert transformed(text, *transforms) == found


def test_a_date_without_a_zone_is_of_the_profiles():
    day = {"type": "date", "format": "%d.%m.%Y"}
    assert transformed("01.07.2022", day, timeZone="Europe/Berlin") == "2022-06-30T22:00:00.000000Z"


@pytest.mark.parametrize(
    ("text", "transform", "reason"),
    [
        ("31/02/2022", {"type": "date", "format": "%d/%m/%Y"}, "value_must_be_a_date"),
        ("2022-01-01 00:00:60", {"type": "date", "format": "%Y-%m-%d %H:%M:%S"}, "value_must_be_a_date"),
        ("1/2/2022x", {"type": "date", "format": "%d/%m/%Y"}, "value_must_be_a_date"),
        ("8210266876799", {"type": "date", "format": "%s", "timeZone": "America/New_York"}, "value_must_be_a_date"),
        ("99999999999999999999", {"type": "date", "format": "%s"}, "value_must_be_a_date"),
        ("24:00", {"type": "time"}, "value_must_be_a_time"),
        ("13:00 pm", {"type": "time"}, "value_must_be_a_time"),
        ("0:00 am", {"type": "time"}, "value_must_be_a_time"),
        ("noon", {"type": "time"}, "value_must_be_a_time"),
    ],
)
def test_what_a_transform_cannot_read_has_a_reason(text: str, transform: dict[str, Any], reason: str):
    profile = short({"name": "note", "transforms": [transform]})
    good = "a,1,2022-05-01,voice,"
    result = mediated([good, good + text, good], profile)
    assert ends(result) == {1: "usage", 2: reason, 3: "usage"}
    assert faults(result, 2) == [(reason, "note", text)]


def test_a_condition_sees_the_fields_before_it_transformed():
    first = {"name": "first", "transforms": [UPPER]}
    when = {"search": [{"name": "first", "operator": "eq", "value": "X"}]}
    conditional = {
        "type": "conditional",
        "when": when,
        "then": [{"type": "regex", "pattern": ".*", "replacement": "y"}],
    }
    second = {"name": "second", "transforms": [conditional]}
    shown = rehearse(
        raw(["a,1,2022-05-01,voice,x,-"]),
        short(first, second, mappings=[{"target": "note", "source": "second"}]),
        usage_classes=CLASSES,
    )
    assert shown.mapped["note"][0] == "y"


def test_a_transform_that_fails_in_the_branch_not_taken_breaks_nothing():
    branch = {"type": "conditional", "when": IS_API, "then": [{"type": "time"}], "else": [{"type": "trim"}]}
    profile = short({"name": "note", "transforms": [branch]})
    assert ends(mediated(["a,1,2022-05-01,voice,CPU", "a,1,2022-05-01,voice,API"], profile)) == {
        1: "usage",
        2: "value_must_be_a_time",
    }


def test_a_default_fills_what_is_absent_after_the_transforms():
    profile = short({"name": "note", "default": "none", "transforms": [{"type": "trim"}, UPPER]}, mappings=MAPPED)
    result = mediated(["a,1,2022-05-01,voice,", "b,1,2022-05-01,voice,  ", "c,1,2022-05-01,voice,x"], profile)
    assert result.usage["extension"].to_list() == ['{"note":"none"}', '{"note":"none"}', '{"note":"X"}']


def test_conditionals_stand_in_each_other_as_deep_as_a_document_may():
    step: dict[str, Any] = {"type": "substitute", "from": "x", "to": "y"}
    for _ in range(45):
        step = {"type": "conditional", "when": IS_API, "then": [], "else": [step]}
    assert transformed("x", step) == "y"


def test_conditionals_that_stand_deeper_are_a_fault():
    step: dict[str, Any] = {"type": "trim"}
    for _ in range(101):
        step = {"type": "conditional", "when": IS_API, "then": [], "else": [step]}
    with pytest.raises(ProfileFaults) as faulty:
        transformed("x", step)
    assert "at most 100 levels" in str(faulty.value)
