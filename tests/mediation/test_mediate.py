"""The stage as a whole: every row ends once, alone or in company; requests as a whole; the dry run."""

import random

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.mediation.tables import CLASSES, GUIDE_ROW, ends, faults, guide, guide_row, mediated, raw, short

from ratemill.columns import KEYS, RAW, REFUSED, SKIPPED, USAGE
from ratemill.mediation.mediate import MediationResult, mediate, refuse, rehearse

PLACE = ["submission_id", "row_index"]


def test_the_guides_own_record():
    [row] = mediated([GUIDE_ROW], guide()).usage.to_dicts()
    assert row["usage_at"].isoformat() == "2022-05-01T01:01:00.010000+00:00"
    del row["usage_at"]
    assert row | {"quantity": str(row["quantity"])} == {
        "submission_id": 1,
        "row_index": 1,
        "batch_id": 17,
        "identifier_type": "Unknown",
        "usage_identifier": "648-688-4180",
        "originating_identifier": "4038675309",
        "terminating_identifier": "4038675345",
        "quantity": "94.000000000000",
        "inbound": False,
        "reverse_rating": False,
        "usage_class_id": 7,
        "usage_class_type": "Data_1",
        "uniqueness_identifier": "2022-05-01T01:01:00.01",
        "extension": None,
    }


def test_the_tables_have_the_columns_of_the_ground_whatever_there_is():
    for rows in ([], [GUIDE_ROW], ["x"], [GUIDE_ROW, "x"]):
        result = mediated(rows, guide())
        assert result.usage.schema == USAGE
        assert result.keys.schema == KEYS
        assert result.skipped.schema == SKIPPED
        assert result.refused.schema == REFUSED
        mediated(rows, guide(format="json", envelope="request"))


def test_a_whole_request_is_refused_for_one_row():
    profile = short(
        {"name": "type"}, envelope="request", filter={"search": [{"name": "type", "operator": "notEq", "value": "x"}]}
    )
    good, bad, other = "a,1,2022-05-01,voice,", "a,?,2022-05-01,voice,", "a,1,2022-05-01,voice,x"
    table = raw([good, bad, other, bad, good, good, other], submission_rows=5)
    result = mediate(table, profile, usage_classes=CLASSES)
    assert result.usage.select(PLACE).rows() == [(2, 1)]
    assert result.skipped.select(PLACE).rows() == [(1, 3), (2, 2)]
    assert result.refused.select("row_index", "reason_id", "value").rows() == [
        (1, 1302, "2"),
        (2, 1203, "?"),
        (4, 1203, "?"),
        (5, 1302, "2"),
    ]
    assert faults(result, 5) == [("another_row_of_the_request_was_refused", None, "2")]


def test_a_dry_run_shows_every_step():
    profile = short(
        {"name": "value", "transforms": [{"type": "trim"}]},
        {"name": "note"},
        mappings=[{"target": "zone", "combine": {"sources": ["note", "value"]}}],
    )
    shown = rehearse(raw(["a, 5 ,2022-05-01,voice,x", "b,q,2022-05-01,voice,", "c"]), profile, usage_classes=CLASSES)
    assert shown.parsed["value"].to_list() == [" 5 ", "q"]
    assert shown.mapped.select("row_index", "value", "zone").rows() == [(1, "5", "x5"), (2, "q", "q")]
    assert ends(shown.mediated) == {1: "usage", 2: "value_must_be_a_number", 3: "row_has_too_few_fields"}


def test_a_caller_may_refuse_rows_itself():
    refused = refuse(raw(["a", "b\x00"]), "could_not_be_processed", "the engine stopped")
    assert refused.schema == REFUSED
    assert refused.select("row_index", "reason_id", "value", "raw").rows() == [
        (1, 1901, "the engine stopped", "a"),
        (2, 1901, "the engine stopped", "b\ufffd"),
    ]
    assert refuse(raw([]), "could_not_be_processed").height == 0


def test_the_order_of_the_raw_rows_does_not_matter():
    table = raw([guide_row(Value=str(value)) for value in (1, "x", 2, "y", 3)], submission_rows=2)
    one = mediate(table, guide(), usage_classes=CLASSES)
    other = mediate(table.sample(fraction=1, shuffle=True, seed=5), guide(), usage_classes=CLASSES)
    assert_same(one, other)


def assert_same(one: MediationResult, other: MediationResult) -> None:
    for name in ("usage", "keys", "skipped", "refused"):
        assert getattr(one, name).equals(getattr(other, name)), name


PROFILES = {
    "csv": guide(
        headerRow=True, filter={"search": [{"name": "UsageClassTypeName", "operator": "notEq", "value": "x"}]}
    ),
    "window": guide(duplicateWindowDays=30, timeZone="Europe/Berlin"),
    "json": guide(format="json", unknownKeys="refuse"),
    "formula": guide(mappings=[{"target": "value", "formula": "Value / Inbound"}]),
    "columnar": guide(
        format="columnar", fields=[{"name": each, "start": 1 + at * 8, "length": 8} for at, each in enumerate(
            ["DateTime", "UdrUsageIdentifier", "Value", "UsageClassName", "Inbound"])]
    ),
}  # fmt: skip
pieces = st.sampled_from(
    [
        "2022-05-01",
        "2022-02-30",
        "a",
        "",
        "94",
        "-1",
        "1e2",
        "0",
        "True",
        "voice",
        "x",
        '"',
        '"q"',
        "\n",
        "\x00",
        "é",
        "9" * 30,
    ]
)
texts = st.one_of(
    st.just(GUIDE_ROW),
    st.lists(pieces, min_size=11, max_size=11).map(",".join),
    st.builds(guide_row, Value=pieces, Inbound=pieces, DateTime=pieces, UsageClassTypeName=pieces),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=60),
    st.just('{"DateTime":"2022-05-01","UdrUsageIdentifier":"a","Value":1.50,"UsageClassName":"voice"}'),
    st.just('{"DateTime":"2022-05-01","extra":[1,{"a":null}]}'),
)


@pytest.mark.parametrize("profile", list(PROFILES.values()), ids=list(PROFILES))
@given(rows=st.lists(st.tuples(texts, st.booleans()), max_size=25), cut=st.integers(0, 25))
@settings(max_examples=40, deadline=None)
def test_every_row_ends_once_and_cuts_change_nothing(profile, rows, cut):
    table = raw([text for text, _ in rows], submission_rows=7).with_columns(
        is_object=pl.Series([is_object for _, is_object in rows], dtype=pl.Boolean)
    )
    whole = mediate(table, profile, usage_classes=CLASSES)
    found = pl.concat([part.select(PLACE) for part in (whole.usage, whole.skipped, whole.refused)])
    assert found.sort(PLACE).equals(table.select(PLACE))
    for part in (whole.usage, whole.keys, whole.skipped, whole.refused):
        assert part.select(PLACE).equals(part.select(PLACE).sort(PLACE))
    parts = [mediate(each, profile, usage_classes=CLASSES) for each in (table.head(cut), table[cut:])]
    for name in ("usage", "keys", "skipped", "refused"):
        assert pl.concat([getattr(each, name) for each in parts]).equals(getattr(whole, name)), name
    for column in whole.refused["raw", "value", "faults"]:
        assert not column.str.contains("\x00", literal=True).any()


def test_one_bad_row_in_a_thousand_of_each_kind_leaves_all_others():
    rows = [guide_row(Value=str(at)) for at in range(1, 1_001)]
    bad = random.Random(5).sample(range(1_000), 20)
    for at in bad:
        rows[at] = ['"', "x,y", guide_row(Value="q"), "\x00"][at % 4]
    result = mediated(rows, guide())
    assert result.usage.height == 980
    assert sorted(result.refused["row_index"].to_list()) == sorted(at + 1 for at in bad)
    assert result.usage["quantity"].sum() == sum(at + 1 for at in range(1_000) if at not in bad)


def test_raw_keeps_its_schema_in_the_tests():
    assert raw([GUIDE_ROW]).schema == RAW
