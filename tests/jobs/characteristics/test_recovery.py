"""Jobs of characteristics whose process dies, or whose work fails on an item or on a whole batch."""

from typing import Any

import pytest
from tests.fixtures.item_jobs import (
    Item,
    child,
    counts,
    imported,
    job,
    refused,
    run,
    stored,
    submitted,
)
from tests.fixtures.mill import Mill
from tests.fixtures.processes import started, wait_until, was_killed

from ratemill.jobs.characteristics import batches
from ratemill.reference.characteristics import circles, references
from ratemill.reference.characteristics import items as item_members


@pytest.mark.parametrize("point", ["characteristics-before-commit", "characteristics-after-commit"])
def test_a_process_killed_in_the_middle_is_taken_up_and_neither_doubles_nor_loses(guide: Mill, point: str):
    items = [child(str(n), str(n + 2_500)) if n < 2_500 else {"comment": f"c{n}"} for n in range(2_500)]
    items += [{"id": str(n)} for n in range(2_500, 5_000)]
    number = submitted(guide, items)
    options = {"database_url": guide.database.dsn}
    for _ in range(6):
        with started("jobs", die_at=point, **options) as killed:
            assert was_killed(killed)
    with started("jobs", **options):
        wait_until(lambda: job(guide, number)["endDatetime"])
    assert counts(guide, number) == (5_000, 0, 0, 0)
    assert guide.value("select count(*) from characteristic_items") == 5_000
    assert guide.value("select count(*) from characteristic_outcomes") == 5_000
    assert guide.value("select count(*) from characteristic_items where parent_item_id is not null") == 2_500


@pytest.mark.parametrize("step", ["names_of", "kept"])
def test_an_item_on_which_the_work_fails_is_refused_with_the_error_and_the_others_go_on(
    guide: Mill, monkeypatch: pytest.MonkeyPatch, step: str
):
    module = {"names_of": references, "kept": item_members}[step]
    work = getattr(module, step)

    def failing(item: Item, *arguments: Any) -> Any:
        if item["id"] in ("7", "19"):
            raise ValueError("too much")
        return work(item, *arguments)

    monkeypatch.setattr(batches, "ITEMS_MAX", 16)
    monkeypatch.setattr(module, step, failing)
    found = refused(guide, *[{"id": str(n)} for n in range(40)])
    assert found == {"7": ["could_not_be_processed"], "19": ["could_not_be_processed"]}
    assert len(stored(guide)) == 38


def test_a_batch_that_cannot_be_settled_fails_and_lets_the_next_one_go(guide: Mill, monkeypatch: pytest.MonkeyPatch):
    def failing(*_: Any) -> Any:
        raise ValueError("too much")

    number = submitted(guide, [child("a", "b"), {"id": "b"}])
    with monkeypatch.context() as patch:
        patch.setattr(circles, "refused_together", failing)
        run(guide)
    shown = job(guide, number)
    assert (shown["state"], shown["completedCountNumber"]) == ("failed", 1)
    assert "too much" in shown["error"]
    assert imported(guide, child("a", "b"), {"id": "b"}) == (1, 0, 1, 0)
