"""Pages of a batch of items: what is checked when one comes, sending one again, reading one back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from tests.fixtures.item_batches import BATCH, call, codes, opened, page, small_mill, warned
from tests.fixtures.mill import Mill

from ratemill.settings import Settings
from ratemill.store.connections import Database


@pytest.fixture(scope="module")
def mine(database: Database, settings: Settings) -> Iterator[Mill]:
    with small_mill(database, settings) as made:
        yield made


# Pages


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"items": [{"id": "a"}]}, [("member_required", "pageNumber")]),
        ({"pageNumber": 0}, [("member_required", "items")]),
        ({"PageNumber": 0, "items": [{"id": "a"}]}, [("member_required", "pageNumber")]),
        (page(2, "a"), [("page_number_out_of_span", "pageNumber")]),
        (page(-1, "a"), [("page_number_out_of_span", "pageNumber")]),
        (page(0, "a", "b", "c"), [("too_many_items", "items")]),
        (page(0), [("must_be_a_list", "items")]),
        (
            {"pageNumber": 9, "items": [{"id": 1, "comment": 2}, 3]},
            [
                ("page_number_out_of_span", "pageNumber"),
                ("must_be_a_text", "items[0].id"),
                ("must_be_a_text", "items[0].comment"),
                ("must_be_an_object", "items[1]"),
            ],
        ),
    ],
)
def test_what_is_wrong_with_a_page_is_said_at_once_and_it_is_not_kept(
    mine: Mill, body: dict[str, Any], found: list[tuple[str, str]]
):
    batch_id = opened(mine)
    answer = call(mine, "PATCH", f"{BATCH}/{batch_id}?Submit", body)
    assert (answer.status_code, codes(answer)) == (400, found)
    assert call(mine, "GET", f"{BATCH}/{batch_id}").json()["result"]["receivedItems"] == 0


def test_the_span_of_pages_is_named(mine: Mill):
    answer = call(mine, "PATCH", f"{BATCH}/{opened(mine)}", page(2, "a"))
    assert answer.json()["errors"][0]["message"] == "pageNumber must be 0 to 1 (4 items in pages of 2), not 2"


def test_a_page_that_is_sent_again_takes_the_place_of_the_first(mine: Mill):
    path = f"{BATCH}/{opened(mine)}"
    assert warned(call(mine, "PATCH", path, page(0, "a", "b"))) == []
    assert warned(call(mine, "PATCH", path, page(0, "c"))) == [
        ("page_replaced", "pageNumber"),
        ("page_not_full", "items"),
    ]
    known = call(mine, "GET", path).json()["result"]
    assert (known["receivedItems"], known["items"]) == (1, [{"id": "c"}])
    assert call(mine, "PATCH", path, page(1, "d")).json()["warnings"] == []


def test_more_items_than_were_announced_are_refused_with_their_page(mine: Mill):
    path = f"{BATCH}/{opened(mine, totalItems=3)}"
    call(mine, "PATCH", path, page(0, "a", "b"))
    answer = call(mine, "PATCH", path, page(1, "c", "d"))
    assert (answer.status_code, codes(answer)) == (400, [("too_many_items", "items")])
    assert call(mine, "GET", path).json()["result"]["receivedItems"] == 2
    assert call(mine, "PATCH", f"{path}?Submit", page(1, "c")).status_code == 200


def test_what_was_sent_is_given_back_byte_by_byte(mine: Mill):
    path = f"{BATCH}/{opened(mine)}"
    items = '[ {"ud_z": 87.0, "ud_a": 1E+2,\n "id":"\\u00e9\\u20ac", "x": -0, "comment": "ü\\/"},{"id" : "2"}]'
    call(mine, "PATCH", path, f'{{"items": {items}, "pageNumber": 1}}'.encode())
    assert f'"items":{items}}}' in call(mine, "GET", f"{path}?pageNumber=1").text
    assert call(mine, "GET", path).json()["result"]["items"] == []
    marked = b"\xef\xbb\xbf" + json.dumps(page(0, "a")).encode()
    assert call(mine, "PATCH", path, marked).status_code == 200


@pytest.mark.parametrize(
    ("text", "status"), [("pagenumber=1", 200), ("pageNumber=2", 400), ("pageNumber=x", 400), ("pageNumber=-1", 400)]
)
def test_a_page_is_read_by_its_number(mine: Mill, text: str, status: int):
    path = f"{BATCH}/{opened(mine)}?{text}"
    answer = call(mine, "GET", path)
    assert answer.status_code == status
    if status == 200:
        assert answer.json()["result"]["pageNumber"] == 1
    else:
        assert codes(answer)[0][1] == "pageNumber"


def test_pages_that_come_together_are_all_counted(mine: Mill):
    total = 32
    path = f"{BATCH}/{opened(mine, pageSize=2, totalItems=total)}"

    def send(number: int) -> int:
        return call(mine, "PATCH", path, page(number, f"{number}a", f"{number}b")).status_code

    with ThreadPoolExecutor(8) as clients:
        assert set(clients.map(send, [*range(total // 2), *range(total // 2)])) == {200}
    assert call(mine, "GET", path).json()["result"]["receivedItems"] == total
    assert call(mine, "PATCH", f"{path}?Submit").status_code == 200


def test_the_characteristic_of_a_batch_is_told_by_its_items(mine: Mill):
    batch_id = opened(mine)
    path = f"{BATCH}/{batch_id}"
    told = {"id": "a", "user7BOMHeaders": [{"user7BOMDetails": [{"udKey7Reference": {"id": "b"}}]}]}
    call(mine, "PATCH", path, page(0, "x", "y"))
    assert mine.value("select characteristic from characteristic_batches where batch_id = %s", batch_id) is None
    call(mine, "PATCH", path, {"pageNumber": 1, "items": [told, {"id": "c"}]})
    assert mine.value("select characteristic from characteristic_batches where batch_id = %s", batch_id) == 7
    other = {"id": "a", "user8BOMHeaders": []}
    assert warned(call(mine, "PATCH", path, {"pageNumber": 1, "items": [other, {"id": "c"}]}))[0] == (
        "other_characteristic",
        "items[0].user8BOMHeaders",
    )
