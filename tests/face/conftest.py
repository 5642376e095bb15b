"""Two owners on one database, for the tests of the face that set up and look across."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.mill import Mill
from tests.two_mills import two_mills

from ratemill.settings import Settings
from ratemill.store.connections import Database


@pytest.fixture(scope="module")
def mills(database: Database, settings: Settings) -> Iterator[tuple[Mill, Mill]]:
    with two_mills(database, settings) as both:
        yield both


@pytest.fixture
def mine(mills: tuple[Mill, Mill]) -> Mill:
    return mills[0]


@pytest.fixture
def others(mills: tuple[Mill, Mill]) -> Mill:
    return mills[1]
