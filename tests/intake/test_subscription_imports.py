"""A file of subscription objects is durable when it is answered, and killed before that nothing of it is there."""

from __future__ import annotations

import httpx
import pytest
from tests.fixtures.mill import Mill, mill
from tests.fixtures.processes import answers, free_port, started, wait_until, was_killed

from ratemill.settings import Settings
from ratemill.store.connections import Database
from ratemill.store.subscriptions import imports as subscription_imports

LINE = b'{"data":{"type":"subscription_product","attributes":{"external_ref":"%d","name":"A product"}}}\n'


def test_an_api_killed_before_the_commit_has_taken_nothing(guide: Mill):
    port = free_port()
    url = f"http://127.0.0.1:{port}/v2/subscriptions/imports"
    sent = {
        "headers": {"Authorization": f"Bearer {guide.token}"},
        "files": {"import_file": b"".join(LINE % number for number in range(5_000))},
        "data": {"external_ref": "again"},
    }
    point = "after-accept-before-commit"
    with started("api", "--port", str(port), database_url=guide.database.dsn, die_at=point) as api:
        wait_until(lambda: answers(port))
        with pytest.raises(httpx.TransportError):
            httpx.post(url, **sent)  # type: ignore[arg-type]
        assert was_killed(api)
    assert guide.value("select count(*) from subscription_import_lines") == 0
    assert guide.request("POST", "v2/subscriptions/imports", **sent).status_code == 201
    assert guide.value("select count(*) from subscription_import_lines") == 5_000
    assert guide.value("select count(*) from subscription_imports") == 1


@pytest.mark.parametrize("size", [1, 3, 1_000_000])
def test_the_cut_of_lines_into_statements_changes_nothing(
    database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch, size: int
):
    monkeypatch.setattr(subscription_imports, "PORTION_LINES_MAX", size)
    monkeypatch.setattr(subscription_imports, "PORTION_BYTES_MAX", size)
    content = b"".join(LINE % number * (number % 3 + 1) for number in range(20))
    with mill(database, settings, owner=f"cuts {size}") as store:
        number = store.request("POST", "v2/subscriptions/imports", files={"import_file": content}).json()["data"]["id"]
        rows = store.rows(
            """select line from subscription_import_lines join subscription_imports using (import_number)
            where import_id = %s order by line_number""",
            number,
        )
        assert b"".join(row[0] + b"\n" for row in rows) == content
