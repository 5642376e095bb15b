"""User-defined fields: their types, inferred and declared."""

import pytest

from ratemill.reference import json_text
from ratemill.reference.characteristics.values import ItemFault, check_declared, inferred, types_for

READ = json_text.read(
    '{"id": "1", "ud_text": "0", "ud_number": 0, "ud_flag": false, "ud_reference": {"id": "x"}, "ud_null": null,'
    ' "ud_time": "2019-08-24T14:15:22Z", "udLookup_Rows": {"udfLookupItems": []}}'
)
assert isinstance(READ, dict)
ITEM = READ


def test_a_field_is_inferred_from_its_value():
    assert inferred(ITEM) == {
        "ud_text": "string",
        "ud_number": "number",
        "ud_flag": "boolean",
        "ud_reference": "reference",
        "ud_time": "string",
        "udLookup_Rows": "lookup",
    }


def test_an_item_is_held_to_what_is_declared():
    declared = {**inferred(ITEM), "ud_time": "dateTime", "ud_null": "number", "ud_absent": "number"}
    assert check_declared(ITEM, declared, "items[3]") == []
    assert check_declared(ITEM, {"ud_number": "string", "ud_text": "dateTime"}, "items[3]") == [
        ItemFault("wrong_type", "ud_text is declared as dateTime, not the text '0'", "items[3].ud_text"),
        ItemFault("wrong_type", "ud_number is declared as string, not the number 0", "items[3].ud_number"),
    ]
    assert check_declared(ITEM, {"ud_flag": "number"}, "")[0].property == "ud_flag"


@pytest.mark.parametrize(
    ("member", "declared"), [("ud_reference", "string"), ("ud_flag", "reference"), ("ud_text", "number")]
)
def test_each_type_is_told_from_the_others(member: str, declared: str):
    assert len(check_declared(ITEM, {member: declared}, "")) == 1


def test_a_lookup_has_rows_and_no_type_of_a_value():
    assert types_for("udLookup_Rows") == ("lookup",)
    assert "lookup" not in types_for("ud_Rows")
