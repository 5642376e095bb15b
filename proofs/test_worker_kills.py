"""Workers killed at random under load: after each kill the counts tie, and each record is charged once."""

from __future__ import annotations

import random
from collections.abc import Callable
from time import monotonic

import pytest
from tests.fixtures.mill import Mill, guide_row
from tests.fixtures.processes import started, was_killed

SEED = 7
KILLS = 20
ROWS = 500


@pytest.mark.timeout(600)
def test_workers_killed_at_random_moments_lose_and_double_nothing(guide: Mill, figures: Callable[[str], None]):
    rng = random.Random(SEED)
    options = {"database_url": guide.database.dsn, "worker_rows_max": "2000"}
    posted, began = 0, monotonic()
    for _ in range(KILLS):
        with started("worker", **options) as victim, started("worker", **options):
            moment = monotonic() + rng.uniform(0.2, 2.5)
            while monotonic() < moment:
                first = 2 * ROWS * posted
                assert guide.post_rows(*[guide_row(first + row) for row in range(ROWS)]).status_code == 200
                posted += 1
            guide.assert_ties()
            victim.kill()
            assert was_killed(victim)
    guide.work()
    charged = guide.value("select count(*) from charges")
    guide.assert_ties()
    figures(
        f"seed {SEED}, {KILLS} kills, {ROWS * posted} records acknowledged, {charged} charged, {monotonic() - began:.0f} s"
    )
    assert charged == ROWS * posted
