"""Files of items: a JSON list, JSON lines and csv, each item as it is written, and pages that are always the same."""

import gzip
import json
from pathlib import Path

import pytest

from ratemill.client.characteristics.items import Shape, look_through, pages, shape_of
from ratemill.client.errors import UnreadableFile

AS_SENT = '{"ud_b": 87.0, "id":"a",  "big":123456789012345678901234567890, "far":1e999}'


def items(path: Path, shape: Shape) -> list[str]:
    return [item.text for item in look_through(path, shape).items()]


def write(tmp_path: Path, name: str, content: str | bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    ("name", "shape"),
    [("a.json", "json"), ("a.JSONL", "jsonl"), ("a.ndjson.gz", "jsonl"), ("a.csv.gz", "csv"), ("a.txt", None)],
)
def test_the_name_says_what_a_file_holds(name: str, shape: str | None):
    assert shape_of(Path(name), None) == shape
    assert shape_of(Path(name), "csv") == "csv"


def test_an_item_of_json_goes_out_as_it_stands(tmp_path: Path):
    assert items(write(tmp_path, "a.json", f"\ufeff[ {AS_SENT} ,\n {{}} ]"), "json") == [AS_SENT, "{}"]
    assert items(write(tmp_path, "a.jsonl", f"{AS_SENT}\r\n\n{{}}"), "jsonl") == [AS_SENT, "{}"]
    assert items(write(tmp_path, "a.gz", gzip.compress(AS_SENT.encode())), "jsonl") == [AS_SENT]


def test_a_row_of_csv_becomes_an_item_by_the_names_in_the_header(tmp_path: Path):
    header = "id,royaltyBearingFlag,parentReference.id,ud_weight:number,ud_sold:boolean,description"
    rows = '0123,TRUE,P 1,1.50,false,"two\nlines, ""quoted"""\nx,,,,,\n'
    first = (
        '{"id":"0123","royaltyBearingFlag":true,"parentReference":{"id":"P 1"},"ud_weight":1.50,"ud_sold":false,'
        '"description":"two\\nlines, \\"quoted\\""}'
    )
    assert items(write(tmp_path, "a.csv", f"{header}\n{rows}"), "csv") == [first, '{"id":"x"}']


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.json", "[", "is not one JSON list"),
        ("a.json", "[]", "holds no items"),
        ("a.json", '[{"id":"a"}, 7]', "item 2: is not one JSON object"),
        ("a.jsonl", '{"id":"a"}\n{"id":', "line 2: is not one JSON object"),
        ("a.jsonl", b"\xff", "line 1: is not UTF-8"),
        ("a.csv", "id,id\na,b", "line 1: names the member id twice"),
        ("a.csv", "parentReference,parentReference.id\na,b", "line 1: names the member parentReference twice"),
        ("a.csv", "id,ud_x:float\na,1", "'ud_x:float' is no column"),
        ("a.csv", "id,ud_x:number\na,1\nb,01", "line 3: '01' in column ud_x is no number"),
        ("a.csv", "id,aFlag\na,yes", "line 2: 'yes' in column aFlag is no boolean"),
        ("a.csv", "id,aFlag\na", "line 2: has 1 fields, the header 2"),
    ],
)
def test_what_cannot_be_sent_is_said_before_anything_is(tmp_path: Path, name: str, content: str | bytes, message: str):
    shape = shape_of(Path(name), None)
    assert shape is not None
    with pytest.raises(UnreadableFile, match="nothing was sent") as raised:
        look_through(write(tmp_path, name, content), shape)
    assert message in str(raised.value)


def test_pages_are_full_but_the_last_and_the_same_each_time(tmp_path: Path):
    lines = "\n".join(json.dumps({"id": str(number)}) for number in range(5))
    file = look_through(write(tmp_path, "a.jsonl", lines), "jsonl")
    made = list(pages(file.items(), 2))
    assert [page.body for page in made[::2]] == [
        b'{"pageNumber":0,"items":[{"id": "0"},{"id": "1"}]}',
        b'{"pageNumber":2,"items":[{"id": "4"}]}',
    ]
    assert [page.places for page in made] == [[1, 2], [3, 4], [5]]
    assert made == list(pages(file.items(), 2))
