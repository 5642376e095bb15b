"""From bytes to records and requests: what is one record, and that the same bytes always give the same requests."""

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ratemill.client.records import Form, make_requests, read_records
from ratemill.records import read_elements

CSV = Form("csv")


def records_of(content: bytes, form: Form = CSV, *, block: int = 7) -> list[str]:
    return [text for text, _ in read_records((content[at : at + block] for at in range(0, len(content), block)), form)]


@pytest.mark.parametrize("form", [CSV, Form("columnar"), Form("csv", quote="")])
@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", []),
        (b"\n\n", []),
        (b"a,1\nb,2\n", ["a,1", "b,2"]),
        (b"a,1\nb,2", ["a,1", "b,2"]),
        (b"a,1\r\nb,2\r\n", ["a,1", "b,2"]),
        (b"a,1\n\n  \n\t\r\nb,2\n", ["a,1", "b,2"]),
        (b"\xef\xbb\xbfa,1\nb,2\n", ["a,1", "b,2"]),
        (b"\xef\xbb\xbf", []),
        ("ü,€\n\u2028x\x0cy,\x85\n".encode(), ["ü,€", "\u2028x\x0cy,\x85"]),
        (b" a \nb\x00c\n", [" a ", "b\x00c"]),
    ],
)
def test_a_line_is_a_record(content: bytes, expected: list[str], form: Form):
    assert records_of(content, form) == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'a,"1,5"\nb,2\n', ['a,"1,5"', "b,2"]),
        (b'a,"x\ny"\nb,2\n', ['a,"x\ny"', "b,2"]),
        (b'a,"x\r\n\r\ny"\r\nb,2\r\n', ['a,"x\r\n\r\ny"', "b,2"]),
        (b'"a ""quoted"" text",1\nb,2\n', ['"a ""quoted"" text",1', "b,2"]),
        (b'5" pipe,1\nb,2\n', ['5" pipe,1', "b,2"]),
        (b'5" pipe,"x\ny"\nb,2\n', ['5" pipe,"x\ny"', "b,2"]),
        (b'\xef\xbb\xbf"a","x\ny"\nb,2\n', ['"a","x\ny"', "b,2"]),
    ],
)
def test_a_line_break_inside_quotes_ends_no_record(content: bytes, expected: list[str]):
    assert records_of(content) == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'a,"1\nb,2\nc,3\n', ['a,"1', "b,2", "c,3"]),  # never closed
        (b'a,"1\nb,"2"\nc,3\n', ['a,"1', 'b,"2"', "c,3"]),  # the next quote would close it, but not as a field ends
        (b'a,"1" x\nb,2\n', ['a,"1" x', "b,2"]),
    ],
)
def test_a_quote_that_is_never_properly_closed_spoils_its_own_line_only(content: bytes, expected: list[str]):
    assert records_of(content) == expected


def test_an_open_quote_takes_no_more_than_a_record_may_have():
    rest = [f"b{number},2" for number in range(20_000)]
    assert records_of("\n".join(['a,"1', *rest, 'z,"']).encode(), block=100_000) == ['a,"1', *rest, 'z,"']


def test_without_a_quote_every_line_is_a_record():
    assert records_of(b'a,"x\ny"\n', Form("csv", quote="")) == ['a,"x', 'y"']


def test_another_delimiter_and_quote():
    assert records_of(b"a;'x;\ny'\nb;2\n", Form("csv", delimiter=";", quote="'")) == ["a;'x;\ny'", "b;2"]


def test_the_header_can_be_left_out():
    assert records_of(b"\xef\xbb\xbfName,Value\na,1\n", Form("csv", skip_header=True)) == ["a,1"]


field = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\x00"), max_size=6) | st.sampled_from(
    ['"', "\n", "\r\n", 'a"b', ",", "x"]
)


@given(
    st.lists(st.lists(field, min_size=2, max_size=3), max_size=8), st.integers(1, 9), st.sampled_from(["\n", "\r\n"])
)
def test_whatever_a_csv_writer_writes_comes_back_a_record_a_row(rows: list[list[str]], block: int, ending: str):
    file = io.StringIO()
    csv.writer(file, lineterminator=ending, quoting=csv.QUOTE_ALL).writerows(rows)
    found = records_of(file.getvalue().encode(), block=block)
    assert [next(csv.reader(io.StringIO(text, newline=""), strict=True)) for text in found] == rows


def test_a_request_has_at_most_a_thousand_records_and_knows_its_first_line():
    content = b"".join(b"%d,x\n\n" % number for number in range(2_500))
    requests = list(make_requests(read_records([content], CSV), CSV))
    assert [(each.number, each.records, each.line) for each in requests] == [
        (1, 1000, 1),
        (2, 1000, 2001),
        (3, 500, 4001),
    ]
    texts = [text for each in requests for text in read_elements(each.body, "rows", rows_max=1_000).texts]
    assert texts == [f"{number},x" for number in range(2_500)]


def test_long_records_make_more_requests_so_that_each_fits_a_body():
    content = (b'"' + b"\x01" * 1_000_000 + b'"\n') * 5
    requests = list(make_requests(read_records([content], CSV), CSV))
    assert [each.records for each in requests] == [2, 2, 1]
    assert max(len(each.body) for each in requests) < 16 * 1024 * 1024


@given(st.integers(1, 40))
def test_the_same_bytes_make_the_same_requests_however_they_are_read(block: int):
    content = b'a,"x\ny"\nb,2\n\n5" p,3\r\n' * 3
    whole = [each.sha256 for each in make_requests(read_records([content], CSV), CSV)]
    parts = (content[at : at + block] for at in range(0, len(content), block))
    assert [each.sha256 for each in make_requests(read_records(parts, CSV), CSV)] == whole


def test_objects_keep_the_digits_of_their_numbers():
    form = Form("jsonl", "multi")
    request = next(make_requests(read_records([b'{"Value":1.10}\n\n{"Value":12345678901234567890.5}\n'], form), form))
    assert request.body == b'{"data":[{"Value":1.10},{"Value":12345678901234567890.5}]}'
    assert json.loads(request.body)["data"]
