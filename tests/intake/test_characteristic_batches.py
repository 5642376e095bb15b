"""A batch has what was sent last for each page, whatever the order, and nothing of what was not answered."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from tests.fixtures.mill import Mill, mill

from ratemill.access.tokens import Principal, authenticate
from ratemill.errors import BadRequest, CallerError, Conflict
from ratemill.intake import characteristic_batches as batches
from ratemill.intake.characteristic_batches import BatchSubmission
from ratemill.settings import Settings
from ratemill.store.connections import Database

PAGES, SIZE = 3, 2


@pytest.fixture(scope="module")
def mine(database: Database, settings: Settings) -> Iterator[Mill]:
    with mill(database, settings) as made:
        yield made


def caller(mine: Mill) -> Principal:
    principal = authenticate(mine.database, mine.token)
    assert principal
    return principal


def opened(mine: Mill, total: int = PAGES * SIZE) -> int:
    body = json.dumps({"importFileName": "f", "pageSize": SIZE, "totalItems": total}).encode()
    named = "User1s"
    return batches.create(mine.database, mine.settings, caller(mine), named=named, body=body, submit=None).batch_id


def send(mine: Mill, batch_id: int, page: tuple[int, list[str]] | None, submit: BatchSubmission | None = None) -> None:
    number, ids = page or (0, [])
    body = json.dumps({"pageNumber": number, "items": [{"id": each} for each in ids]}).encode() if page else b""
    who, settings = caller(mine), mine.settings
    batches.receive(mine.database, settings, who, named="User1s", batch_id=batch_id, body=body, submit=submit)


def received(mine: Mill, batch_id: int) -> dict[int, list[str]]:
    owner_id = caller(mine).owner_id
    total = mine.value("select total_items from characteristic_batches where batch_id = %s", batch_id)
    found, count = {}, 0
    for number in range(-(-total // SIZE)):
        page = batches.read(mine.database, owner_id, "User1s", batch_id, number)
        found[number] = [each["id"] for each in json.loads(page.items)]
        count = page.batch.items_received
    assert count == sum(map(len, found.values()))
    return found


PAGE = st.tuples(st.integers(0, PAGES - 1), st.lists(st.sampled_from("abc"), min_size=1, max_size=SIZE))


@hypothesis_settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(sent=st.lists(PAGE, max_size=8), total=st.integers(SIZE * (PAGES - 1) + 1, SIZE * PAGES))
def test_the_last_of_each_page_holds_and_the_total_is_never_passed(
    mine: Mill, sent: list[tuple[int, list[str]]], total: int
):
    batch_id = opened(mine, total)
    kept: dict[int, list[str]] = {number: [] for number in range(PAGES)}
    for number, ids in sent:
        after = {**kept, number: ids}
        if sum(map(len, after.values())) > total:
            with pytest.raises(BadRequest, match="the batch would have"):
                send(mine, batch_id, (number, ids))
        else:
            send(mine, batch_id, (number, ids))
            kept = after
        assert received(mine, batch_id) == kept
    if sum(map(len, kept.values())) == total:
        send(mine, batch_id, None, BatchSubmission())
    else:
        with pytest.raises(Conflict, match="items have been received"):
            send(mine, batch_id, None, BatchSubmission())


def test_what_dies_before_it_is_answered_leaves_nothing(mine: Mill, monkeypatch: pytest.MonkeyPatch):
    batch_id = opened(mine, total=2)
    send(mine, batch_id, (0, ["a"]))
    before = mine.rows("select * from characteristic_batches order by batch_id"), received(mine, batch_id)[0] == ["a"]

    def die(*_args: object) -> None:
        raise OSError("the power is gone")

    monkeypatch.setattr(batches, "die_at", die)
    with pytest.raises(OSError, match="power"):
        send(mine, batch_id, (0, ["b", "c"]), BatchSubmission())
    with pytest.raises(OSError, match="power"):
        opened(mine)
    after = mine.rows("select * from characteristic_batches order by batch_id"), received(mine, batch_id)[0] == ["a"]
    assert after == before
    monkeypatch.undo()
    send(mine, batch_id, (0, ["b", "c"]), BatchSubmission())
    assert received(mine, batch_id)[0] == ["b", "c"]


def test_every_refusal_is_a_caller_error(mine: Mill):
    batch_id = opened(mine, total=1)
    send(mine, batch_id, (0, ["a"]), BatchSubmission())
    for page, submit in (((0, ["b"]), None), (None, BatchSubmission()), (None, None)):
        with pytest.raises(CallerError):
            send(mine, batch_id, page, submit)
