"""What a request body holds, and every fault of its shape."""

import json

import pytest

from ratemill.errors import BadRequest
from ratemill.nesting import NESTING_MAX
from ratemill.records import Route, read_element, read_elements


def faults_of(body: bytes, route: Route = "rows", rows_max: int = 1_000) -> list[tuple[int, int | None]]:
    with pytest.raises(BadRequest) as caught:
        read_elements(body, route, rows_max=rows_max)
    return [(fault.code, fault.row) for fault in caught.value.faults]


def test_rows_come_back_as_they_were_sent():
    assert read_elements('{"data":["a,b","ü"," "]}'.encode(), "rows", rows_max=3).texts == ["a,b", "ü", " "]


def test_a_thousand_rows_are_taken_and_one_more_is_not():
    rows = ",".join(['"x"'] * 1_000)
    assert len(read_elements(f'{{"data":[{rows}]}}'.encode(), "rows", rows_max=1_000).texts) == 1_000
    assert faults_of(f'{{"data":[{rows},"x"]}}'.encode()) == [(1436, None)]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", 1431),
        (b'{"data":["a"', 1431),
        (b'{"data":[NaN]}', 1431),
        (b'\xff\xfe{"data":["a"]}', 1431),
        (b'{"data":["\xff"]}', 1431),
        (b"[" * 100_000, 1431),
        (b"[]", 1432),
        (b'"data"', 1432),
        (b"null", 1432),
        (b"{}", 1433),
        (b'{"data":[]}', 1433),
        (b'{"data":null}', 1434),
        (b'{"data":"a,b"}', 1434),
        (b'{"data":{"a":1}}', 1434),
    ],
)
def test_a_body_of_the_wrong_shape_is_refused_whole(body: bytes, code: int):
    assert faults_of(body) == [(code, None)]


def test_every_element_of_the_wrong_type_is_named():
    assert faults_of(b'{"data":["a",1,"b",null,{},["c"],true]}') == [(1435, row) for row in (2, 4, 5, 6, 7)]


def test_half_a_surrogate_pair_is_the_fault_of_its_row_alone():
    elements = read_elements(b'{"data":["a","b\\ud800","c\\ud83d\\ude00"]}', "rows", rows_max=3)
    assert elements.unreadable == [2]
    assert elements.texts == ["a", "b\ufffd", "c😀"]


@pytest.mark.parametrize(
    ("body", "route", "texts"),
    [
        (
            rb'{"data":[{"v":0.12345678901234567890},{"v":"\ud800"},{"v":"\ud83d\ude00"},{"\\ud800\udc00":"\\"}]}',
            "multi",
            ['{"v":0.12345678901234567890}', r'{"v":"\ud800"}', r'{"v":"\ud83d\ude00"}', r'{"\\ud800\udc00":"\\"}'],
        ),
        (rb'{"v":"\ud800"}', "single", [r'{"v":"\ud800"}']),
        (rb'{"data":{"v":"\udc00\ud800"}}', "single", [r'{"v":"\udc00\ud800"}']),
        (b'{"data":[{"v":1e400},{"v":1}]}', "multi", ['{"v":1e400}', '{"v":1}']),
        (b'{"v":1e400}', "single", ['{"v":1e400}']),
    ],
)
def test_what_the_quick_parser_does_not_take_stays_as_it_came(body: bytes, route: Route, texts: list[str]):
    assert read_elements(body, route, rows_max=4).texts == texts


@pytest.mark.parametrize("body", [b'{"data":{"v":1e400}}', b'{"data":{"v":0.12345678901234567890}}'])
def test_a_mended_object_keeps_the_digits_of_its_numbers(body: bytes):
    assert read_element(body, "multi") == body.decode()[len('{"data":') : -1]


def test_objects_keep_the_digits_of_their_numbers():
    elements = read_elements(b'{"data":[{"Value":1.10},{"Value":12345678901234567890.123}]}', "multi", rows_max=3)
    assert elements.texts == ['{"Value":1.10}', '{"Value":12345678901234567890.123}']
    assert elements.are_objects


@pytest.mark.parametrize("body", [b'{"Value":1}', b'{"data":{"Value":1}}', b'{"data":[{"Value":1}]}', b' {"Value":1} '])
def test_one_record_may_be_bare_or_wrapped(body: bytes):
    assert read_elements(body, "single", rows_max=1_000).texts == ['{"Value":1}']


@pytest.mark.parametrize(
    ("body", "route", "expected"),
    [
        (b"{}", "single", [(1433, None)]),
        (b"{}", "multi", [(1433, None)]),
        (b'{"data":[]}', "single", [(1433, None)]),
        (b'{"data":{}}', "single", [(1433, None)]),
        (b'{"data":{ },"x":1e400}', "single", [(1433, None)]),
        (b'{"data":[{},{}]}', "single", [(1437, None)]),
        (b'{"data":{"Value":1}}', "multi", [(1434, None)]),
        (b'{"data":[{"a":1},"b",3]}', "multi", [(1435, 2), (1435, 3)]),
        (b'{"data":[{"a":}]}', "multi", [(1431, None)]),
        (b"[]", "multi", [(1432, None)]),
    ],
)
def test_json_routes_refuse_what_holds_no_objects(body: bytes, route: Route, expected: list[tuple[int, int | None]]):
    assert faults_of(body, route) == expected


@pytest.mark.parametrize("odd", ['"\\ud800"', "1e400", "9" * 5_000, '{"\\udfff":[1.10]}'])
def test_what_no_text_or_number_can_be_is_the_fault_of_its_object_alone(odd: str):
    texts = [f'{{"Value":{odd}}}', '{"Value" : 0.12345678901234567890123, "b":[ "]}", {"a" : 1.10} ]}', '{"a":"\\"}]"}']
    body = f' {{ "x" : {odd} ,"data": [ {texts[0]},{texts[1]} , {texts[2]} ] }} '.encode()
    assert read_elements(body, "multi", rows_max=3).texts == texts
    assert read_elements(texts[0].encode(), "single", rows_max=3).texts == texts[:1]
    assert read_elements(f'{{"data": {texts[0]} }}'.encode(), "single", rows_max=3).texts == texts[:1]
    assert read_elements(f'{{"x":{odd},"data":["a"]}}'.encode(), "rows", rows_max=3).texts == ["a"]


@pytest.mark.parametrize("odd", ["1", "1e400"])
@pytest.mark.parametrize("route", ["rows", "multi", "single"])
def test_a_body_is_nested_no_deeper_than_every_reader_can_follow(route: Route, odd: str):
    def body(levels: int) -> bytes:
        nested = "[" * levels + odd + "]" * levels
        return f'{{"x":{nested},"data":["a"]}}'.encode() if route == "rows" else f'{{"x":{nested}}}'.encode()

    def wrapped(levels: int) -> bytes:
        return body(levels) if route != "multi" else b'{"data":[' + body(levels - 2) + b"]}"

    assert read_elements(wrapped(NESTING_MAX - 1), route, rows_max=1)
    for levels in (NESTING_MAX, 980, 100_000):
        if route == "multi":  # the row is refused when it is mediated
            assert read_elements(wrapped(levels), route, rows_max=1).texts == [body(levels - 2).decode()]
        else:
            assert faults_of(wrapped(levels), route) == [(1431, None)]


def test_brackets_inside_texts_are_no_levels():
    texts = ["[{" * 500, '"[' * 500, "\\"]
    assert read_elements(json.dumps({"data": texts}).encode(), "rows", rows_max=3).texts == texts


@pytest.mark.parametrize(
    ("body", "route", "expected"),
    [
        (b'{"x":1e400}', "multi", [(1433, None)]),
        (b'{"x":1e400,"data":5}', "multi", [(1434, None)]),
        (b'{"x":1e400,"data":[{},{}]}', "single", [(1437, None)]),
        (b'{"data":[{},1e400,"\\ud800",["\\ud800"]]}', "multi", [(1435, 2), (1435, 3), (1435, 4)]),
        (b'{"data":[1e400]}', "rows", [(1435, 1)]),
        (b"[1e400]", "multi", [(1432, None)]),
        (b'{"x":1e400,"data":[{}],}', "multi", [(1431, None)]),
    ],
)
def test_odd_values_hide_no_fault_of_the_shape(body: bytes, route: Route, expected: list[tuple[int, int | None]]):
    assert faults_of(body, route) == expected


def test_objects_that_nest_too_deeply_are_kept_as_they_were_sent_for_mediation_to_refuse():
    deep = '{"a":' + "[" * NESTING_MAX + "]" * NESTING_MAX + "}"
    body = f'{{"data":[{{}},{deep},{{"a":1}},{deep}]}}'.encode()
    assert read_elements(body, "multi", rows_max=9).texts == ["{}", deep, '{"a":1}', deep]
    assert faults_of(body, "multi", rows_max=3) == [(1436, None)]


def test_a_body_of_too_many_brackets_is_not_looked_through():
    deep = b'{"a":' * 400_000 + b"1" + b"}" * 400_000
    assert faults_of(b'{"data":[' + deep + b"]}", "multi") == [(1431, None)]
