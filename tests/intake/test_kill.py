"""Killed anywhere, nothing is lost and nothing comes twice: at every named point, and by two workers."""

import httpx
import pytest
from tests.fixtures.mill import PATH, Mill, guide_row
from tests.fixtures.processes import answers, free_port, started, wait_until, was_killed

WORKER_POINTS = ["after-claim", "after-mediate", "after-rate", "mid-copy", "before-commit", "after-commit"]


def post_some(guide: Mill, first: int) -> None:
    """Post three requests: good rows, a duplicate of the first, a bad row, an unknown identifier."""
    for number in range(first, first + 3):
        good = [guide_row(100 * number + row) for row in range(20)]
        bad = [guide_row(1, value="ninety"), guide_row(2, identifier="nobody")]
        assert guide.post_rows(*good, guide_row(100 * first), *bad).status_code == 200


def ends(guide: Mill) -> dict[str, int]:
    tables = ("charges", "duplicates", "import_exceptions", "rating_exceptions", "skipped")
    return {table: guide.value(f"select count(*) from {table}") for table in tables}


@pytest.mark.parametrize("point", WORKER_POINTS)
def test_a_worker_killed_at_a_named_point_loses_and_doubles_nothing(guide: Mill, point: str):
    post_some(guide, 1)
    with started("worker", database_url=guide.database.dsn, die_at=point) as worker:
        assert was_killed(worker)
    guide.assert_ties()
    guide.work()
    assert ends(guide) == {
        "charges": 60,
        "duplicates": 5,  # a repeat in each request, and the unknown identifier's row in two
        "import_exceptions": 3,
        "rating_exceptions": 1,
        "skipped": 0,
    }
    guide.assert_ties()


def test_an_api_killed_before_the_commit_has_taken_nothing_and_the_repeat_is_taken_once(guide: Mill):
    port = free_port()
    headers = {"Authorization": f"Bearer {guide.token}", "Idempotency-Key": "again"}
    url = f"http://127.0.0.1:{port}{PATH}/DataImport/Usage/guideFeed"
    body = {"data": [guide_row(1)]}
    options = {"database_url": guide.database.dsn}
    with started("api", "--port", str(port), die_at="after-accept-before-commit", **options) as api:
        wait_until(lambda: answers(port))
        with pytest.raises(httpx.TransportError):
            httpx.post(url, json=body, headers=headers, timeout=60)
        assert was_killed(api)
    assert guide.value("select count(*) from submissions") == 0
    with started("api", "--port", str(port), **options):
        wait_until(lambda: answers(port))
        assert [httpx.post(url, json=body, headers=headers, timeout=60).status_code for _ in range(2)] == [200, 200]
    assert guide.value("select count(*) from submissions") == 1
    guide.work()
    assert ends(guide)["charges"] == 1
    guide.assert_ties()


def test_two_workers_with_overlapping_keys_charge_each_record_once(guide: Mill):
    for _ in range(6):
        guide.post_rows(*[guide_row(row) for row in range(1_000)])
    options = {"database_url": guide.database.dsn, "worker_rows_max": "1000"}
    with started("worker", **options), started("worker", **options):
        wait_until(lambda: guide.value("select sum(rows_waiting) from submissions") == 0)
    assert ends(guide) == {
        "charges": 1_000,
        "duplicates": 5_000,
        "import_exceptions": 0,
        "rating_exceptions": 0,
        "skipped": 0,
    }
    guide.assert_ties()
