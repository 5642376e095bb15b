"""Rows of set-up objects in bulk: each way of looking them up finds the same."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.fixtures.mill import GUIDE, Mill, mill

from ratemill.settings import Settings
from ratemill.store import bulk
from ratemill.store.connections import Database, driver

COLUMNS = ("account_id", "name")


@pytest.fixture
def made(database: Database, settings: Settings) -> Iterator[Mill]:
    names = "".join(f"  - {{name: 'account {at}', currencyName: USD}}\n" for at in range(30))
    with mill(database, settings, "many", GUIDE) as one:
        one.apply(f"ratemill: 1\naccounts:\n{names}")
        yield one


@pytest.mark.parametrize("asked", [[], ["account 3"], ["account 7", "nobody", "account 7", "account 21"]])
def test_rows_that_are_looked_up_by_index_are_those_that_are_read_together(made: Mill, asked: list[str]):
    owner_id = int(made.value("select owner_id from owners where name = 'many'"))
    with made.database.worker() as connection:
        found = [
            bulk.read_rows(connection, "accounts", COLUMNS, owner_id, {"name": asked}, by_index=by_index)
            for by_index in (True, False)
        ]
        assert sorted(map(str, found[0])) == sorted(map(str, found[1]))
        assert {row["name"] for row in found[0]} == set(asked) - {"nobody"}
        others = bulk.read_rows(connection, "accounts", COLUMNS, owner_id + 1, {"name": asked}, by_index=True)
        assert others == []


def test_looking_up_by_index_ends_with_its_block(made: Mill):
    with made.database.worker() as connection:
        with bulk.looked_up_by_index(connection):
            assert driver(connection).execute("show enable_seqscan").fetchone() == ("off",)
        for name in ("enable_seqscan", "enable_hashjoin", "enable_mergejoin"):
            assert driver(connection).execute(f"show {name}").fetchone() == ("on",)
