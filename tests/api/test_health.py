"""``/livez``, ``/readyz`` and ``/healthz``: the process, the database, all parts; none waits for the others' threads."""

from collections.abc import Iterator
from datetime import datetime
from functools import partial

import pytest
from sqlalchemy import text
from starlette.testclient import TestClient
from tests.fixtures.mill import GUIDE_ROW, Mill, mill
from tests.fixtures.processes import started, wait_until

from ratemill.api.server import create_app
from ratemill.settings import Settings
from ratemill.store.connections import Database


@pytest.fixture
def mine(database: Database, settings: Settings) -> Iterator[Mill]:
    with mill(database, settings) as made:
        yield made


def test_without_a_worker_it_is_alive_and_ready_and_not_healthy(mine: Mill):
    assert [mine.client.get(path).status_code for path in ("/livez", "/readyz", "/healthz")] == [200, 200, 503]
    answer = mine.client.get("/healthz")
    assert answer.headers["Retry-After"] == "5"
    assert answer.json() == {
        "status": "no worker runs",
        "workers": 0,
        "workerSeenSecondsAgo": None,
        "rowsWaiting": 0,
        "rowsCountedSecondsAgo": answer.json()["rowsCountedSecondsAgo"],
        "oldestWaitingSeconds": None,
    }


def test_without_a_database_it_is_alive_and_neither_ready_nor_healthy(settings: Settings):
    away = Database("postgresql://127.0.0.1:1/nothing", settings)
    with TestClient(create_app(away, settings)) as client:
        assert [client.get(path).status_code for path in ("/livez", "/readyz", "/healthz")] == [200, 503, 503]
        assert client.get("/readyz").json()["message"] == "the database does not answer; the log shows why"


def test_a_worker_that_waits_in_the_middle_of_a_table_is_seen(mine: Mill, database: Database):
    def seen_at() -> datetime | None:
        with database.worker() as connection:
            seen: datetime | None = connection.execute(text("select max(seen_at) from workers")).scalar_one()
        return seen

    def changed(before: datetime | None) -> bool:
        return seen_at() != before

    with started("worker", database_url=database.dsn):
        wait_until(lambda: mine.client.get("/healthz").status_code == 200)
        with database.schema_owner() as holder:
            holder.execute(text("lock table batch_spans in exclusive mode"))
            assert mine.post_rows(GUIDE_ROW).status_code == 200
            wait_until(lambda: _waits(database))
            for _ in range(2):
                before = seen_at()
                wait_until(partial(changed, before))
            assert _waits(database)
        answer = mine.client.get("/healthz")
        assert (answer.status_code, answer.json()["workers"]) == (200, 1)


def _waits(database: Database) -> bool:
    """Return whether a session waits for a lock."""
    with database.worker() as connection:
        waiting: int = connection.execute(text("select count(*) from pg_locks where not granted")).scalar_one()
    return waiting > 0
