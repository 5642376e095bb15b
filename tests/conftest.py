"""The fixtures of all tests are in ``tests/fixtures``."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = ["tests.fixtures.databases", "tests.fixtures.mills"]


@pytest.fixture(scope="session")
def cases() -> Path:
    """Return the folder of the golden cases."""
    return Path(__file__).parent / "cases"
