"""The fixtures of all tests are in ``tests/fixtures``."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

# Generated examples are the same in each run. ``pytest --hypothesis-profile default`` searches for new ones.
settings.register_profile("seeded", derandomize=True)
settings.load_profile("seeded")

pytest_plugins = ["tests.fixtures.databases", "tests.fixtures.mills"]


@pytest.fixture(scope="session")
def cases() -> Path:
    """Return the folder of the golden cases."""
    return Path(__file__).parent / "cases"
