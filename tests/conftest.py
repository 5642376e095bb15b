"""The fixtures of all tests are in ``tests/fixtures``."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Generated examples are the same in each run, however slow the machine is at that moment.
# ``pytest --hypothesis-profile default`` searches for new ones.
settings.register_profile("seeded", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("seeded")

pytest_plugins = ["tests.fixtures.databases", "tests.fixtures.mills"]


@pytest.fixture(scope="session")
def cases() -> Path:
    """Return the folder of the golden cases."""
    return Path(__file__).parent / "cases"
