"""An Idempotency-Key opens one batch, however often its call comes: the first answer again, byte for byte."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from httpx import Response
from tests.fixtures.item_batches import BATCH, OPENING, call, codes, page, small_mill, state
from tests.fixtures.mill import GUIDE_ROW, Mill
from tests.fixtures.owners import token_of

from ratemill.settings import Settings
from ratemill.store.connections import Database


@pytest.fixture(scope="module")
def mine(database: Database, settings: Settings) -> Iterator[Mill]:
    with small_mill(database, settings) as made:
        yield made


def keyed(mine: Mill, key: str, body: Any = OPENING, path: str = BATCH, **headers: str) -> Response:
    return call(mine, "POST", path, body, headers={"Idempotency-Key": key, **headers})


def batches(mine: Mill) -> int:
    return int(mine.value("select count(*) from characteristic_batches"))


def test_a_call_that_comes_again_gets_the_first_answer_and_opens_nothing(mine: Mill):
    body = {**OPENING, "extra": 1, **page(0, "a")}
    first = keyed(mine, "once", body, f"{BATCH}?more")
    assert (first.status_code, first.headers.get("Idempotent-Replayed")) == (201, None)
    assert [each["code"] for each in first.json()["warnings"]] == [
        "parameter_not_known",
        "member_not_known",
        "page_not_full",
    ]
    before = batches(mine)
    batch = f"{BATCH}/{first.json()['result']['batchId']}"
    call(mine, "PATCH", batch, page(0, "b", "c"))
    call(mine, "POST", f"{batch}/clear")
    again = keyed(mine, "once", body, f"{BATCH}?more")
    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (201, "true")
    assert again.content == first.content
    assert batches(mine) == before


@pytest.mark.parametrize(
    ("path", "body"),
    [(BATCH, {**OPENING, "pageSize": 3}), (f"{BATCH}?Submit", OPENING), ("api/Import/User1s/Batch", OPENING)],
    ids=["body", "submit", "path"],
)
def test_a_key_that_came_with_another_call_is_422(mine: Mill, path: str, body: Any):
    opening = {**OPENING, "totalItems": 1, **page(0, "a")}
    assert keyed(mine, f"of {path} {body}", opening).status_code == 201
    before = batches(mine)
    answer = keyed(mine, f"of {path} {body}", {**body, "totalItems": 1, **page(0, "a")}, path)
    assert (answer.status_code, codes(answer)) == (422, [("idempotency_key_reused", "")])
    assert batches(mine) == before


def test_a_batch_that_was_submitted_with_its_call_is_submitted_once(mine: Mill):
    body = {**OPENING, "totalItems": 1, **page(0, "a")}
    first = keyed(mine, "submitted", body, f"{BATCH}?Submit")
    assert keyed(mine, "submitted", body, f"{BATCH}?submit=true").content == first.content
    assert state(mine, first.json()["result"]["batchId"]) == "submitted"


def test_a_call_that_was_refused_leaves_no_key_behind(mine: Mill):
    assert keyed(mine, "refused", {**OPENING, "pageSize": 0}).status_code == 400
    assert keyed(mine, "refused").status_code == 201


@pytest.mark.parametrize("key", ["", "k" * 256])
def test_what_can_be_no_key_is_400(mine: Mill, key: str):
    answer = keyed(mine, key)
    assert (answer.status_code, codes(answer)) == (400, [("idempotency_key_not_valid", "")])


def test_requests_of_usage_and_batches_share_the_keys_of_an_owner(mine: Mill):
    assert mine.post_rows(GUIDE_ROW, headers={"Idempotency-Key": "usage"}).status_code == 200
    assert keyed(mine, "usage").status_code == 422
    assert keyed(mine, "items").status_code == 201
    assert mine.post_rows(GUIDE_ROW, headers={"Idempotency-Key": "items"}).status_code == 422
    other = token_of(mine.database, "other", "import", "other")
    assert keyed(mine, "usage", Authorization=f"Bearer {other}").status_code == 201


def test_of_calls_that_come_together_one_opens_a_batch(mine: Mill):
    before = batches(mine)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: keyed(mine, "together"), range(8)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.content for answer in answers if answer.status_code == 201}) == 1
    assert batches(mine) == before + 1
    busy = [answer for answer in answers if answer.status_code == 409]
    assert all(codes(answer) == [("idempotency_key_in_use", "")] for answer in busy)


def test_a_key_is_given_back_after_its_time(mine: Mill, settings: Settings):
    first = keyed(mine, "old")
    keep_h = settings.idempotency_keep_h + 1
    mine.change(
        "update characteristic_batches set created_at = created_at - make_interval(hours => %s) where batch_id = %s",
        keep_h,
        first.json()["result"]["batchId"],
    )
    second = keyed(mine, "old", {**OPENING, "pageSize": 3})
    assert (second.status_code, second.content != first.content) == (201, True)
    assert keyed(mine, "old", {**OPENING, "pageSize": 3}).content == second.content
