"""Characteristics: usage may name items that nobody knows, unless the profile requires that they exist."""

import json

import polars as pl
import pytest
from tests.mediation.tables import CLASSES, ends, faults, mediated, raw, short

from ratemill.mediation.mediate import begin, finish
from ratemill.mediation.profiles.profile import ProfileFaults, write_profile

PRODUCT = {"name": "Product"}
MAPPED = [{"target": "characteristic1", "source": "Product"}]
ROWS = [f"a,{value},2022-05-01,voice,{product}" for value, product in (("1", "004"), ("2", "005"), ("3", ""))]
KNOWN = {"characteristic1": pl.Series(["004"])}


def required(**members: object):
    return short(PRODUCT, mappings=MAPPED, requiredCharacteristics=["characteristic1"], **members)


def test_without_the_requirement_an_unknown_item_is_kept():
    result = mediated(ROWS, short(PRODUCT, mappings=MAPPED))
    carried = [each and json.loads(each) for each in result.usage["extension"]]
    assert carried == [{"characteristic1": "004"}, {"characteristic1": "005"}, None]


def test_a_required_item_that_does_not_exist_refuses_the_row_with_field_and_value():
    """A row that names no item breaks no rule: whether the field must be filled is the field's own member."""
    result = mediated(ROWS, required(), items=KNOWN)
    assert ends(result) == {1: "usage", 2: "characteristic_item_not_found", 3: "usage"}
    assert faults(result, 2) == [("characteristic_item_not_found", "Product", "005")]


def test_an_item_of_another_characteristic_does_not_count():
    items = {"characteristic2": pl.Series(["005"]), **KNOWN}
    assert ends(mediated(ROWS, required(), items=items))[2] == "characteristic_item_not_found"


def test_every_rule_that_the_row_breaks_is_told_with_it():
    result = mediated(["a,x,2022-05-01,voice,005"], required(), items=KNOWN)
    assert [name for name, _, _ in faults(result)] == ["value_must_be_a_number", "characteristic_item_not_found"]


def test_a_request_that_is_taken_whole_is_refused_for_one_unknown_item():
    result = mediated(ROWS, required(envelope="request"), items=KNOWN)
    assert ends(result)[1] == "another_row_of_the_request_was_refused"


def test_a_row_that_the_filter_skips_names_nothing_that_must_exist():
    profile = required(filter={"search": [{"name": "Product", "operator": "notEq", "value": "005"}]})
    assert ends(mediated(ROWS, profile, items=KNOWN))[2] == "skipped"


def test_who_begins_learns_each_item_that_must_exist_once():
    """So that one query a table is enough to find out which of them do."""
    begun = begin(raw(ROWS + ROWS), required())
    assert {target: ids.to_list() for target, ids in begun.items_named().items()} == {"characteristic1": ["004", "005"]}
    assert finish(begun, usage_classes=CLASSES, items=KNOWN).usage.height == 4


def test_a_profile_that_requires_nothing_names_nothing():
    assert begin(raw(ROWS), short(PRODUCT, mappings=MAPPED)).items_named() == {}


def test_the_requirement_is_written_as_it_is_read():
    profile = required()
    assert profile.required_characteristics == ("characteristic1",)
    assert write_profile(profile)["requiredCharacteristics"] == ["characteristic1"]


@pytest.mark.parametrize(
    ("listed", "message"),
    [
        (["characteristic2"], "no field and no mapping fills 'characteristic2'"),
        (["value"], "characteristic1 to characteristic20 is expected, not 'value'"),
        (["characteristic21"], "characteristic1 to characteristic20 is expected, not 'characteristic21'"),
    ],
)
def test_only_a_characteristic_that_is_filled_can_be_required(listed: list[str], message: str):
    with pytest.raises(ProfileFaults) as raised:
        short(PRODUCT, mappings=MAPPED, requiredCharacteristics=listed)
    assert raised.value.faults == [("requiredCharacteristics[0]", message)]
