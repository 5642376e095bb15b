"""Submitting and clearing a batch of items: what must be there, and what it takes afterwards."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.fixtures.item_batches import BATCH, call, codes, opened, page, small_mill, state
from tests.fixtures.mill import Mill

from ratemill.settings import Settings
from ratemill.store.connections import Database


@pytest.fixture(scope="module")
def mine(database: Database, settings: Settings) -> Iterator[Mill]:
    with small_mill(database, settings) as made:
        yield made


# Submit and clear


def test_a_batch_that_is_not_complete_stays_open_and_says_what_is_missing(mine: Mill):
    path = f"{BATCH}/{opened(mine, totalItems=9)}"
    call(mine, "PATCH", path, page(1, "a", "b"))
    answer = call(mine, "PATCH", f"{path}?Submit", page(2, "c"))
    assert (answer.status_code, codes(answer)) == (409, [("items_missing", "")])
    message = answer.json()["errors"][0]["message"]
    assert message == "3 of 9 items have been received; missing pages: 0, 3, 4; pages that are not full: 2"
    assert call(mine, "GET", f"{path}?pageNumber=2").json()["result"]["items"] == [{"id": "c"}]
    for number, ids in ((0, "ab"), (2, "cd"), (3, "ef"), (4, "g")):
        call(mine, "PATCH", path, page(number, *ids))
    assert call(mine, "PATCH", f"{path}?Submit").status_code == 200


def test_a_last_page_that_is_not_full_is_named_too(mine: Mill):
    path = f"{BATCH}/{opened(mine, totalItems=2)}"
    call(mine, "PATCH", path, page(0, "a"))
    message = call(mine, "PATCH", f"{path}?Submit").json()["errors"][0]["message"]
    assert message == "1 of 2 items have been received; pages that are not full: 0"


def test_only_the_first_hundred_missing_pages_are_named(mine: Mill):
    answer = call(mine, "PATCH", f"{BATCH}/{opened(mine, pageSize=1, totalItems=250)}?Submit")
    assert answer.json()["errors"][0]["message"].endswith("98, 99 and 150 more")


def test_a_submitted_batch_takes_no_page_no_submit_and_is_not_cleared_yet(mine: Mill):
    path = f"{BATCH}/{opened(mine, totalItems=1, **page(0, 'a'))}"
    assert call(mine, "PATCH", f"{path}?Submit").status_code == 200
    for method, end, body in (("PATCH", "?Submit", None), ("PATCH", "", page(0, "b")), ("POST", "/clear", None)):
        assert call(mine, method, path + end, body).status_code == 409
    assert call(mine, "GET", path).json()["result"]["items"] == [{"id": "a"}]


def test_a_cleared_batch_is_empty_and_closed_for_ever(mine: Mill):
    batch_id = opened(mine, totalItems=1, **page(0, "a"))
    path = f"{BATCH}/{batch_id}"
    for _ in range(2):
        cleared = call(mine, "POST", f"{path}/clear")
        assert (cleared.status_code, cleared.json()["result"], cleared.json()["warnings"]) == (200, {}, [])
    assert state(mine, batch_id) == "cleared"
    known = call(mine, "GET", path).json()["result"]
    assert (known["receivedItems"], known["items"], known["importFileName"]) == (0, [], "a file")
    for end, body in (("?Submit", None), ("", page(0, "b"))):
        answer = call(mine, "PATCH", path + end, body)
        assert (answer.status_code, codes(answer)) == (409, [("batch_cleared", "")])
        assert "create a new Import UserX Batch" in answer.json()["errors"][0]["message"]


@pytest.mark.parametrize("ended", ["completed", "completedWithErrors", "failed", "cancelled"])
def test_what_a_job_has_ended_can_be_cleared_and_keeps_its_state(mine: Mill, ended: str):
    batch_id = opened(mine, totalItems=1, **page(0, "a"))
    mine.change("update characteristic_batches set state = %s where batch_id = %s", ended, batch_id)
    assert call(mine, "POST", f"{BATCH}/{batch_id}/clear").status_code == 200
    assert call(mine, "GET", f"{BATCH}/{batch_id}").json()["result"]["receivedItems"] == 0
    assert state(mine, batch_id) == ended
    assert codes(call(mine, "PATCH", f"{BATCH}/{batch_id}", page(0, "b"))) == [("batch_cleared", "")]


def test_what_cannot_be_found_is_404(mine: Mill):
    for number in (0, 999_999, 10**29):
        for method, end in (("GET", ""), ("PATCH", "?Submit"), ("POST", "/clear")):
            assert call(mine, method, f"{BATCH}/{number}{end}").status_code == 404
