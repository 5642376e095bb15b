"""Rows are cut into fields: delimited, of fixed width; every bad form stands between two good rows."""

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.mediation.tables import CLASSES, GUIDE_ROW, ends, fate, faults, guide, guide_row, mediated, raw, short

from ratemill.mediation.mediate import rehearse
from ratemill.mediation.profiles.profile import read_profile
from ratemill.mediation.working import RowLimits

BAD_FORMS = {
    "nul": (GUIDE_ROW.replace("Unknown", "Un\x00known"), "row_must_not_contain_nul"),
    "line feed": (GUIDE_ROW.replace("Unknown", "Un\nknown"), "row_must_be_one_line"),
    "carriage return": (GUIDE_ROW.replace("Unknown", "Un\rknown"), "row_must_be_one_line"),
    "line feed at the end": (GUIDE_ROW + "\n", "row_must_be_one_line"),
    "line feed at the end of a quoted row": ('"' + GUIDE_ROW.replace(",", '","') + '"\r\n', "row_must_be_one_line"),
    "open quote": (GUIDE_ROW.replace("Unknown", '"Unknown'), "quote_must_be_closed"),
    "open quote at the end": (GUIDE_ROW + ',"', "quote_must_be_closed"),
    "text after a quote": (GUIDE_ROW.replace("Unknown", '"Un"known'), "quote_must_enclose_the_field"),
    "too few": (GUIDE_ROW.rsplit(",", 1)[0], "row_has_too_few_fields"),
    "too many": (GUIDE_ROW + ",", "row_has_too_many_fields"),
    "too few, quoted": ('"a,b",c', "row_has_too_few_fields"),
    "too many, quoted": (GUIDE_ROW + ',"a,b"', "row_has_too_many_fields"),
    "nothing": ("", "row_has_too_few_fields"),
    "an identifier of the sample": ("0298f4fc-5e63-4406-95ef-e622f1f578a0", "row_has_too_few_fields"),
}


@pytest.mark.parametrize(("text", "reason"), list(BAD_FORMS.values()), ids=list(BAD_FORMS))
def test_a_bad_row_stops_no_other(text: str, reason: str):
    result = mediated([GUIDE_ROW, text, GUIDE_ROW], guide())
    assert ends(result) == {1: "usage", 2: reason, 3: "usage"}
    assert result.refused["raw"][0] == text.replace("\x00", "\ufffd")


def test_all_bad_forms_at_once_keep_their_reasons():
    result = mediated([text for text, _ in BAD_FORMS.values()], guide())
    assert list(ends(result).values()) == [reason for _, reason in BAD_FORMS.values()]


def test_a_row_of_another_length_says_how_many_fields_it_has():
    assert faults(mediated(["a,b"], guide())) == [("row_has_too_few_fields", None, "2")]
    assert faults(mediated([GUIDE_ROW + ",x,y"], guide())) == [("row_has_too_many_fields", None, "13")]


def test_lone_surrogates_are_refused_as_the_caller_names_them():
    rows = raw([GUIDE_ROW, GUIDE_ROW.replace("Unknown", "\ufffd"), GUIDE_ROW])
    named = rows.filter(row_index=2)
    result = mediated(rows["raw"], guide(), unreadable=named.select("submission_id", "row_index"))
    assert ends(result) == {1: "usage", 2: "row_must_not_contain_lone_surrogates", 3: "usage"}
    assert fate(GUIDE_ROW.replace("Unknown", "\ufffd"), guide()) == "usage", "the character itself is one like others"


def test_quotes_hold_delimiters_quotes_and_line_breaks():
    row = 'a,1,2022-05-01,voice,"x, ""y"" \n z"'
    result = mediated([row], short({"name": "note"}, mappings=[{"target": "note", "source": "note"}]))
    assert result.usage["extension"][0] == '{"note":"x, \\"y\\" \\n z"}'


def test_quoted_fields_without_anything_special_are_read_like_others():
    plain = mediated([GUIDE_ROW], guide())
    quoted = mediated(['"' + GUIDE_ROW.replace(",", '","') + '"'], guide())
    assert quoted.usage.equals(plain.usage)
    assert quoted.keys.equals(plain.keys)


def test_another_delimiter_and_no_quote():
    profile = short(delimiter="|", quote="")
    assert fate('"a|1|2022-05-01|voice', profile) == "usage"
    assert fate("a|1|2022-05-01|voice\n", profile) == "row_must_be_one_line"
    assert fate("a|1|2022-05-01", profile) == "row_has_too_few_fields"


def test_a_header_is_skipped_only_as_row_1_and_only_if_declared():
    header = "udrUsageIdentifier,value,date,usageClassName"
    row = "a,1,2022-05-01,voice"
    assert ends(mediated([header, row], short(headerRow="true"))) == {1: "skipped", 2: "usage"}
    assert ends(mediated([row, header], short(headerRow=True)))[2] != "skipped"
    assert ends(mediated([header, row], short()))[1] != "skipped"


def test_a_field_has_a_limit():
    limits = RowLimits(field_chars_max=40)
    assert fate(guide_row(UniquenessIdentifier="é" * 40), guide(), limits=limits) == "usage"
    result = mediated([guide_row(UniquenessIdentifier="é" * 41)], guide(), limits=limits)
    assert faults(result) == [("field_must_not_be_too_long", "UniquenessIdentifier", "40")]


def test_the_limit_is_the_products_and_not_that_of_the_csv_module():
    row = guide_row(UniquenessIdentifier='"' + "x," * 100_000 + '"')
    assert fate(row, guide(), limits=RowLimits(field_chars_max=200_000)) == "usage"
    assert fate(row, guide()) == "field_must_not_be_too_long"


COLUMNAR = {
    "name": "wide",
    "format": "columnar",
    "fields": [
        {"name": "udrUsageIdentifier", "start": 1, "length": 8},
        {"name": "value", "start": 9, "length": "5"},
        {"name": "date", "start": 14, "length": 10},
        {"name": "usageClassName", "start": 24, "length": 10},
        {"name": "uniquenessIdentifier", "start": 34, "length": 5},
    ],
}


def test_columns_of_fixed_width_are_counted_in_characters_and_trimmed():
    result = mediated(["éé 12     94 2022-05-01voice     abcdefgh"], read_profile(COLUMNAR))
    [row] = result.usage.to_dicts()
    assert row["usage_identifier"] == "éé 12"
    assert row["quantity"] == 94
    assert row["usage_class_id"] == 8
    assert row["uniqueness_identifier"] == "abcde"


def test_a_short_columnar_row_lacks_its_last_fields():
    profile = read_profile(COLUMNAR)
    assert fate("12345678  94 2022-05-01voice", profile) == "usage"
    assert faults(mediated(["12345678  94 2022-05-01"], profile)) == [("field_is_required", "usageClassName", None)]
    assert fate("12345678  94 2022-05-01voice\n", profile) == "row_must_be_one_line"


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8)
csv_texts = st.one_of(texts, st.text(',"\n\r ab', max_size=6))


@given(st.lists(st.lists(csv_texts, min_size=3, max_size=3), min_size=1, max_size=20))
@settings(deadline=None)
def test_rows_that_the_csv_module_writes_come_back(rows: list[list[str]]):
    profile = short({"name": "x"}, {"name": "y"}, {"name": "z"})
    written = []
    for row in rows:
        out = io.StringIO()
        csv.writer(out).writerow(["a", "1", "2022-05-01", "voice", *row])
        written.append(out.getvalue().removesuffix("\r\n"))
    shown = rehearse(raw(written), profile, usage_classes=CLASSES).parsed
    assert [[text or "" for text in row] for row in shown.select("x", "y", "z").rows()] == rows
