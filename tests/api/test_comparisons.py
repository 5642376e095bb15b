"""Filters of every dialect on a real database: what each finds, and which are refused with which message.

The filters are made by chance, the same ones each time. Rows are held to ``filter_oracle``, refusals to
``tests/cases/comparisons``: where a message changes, remove the file of its list and run the test once to write it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fixtures import filters
from tests.fixtures.filter_oracle import meant
from tests.fixtures.filters import World
from tests.fixtures.mill import Mill, mill

from ratemill.settings import Settings
from ratemill.store.connections import Database

FILTERS = {"searches": 40, "exceptions": 100, "subscriptions": 60, "items": 100, "fields": 40}  # of each list


@pytest.fixture(scope="module")
def mine(database: Database, settings: Settings) -> Iterator[Mill]:
    with mill(database, settings) as made:
        yield made


def assert_answers(world: World, number: int, cases: Path) -> list[Path]:
    """Hold a list to its oracle and its record; return the record if it had to be written."""
    refused, found_any = {}, 0
    for at, (terms, any_of) in enumerate(filters.filters(world, number)):
        response = world.ask(terms, any_of)
        answer = filters.answer(response, world.found)
        if response.status_code == 200:
            assert sorted(answer, key=str) == meant(world, terms, any_of=any_of), (world.name, terms, any_of)
            found_any += bool(answer)
        else:
            refused[str(at)] = answer
    assert found_any > number / 10
    assert refused
    recorded = cases / "comparisons" / f"{world.name.replace(' ', '_')}.json"
    if not recorded.exists():
        recorded.parent.mkdir(exist_ok=True)
        recorded.write_text(json.dumps(refused, indent=1) + "\n")
        return [recorded]
    assert refused == json.loads(recorded.read_text())
    return []


@pytest.mark.parametrize("name", FILTERS)
def test_every_dialect_finds_the_rows_that_a_filter_means_and_refuses_the_others(name: str, mine: Mill, cases: Path):
    new = [path for world in filters.WORLDS[name](mine) for path in assert_answers(world, FILTERS[name], cases)]
    assert not new, "written now: read what they hold"
