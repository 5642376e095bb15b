"""JSON goes out as it came in."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratemill.nesting import NESTING_MAX
from ratemill.reference.json_text import Number, compact, elements, read, reread, write

VALUES = st.recursive(
    st.none() | st.booleans() | st.text() | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def test_order_of_members_and_digits_of_numbers_are_kept() -> None:
    text = '{"z":87.0,"a":[1e5,-0,0.10,12345678901234567890123,true,false,null],"m":{"é":"\\u0000\\"\\n"},"":[],"o":{}}'

    assert write(read(text)) == text


def test_a_number_is_told_from_a_text_of_the_same_digits() -> None:
    assert read('[1,"1"]') == ["1", "1"]
    assert type(read("1")) is Number
    assert type(read('"1"')) is str
    assert write(read('[1,"1"]')) == '[1,"1"]'


@given(VALUES)
def test_what_is_written_reads_as_what_any_reader_reads(value: object) -> None:
    text = json.dumps(value)

    assert json.loads(write(read(text))) == json.loads(text)


@given(st.lists(VALUES), st.booleans())
def test_elements_are_compact_as_they_would_be_written(values: list[object], ascii_alone: bool) -> None:
    text = json.dumps(values, ensure_ascii=ascii_alone, indent=1).encode(errors="replace")

    found = [each.decode() for each in elements(text)]

    assert [reread(each) for each in found] == read(text)
    for each in found:
        assert compact(each) in (None, write(read(each)))
        assert (compact(each) is None) == ("\\" in each)


@pytest.mark.parametrize("number", ["1e5", "-0", "87.0", "1E+400", "0.10", "12345678901234567890123.450", "-0.0e-07"])
def test_a_compact_number_has_its_digits(number: str) -> None:
    assert compact(f'{{ "a" : [ {number} , 1 ] }}') == f'{{"a":[{number},1]}}'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"a":1,"b":2,"a":3}', "the member 'a' stands twice"),
        ("[NaN]", "NaN is no number"),
        ("[-Infinity]", "-Infinity is no number"),
        ("[1,]", "Expecting value|trailing comma"),
        ("01", "Extra data"),
        ("", "Expecting value"),
        (b'"\xff"', "utf-8"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_what_is_no_json_is_said(text: str | bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        read(text)


def test_a_hundred_lists_in_each_other_are_read_and_one_more_is_not() -> None:
    assert write(read("[" * NESTING_MAX + "]" * NESTING_MAX)) == "[" * NESTING_MAX + "]" * NESTING_MAX
    with pytest.raises(ValueError, match="nested too deeply"):
        read("[" * (NESTING_MAX + 1) + "]" * (NESTING_MAX + 1))
