"""One line of a file: what it says, or what is wrong with it as a whole."""

import json
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ratemill.reference.subscriptions import lines
from ratemill.reference.subscriptions.lines import VALUES_MAX, Line, classify, read
from ratemill.subscription_objects import ObjectKind

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=True),
    lambda v: st.lists(v) | st.dictionaries(st.text(), v),
)


def said(line: bytes) -> str:
    """Return the fault of a line that is wrong as a whole."""
    found = read(line)
    assert isinstance(found, list)
    assert [fault.field for fault in found] == [""]
    return found[0].error


@pytest.mark.parametrize("kind", ObjectKind)
def test_a_line_tells_its_kind_its_reference_and_its_attributes_as_they_were_sent(kind: ObjectKind):
    line = b'{"data": {"id": 7, "type": "%s", "attributes": {"external_ref": "a", "n": 1.50, "u": "\\u00e9"} }, "x": 1}'
    found = read(line % kind.wire.encode())
    assert isinstance(found, Line)
    assert (found.kind, found.external_ref) == (kind, "a")
    assert found.attributes == {"external_ref": "a", "n": "1.50", "u": "é"}
    assert found.text == '{"external_ref": "a", "n": 1.50, "u": "\\u00e9"}'
    assert classify(line % kind.wire.encode()) == kind


@pytest.mark.parametrize("rest", ["", ', "attributes": null', ', "attributes": {}'])
def test_a_line_without_attributes_has_none(rest: str):
    found = read(f'{{"data": {{"type": "subscription_plan"{rest}}}}}'.encode())
    assert isinstance(found, Line)
    assert (found.attributes, found.text, found.external_ref) == ({}, "{}", None)


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b"{", "the line is not JSON"),
        (b"[1]", "the line must be a JSON object, not a list"),
        (b"7", "the line must be a JSON object, not a number"),
        (b"{}", '"data" is required'),
        (b'{"data": []}', '"data" must be an object, not a list'),
        (b'{"data": {}}', '"data.type" is required'),
        (b'{"data": {"type": 7}}', '"data.type" must be one of subscription_product'),
        (b'{"data": {"type": "subscription_feature"}}', "not 'subscription_feature'"),
        (b'{"data": {"type": "subscription", "attributes": 7}}', '"data.attributes" must be an object, not a number'),
        (b'{"data": {"type": "subscription"}, "data": 1}', "the member 'data' stands twice"),
        (b'{"data": {"type": "subscription", "attributes": {"a": "\\ud800"}}}', "half of a surrogate pair"),
        (b'{"\\ud800": 1, "\\ud800": 2}', "\\ud800"),
        (b'{"data": {"type": "a\\u0000b"}}', "'a\\x00b'"),
        (b'{"data": {"type": "subscription", "attributes": {"a": NaN}}}', "NaN"),
        (b"[" * 200, "the line is not JSON"),
        (
            b'{"data": {"type": "subscription", "attributes": {"a": %s}}}' % (b"[" * 200 + b"]" * 200),
            "nested too deeply",
        ),
        (b"[" * 10_000 + b"]" * 10_000, "nested too deeply"),
        (b'{"data": {"type": "subscription", "a": [' + VALUES_MAX * b"1," + b"1]}}", f"up to {VALUES_MAX} values"),
    ],
)
def test_what_is_wrong_with_a_line_as_a_whole_is_said(line: bytes, error: str):
    assert error in said(line)


def test_a_reference_that_none_can_be_is_none():
    for value in ("", "a\0", 2_049 * "x", 7, None, ["a"]):
        found = read(
            json.dumps({"data": {"type": "subscription_plan", "attributes": {"external_ref": value}}}).encode()
        )
        assert isinstance(found, Line)
        assert found.external_ref is None


MEMBER = st.sampled_from(["type", "attributes", "data", "id", "t\\u0079pe", "external_ref"])
VALUE_TEXT = st.recursive(
    st.sampled_from(['"subscription"', '"type"', '"\\ud800"', "1.50", "01", "NaN", "null", "[1, 2", "{}"]),
    lambda v: st.lists(st.tuples(MEMBER, v), max_size=3).map(
        lambda pairs: "{" + ", ".join(f'"{name}": {value}' for name, value in pairs) + "}"
    ),
)


@settings(deadline=None)
@given(
    st.one_of(
        VALUE_TEXT.map(lambda v: f'{{"data": {{"type": "subscription", "attributes": {v}}}}}'),
        VALUE_TEXT.map(lambda v: f'{{"data": {v}}}'),
        VALUE_TEXT,
    )
)
def test_a_line_in_the_usual_form_says_what_it_says_when_it_is_looked_at_closely(text: str):
    with mock.patch.object(lines, "_read_quickly", return_value=None):
        closely = read(text.encode())
    assert read(text.encode()) == closely


@settings(deadline=None)
@given(
    st.one_of(
        st.binary(),
        VALUES.map(lambda v: json.dumps(v).encode()),
        st.dictionaries(
            st.just("data"),
            st.dictionaries(
                st.sampled_from(["type", "attributes"]), VALUES | st.sampled_from([k.wire for k in ObjectKind])
            ),
        ).map(lambda v: json.dumps(v).encode()),
    )
)
def test_what_is_counted_as_uploaded_is_what_can_be_read(line: bytes):
    """A line of no kind is refused as a whole; one that can be read is of the kind under which it was counted."""
    found = read(line)
    if classify(line) == 0:
        assert isinstance(found, list)
    if isinstance(found, Line):
        assert classify(line) == found.kind
