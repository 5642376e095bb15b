"""What a body may be: members named once, gzip read to its end and bounded, JSON of bounded depth."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator

import pytest
from tests.fixtures.mill import GUIDE_ROW, Mill, guide_row, mill

from ratemill.api.http.bodies import _unpack, object_of
from ratemill.errors import BadRequest, ContentTooLarge
from ratemill.settings import Settings
from ratemill.store.connections import Database

HEALTHY = json.dumps({"data": [GUIDE_ROW]})
OTHER = json.dumps([guide_row(2)])


@pytest.fixture(scope="module")
def mine(database: Database, settings: Settings) -> Iterator[Mill]:
    with mill(database, settings) as made:
        yield made


@pytest.mark.parametrize("internal", ["", "/internal"])
@pytest.mark.parametrize(
    ("route", "body"),
    [
        ("", f'{{"data": {OTHER}, "data": {OTHER}}}'),
        ("", f'{{"data": 1, "data": {OTHER}}}'),
        ("", f'{{"d\\u0061ta": {OTHER}, "data": {OTHER}}}'),
        ("", f'{{"data": {OTHER}, "\\u0064\\u0061\\u0074\\u0061": {OTHER}}}'),
        ("", f'{{"data": ["data"], "data": {OTHER}}}'),
        ("/Json/Multi", '{"data": [{"a": 1}], "data": [{"a": 1}]}'),
        ("/Json/Multi", '{"data": [{"data": 1}], "x": {"data": 1}, "data": [{"a": 1}]}'),
        ("/Json", '{"data": {"a": 1}, "data": {"a": 1}}'),
        ("/Json", '{"data": [{"a": 1}], "data": {"a": 1}}'),
    ],
)
def test_a_body_that_names_data_twice_is_refused_and_leaves_nothing(mine, internal, route, body):
    answer = mine.request("POST", f"{internal}/DataImport/Usage{route}/guideFeed", content=body)
    assert answer.status_code == 400, answer.text
    assert answer.json()["errors"] == [
        {"code": 1440, "message": "the body has the member 'data' twice; send it once", "field": "data"}
    ]
    assert mine.value("select count(*) from submissions") == 0


@pytest.mark.parametrize(
    ("route", "body"),
    [
        ("", HEALTHY),
        ("", json.dumps({"data": [GUIDE_ROW, "data", '"data"', "é"], "x": {"data": 1}})),
        ("", ' {\n"other": [1], "other": [2], "data":["a"]} '),
        ("/Json/Multi", '{"data": [{"data": 1}, {"data": [2]}]}'),
        ("/Json", '{"data": {"data": {"data": 1}}}'),
    ],
)
def test_a_body_that_names_data_once_is_taken_whatever_its_records_hold(mine, route, body):
    assert mine.request("POST", f"/DataImport/Usage{route}/guideFeed", content=body).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/UsageRatedExceptionSchedule/Reprocess", '{"all": true, "all": true}'),
        ("POST", "/Usage/Class/Search", '{"condition": "and", "search": [], "search": []}'),
        ("POST", "/Usage/Class", '{"name": "a", "name": "b"}'),
        ("POST", "/Account", '{"name": "a", "currencyName": "USD", "name": "b"}'),
        ("POST", "api/data/user1", '{"id": "a", "id": "b"}'),
        ("POST", "api/Import/User1s/Batch", '{"importFileName": "a", "pageSize": 1, "totalItems": 1, "totalItems": 2}'),
        ("POST", "v2/subscriptions/products", '{"data": {"type": "subscription_product"}, "data": {}}'),
    ],
)
def test_a_member_named_twice_is_refused_in_every_dialect(mine, method, path, body):
    answer = mine.request(method, path, content=body)
    assert answer.status_code == 400, answer.text
    assert "twice" in answer.text or "duplicate" in answer.text, answer.text


def test_gzip_of_several_members_is_read_whole_and_what_follows_it_is_refused():
    first, second = gzip.compress(b"a,b\n"), gzip.compress(b"c,d\n")
    assert _unpack(first + second, 100) == b"a,b\nc,d\n"
    for broken, message in (
        (first + b"more", "the bytes from 25 on are not gzip"),
        (first + second[:-3], "ends before its gzip"),
        (b"", "ends before its gzip"),
        (b"plain", "the body is not gzip"),
    ):
        with pytest.raises(BadRequest, match=message):
            _unpack(broken, 100)
    for members in (1, 5):
        with pytest.raises(ContentTooLarge):
            _unpack(members * gzip.compress(bytes(100_000 // members)), 99_999)


def test_an_object_is_bounded_in_depth():
    deep = 99 * '{"a":' + "1" + 99 * "}"
    assert object_of(deep.encode())
    for text in ('{"a":' * 101 + "1" + "}" * 101, '{"a":' + "[" * 1_000_000):
        with pytest.raises(BadRequest, match="nested too deeply"):
            object_of(text.encode())


@pytest.mark.parametrize("path", ["/DataImport/Usage/guideFeed", "/Usage/ClassType/"])
def test_packed_json_is_415_and_names_the_field(mine, path):
    answer = mine.request("POST", path, content=gzip.compress(HEALTHY.encode()), headers={"Content-Encoding": "gzip"})
    assert answer.status_code == 415
    assert "Content-Encoding 'gzip'" in answer.text
